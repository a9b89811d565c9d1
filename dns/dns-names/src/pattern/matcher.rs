use crate::name::{MAX_LABEL, Name};

/// What a pattern is matched with: label comparisons, no regular expressions.
pub(super) enum Matcher {
    Everything(Charset),
    Nothing,
    Exact(Name),
    Below {
        zone: Name,
        depth: Depth,
        charset: Charset,
    },
    /// One or more labels between those of `first` (without a dot at its end) and those of `zone`.
    Around {
        first: Box<str>,
        zone: Name,
    },
    /// `leading` whole labels, then one label for each glob.
    Labels {
        leading: Option<Depth>,
        globs: Box<[Glob]>,
    },
}

/// Which octets a wildcard may stand for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    Any,
    /// Cilium's `[-a-zA-Z0-9_]`.
    Host,
}

/// How many labels a leading wildcard stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    One,
    OneOrMore,
}

/// The expression for one label.
pub(super) enum Glob {
    Literal(Box<str>),
    /// The literal parts around the stars: `sub*` is `["sub", ""]`, `*` is `["", ""]`.
    Parts(Box<[Box<str>]>),
}

impl Matcher {
    pub(super) fn matches(&self, name: &Name) -> bool {
        match self {
            Self::Everything(charset) => charset.admits_all(name.labels()),
            Self::Nothing => false,
            Self::Exact(exact) => exact == name,
            Self::Below {
                zone,
                depth,
                charset,
            } => {
                let Some(above) = name
                    .as_str()
                    .strip_suffix(zone.as_str())
                    .and_then(|text| text.strip_suffix('.'))
                else {
                    return false;
                };
                let one = !above.contains('.');
                (*depth == Depth::OneOrMore || one)
                    && !above.is_empty()
                    && charset.admits_all(above.split('.'))
            }
            Self::Around { first, zone } => name
                .as_str()
                .strip_suffix(zone.as_str())
                .and_then(|text| text.strip_suffix('.'))
                .and_then(|text| text.strip_prefix(&**first))
                .and_then(|text| text.strip_prefix('.'))
                .is_some_and(|between| !between.is_empty()),
            Self::Labels { leading, globs } => {
                let mut labels = name.labels();
                for glob in globs.iter().rev() {
                    if !labels.next_back().is_some_and(|label| glob.matches(label)) {
                        return false;
                    }
                }
                match leading {
                    None => labels.next().is_none(),
                    Some(Depth::One) => {
                        labels.clone().count() == 1 && Charset::Host.admits_all(labels)
                    }
                    Some(Depth::OneOrMore) => {
                        labels.clone().next().is_some() && Charset::Host.admits_all(labels)
                    }
                }
            }
        }
    }
}

impl Charset {
    fn admits_all<'a>(self, mut labels: impl Iterator<Item = &'a str>) -> bool {
        match self {
            Self::Any => true,
            Self::Host => labels.all(|label| label.bytes().all(is_host_octet)),
        }
    }
}

impl Glob {
    /// The expression for a label of a lower-case pattern; nothing where no label can be like it.
    pub(super) fn parse(label: &str) -> Option<Self> {
        let literal = label.bytes().filter(|octet| *octet != b'*').count();
        if label.is_empty() || literal > MAX_LABEL {
            return None;
        }
        Some(if label.contains('*') {
            let mut parts: Vec<Box<str>> = label.split('*').map(Box::from).collect();
            // `**` inside a label is `*`: drop the empty parts between neighbouring stars.
            let last = parts.len() - 1;
            let mut index = 0;
            parts.retain(|part| {
                let keep = index == 0 || index == last || !part.is_empty();
                index += 1;
                keep
            });
            Self::Parts(parts.into())
        } else {
            Self::Literal(label.into())
        })
    }

    /// As it is written.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Literal(text) => text.to_string(),
            Self::Parts(parts) => parts.join("*"),
        }
    }

    pub(super) fn literal(&self) -> Option<&str> {
        match self {
            Self::Literal(text) => Some(text),
            Self::Parts(_) => None,
        }
    }

    /// Texts that a label like it holds, with the dots around it; none before the first label of a name.
    pub(super) fn texts(&self, is_first: bool) -> Vec<String> {
        let parts = match self {
            Self::Literal(text) => std::slice::from_ref(text),
            Self::Parts(parts) => parts,
        };
        let last = parts.len().saturating_sub(1);
        parts
            .iter()
            .enumerate()
            .filter(|(_, part)| !part.is_empty())
            .map(|(at, part)| {
                let before = if at == 0 && !is_first { "." } else { "" };
                let behind = if at == last { "." } else { "" };
                format!("{before}{part}{behind}")
            })
            .collect()
    }

    /// Each star takes the shortest run that fits; for stars that stand for any text that decides correctly.
    pub(super) fn matches(&self, label: &str) -> bool {
        let parts = match self {
            Self::Literal(text) => return **text == *label,
            Self::Parts(parts) => parts,
        };
        let [first, middle @ .., last] = &**parts else {
            return false;
        };
        if !label.bytes().all(is_host_octet) {
            return false;
        }
        let Some(rest) = label.strip_prefix(&**first) else {
            return false;
        };
        let Some(mut rest) = rest.strip_suffix(&**last) else {
            return false;
        };
        for part in middle {
            let Some(at) = rest.find(&**part) else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
        true
    }
}

fn is_host_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_')
}
