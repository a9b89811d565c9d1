use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::IpAddr;

use crate::name::Name;

/// LIMIT: aliases followed from one question. Unbound stops after 11 restarts, BIND after 16 (`max-restarts` 11 since
/// 9.20); a longer chain is a mistake or an attack.
pub const MAX_CHAIN: usize = 16;

/// What one response says about where its question's name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The question's name, then every alias target in order; never empty.
    pub chain: Vec<Name>,
    /// The addresses whose owner is the chain's last or an earlier name, in the response's order, each once.
    pub addresses: Vec<Address>,
    /// Addresses of the answer section whose owner the chain does not reach: nobody asked for them.
    pub strays: Vec<IpAddr>,
    /// The least TTL of the aliases on the chain and the addresses; nothing where there are neither.
    pub ttl: Option<u32>,
}

/// An address an answer gives to its question's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    pub ip: IpAddr,
    /// Seconds: the least on the chain from the question to the record, and of the record's set (RFC 2181 §5.2).
    pub ttl: u32,
}

/// A record of an answer section, as far as names and addresses go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub owner: Name,
    pub ttl: u32,
    pub data: RecordData,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordData {
    Alias(Name),
    Address(IpAddr),
}

/// A chain of aliases that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error("`{name}` is an alias of itself")]
    Loop { name: Name },
    #[error("more than {MAX_CHAIN} aliases follow from `{question}`")]
    TooLong { question: Name },
}

impl Resolution {
    /// Follows the aliases from `question` (RFC 1034 §3.6.2), whatever the order of the records.
    ///
    /// Only from the question: a record whose owner the chain does not reach is ignored and, if it is an address,
    /// listed as a stray. (Cilium credits every address of the answer section to the question, whoever owns it; a
    /// server that answers for names nobody asked could so open any address under an allowed name.) Of several aliases
    /// with one owner, which RFC 1034 forbids, the first counts.
    ///
    /// # Errors
    /// The aliases form a loop, or are more than [`MAX_CHAIN`].
    pub fn follow(question: &Name, records: &[Record]) -> Result<Self, ChainError> {
        let mut chain = vec![question.clone()];
        let mut least = u32::MAX;
        // The least TTL up to and including the alias that leads to the name, by position on the chain.
        let mut up_to = vec![u32::MAX];
        let mut current = question;
        while let Some((target, ttl)) = alias_of(current, records) {
            if chain.contains(target) {
                return Err(ChainError::Loop {
                    name: target.clone(),
                });
            }
            if chain.len() > MAX_CHAIN {
                return Err(ChainError::TooLong {
                    question: question.clone(),
                });
            }
            least = least.min(ttl);
            up_to.push(least);
            chain.push(target.clone());
            current = target;
        }

        // A set (owner, type) has one TTL, its least (RFC 2181 §5.2).
        let position = |owner: &Name| chain.iter().position(|name| name == owner);
        let mut set_ttl = vec![[u32::MAX; 2]; chain.len()];
        let mut found = Vec::new();
        let mut strays = Vec::new();
        for Record { owner, ttl, data } in records {
            let RecordData::Address(ip) = *data else {
                continue;
            };
            let Some(at) = position(owner) else {
                strays.push(ip);
                continue;
            };
            let set = &mut set_ttl[at][usize::from(ip.is_ipv6())];
            *set = (*set).min(*ttl).min(up_to[at]);
            found.push((ip, at));
        }

        let mut addresses: Vec<Address> = Vec::with_capacity(found.len());
        let mut index = BTreeMap::new();
        let mut ttl = chain.len().gt(&1).then_some(least);
        for (ip, at) in found {
            let address = Address {
                ip,
                ttl: set_ttl[at][usize::from(ip.is_ipv6())],
            };
            ttl = Some(ttl.map_or(address.ttl, |known| known.min(address.ttl)));
            match index.entry(ip) {
                Entry::Vacant(entry) => {
                    entry.insert(addresses.len());
                    addresses.push(address);
                }
                // Under two names of one chain: either record alone justifies its TTL, so the longer stands.
                Entry::Occupied(entry) => {
                    let known = &mut addresses[*entry.get()];
                    known.ttl = known.ttl.max(address.ttl);
                }
            }
        }
        Ok(Self {
            chain,
            addresses,
            strays,
            ttl,
        })
    }

    /// The name that was asked.
    pub fn question(&self) -> &Name {
        &self.chain[0]
    }
}

fn alias_of<'a>(owner: &Name, records: &'a [Record]) -> Option<(&'a Name, u32)> {
    records.iter().find_map(|record| match &record.data {
        RecordData::Alias(target) if record.owner == *owner => Some((target, record.ttl)),
        RecordData::Alias(_) | RecordData::Address(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    /// `owner TYPE data ttl` per record.
    fn records(lines: &[&str]) -> Vec<Record> {
        let parse = |line: &&str| {
            let [owner, kind, data, ttl] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("four words: {line}")
            };
            let data = match kind {
                "CNAME" => RecordData::Alias(name(data)),
                _ => RecordData::Address(data.parse().expect("an address")),
            };
            Record {
                owner: name(owner),
                ttl: ttl.parse().expect("a number"),
                data,
            }
        };
        lines.iter().map(parse).collect()
    }

    fn follow(question: &str, lines: &[&str]) -> String {
        match Resolution::follow(&name(question), &records(lines)) {
            Ok(Resolution {
                chain,
                addresses,
                strays,
                ttl,
            }) => format!(
                "{} | {} | {} | {}",
                chain.iter().map(Name::as_str).collect::<Vec<_>>().join(" "),
                addresses
                    .iter()
                    .map(|a| format!("{}/{}", a.ip, a.ttl))
                    .collect::<Vec<_>>()
                    .join(" "),
                strays
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(" "),
                ttl.map_or_else(|| "-".to_owned(), |ttl| ttl.to_string()),
            ),
            Err(error) => error.to_string(),
        }
    }

    #[test_case(&["a A 192.0.2.1 60"] => "a. | 192.0.2.1/60 |  | 60"; "one address")]
    #[test_case(&["a A 192.0.2.1 60", "a A 192.0.2.2 30"] => "a. | 192.0.2.1/30 192.0.2.2/30 |  | 30"; "a set has one TTL, the least")]
    #[test_case(&["a A 192.0.2.1 60", "a AAAA 2001:db8::1 30"] => "a. | 192.0.2.1/60 2001:db8::1/30 |  | 30"; "families are two sets")]
    #[test_case(&["a CNAME b 20", "b A 192.0.2.1 60"] => "a. b. | 192.0.2.1/20 |  | 20"; "the alias limits")]
    #[test_case(&["a CNAME b 90", "b A 192.0.2.1 60"] => "a. b. | 192.0.2.1/60 |  | 60"; "the record limits")]
    #[test_case(&["c A 192.0.2.1 60", "b CNAME c 7", "a CNAME b 20"] => "a. b. c. | 192.0.2.1/7 |  | 7"; "order does not matter")]
    #[test_case(&["x A 192.0.2.1 60"] => "a. |  | 192.0.2.1 | -"; "an owner nobody asked for")]
    #[test_case(&["x CNAME b 60", "b A 192.0.2.1 60"] => "a. |  | 192.0.2.1 | -"; "a chain from elsewhere")]
    #[test_case(&["a CNAME b 60", "a CNAME c 60", "c A 192.0.2.1 60"] => "a. b. |  | 192.0.2.1 | 60"; "of two aliases the first")]
    #[test_case(&["a CNAME b 60", "a A 192.0.2.1 9", "b A 192.0.2.1 70"] => "a. b. | 192.0.2.1/60 |  | 9"; "one address twice keeps the longer")]
    #[test_case(&["a CNAME b 60", "b CNAME a 60"] => "`a.` is an alias of itself"; "loop")]
    #[test_case(&["a CNAME a 60"] => "`a.` is an alias of itself"; "self loop")]
    #[test_case(&[] => "a. |  |  | -"; "empty")]
    fn follow_from_a(lines: &[&str]) -> String {
        follow("a", lines)
    }

    #[test]
    fn chains_are_bounded() {
        let lines: Vec<String> = (0..=MAX_CHAIN)
            .map(|n| format!("n{n} CNAME n{} 60", n + 1))
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert!(follow("n0", &lines[..MAX_CHAIN]).starts_with("n0. n1. "));
        assert_eq!(
            follow("n0", &lines),
            "more than 16 aliases follow from `n0.`"
        );
    }

    /// The shared facts of Cilium's own reader, with the one case where we are stricter on purpose.
    #[test]
    fn cilium_response_extraction_cases() {
        let Some(cases) = crate::test_data::cilium() else {
            return;
        };
        for case in cases["response_extraction"]["cases"]
            .as_array()
            .expect("a list")
        {
            let Some(question) = case["question"].as_str() else {
                continue;
            };
            let lines: Vec<String> = case["answers"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|r| format!("{} {} {} {}", text(&r[0]), text(&r[1]), text(&r[2]), r[3]))
                .collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let found = Resolution::follow(&name(question), &records(&lines)).expect("no loop");
            let ips: Vec<String> = found.addresses.iter().map(|a| a.ip.to_string()).collect();
            let aliases: Vec<&str> = found.chain[1..].iter().map(Name::as_str).collect();
            if case["note"].is_string() {
                assert!(
                    ips.is_empty() && aliases.is_empty(),
                    "the owner is not on the chain: {case}"
                );
                continue;
            }
            assert_eq!(
                found.ttl,
                case["ttl"]
                    .as_u64()
                    .map(|ttl| u32::try_from(ttl).expect("a TTL")),
                "{case}"
            );
            assert_eq!(ips, list(&case["ips"]), "{case}");
            assert_eq!(aliases, list(&case["cnames"]), "{case}");
        }
    }

    fn text(value: &serde_json::Value) -> &str {
        value.as_str().expect("text")
    }

    fn list(value: &serde_json::Value) -> Vec<&str> {
        value.as_array().expect("a list").iter().map(text).collect()
    }
}
