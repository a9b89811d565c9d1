use std::fmt;
use std::str::FromStr;

use hickory_proto::rr::RecordType as Known;

/// A record type by its number (IANA "Resource Record (RR) TYPEs"); shows as its mnemonic, or `TYPE123` (RFC 3597 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordType(pub u16);

impl RecordType {
    pub const A: Self = Self(1);
    pub const NS: Self = Self(2);
    pub const CNAME: Self = Self(5);
    pub const SOA: Self = Self(6);
    pub const PTR: Self = Self(12);
    pub const MX: Self = Self(15);
    pub const TXT: Self = Self(16);
    pub const AAAA: Self = Self(28);
    pub const SRV: Self = Self(33);
    pub const OPT: Self = Self(41);
    pub const SVCB: Self = Self(64);
    pub const HTTPS: Self = Self(65);
    pub const IXFR: Self = Self(251);
    pub const AXFR: Self = Self(252);
    pub const ANY: Self = Self(255);
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Known::from(self.0);
        if matches!(known, Known::Unknown(_)) {
            write!(f, "TYPE{}", self.0)
        } else {
            f.pad(known.into())
        }
    }
}

/// A text is not the mnemonic of a record type this crate knows, nor `TYPE` and a number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a record type")]
pub struct UnknownRecordType {
    text: String,
}

impl FromStr for RecordType {
    type Err = UnknownRecordType;

    /// Reads a mnemonic in any case, or `TYPE123`.
    fn from_str(text: &str) -> Result<Self, UnknownRecordType> {
        let upper = text.to_ascii_uppercase();
        let number = upper
            .strip_prefix("TYPE")
            .and_then(|number| number.parse().ok());
        number
            .or_else(|| Known::from_str(&upper).ok().map(u16::from))
            .map(Self)
            .ok_or_else(|| UnknownRecordType {
                text: text.to_owned(),
            })
    }
}

/// A response code (IANA "DNS RCODEs"); those above 15 need EDNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rcode(pub u16);

impl Rcode {
    pub const NOERROR: Self = Self(0);
    pub const FORMERR: Self = Self(1);
    pub const SERVFAIL: Self = Self(2);
    pub const NXDOMAIN: Self = Self(3);
    pub const NOTIMP: Self = Self(4);
    pub const REFUSED: Self = Self(5);
    pub const BADVERS: Self = Self(16);
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NOERROR => f.pad("NOERROR"),
            Self::FORMERR => f.pad("FORMERR"),
            Self::SERVFAIL => f.pad("SERVFAIL"),
            Self::NXDOMAIN => f.pad("NXDOMAIN"),
            Self::NOTIMP => f.pad("NOTIMP"),
            Self::REFUSED => f.pad("REFUSED"),
            Self::BADVERS => f.pad("BADVERS"),
            Self(other) => write!(f, "RCODE{other}"),
        }
    }
}

/// An extended error (RFC 8914) that says in words why an answer is what it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExtendedError {
    /// The INFO-CODE.
    pub code: u16,
    /// For people; cut to [`ExtendedError::MAX_TEXT`] octets on the wire.
    pub text: Box<str>,
}

impl ExtendedError {
    pub const OTHER: u16 = 0;
    pub const CACHED_ERROR: u16 = 13;
    pub const NOT_READY: u16 = 14;
    /// Blocked by the operator's policy.
    pub const BLOCKED: u16 = 15;
    /// Filtered at the client's own wish.
    pub const FILTERED: u16 = 17;
    pub const NOT_SUPPORTED: u16 = 21;
    pub const NO_REACHABLE_AUTHORITY: u16 = 22;

    /// LIMIT: with the longest question the whole answer stays below the 512 octets every client takes.
    pub const MAX_TEXT: usize = 200;

    pub fn new(code: u16, text: impl Into<Box<str>>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    /// The text as it goes on the wire: cut at a character boundary.
    pub fn wire_text(&self) -> &str {
        let mut end = self.text.len().min(Self::MAX_TEXT);
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        &self.text[..end]
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("A", RecordType::A; "mnemonic")]
    #[test_case("https", RecordType::HTTPS; "any case")]
    #[test_case("TYPE65280", RecordType(65280); "by number")]
    #[test_case("TYPE1", RecordType::A; "known by number")]
    fn record_types_from_text(text: &str, expected: RecordType) {
        assert_eq!(text.parse(), Ok(expected));
    }

    #[test_case(RecordType::SVCB => "SVCB"; "known")]
    #[test_case(RecordType(65280) => "TYPE65280"; "unknown")]
    fn record_types_as_text(record_type: RecordType) -> String {
        record_type.to_string()
    }

    #[test]
    fn unknown_mnemonic_is_an_error() {
        assert_eq!(
            "BOGUS"
                .parse::<RecordType>()
                .expect_err("no such type")
                .to_string(),
            "`BOGUS` is not a record type"
        );
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let error = ExtendedError::new(ExtendedError::BLOCKED, "é".repeat(150));
        assert_eq!(error.wire_text().len(), 200);
        let error = ExtendedError::new(ExtendedError::BLOCKED, format!("a{}", "é".repeat(150)));
        assert_eq!(error.wire_text().len(), 199);
    }
}
