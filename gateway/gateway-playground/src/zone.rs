//! Names and their records, written as lines of a zone file.

use std::collections::BTreeMap;
use std::net::{AddrParseError, Ipv4Addr, Ipv6Addr};
use std::num::ParseIntError;

/// The record types the servers know by name, with their numbers.
const TYPES: &[(&str, u16)] = &[
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("RRSIG", 46),
    ("SVCB", 64),
    ("HTTPS", 65),
    ("ANY", 255),
];

#[cfg(test)]
pub(crate) const A: u16 = 1;
pub(crate) const CNAME: u16 = 5;
pub(crate) const SOA: u16 = 6;

/// One record, its data ready for the wire.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Record {
    /// Lower case, without the final dot.
    pub(crate) owner: String,
    pub(crate) kind: u16,
    pub(crate) ttl: u32,
    pub(crate) data: Vec<u8>,
    /// Where a CNAME points; empty for other types.
    pub(crate) target: String,
}

/// A line that cannot be read as a record.
#[derive(Debug, thiserror::Error)]
#[error("`{line}` is no record of a zone")]
pub struct ZoneError {
    line: String,
    #[source]
    source: LineError,
}

#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error("expected `NAME TTL TYPE DATA`")]
    Shape,
    #[error("expected a number of seconds or another number")]
    Number(#[from] ParseIntError),
    #[error("expected an address")]
    Address(#[from] AddrParseError),
    #[error("unknown type or parameter `{0}`")]
    Unknown(String),
    #[error("a label has more than 63 bytes or a text more than 255")]
    Long,
}

/// All records, by owner.
#[derive(Clone, Debug, Default)]
pub(crate) struct Zone {
    records: BTreeMap<String, Vec<Record>>,
}

/// What a zone has for a question.
pub(crate) enum Found {
    /// The chain of CNAMEs, then the records of its end; the end may have none of that type.
    Records(Vec<Record>),
    NoSuchName,
}

impl Zone {
    /// Reads lines `NAME TTL TYPE DATA`; empty ones and those that begin with `;` are skipped.
    pub(crate) fn parse(text: &str) -> Result<Self, ZoneError> {
        let mut zone = Self::default();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with(';') {
                continue;
            }
            let record = parse_line(line).map_err(|source| ZoneError {
                line: line.to_owned(),
                source,
            })?;
            zone.records
                .entry(record.owner.clone())
                .or_default()
                .push(record);
        }
        Ok(zone)
    }

    /// Puts `other`'s records in place of all that the same names had.
    pub(crate) fn replace(&mut self, other: Self) {
        self.records.extend(other.records);
    }

    /// Every record, in order of owners.
    pub(crate) fn all(&self) -> Vec<Record> {
        self.records.values().flatten().cloned().collect()
    }

    /// Follows CNAMEs from `name` (lower case, no final dot), at most 16 of them.
    pub(crate) fn find(&self, name: &str, kind: u16) -> Found {
        let mut chain = Vec::new();
        let mut name = name.to_owned();
        for _ in 0..=16 {
            let Some(records) = self.at(&name) else {
                return if chain.is_empty() && !self.has_names_below(&name) {
                    Found::NoSuchName
                } else {
                    Found::Records(chain)
                };
            };
            let wanted = |record: &&Record| record.kind == kind || kind == 255;
            let before = chain.len();
            chain.extend(records.iter().filter(wanted).cloned());
            if chain.len() > before {
                return Found::Records(chain);
            }
            let Some(alias) = records.iter().find(|record| record.kind == CNAME) else {
                return Found::Records(chain);
            };
            chain.push(alias.clone());
            name.clone_from(&alias.target);
        }
        Found::Records(chain)
    }

    /// The records of `name`, or of the closest wildcard above it under `name`'s own name.
    fn at(&self, name: &str) -> Option<Vec<Record>> {
        if let Some(records) = self.records.get(name) {
            return Some(records.clone());
        }
        let mut rest = name;
        while let Some((_, above)) = rest.split_once('.') {
            if let Some(records) = self.records.get(&format!("*.{above}")) {
                return Some(
                    records
                        .iter()
                        .map(|record| Record {
                            owner: name.to_owned(),
                            ..record.clone()
                        })
                        .collect(),
                );
            }
            rest = above;
        }
        None
    }

    fn has_names_below(&self, name: &str) -> bool {
        let suffix = format!(".{name}");
        self.records.keys().any(|owner| owner.ends_with(&suffix))
    }
}

/// `name` in labels, each behind its length, without compression; case is kept.
pub(crate) fn encode_name(name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(name.len() + 2);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let length = u8::try_from(label.len()).ok().filter(|l| *l <= 63)?;
        bytes.push(length);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    Some(bytes)
}

/// The name of a record type, `TYPE…` for those without one here (RFC 3597 §5).
pub(crate) fn type_name(kind: u16) -> String {
    TYPES
        .iter()
        .find(|(_, number)| *number == kind)
        .map_or_else(|| format!("TYPE{kind}"), |(name, _)| (*name).to_owned())
}

/// The number of a record type, from its name or from `TYPE…`.
pub(crate) fn type_number(name: &str) -> Option<u16> {
    TYPES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, number)| *number)
        .or_else(|| name.strip_prefix("TYPE")?.parse().ok())
}

fn parse_line(line: &str) -> Result<Record, LineError> {
    let mut words = line.split_whitespace();
    let mut word = || words.next().ok_or(LineError::Shape);
    let (owner, ttl, kind) = (word()?, word()?, word()?);
    let rest: Vec<&str> = words.collect();
    let number = type_number(kind).ok_or_else(|| LineError::Unknown(kind.to_owned()))?;
    let first = rest.first().copied();
    let (data, target) = match (kind, first) {
        ("A", Some(ip)) => (ip.parse::<Ipv4Addr>()?.octets().to_vec(), String::new()),
        ("AAAA", Some(ip)) => (ip.parse::<Ipv6Addr>()?.octets().to_vec(), String::new()),
        ("CNAME", Some(name)) => (encode_name(name).ok_or(LineError::Long)?, plain(name)),
        ("NS" | "PTR", Some(name)) => (encode_name(name).ok_or(LineError::Long)?, String::new()),
        ("TXT", Some(_)) => (encode_text(&rest.join(" "))?, String::new()),
        ("HTTPS" | "SVCB", Some(_)) => (encode_service(&rest)?, String::new()),
        (_, Some("\\#")) => (parse_hex(&rest[1..].concat())?, String::new()),
        (_, Some(_) | None) => return Err(LineError::Shape),
    };
    Ok(Record {
        owner: plain(owner),
        kind: number,
        ttl: ttl.parse()?,
        data,
        target,
    })
}

fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn encode_text(text: &str) -> Result<Vec<u8>, LineError> {
    let length = u8::try_from(text.len()).map_err(|_long| LineError::Long)?;
    Ok([&[length], text.as_bytes()].concat())
}

/// RFC 9460 §2.2: priority, target, parameters in ascending order of their keys.
fn encode_service(words: &[&str]) -> Result<Vec<u8>, LineError> {
    let [priority, target, parameters @ ..] = words else {
        return Err(LineError::Shape);
    };
    let mut data = priority.parse::<u16>()?.to_be_bytes().to_vec();
    data.extend(encode_name(target).ok_or(LineError::Long)?);
    let mut encoded: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    for parameter in parameters {
        let (key, value) = parameter.split_once('=').ok_or(LineError::Shape)?;
        let (key, value) = match key {
            "alpn" => (1, {
                let mut list = Vec::new();
                for protocol in value.split(',') {
                    list.extend(encode_text(protocol)?);
                }
                list
            }),
            "port" => (3, value.parse::<u16>()?.to_be_bytes().to_vec()),
            "ipv4hint" => (4, {
                let mut list = Vec::new();
                for ip in value.split(',') {
                    list.extend(ip.parse::<Ipv4Addr>()?.octets());
                }
                list
            }),
            "ech" => (5, value.as_bytes().to_vec()),
            "ipv6hint" => (6, {
                let mut list = Vec::new();
                for ip in value.split(',') {
                    list.extend(ip.parse::<Ipv6Addr>()?.octets());
                }
                list
            }),
            other => return Err(LineError::Unknown(other.to_owned())),
        };
        encoded.insert(key, value);
    }
    for (key, value) in encoded {
        let length = u16::try_from(value.len()).map_err(|_long| LineError::Long)?;
        data.extend(key.to_be_bytes());
        data.extend(length.to_be_bytes());
        data.extend(value);
    }
    Ok(data)
}

fn parse_hex(text: &str) -> Result<Vec<u8>, LineError> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return Err(LineError::Shape);
    }
    (0..text.len())
        .step_by(2)
        .map(|at| Ok(u8::from_str_radix(&text[at..at + 2], 16)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(zone: &Zone, name: &str, kind: u16) -> Option<Vec<String>> {
        match zone.find(name, kind) {
            Found::Records(records) => Some(records.into_iter().map(|r| r.owner).collect()),
            Found::NoSuchName => None,
        }
    }

    #[test]
    fn a_chain_ends_in_its_addresses() {
        let zone = Zone::parse(
            "www.example.com 60 CNAME cdn.example.net
             cdn.example.net 30 A     203.0.113.11
             *.wild.example  60 A     203.0.113.12
             loop.example     1 CNAME loop.example
             dangling.example 1 CNAME nowhere.example",
        )
        .expect("a zone");
        assert_eq!(
            owners(&zone, "www.example.com", A),
            Some(vec!["www.example.com".into(), "cdn.example.net".into()])
        );
        assert_eq!(
            owners(&zone, "a.b.wild.example", A),
            Some(vec!["a.b.wild.example".into()])
        );
        assert_eq!(owners(&zone, "wild.example", A), Some(vec![]));
        assert_eq!(owners(&zone, "example.com", A), Some(vec![]));
        assert_eq!(owners(&zone, "nowhere.example", A), None);
        assert_eq!(owners(&zone, "loop.example", A).map(|o| o.len()), Some(17));
        assert_eq!(
            owners(&zone, "dangling.example", A),
            Some(vec!["dangling.example".into()])
        );
    }

    #[test]
    fn what_is_no_record_is_said_with_its_line() {
        for line in [
            "x",
            "x 1 A",
            "x 1 A 1.2.3",
            "x -1 A 192.0.2.1",
            "x 1 WHAT y",
            "x 1 HTTPS 1 . what=1",
        ] {
            let error = Zone::parse(line).expect_err(line);
            assert!(error.to_string().contains(line), "{error}");
        }
    }

    #[test]
    fn service_parameters_are_written_in_order() {
        let zone = Zone::parse("x 1 HTTPS 1 . ech=e ipv4hint=192.0.2.1,192.0.2.2").expect("a zone");
        assert_eq!(
            zone.all()[0].data,
            [
                0, 1, 0, 0, 4, 0, 8, 192, 0, 2, 1, 192, 0, 2, 2, 0, 5, 0, 1, b'e'
            ]
        );
    }
}
