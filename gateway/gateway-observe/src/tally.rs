use std::collections::HashMap;

use policy_engine::Reason;

use crate::destination::Destination;
use crate::group::{Group, Happened, Subject};
use crate::record::{LimitRecord, Record};
use crate::ruling::Ruling;
use crate::summary::{SummaryGroup, SummaryLimit, SummaryRecord};
use crate::timestamp::Timestamp;
use crate::verdict::Verdict;

/// LIMIT: different denials that are told apart. A scan of many ports must not grow the memory of Egret; beyond it
/// denials are counted together.
pub(crate) const MOST_GROUPS: usize = 1_000;

/// LIMIT: programs and record types named per group.
const MOST_WORDS: usize = 4;

/// Counts of one run, from which the summary is made.
#[derive(Debug, Default)]
pub struct Tally {
    allowed_flows: u64,
    denied_flows: u64,
    allowed_queries: u64,
    denied_queries: u64,
    groups: Vec<Group>,
    ungrouped: u64,
    /// A handful: limits times effects.
    limits: Vec<SummaryLimit>,
    places: HashMap<(Happened, Subject), usize>,
}

impl Tally {
    /// Counts a record.
    pub fn note(&mut self, record: &Record) {
        match record {
            Record::Flow(flow) => {
                match flow.verdict {
                    Verdict::Allow => self.allowed_flows += flow.times.count,
                    Verdict::Deny => self.denied_flows += flow.times.count,
                }
                let Some(happened) = happened(flow.verdict, flow.would) else {
                    return;
                };
                let subject = Subject::Flow {
                    destination: flow.destination,
                    name: flow.names.first().cloned(),
                };
                let Some(group) = self.group(happened, subject, &flow.ruling, flow.times.count)
                else {
                    return;
                };
                add_word(&mut group.programs, flow.comm.as_deref());
            }
            Record::Query(query) => {
                match query.verdict {
                    Verdict::Allow => self.allowed_queries += query.times.count,
                    Verdict::Deny => self.denied_queries += query.times.count,
                }
                let Some(happened) = happened(query.verdict, query.would) else {
                    return;
                };
                // A resolver's search list makes names nobody meant; refusing them is not news.
                if query.ruling.code == Reason::SearchExpansion.code() {
                    return;
                }
                let subject = Subject::Question {
                    name: query.name.to_ascii_lowercase(),
                };
                let Some(group) = self.group(happened, subject, &query.ruling, query.times.count)
                else {
                    return;
                };
                add_word(&mut group.types, Some(&query.record_type));
            }
            Record::Guard(guard) => {
                let subject = Subject::Address {
                    name: guard.name.clone(),
                    address: guard.address,
                    class: guard.class,
                };
                let happened = match guard.verdict {
                    Verdict::Deny => Happened::Denied,
                    Verdict::Allow => Happened::WouldBeDenied,
                };
                self.group(happened, subject, &guard.ruling, guard.times.count);
            }
            Record::Limit(limit) => self.note_limit(limit),
            Record::Cut(_) | Record::Summary(_) => {}
        }
    }

    fn note_limit(&mut self, record: &LimitRecord) {
        let alike = |known: &&mut SummaryLimit| {
            (known.verdict, known.effect, &known.code)
                == (record.verdict, record.effect, &record.code)
        };
        let limit = match self.limits.iter_mut().find(alike) {
            Some(known) => known,
            None => self.limits.push_mut(SummaryLimit {
                verdict: record.verdict,
                effect: record.effect,
                count: 0,
                names: Vec::new(),
                code: record.code.clone(),
                reason: record.reason.clone(),
            }),
        };
        limit.count += record.times.count;
        add_word(&mut limit.names, Some(&record.name));
    }

    /// The summary so far, as a line of the report. `lost` counts what was never noted here, `unwritten` what was and is
    /// not in the report.
    pub fn summary(&self, ts: Timestamp, lost: u64, unwritten: u64) -> SummaryRecord {
        SummaryRecord {
            ts,
            allowed_flows: self.allowed_flows,
            denied_flows: self.denied_flows,
            allowed_queries: self.allowed_queries,
            denied_queries: self.denied_queries,
            lost,
            unwritten,
            denied: self.groups.iter().map(SummaryGroup::from).collect(),
            ungrouped: self.ungrouped,
            limits: self.limits.clone(),
        }
    }

    /// Counts into a group; nothing where there are too many.
    fn group(
        &mut self,
        happened: Happened,
        subject: Subject,
        ruling: &Ruling,
        count: u64,
    ) -> Option<&mut Group> {
        let key = (happened, merged(&subject));
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None if self.groups.len() >= MOST_GROUPS => {
                self.ungrouped += count;
                return None;
            }
            None => {
                self.places.insert(key, self.groups.len());
                self.groups.push(Group {
                    happened,
                    subject,
                    count: 0,
                    programs: Vec::new(),
                    types: Vec::new(),
                    ruling: ruling.clone(),
                });
                self.groups.len() - 1
            }
        };
        let group = self.groups.get_mut(place)?;
        group.count += count;
        Some(group)
    }
}

fn happened(verdict: Verdict, would: Verdict) -> Option<Happened> {
    match (verdict, would) {
        (Verdict::Deny, _) => Some(Happened::Denied),
        (Verdict::Allow, Verdict::Deny) => Some(Happened::WouldBeDenied),
        (Verdict::Allow, Verdict::Allow) => None,
    }
}

/// The addresses of one name are one destination.
fn merged(subject: &Subject) -> Subject {
    match subject {
        Subject::Flow {
            destination,
            name: Some(name),
        } => Subject::Flow {
            destination: Destination {
                ip: std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
                ..*destination
            },
            name: Some(name.clone()),
        },
        Subject::Flow { name: None, .. } | Subject::Question { .. } | Subject::Address { .. } => {
            subject.clone()
        }
    }
}

fn add_word(words: &mut Vec<String>, word: Option<&str>) {
    if let Some(word) = word
        && words.len() < MOST_WORDS
        && !words.iter().any(|known| known == word)
    {
        words.push(word.to_owned());
    }
}

#[cfg(test)]
mod tests;
