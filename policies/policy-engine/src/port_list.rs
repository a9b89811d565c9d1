use policy_model::{DenyStyle, PortMatch, Ports, Protocol};

use crate::faults::{Fault, is_on};
use crate::reason::ReasonId;
use crate::ruleset::Verdict;

/// What holds for each protocol and port of a destination, as rows for a longest-prefix table.
///
/// Content-addressed: equal lists are equal values, and one [`ListId`](crate::ListId) of a ruleset.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PortList {
    rows: Vec<PortRow>,
}

/// One row: it covers `prefix_len` leading bits of the 16-bit port, of one protocol or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRow {
    /// Nothing in the default row, which covers every protocol.
    pub protocol: Option<Protocol>,
    /// The bits below `prefix_len` are 0. ICMP: `type << 8 | code`.
    pub port: u16,
    /// 0 to 16.
    pub prefix_len: u8,
    pub verdict: PortVerdict,
}

/// Both rulings, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortVerdict {
    /// What is enforced.
    pub verdict: Verdict,
    /// What would be, with every staged and audit policy in force.
    pub would: Verdict,
    /// How a deny looks; of no meaning with an allow.
    pub style: DenyStyle,
    pub reason: ReasonId,
    pub would_reason: ReasonId,
}

/// A protocol (nothing: any that no rule names) and a port of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortKey {
    pub(crate) protocol: Option<Protocol>,
    pub(crate) port: u16,
}

/// A range of ports of one protocol with one verdict; the ranges of a protocol follow each other without gaps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) first: u16,
    pub(crate) last: u16,
    pub(crate) verdict: PortVerdict,
}

impl PortList {
    /// The rows: the default row first, then by protocol, port and prefix length.
    pub fn rows(&self) -> &[PortRow] {
        &self.rows
    }

    /// The verdict for a flow: that of the longest row that covers it.
    pub fn look_up(&self, protocol: Protocol, port: u16) -> PortVerdict {
        let mut best = self.rows[0];
        for row in &self.rows {
            let covers = row.protocol == Some(protocol) && port & mask(row.prefix_len) == row.port;
            if covers && (best.protocol.is_none() || row.prefix_len >= best.prefix_len) {
                best = *row;
            }
        }
        if is_on(Fault::ShortestPortRow) {
            return self.rows[0].verdict;
        }
        best.verdict
    }

    /// Builds the rows from what holds for unnamed protocols and, for each named one, its segments in port order.
    pub(crate) fn build(default: PortVerdict, protocols: &[(Protocol, Vec<Segment>)]) -> Self {
        let mut rows = vec![PortRow {
            protocol: None,
            port: 0,
            prefix_len: 0,
            verdict: default,
        }];
        for (protocol, segments) in protocols {
            push_protocol(&mut rows, default, *protocol, segments);
        }
        rows[1..].sort_unstable_by_key(|row| (row.protocol, row.port, row.prefix_len));
        Self { rows }
    }
}

/// The segment that would need the most rows becomes the protocol's own default; the rest is written out.
fn push_protocol(
    rows: &mut Vec<PortRow>,
    default: PortVerdict,
    protocol: Protocol,
    segments: &[Segment],
) {
    let mut costs: Vec<(PortVerdict, usize)> = Vec::new();
    for segment in segments {
        let cost = prefixes(segment.first, segment.last).len();
        match costs
            .iter_mut()
            .find(|(verdict, _)| *verdict == segment.verdict)
        {
            Some((_, sum)) => *sum += cost,
            None => costs.push((segment.verdict, cost)),
        }
    }
    // A tie goes to the list's default, which needs no row; else to the first port's verdict.
    let own = costs
        .iter()
        .copied()
        .rev()
        .max_by_key(|(verdict, cost)| (*cost, *verdict == default))
        .map_or(default, |(verdict, _)| verdict);
    if own != default {
        rows.push(PortRow {
            protocol: Some(protocol),
            port: 0,
            prefix_len: 0,
            verdict: own,
        });
    }
    for segment in segments.iter().filter(|segment| segment.verdict != own) {
        for (port, prefix_len) in prefixes(segment.first, segment.last) {
            rows.push(PortRow {
                protocol: Some(protocol),
                port,
                prefix_len,
                verdict: segment.verdict,
            });
        }
    }
}

/// The fewest prefixes over 16 bits that cover `first..=last` exactly.
fn prefixes(first: u16, last: u16) -> Vec<(u16, u8)> {
    let mut out = Vec::new();
    let end = u32::from(last);
    let mut at = u32::from(first);
    while at <= end {
        let mut bits = if at == 0 {
            16
        } else {
            at.trailing_zeros().min(16)
        };
        while at + (1 << bits) - 1 > end {
            bits -= 1;
        }
        let port = u16::try_from(at).expect("`at` does not pass `last`, which is a port");
        let prefix_len = u8::try_from(16 - bits).expect("at most 16");
        if is_on(Fault::RangeLosesItsLastPort) && at == end && at > u32::from(first) {
            break;
        }
        out.push((port, prefix_len));
        at += 1 << bits;
    }
    out
}

/// The mask of the leading `prefix_len` bits of a port.
const fn mask(prefix_len: u8) -> u16 {
    match prefix_len {
        0 => 0,
        len => u16::MAX << (16 - len),
    }
}

/// The same ports in order, without overlaps, so that [`covers`] may search.
pub(crate) fn normalised(ports: Ports) -> Ports {
    match ports {
        Ports::Any => Ports::Any,
        Ports::Only(matches) => Ports::Only(merged(matches)),
        Ports::AllBut(matches) => Ports::AllBut(merged(matches)),
    }
}

fn merged(mut matches: Vec<PortMatch>) -> Vec<PortMatch> {
    matches.retain(|one| one.first <= one.last);
    matches.sort_unstable();
    let mut merged: Vec<PortMatch> = Vec::with_capacity(matches.len());
    for one in matches {
        match merged.last_mut() {
            Some(before)
                if before.protocol == one.protocol
                    && one.first <= before.last.saturating_add(1) =>
            {
                before.last = before.last.max(one.last);
            }
            Some(_) | None => merged.push(one),
        }
    }
    merged
}

/// Whether [normalised] ports cover a flow's; an unnamed protocol is covered by "every protocol" and "all but" alone.
pub(crate) fn covers(ports: &Ports, key: PortKey) -> bool {
    match ports {
        Ports::Any => true,
        Ports::Only(matches) => is_among(matches, key),
        Ports::AllBut(matches) => !is_among(matches, key),
    }
}

fn is_among(matches: &[PortMatch], key: PortKey) -> bool {
    let Some(protocol) = key.protocol else {
        return false;
    };
    let after = matches.partition_point(|one| (one.protocol, one.first) <= (protocol, key.port));
    after
        .checked_sub(1)
        .map(|at| matches[at])
        .is_some_and(|one| one.protocol == protocol && key.port <= one.last)
}

/// The first without the second; both in any order.
pub(crate) fn subtract(matches: &[PortMatch], except: &[PortMatch]) -> Vec<PortMatch> {
    let mut left = matches.to_vec();
    for cut in except {
        left = left
            .into_iter()
            .flat_map(|one| {
                if one.protocol != cut.protocol || cut.last < one.first || one.last < cut.first {
                    return [Some(one), None];
                }
                let below = cut.first.checked_sub(1).filter(|last| one.first <= *last);
                let above = cut.last.checked_add(1).filter(|first| *first <= one.last);
                [
                    below.map(|last| PortMatch { last, ..one }),
                    above.map(|first| PortMatch { first, ..one }),
                ]
            })
            .flatten()
            .collect();
    }
    left
}

/// What is covered, without `less`.
pub(crate) fn covered_less(ports: &Ports, less: &[PortMatch]) -> Ports {
    match ports {
        Ports::Any if less.is_empty() => Ports::Any,
        Ports::Any => Ports::AllBut(less.to_vec()),
        Ports::Only(list) => Ports::Only(subtract(list, less)),
        Ports::AllBut(list) => Ports::AllBut(list.iter().chain(less).copied().collect()),
    }
}

/// What both cover.
pub(crate) fn intersect(left: &Ports, right: &[PortMatch]) -> Ports {
    let left = match left {
        Ports::Any => return Ports::Only(right.to_vec()),
        Ports::Only(left) => left,
        Ports::AllBut(except) => return Ports::Only(subtract(right, except)),
    };
    let both = left.iter().flat_map(|a| {
        right
            .iter()
            .filter(|b| b.protocol == a.protocol)
            .map(|b| PortMatch::range(a.protocol, a.first.max(b.first), a.last.min(b.last)))
            .filter(|both| both.first <= both.last)
    });
    Ports::Only(both.collect())
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(0, 65535, &[(0, 0)]; "all ports are one row")]
    #[test_case(80, 80, &[(80, 16)]; "one port")]
    #[test_case(8000, 8010, &[(8000, 13), (8008, 15), (8010, 16)]; "an uneven range")]
    #[test_case(1, 3, &[(1, 16), (2, 15)]; "an odd start")]
    #[test_case(65535, 65535, &[(65535, 16)]; "the last port")]
    #[test_case(1024, 65535, &[(1024, 6), (2048, 5), (4096, 4), (8192, 3), (16384, 2), (32768, 1)]; "to the last port")]
    #[test_case(5, 4, &[]; "the wrong way round is empty")]
    fn ranges_become_prefixes(first: u16, last: u16, expected: &[(u16, u8)]) {
        assert_eq!(prefixes(first, last), expected);
    }

    fn verdict(reason: u32) -> PortVerdict {
        PortVerdict {
            verdict: Verdict::Deny,
            would: Verdict::Deny,
            style: DenyStyle::Reject,
            reason: ReasonId(reason),
            would_reason: ReasonId(reason),
        }
    }

    #[test]
    fn normalised_ports_are_in_order_and_apart() {
        let tcp = |first, last| PortMatch::range(Protocol::TCP, first, last);
        let ports = Ports::Only(vec![
            PortMatch::port(Protocol::UDP, 53),
            tcp(90, 99),
            tcp(9, 1),
            tcp(85, 92),
            tcp(80, 84),
            tcp(200, 65535),
        ]);
        let expected = vec![
            tcp(80, 99),
            tcp(200, 65535),
            PortMatch::port(Protocol::UDP, 53),
        ];
        assert_eq!(normalised(ports), Ports::Only(expected));
    }

    #[test]
    fn a_list_answers_as_its_segments() {
        let segments = vec![
            Segment {
                first: 0,
                last: 79,
                verdict: verdict(0),
            },
            Segment {
                first: 80,
                last: 80,
                verdict: verdict(1),
            },
            Segment {
                first: 81,
                last: 1023,
                verdict: verdict(2),
            },
            Segment {
                first: 1024,
                last: 65535,
                verdict: verdict(0),
            },
        ];
        let list = PortList::build(verdict(9), &[(Protocol::TCP, segments.clone())]);
        assert_eq!(list.rows()[0].verdict, verdict(9));
        for segment in segments {
            for port in [segment.first, segment.last] {
                assert_eq!(list.look_up(Protocol::TCP, port), segment.verdict, "{port}");
            }
        }
        assert_eq!(list.look_up(Protocol::UDP, 80), verdict(9));
    }

    #[test]
    fn the_wider_verdict_is_the_protocols_own_row() {
        let segments = vec![
            Segment {
                first: 0,
                last: 442,
                verdict: verdict(1),
            },
            Segment {
                first: 443,
                last: 443,
                verdict: verdict(2),
            },
            Segment {
                first: 444,
                last: 65535,
                verdict: verdict(1),
            },
        ];
        let list = PortList::build(verdict(9), &[(Protocol::TCP, segments)]);
        assert_eq!(list.rows().len(), 3);
    }
}
