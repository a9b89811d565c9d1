use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::AnswerError;
use crate::codes::{ExtendedError, Rcode, RecordType};
use crate::name::Name;
use crate::query::Query;
use crate::reply;
use crate::resolution::{Record, RecordData, Resolution};
use crate::rewrite;
use crate::wire::{self, CLASS_IN, Header, RawRecord, Section, effective_ttl, flag};

/// What one walk over an answer finds out.
pub(super) struct Survey {
    pub(super) rcode: Rcode,
    pub(super) resolution: Resolution,
    /// Where the TTLs stand, and what is to stand there: see [`counted`].
    pub(super) ttls: Vec<(u16, u32)>,
    pub(super) cache_ttl: Option<u32>,
    pub(super) errors: Vec<ExtendedError>,
    /// Parameters of HTTPS and SVCB records that must not be passed on.
    pub(super) hints: usize,
    /// Where the OPT record starts, if it is the last.
    pub(super) opt_start: Option<usize>,
    pub(super) records_end: usize,
    opt_inside: bool,
}

#[derive(Default)]
struct Walk {
    records: Vec<Record>,
    /// Where each TTL stands, what it says, and of what address of the answer section.
    ttls: Vec<(u16, u32, Option<IpAddr>)>,
    answer_ttl: Option<u32>,
    answers_question: bool,
    negative_ttl: Option<u32>,
    hints: usize,
    opt: Option<Opt>,
    records_end: usize,
    malformed: bool,
}

struct Opt {
    start: usize,
    end: usize,
    rcode_high: u16,
    errors: Vec<ExtendedError>,
}

impl Survey {
    pub(super) fn take(
        message: &[u8],
        header: &Header,
        question_end: usize,
        query: &Query,
    ) -> Result<Self, AnswerError> {
        let mut walk = Walk {
            records_end: question_end,
            ..Walk::default()
        };
        wire::for_each_record(message, header, question_end, |record| {
            walk.visit(&record, query)
        })
        .map_err(|_unreadable| AnswerError::Malformed)?;
        if walk.malformed {
            return Err(AnswerError::Malformed);
        }
        let Walk {
            records,
            ttls,
            answer_ttl,
            answers_question,
            negative_ttl,
            hints,
            opt,
            records_end,
            ..
        } = walk;
        let rcode =
            Rcode(opt.as_ref().map_or(0, |opt| opt.rcode_high << 4) | (header.flags & flag::RCODE));
        let resolution = Resolution::follow(&query.name, &records).map_err(AnswerError::Chain)?;
        let cache_ttl = match rcode {
            Rcode::NOERROR if answers_question => answer_ttl,
            // The aliases on the way to what does not exist limit it too.
            Rcode::NOERROR | Rcode::NXDOMAIN => {
                negative_ttl.map(|ttl| answer_ttl.map_or(ttl, |known| known.min(ttl)))
            }
            Rcode(_) => None,
        };
        let opt_inside = opt.as_ref().is_some_and(|opt| opt.end != records_end);
        Ok(Self {
            rcode,
            ttls: counted(ttls, &resolution),
            resolution,
            cache_ttl,
            hints,
            opt_start: opt.as_ref().map(|opt| opt.start).filter(|_| !opt_inside),
            errors: opt.map(|opt| opt.errors).unwrap_or_default(),
            records_end,
            opt_inside,
        })
    }

    pub(super) fn needs_rewrite(&self) -> bool {
        self.hints > 0 || self.opt_inside || !self.resolution.strays.is_empty()
    }
}

impl Walk {
    fn visit(&mut self, record: &RawRecord<'_>, query: &Query) {
        self.records_end = record.end;
        if record.record_type == RecordType::OPT {
            return self.visit_opt(record);
        }
        let ttl = effective_ttl(record.ttl);
        match u16::try_from(record.ttl_at) {
            Ok(at) => self.ttls.push((at, ttl, None)),
            Err(_beyond) => self.malformed = true,
        }
        if matches!(record.record_type, RecordType::HTTPS | RecordType::SVCB) {
            self.hints += rewrite::count_hints(record.rdata);
        }
        if record.class != CLASS_IN {
            return;
        }
        match record.section {
            Section::Answer => {
                self.answer_ttl = Some(self.answer_ttl.map_or(ttl, |known| known.min(ttl)));
                self.answers_question |=
                    record.record_type == query.record_type || query.record_type == RecordType::ANY;
                self.visit_answer(record, ttl);
            }
            Section::Authority if record.record_type == RecordType::SOA => {
                // RFC 2308 §5: the lesser of the SOA's own TTL and its MINIMUM, the last field.
                let minimum = record
                    .rdata
                    .last_chunk()
                    .map_or(0, |field| u32::from_be_bytes(*field));
                self.negative_ttl = Some(ttl.min(effective_ttl(minimum)));
            }
            Section::Authority | Section::Additional => {}
        }
    }

    fn visit_answer(&mut self, record: &RawRecord<'_>, ttl: u32) {
        let data = match record.record_type {
            RecordType::A => <[u8; 4]>::try_from(record.rdata)
                .ok()
                .map(|octets| RecordData::Address(IpAddr::V4(Ipv4Addr::from(octets)))),
            RecordType::AAAA => <[u8; 16]>::try_from(record.rdata)
                .ok()
                .map(|octets| RecordData::Address(IpAddr::V6(Ipv6Addr::from(octets)))),
            RecordType::CNAME => record
                .rdata_name()
                .and_then(|name| wire::to_name(&name))
                .map(RecordData::Alias),
            RecordType(_) => return,
        };
        if let (Some(RecordData::Address(ip)), Some((.., of))) = (&data, self.ttls.last_mut()) {
            *of = Some(*ip);
        }
        match (data, self.owner_of(record)) {
            (Some(data), Some(owner)) => self.records.push(Record { owner, ttl, data }),
            (None, _) | (_, None) => self.malformed = true,
        }
    }

    /// Records of one set follow one another: share the name.
    fn owner_of(&self, record: &RawRecord<'_>) -> Option<Name> {
        let owner = wire::to_name(&record.owner)?;
        Some(
            self.records
                .last()
                .map(|last| &last.owner)
                .filter(|last| **last == owner)
                .cloned()
                .unwrap_or(owner),
        )
    }

    fn visit_opt(&mut self, record: &RawRecord<'_>) {
        if self.opt.is_some() || record.section != Section::Additional {
            self.malformed = true;
            return;
        }
        self.opt = Some(Opt {
            start: record.start,
            end: record.end,
            rcode_high: u16::from(record.ttl.to_be_bytes()[0]),
            errors: reply::read_extended_errors(record.rdata),
        });
    }
}

/// What each TTL of the answer that leaves is to say. An address lasts no longer for the client than it was counted: a
/// client that was told more would still use it when it is closed. Nothing is raised.
fn counted(ttls: Vec<(u16, u32, Option<IpAddr>)>, resolution: &Resolution) -> Vec<(u16, u32)> {
    let of_address: HashMap<IpAddr, u32> = resolution
        .addresses
        .iter()
        .map(|address| (address.ip, address.ttl))
        .collect();
    let least = |ttl: u32, ip: IpAddr| of_address.get(&ip).map_or(ttl, |known| ttl.min(*known));
    ttls.into_iter()
        .map(|(at, ttl, ip)| (at, ip.map_or(ttl, |ip| least(ttl, ip))))
        .collect()
}
