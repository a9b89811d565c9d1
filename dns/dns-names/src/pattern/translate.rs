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
            // Stars inside of labels are Cilium's alone, those between labels Calico's.
            Matcher::Nothing | Matcher::Labels { .. } | Matcher::Around { .. } => return None,
            Matcher::Everything(_) => "*".to_owned(),
            Matcher::Exact(name) => name.without_dot().to_owned(),
            Matcher::Below { zone, depth, .. } => {
                let stars = match (depth, grammar) {
                    (Depth::One, Grammar::Native | Grammar::Cilium) => "*",
                    (Depth::OneOrMore, Grammar::Native | Grammar::Cilium) => "**",
                    (
                        Depth::OneOrMore,
                        Grammar::ClusterNetworkPolicy | Grammar::Calico | Grammar::Istio,
                    ) => "*",
                    (
                        Depth::One,
                        Grammar::ClusterNetworkPolicy | Grammar::Calico | Grammar::Istio,
                    )
                    | (_, Grammar::CiliumName) => return None,
                };
                format!("{stars}.{}", zone.without_dot())
            }
        };
        Self::parse(grammar, &text).ok()
    }
}
