use super::matcher::{Depth, Matcher};
use super::{Grammar, NamePattern};

impl NamePattern {
    /// The pattern of another grammar that covers the same names; nothing where that grammar has none.
    ///
    /// Wildcards are rewritten by their meaning: Cilium's `*.x` is one label natively, a ClusterNetworkPolicy's `*.x` is
    /// `**.x`. That Cilium's wildcards stand for host-name characters only is not held against a translation.
    pub fn in_grammar(&self, grammar: Grammar) -> Option<Self> {
        if grammar == self.grammar() {
            return Some(self.clone());
        }
        let text = match &self.0.matcher {
            Matcher::Nothing => return None,
            Matcher::Everything(_) => "*".to_owned(),
            Matcher::Exact(name) if name.is_root() => ".".to_owned(),
            Matcher::Exact(name) => name.without_dot().to_owned(),
            Matcher::Below { zone, depth, .. } => {
                format!("{}.{}", stars(*depth, grammar)?, zone.without_dot())
            }
            Matcher::Around { first, zone } => {
                let stars = match grammar {
                    Grammar::Native => "**",
                    Grammar::Calico => "*",
                    Grammar::Cilium
                    | Grammar::CiliumName
                    | Grammar::ClusterNetworkPolicy
                    | Grammar::Istio => return None,
                };
                format!("{first}.{stars}.{}", zone.without_dot())
            }
            // Stars inside of labels: read alike where they can be written.
            Matcher::Labels { leading, globs } => match grammar {
                Grammar::Native | Grammar::Cilium => {
                    let leading = match leading {
                        Some(depth) => Some(stars(*depth, grammar)?.to_owned()),
                        None => None,
                    };
                    let globs = globs.iter().map(super::matcher::Glob::written);
                    leading
                        .into_iter()
                        .chain(globs)
                        .collect::<Vec<_>>()
                        .join(".")
                }
                Grammar::CiliumName
                | Grammar::ClusterNetworkPolicy
                | Grammar::Calico
                | Grammar::Istio => return None,
            },
        };
        Self::parse(grammar, &text).ok()
    }
}

/// The leading wildcard of a grammar that stands for so many labels.
const fn stars(depth: Depth, grammar: Grammar) -> Option<&'static str> {
    match (depth, grammar) {
        (Depth::OneOrMore, Grammar::Native | Grammar::Cilium) => Some("**"),
        (Depth::One, Grammar::Native | Grammar::Cilium)
        | (Depth::OneOrMore, Grammar::ClusterNetworkPolicy | Grammar::Calico | Grammar::Istio) => {
            Some("*")
        }
        (Depth::One, Grammar::ClusterNetworkPolicy | Grammar::Calico | Grammar::Istio)
        | (_, Grammar::CiliumName) => None,
    }
}
