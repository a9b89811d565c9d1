use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::name::{Name, NameError, shorten};

mod classes;
mod matcher;
mod translate;

pub use classes::NameClass;

use matcher::{Charset, Depth, Glob, Matcher};

/// Longest pattern in characters: Cilium's CRD and ours (`maxLength: 255`), the presentation length of a longest name.
const MAX_PATTERN: usize = 255;

/// How a dialect reads a name with stars in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Grammar {
    /// Egret's own: `*.x` is exactly one label below `x`, `**.x` one or more; `*` alone is every name. Further on a `*` is any
    /// run of `[-a-z0-9_]` inside one label (`api-*.x`, `a.*.x`), and one `**` between labels is one or more (`a.**.x`).
    Native,
    /// Cilium's `matchPattern` (1.19 and later): `*` is any run of `[-a-z0-9_]` inside one label, a leading `**.` is
    /// one or more labels, a pattern of nothing but stars is every name.
    Cilium,
    /// Cilium's `matchName`: one name, no stars.
    CiliumName,
    /// `domainNames` of ClusterNetworkPolicy and its relatives (NPEP-133): `*.x` is one or more labels, never `x`.
    ClusterNetworkPolicy,
    /// Calico Enterprise's `domains` and `allowedEgressDomains`: one `*` that is a whole label and not the last one, and
    /// stands for one or more labels (`*.x`, `a.*.x`).
    Calico,
    /// Hosts of Istio's Sidecar and ServiceEntry: `*.x` is one or more labels, never `x`; `*` alone is every name.
    Istio,
}

/// A name, or names with wildcards, as a policy author wrote them, read by one [`Grammar`].
///
/// Equal when grammar and canonical text are equal, so `Example.com` and `example.com.` are one pattern.
/// Cloning is a reference count.
#[derive(Clone)]
pub struct NamePattern(Arc<Inner>);

struct Inner {
    grammar: Grammar,
    text: Box<str>,
    canonical: Box<str>,
    matcher: Matcher,
}

/// Why a text is not a pattern of its grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("a name pattern cannot be empty")]
    Empty,
    #[error("`{text}` is longer than 255 characters")]
    TooLong { text: String },
    #[error("`{text}` contains `{character}`, which no name here may contain")]
    Character { text: String, character: char },
    #[error("`{text}` has a `*` where this dialect does not allow one")]
    Star { text: String, grammar: Grammar },
    #[error("`{text}` has fewer than two labels besides the wildcard")]
    TooFewLabels { text: String },
    #[error(
        "`{text}` has a label that starts or ends with a character this dialect does not allow there"
    )]
    LabelEdge { text: String },
    #[error("`{text}` is not a valid name")]
    Name {
        text: String,
        #[source]
        source: NameError,
    },
}

impl PatternError {
    /// What to write instead, where that is known.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Character { character, .. } if !character.is_ascii() => {
                Some("write the `xn--` form of an internationalised name")
            }
            Self::Character {
                character: '/' | ':',
                ..
            } => Some("write the host name alone, without scheme, port or path"),
            Self::Star {
                grammar: Grammar::Native,
                ..
            } => Some(
                "a `*` stands for one label or a part of it (`*.example.com`, `api-*.example.com`), `**` for one or more whole labels (`**.example.com`), `*` alone for every name",
            ),
            Self::Star {
                grammar: Grammar::CiliumName,
                ..
            } => Some("use `matchPattern` for names with a `*`"),
            Self::Star {
                grammar: Grammar::ClusterNetworkPolicy,
                ..
            } => Some("a `*` is only allowed as the whole first label: `*.example.com`"),
            Self::Star {
                grammar: Grammar::Calico,
                ..
            } => Some(
                "one `*` is allowed, as a whole label that is not the last: `*.example.com`, `www.*.com`",
            ),
            Self::Star {
                grammar: Grammar::Istio,
                ..
            } => Some("a `*` is only allowed as the whole first label, `*.example.com`, or alone"),
            Self::Empty
            | Self::TooLong { .. }
            | Self::Character { .. }
            | Self::Star {
                grammar: Grammar::Cilium,
                ..
            }
            | Self::TooFewLabels { .. }
            | Self::LabelEdge { .. }
            | Self::Name { .. } => None,
        }
    }
}

impl NamePattern {
    /// Reads `text` by `grammar`.
    ///
    /// What Cilium admits although it can match nothing (`a..b`, an overlong label) is a pattern here too, one that
    /// [matches nothing](Self::is_never); in the other grammars it is an error.
    ///
    /// # Errors
    /// Whatever the dialect's own admission refuses, see [`PatternError`].
    pub fn parse(grammar: Grammar, text: &str) -> Result<Self, PatternError> {
        if text.chars().count() > MAX_PATTERN {
            return Err(PatternError::TooLong {
                text: shorten(text),
            });
        }
        let may_star = grammar != Grammar::CiliumName;
        if let Some(character) = text.chars().find(|c| !is_pattern_character(*c)) {
            return Err(PatternError::Character {
                text: shorten(text),
                character,
            });
        }
        if !may_star && text.contains('*') {
            return Err(PatternError::Star {
                text: text.to_owned(),
                grammar,
            });
        }
        let lower = text.to_ascii_lowercase();
        let matcher = match grammar {
            Grammar::Cilium | Grammar::CiliumName => cilium(&lower),
            Grammar::Native => native(text, &lower)?,
            Grammar::ClusterNetworkPolicy => cluster_network_policy(text, &lower)?,
            Grammar::Calico => calico(text, &lower)?,
            Grammar::Istio => istio(text, &lower)?,
        };
        let canonical = canonical(&lower);
        Ok(Self(Arc::new(Inner {
            grammar,
            text: text.into(),
            canonical,
            matcher,
        })))
    }

    /// The pattern that stands for `name` alone, in the native grammar.
    pub fn exactly(name: &Name) -> Self {
        Self(Arc::new(Inner {
            grammar: Grammar::Native,
            text: name.without_dot().into(),
            canonical: name.as_str().into(),
            matcher: Matcher::Exact(name.clone()),
        }))
    }

    /// Whether the pattern covers `name`. Allocates nothing.
    pub fn matches(&self, name: &Name) -> bool {
        self.0.matcher.matches(name)
    }

    pub fn grammar(&self) -> Grammar {
        self.0.grammar
    }

    /// As written by the policy's author.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Lower case, with the final dot; a pattern of stars alone stays as it is (Cilium's `Sanitize`).
    pub fn canonical(&self) -> &str {
        &self.0.canonical
    }

    /// Whether it covers every name (for Cilium: every name made of `[-a-z0-9_]` labels).
    pub fn is_match_all(&self) -> bool {
        matches!(self.0.matcher, Matcher::Everything(_))
    }

    /// Whether it covers nothing: admitted by its dialect, but no name can be like it.
    pub fn is_never(&self) -> bool {
        matches!(self.0.matcher, Matcher::Nothing)
    }

    /// The one name it covers, when it is just one.
    pub fn exact(&self) -> Option<&Name> {
        match &self.0.matcher {
            Matcher::Exact(name) => Some(name),
            Matcher::Everything(_)
            | Matcher::Nothing
            | Matcher::Below { .. }
            | Matcher::Around { .. }
            | Matcher::Labels { .. } => None,
        }
    }

    /// The deepest zone that holds every name the pattern covers; nothing where it covers no name.
    ///
    /// Made for indexes: a name is only asked of the patterns filed under one of its [suffixes](Name::suffixes).
    pub fn zone(&self) -> Option<Name> {
        match &self.0.matcher {
            Matcher::Everything(_) => Some(Name::root()),
            Matcher::Nothing => None,
            Matcher::Exact(name) => Some(name.clone()),
            Matcher::Below { zone, .. } | Matcher::Around { zone, .. } => Some(zone.clone()),
            Matcher::Labels { globs, .. } => {
                let mut literals: Vec<&[u8]> = globs
                    .iter()
                    .rev()
                    .map_while(Glob::literal)
                    .map(str::as_bytes)
                    .collect();
                literals.reverse();
                Some(Name::from_labels(literals).unwrap_or_else(|_overlong| Name::root()))
            }
        }
    }

    /// Texts that every name it covers holds above its [zone](Self::zone), dots at the edges of labels included; none for a
    /// pattern that says nothing of what stands there.
    ///
    /// Made for indexes, as the zone is.
    pub fn texts(&self) -> Vec<String> {
        match &self.0.matcher {
            Matcher::Everything(_)
            | Matcher::Nothing
            | Matcher::Exact(_)
            | Matcher::Below { .. } => Vec::new(),
            Matcher::Around { first, .. } => vec![format!("{first}.")],
            Matcher::Labels { leading, globs } => {
                let below = globs.iter().rev().map_while(Glob::literal).count();
                globs[..globs.len() - below]
                    .iter()
                    .enumerate()
                    .flat_map(|(at, glob)| glob.texts(leading.is_none() && at == 0))
                    .collect()
            }
        }
    }

    /// One sentence for people about what the pattern covers and what it does not.
    pub fn covers(&self) -> String {
        match &self.0.matcher {
            Matcher::Everything(_) => "every name".to_owned(),
            Matcher::Nothing => format!("no name at all: nothing can be called `{}`", self.0.text),
            Matcher::Exact(name) => format!("`{}` and nothing below it", name.without_dot()),
            Matcher::Below {
                zone,
                depth: Depth::One,
                ..
            } => {
                let zone = zone.without_dot();
                format!(
                    "names exactly one label below `{zone}` (`a.{zone}`), not `a.b.{zone}` and not `{zone}` itself"
                )
            }
            Matcher::Below {
                zone,
                depth: Depth::OneOrMore,
                ..
            } => {
                let zone = zone.without_dot();
                format!("every name below `{zone}` (`a.{zone}`, `a.b.{zone}`), not `{zone}` itself")
            }
            Matcher::Around { first, zone } => {
                let zone = zone.without_dot();
                format!(
                    "every name that begins with `{first}.` and ends with `.{zone}`, with one or more labels between, not `{first}.{zone}`"
                )
            }
            Matcher::Labels {
                leading: None,
                globs,
            } => format!(
                "names of exactly {} labels like `{}`, each `*` standing for any letters, digits, `-` and `_` of its own label",
                globs.len(),
                self.0.text
            ),
            Matcher::Labels {
                leading: Some(_),
                globs,
            } => format!(
                "names of {} or more labels like `{}`, the leading stars standing for one or more labels, any other `*` for letters, digits, `-` and `_` of its own label",
                globs.len() + 1,
                self.0.text
            ),
        }
    }
}

impl PartialEq for NamePattern {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for NamePattern {}

impl PartialOrd for NamePattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for NamePattern {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0.grammar, &self.0.canonical).cmp(&(other.0.grammar, &other.0.canonical))
    }
}

impl Hash for NamePattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0.grammar, &self.0.canonical).hash(state);
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.text)
    }
}

impl fmt::Debug for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamePattern({:?}, {})", self.0.grammar, self.0.text)
    }
}

fn is_pattern_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | '*')
}

fn canonical(lower: &str) -> Box<str> {
    if lower.ends_with('.') || is_all_stars(lower) {
        lower.into()
    } else {
        format!("{lower}.").into()
    }
}

/// `*`, `**`, `*.`, `**.` and so on: Cilium's match-all since 1.19.
fn is_all_stars(text: &str) -> bool {
    let stars = text.strip_suffix('.').unwrap_or(text);
    !stars.is_empty() && stars.bytes().all(|octet| octet == b'*')
}

/// Cilium's `matchpattern.go` without its regular expressions: since `*` never crosses a dot and names have no empty
/// labels, its expression for a pattern is the row of its labels' expressions.
fn cilium(lower: &str) -> Matcher {
    if is_all_stars(lower) {
        return Matcher::Everything(Charset::Host);
    }
    if matches!(lower, "" | ".") {
        return Matcher::Exact(Name::root());
    }
    let stars = lower.bytes().take_while(|octet| *octet == b'*').count();
    let (leading, rest) = match lower[stars..].strip_prefix('.') {
        Some(rest) if stars == 1 => (Some(Depth::One), rest),
        Some(rest) if stars > 1 => (Some(Depth::OneOrMore), rest),
        Some(_) | None => (None, lower),
    };
    if !rest.contains('*') {
        return match (Name::parse(rest), leading) {
            (Ok(name), None) => Matcher::Exact(name),
            (Ok(zone), Some(depth)) if !zone.is_root() => Matcher::Below {
                zone,
                depth,
                charset: Charset::Host,
            },
            (Ok(_) | Err(_), _) => Matcher::Nothing,
        };
    }
    let globs: Option<Box<[Glob]>> = rest
        .strip_suffix('.')
        .unwrap_or(rest)
        .split('.')
        .map(Glob::parse)
        .collect();
    globs.map_or(Matcher::Nothing, |globs| Matcher::Labels { leading, globs })
}

fn native(text: &str, lower: &str) -> Result<Matcher, PatternError> {
    let (depth, rest) = match lower {
        "" => return Err(PatternError::Empty),
        "*" => return Ok(Matcher::Everything(Charset::Any)),
        _ => match (lower.strip_prefix("**."), lower.strip_prefix("*.")) {
            (Some(rest), _) => (Some(Depth::OneOrMore), rest),
            (None, Some(rest)) => (Some(Depth::One), rest),
            (None, None) => (None, lower),
        },
    };
    if !rest.contains('*') {
        return below_or_exact(Grammar::Native, text, depth, rest);
    }
    let around = rest.split_once(".**.").filter(|_| depth.is_none());
    if let Some((first, zone)) =
        around.filter(|(first, zone)| !(first.contains('*') || zone.contains('*')))
    {
        return self::around(text, first, zone);
    }
    let star = || PatternError::Star {
        text: text.to_owned(),
        grammar: Grammar::Native,
    };
    if rest.contains("**") {
        return Err(star());
    }
    // Every label is checked where it stands, with a letter for each star.
    Name::parse(&rest.replace('*', "x")).map_err(|source| PatternError::Name {
        text: text.to_owned(),
        source,
    })?;
    let labels = rest.strip_suffix('.').unwrap_or(rest).split('.');
    let globs: Option<Box<[Glob]>> = labels.map(Glob::parse).collect();
    Ok(Matcher::Labels {
        leading: depth,
        globs: globs.ok_or_else(star)?,
    })
}

fn cluster_network_policy(text: &str, lower: &str) -> Result<Matcher, PatternError> {
    if lower.is_empty() {
        return Err(PatternError::Empty);
    }
    let (depth, rest) = lower
        .strip_prefix("*.")
        .map_or((None, lower), |rest| (Some(Depth::OneOrMore), rest));
    let matcher = below_or_exact(Grammar::ClusterNetworkPolicy, text, depth, rest)?;
    // The CRD's expression: two labels or more, each with a letter, digit or `_` first and a letter or digit last
    // (a label of one `_` passes).
    let labels: Vec<&str> = rest.strip_suffix('.').unwrap_or(rest).split('.').collect();
    if labels.len() < 2 {
        return Err(PatternError::TooFewLabels {
            text: text.to_owned(),
        });
    }
    let edges = |label: &&str| {
        !label.starts_with('-') && (label.len() == 1 || !label.ends_with(['-', '_']))
    };
    if !labels.iter().all(edges) {
        return Err(PatternError::LabelEdge {
            text: text.to_owned(),
        });
    }
    Ok(matcher)
}

fn calico(text: &str, lower: &str) -> Result<Matcher, PatternError> {
    if lower.is_empty() {
        return Err(PatternError::Empty);
    }
    let Some((first, rest)) = lower.split_once('*') else {
        return below_or_exact(Grammar::Calico, text, None, lower);
    };
    let star = || PatternError::Star {
        text: text.to_owned(),
        grammar: Grammar::Calico,
    };
    let rest = rest.strip_prefix('.').ok_or_else(star)?;
    let below = below_or_exact(Grammar::Calico, text, Some(Depth::OneOrMore), rest)?;
    if first.is_empty() {
        return Ok(below);
    }
    around(text, first.strip_suffix('.').ok_or_else(star)?, rest)
}

/// One or more labels between those of `first` and those of `rest`, neither of which has a star.
fn around(text: &str, first: &str, rest: &str) -> Result<Matcher, PatternError> {
    let name = |part: &str| {
        Name::parse(part).map_err(|source| PatternError::Name {
            text: text.to_owned(),
            source,
        })
    };
    // Every label is checked where it stands, and the whole where one label stands for the star.
    name(first)?;
    name(&format!("{first}.x.{rest}"))?;
    Ok(Matcher::Around {
        first: first.into(),
        zone: name(rest)?,
    })
}

fn istio(text: &str, lower: &str) -> Result<Matcher, PatternError> {
    let (depth, rest) = match lower {
        "" => return Err(PatternError::Empty),
        "*" => return Ok(Matcher::Everything(Charset::Any)),
        _ => lower
            .strip_prefix("*.")
            .map_or((None, lower), |rest| (Some(Depth::OneOrMore), rest)),
    };
    below_or_exact(Grammar::Istio, text, depth, rest)
}

fn below_or_exact(
    grammar: Grammar,
    text: &str,
    depth: Option<Depth>,
    rest: &str,
) -> Result<Matcher, PatternError> {
    if rest.contains('*') || (depth.is_some() && matches!(rest, "" | ".")) {
        return Err(PatternError::Star {
            text: text.to_owned(),
            grammar,
        });
    }
    let name = Name::parse(rest).map_err(|source| PatternError::Name {
        text: text.to_owned(),
        source,
    })?;
    Ok(match depth {
        None => Matcher::Exact(name),
        Some(depth) => Matcher::Below {
            zone: name,
            depth,
            charset: Charset::Any,
        },
    })
}

#[cfg(test)]
mod tests;
