use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest label in octets (RFC 1035 §2.3.4).
pub(crate) const MAX_LABEL: usize = 63;
/// Longest name in octets on the wire, length octets and root included (RFC 1035 §2.3.4).
const MAX_WIRE: usize = 255;

/// A domain name in one canonical presentation form.
///
/// Lower-case ASCII, always fully qualified (ends in `.`; the root is `.`), labels of 1 to 63 octets, at most 255 octets
/// on the wire. An octet that is neither a letter, a digit, `-` nor `_` nor another printable ASCII character other than
/// `.` and `\` stands as `\DDD` (RFC 1035 §5.1), so a `.` in the text is always a label boundary. Two names are the
/// same name (RFC 4343) exactly when they are `==`.
///
/// Cloning is a reference count. Ordered as text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// Why a text or a row of labels is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a name cannot be empty (the root is `.`)")]
    Empty,
    #[error("`{text}` has an empty label")]
    EmptyLabel { text: String },
    #[error("`{text}` has a label longer than 63 octets")]
    LabelTooLong { text: String },
    #[error("`{text}` is longer than 255 octets")]
    TooLong { text: String },
    #[error("`{text}` is not ASCII: write the `xn--` form of an internationalised name")]
    NotAscii { text: String },
    #[error("`{text}` ends in an incomplete or impossible escape")]
    BadEscape { text: String },
}

impl Name {
    /// The root of the tree, `.`.
    pub fn root() -> Self {
        Self(Arc::from("."))
    }

    /// Reads presentation form (RFC 1035 §5.1): any case, with or without the final dot, `\X` and `\DDD` escapes.
    ///
    /// # Errors
    /// Text that is empty, not ASCII, has an empty or overlong label, a bad escape, or is too long as a whole.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text == "." {
            return Ok(Self::root());
        }
        if !text.is_ascii() {
            return Err(NameError::NotAscii {
                text: shorten(text),
            });
        }
        let mut builder = Builder::default();
        let mut label = Vec::with_capacity(MAX_LABEL);
        let mut octets = text.bytes();
        let mut open = false;
        while let Some(octet) = octets.next() {
            open = octet != b'.';
            match octet {
                b'.' => builder.push(std::mem::take(&mut label).as_slice(), text)?,
                b'\\' => {
                    label.push(unescape(&mut octets).ok_or_else(|| NameError::BadEscape {
                        text: shorten(text),
                    })?);
                }
                other => label.push(other),
            }
        }
        if open {
            builder.push(&label, text)?;
        }
        Ok(builder.finish())
    }

    /// Builds a name from the octets of its labels, leftmost first, without the root's empty label.
    ///
    /// # Errors
    /// An empty label, one over 63 octets, or more than 255 octets as a whole.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, NameError> {
        let mut builder = Builder::default();
        for label in labels {
            builder.push(label, "")?;
        }
        Ok(builder.finish())
    }

    /// The canonical text, final dot included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The canonical text without the final dot, as people write it; `.` for the root.
    pub fn without_dot(&self) -> &str {
        if self.is_root() {
            "."
        } else {
            &self.0[..self.0.len() - 1]
        }
    }

    /// The labels, leftmost first, in presentation form; none for the root.
    pub fn labels(&self) -> Labels<'_> {
        Labels {
            rest: if self.is_root() { "" } else { &self.0 },
        }
    }

    pub fn is_root(&self) -> bool {
        &*self.0 == "."
    }

    /// Whether a program can look it up as a host: only letters, digits, `-` and `_` in its labels, and no number at the
    /// end, which would make it an address (WHATWG URL, "ends in a number"). A pattern stands for many names and is none.
    pub fn is_host(&self) -> bool {
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        let number = |label: &str| label.bytes().all(|octet| octet.is_ascii_digit());
        self.labels().all(|label| label.bytes().all(plain))
            && self
                .labels()
                .next_back()
                .is_some_and(|label| !number(label))
    }

    /// Whether this is `zone` itself or a name below it.
    pub fn is_under(&self, zone: &Self) -> bool {
        zone.is_root() || self == zone || self.is_below(zone)
    }

    /// Whether this is a name below `zone`, not `zone` itself.
    pub fn is_below(&self, zone: &Self) -> bool {
        if zone.is_root() {
            return !self.is_root();
        }
        self.0
            .strip_suffix(zone.as_str())
            .is_some_and(|labels| labels.ends_with('.'))
    }

    /// The name without its leftmost label; nothing for the root.
    pub fn parent(&self) -> Option<Self> {
        self.suffixes().nth(1).map(|suffix| Self(Arc::from(suffix)))
    }

    /// The texts of this name and every name above it, itself first, the root `.` last.
    ///
    /// Made for maps: `Name: Borrow<str>`, so a `HashMap<Name, _>` is asked with these without building a name.
    pub fn suffixes(&self) -> impl Iterator<Item = &str> {
        let mut rest = if self.is_root() { None } else { Some(&*self.0) };
        std::iter::from_fn(move || {
            let text = rest?;
            rest = text
                .split_once('.')
                .map(|(_, tail)| tail)
                .filter(|tail| !tail.is_empty());
            Some(text)
        })
        .chain(std::iter::once("."))
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({})", self.0)
    }
}

/// The labels of a [`Name`], leftmost first.
#[derive(Debug, Clone)]
pub struct Labels<'a> {
    /// Either empty or text that ends in a dot.
    rest: &'a str,
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (label, rest) = self.rest.split_once('.')?;
        self.rest = rest;
        Some(label)
    }
}

impl<'a> DoubleEndedIterator for Labels<'a> {
    fn next_back(&mut self) -> Option<&'a str> {
        let body = self.rest.strip_suffix('.')?;
        let start = body.rfind('.').map_or(0, |dot| dot + 1);
        self.rest = &self.rest[..start];
        Some(&body[start..])
    }
}

/// Collects canonical text and counts octets on the wire.
#[derive(Default)]
struct Builder {
    text: String,
    wire: usize,
}

impl Builder {
    fn push(&mut self, label: &[u8], whole: &str) -> Result<(), NameError> {
        if label.is_empty() {
            return Err(NameError::EmptyLabel {
                text: shorten(whole),
            });
        }
        if label.len() > MAX_LABEL {
            return Err(NameError::LabelTooLong {
                text: self.describe(whole),
            });
        }
        self.wire += 1 + label.len();
        if self.wire + 1 > MAX_WIRE {
            return Err(NameError::TooLong {
                text: self.describe(whole),
            });
        }
        for &octet in label {
            match octet {
                b'.' | b'\\' | 0..=b' ' | 0x7f..=0xff => {
                    self.text.push('\\');
                    for digit in [octet / 100, octet / 10 % 10, octet % 10] {
                        self.text.push(char::from(b'0' + digit));
                    }
                }
                plain => self.text.push(char::from(plain.to_ascii_lowercase())),
            }
        }
        self.text.push('.');
        Ok(())
    }

    fn describe(&self, whole: &str) -> String {
        shorten(if whole.is_empty() { &self.text } else { whole })
    }

    fn finish(self) -> Name {
        if self.text.is_empty() {
            Name::root()
        } else {
            Name(Arc::from(self.text))
        }
    }
}

/// What follows a backslash: three digits are an octet's number, anything else is itself.
fn unescape(octets: &mut std::str::Bytes<'_>) -> Option<u8> {
    let first = octets.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let number = [first, octets.next()?, octets.next()?]
        .into_iter()
        .try_fold(0u16, |sum, digit| {
            digit
                .is_ascii_digit()
                .then(|| sum * 10 + u16::from(digit - b'0'))
        })?;
    u8::try_from(number).ok()
}

/// Keeps error messages readable whatever was given.
pub(crate) fn shorten(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    #[test_case("example.com" => "example.com."; "a final dot is added")]
    #[test_case("WWW.Example.COM." => "www.example.com."; "case folds")]
    #[test_case("." => "."; "root")]
    #[test_case("_dns.resolver.arpa" => "_dns.resolver.arpa."; "underscore")]
    #[test_case(r"a\.b.c" => r"a\046b.c."; "an escaped dot is part of its label")]
    #[test_case(r"a\065.c" => "aa.c."; "a decimal escape is its octet, folded")]
    #[test_case("a b.c" => r"a\032b.c."; "space is escaped")]
    #[test_case("*.c" => "*.c."; "star is an ordinary octet of a name")]
    fn parse_gives_the_canonical_text(text: &str) -> String {
        Name::parse(text).expect("a name").as_str().to_owned()
    }

    #[test_case("a" => true; "one label")]
    #[test_case("_dns.a-1.example." => true; "an underscore and a dash")]
    #[test_case("1.example" => true; "a number at the start")]
    #[test_case("." => false; "the root")]
    #[test_case("*.example" => false; "a pattern")]
    #[test_case("a b.example" => false; "a space")]
    #[test_case("1.2.3" => false; "a part of an address")]
    #[test_case("fe80::1%eth0" => false; "an address with a zone")]
    fn hosts_are_what_programs_look_up(text: &str) -> bool {
        Name::parse(text).expect("a name").is_host()
    }

    #[test_case("", "a name cannot be empty (the root is `.`)"; "empty")]
    #[test_case("a..b", "`a..b` has an empty label"; "empty label")]
    #[test_case(".io.", "`.io.` has an empty label"; "leading dot")]
    #[test_case("bücher.example", "`bücher.example` is not ASCII: write the `xn--` form of an internationalised name"; "unicode")]
    #[test_case(r"a\", r"`a\` ends in an incomplete or impossible escape"; "lone backslash")]
    #[test_case(r"a\256", r"`a\256` ends in an incomplete or impossible escape"; "octet over 255")]
    fn parse_says_what_is_wrong(text: &str, message: &str) {
        assert_eq!(
            Name::parse(text).expect_err("not a name").to_string(),
            message
        );
    }

    #[test]
    fn limits_are_those_of_rfc_1035() {
        let label = "a".repeat(63);
        assert!(Name::parse(&label).is_ok());
        assert!(matches!(
            Name::parse(&"a".repeat(64)),
            Err(NameError::LabelTooLong { .. })
        ));
        // 3 * 64 + 62 + root = 255 octets.
        let whole = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert!(Name::parse(&whole).is_ok());
        assert!(matches!(
            Name::parse(&format!("{whole}a")),
            Err(NameError::TooLong { .. })
        ));
    }

    #[test]
    fn labels_run_from_both_ends() {
        let name = Name::parse("a.b.c").expect("a name");
        assert_eq!(name.labels().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(name.labels().rev().collect::<Vec<_>>(), ["c", "b", "a"]);
        assert_eq!(Name::root().labels().count(), 0);
        assert_eq!(
            name.suffixes().collect::<Vec<_>>(),
            ["a.b.c.", "b.c.", "c.", "."]
        );
        assert_eq!(Name::root().suffixes().collect::<Vec<_>>(), ["."]);
        assert_eq!(
            name.parent().map(|p| p.to_string()),
            Some("b.c.".to_owned())
        );
        assert_eq!(Name::root().parent(), None);
        assert_eq!(
            Name::parse("com").expect("a name").parent(),
            Some(Name::root())
        );
    }

    #[test_case("a.example.com", "example.com", true, true; "below")]
    #[test_case("example.com", "example.com", true, false; "itself")]
    #[test_case("notexample.com", "example.com", false, false; "label boundary")]
    #[test_case("com", "example.com", false, false; "above")]
    #[test_case("com", ".", true, true; "everything is below the root")]
    #[test_case(".", ".", true, false; "root")]
    fn under_and_below(name: &str, zone: &str, under: bool, below: bool) {
        let (name, zone) = (
            Name::parse(name).expect("a name"),
            Name::parse(zone).expect("a name"),
        );
        assert_eq!((name.is_under(&zone), name.is_below(&zone)), (under, below));
    }

    proptest! {
        #[test]
        fn parse_never_panics_and_is_idempotent(text in ".{0,300}") {
            if let Ok(name) = Name::parse(&text) {
                prop_assert_eq!(&Name::parse(name.as_str()).expect("canonical text parses"), &name);
                prop_assert!(name.as_str().ends_with('.'));
            }
        }

        #[test]
        fn any_octets_survive_presentation(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..8)) {
            let name = Name::from_labels(labels.iter().map(Vec::as_slice)).expect("within limits");
            prop_assert_eq!(name.labels().count(), labels.len());
            prop_assert_eq!(Name::parse(name.as_str()).expect("canonical text parses"), name);
        }
    }
}
