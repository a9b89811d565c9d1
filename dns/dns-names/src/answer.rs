use std::net::IpAddr;

use crate::codes::{ExtendedError, Rcode};
use crate::name::Name;
use crate::query::{Query, UDP_PAYLOAD};
use crate::reply::{self, Transport};
use crate::resolution::{Address, ChainError, Resolution};
use crate::rewrite::{self, RewriteError};
use crate::wire::{self, HEADER, Header, flag};

mod survey;

use survey::Survey;

/// An upstream's answer to one [`Query`], read and made safe to pass on.
///
/// Keeps the upstream's octets. They are rewritten only where something has to go: addresses whose owner the question's
/// aliases do not reach, and the address hints and `ech` of HTTPS and SVCB records. Everything else, types nobody here
/// knows and DNSSEC records included, is passed on as it came; only id, flags, the question's case and TTLs are set per
/// reply. A TTL says what was counted: 0 for one above 2^31 (RFC 2181 §8), and for an address no more than
/// [`Address::ttl`]. The upstream's OPT record concerns one hop and is not kept, but for its extended errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The message without its OPT record; the question in lower case or as the upstream wrote it.
    wire: Box<[u8]>,
    question_end: usize,
    rcode: Rcode,
    resolution: Resolution,
    /// Where the TTLs stand.
    ttl_fields: Box<[u16]>,
    cache_ttl: Option<u32>,
    errors: Vec<ExtendedError>,
    hints_removed: usize,
}

/// Why a message is not an answer to the query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    #[error("the message is shorter than a header")]
    TooShort,
    #[error("the message is longer than 65,535 octets")]
    TooLong,
    #[error("the message is not a response to a query")]
    NotAResponse,
    #[error("the answer has id {got}, expected {expected}")]
    WrongId { got: u16, expected: u16 },
    #[error("the answer is to another question")]
    WrongQuestion,
    /// Old servers answer so to what they do not understand, EDNS for one.
    #[error("the server answered {rcode} without the question")]
    BareError { rcode: Rcode },
    #[error("the answer is truncated")]
    Truncated,
    #[error("the answer is malformed")]
    Malformed,
    #[error("the answer's aliases lead nowhere")]
    Chain(#[source] ChainError),
    #[error("the answer could not be cleared of what must not be passed on")]
    Rewrite(#[source] RewriteError),
}

impl Answer {
    /// Reads the answer to `query` as it was sent upstream: same id, same question whatever the case, class IN.
    ///
    /// # Errors
    /// See [`AnswerError`]. A truncated message is an error, because no record of it may be relied on.
    pub fn read(message: &[u8], query: &Query) -> Result<Self, AnswerError> {
        if message.len() > usize::from(u16::MAX) {
            return Err(AnswerError::TooLong);
        }
        let header = Header::read(message).ok_or(AnswerError::TooShort)?;
        if header.flags & flag::RESPONSE == 0 || header.flags & flag::OPCODE != 0 {
            return Err(AnswerError::NotAResponse);
        }
        if header.id != query.id {
            return Err(AnswerError::WrongId {
                got: header.id,
                expected: query.id,
            });
        }
        let rcode = Rcode(header.flags & flag::RCODE);
        if header.questions == 0 && rcode != Rcode::NOERROR {
            return Err(AnswerError::BareError { rcode });
        }
        let question = query.question_wire();
        let asked = message.get(HEADER..HEADER + question.len());
        if header.questions != 1 || !asked.is_some_and(|asked| is_same_question(asked, &question)) {
            return Err(AnswerError::WrongQuestion);
        }
        if header.flags & flag::TRUNCATED != 0 {
            return Err(AnswerError::Truncated);
        }
        Self::from_wire(message, &header, query)
    }

    fn from_wire(message: &[u8], header: &Header, query: &Query) -> Result<Self, AnswerError> {
        let question_end = HEADER + query.question_wire().len();
        let first = Survey::take(message, header, question_end, query)?;
        let (rcode, errors, hints_removed) = (first.rcode, first.errors.clone(), first.hints);
        let chain = first.resolution.chain.clone();
        let strays = first.resolution.strays.clone();
        let (wire, survey) = if first.needs_rewrite() {
            let wire = rewrite::pass_on(message, |owner| chain.contains(owner))
                .map_err(AnswerError::Rewrite)?;
            let header = Header::read(&wire).ok_or(AnswerError::Malformed)?;
            let survey = Survey::take(&wire, &header, question_end, query)?;
            // What was removed has to be gone in the eyes of the reader that found it.
            if survey.needs_rewrite() || survey.resolution.chain != chain {
                return Err(AnswerError::Malformed);
            }
            (wire, survey)
        } else {
            let mut wire = message[..first.records_end].to_vec();
            if let Some(start) = first.opt_start {
                wire.truncate(start);
                wire::set_u16(&mut wire, 10, header.additionals - 1);
            }
            (wire, first)
        };
        let Survey {
            mut resolution,
            ttls,
            cache_ttl,
            ..
        } = survey;
        resolution.strays = strays;
        let mut wire = wire;
        for (at, ttl) in &ttls {
            if let Some(field) = ttl_field(&mut wire, *at) {
                *field = ttl.to_be_bytes();
            }
        }
        let ttl_fields: Vec<u16> = ttls.into_iter().map(|(at, _)| at).collect();
        Ok(Self {
            wire: wire.into(),
            question_end,
            rcode,
            resolution,
            ttl_fields: ttl_fields.into(),
            cache_ttl,
            errors,
            hints_removed,
        })
    }

    /// The names the answer is about: the question first, then each alias target.
    pub fn chain(&self) -> &[Name] {
        &self.resolution.chain
    }

    /// The addresses it gives to the question's name, each with the seconds it may be relied on.
    pub fn addresses(&self) -> &[Address] {
        &self.resolution.addresses
    }

    /// Chain and addresses, and the stray addresses that were removed.
    pub fn resolution(&self) -> &Resolution {
        &self.resolution
    }

    pub fn rcode(&self) -> Rcode {
        self.rcode
    }

    /// How many address hints and `ech` parameters were removed from HTTPS and SVCB records.
    pub fn hints_removed(&self) -> usize {
        self.hints_removed
    }

    /// What the upstream said in words (RFC 8914).
    pub fn extended_errors(&self) -> &[ExtendedError] {
        &self.errors
    }

    /// How many seconds the answer may be cached: the least TTL of its records, or what the SOA says of a name or type
    /// that does not exist (RFC 2308 §5). Nothing for failures and for negative answers without SOA.
    pub fn cache_ttl(&self) -> Option<u32> {
        self.cache_ttl
    }

    /// Octets it takes in memory, for the bounds of caches.
    pub fn weight(&self) -> usize {
        let names: usize = self
            .resolution
            .chain
            .iter()
            .map(|name| name.as_str().len() + 16)
            .sum();
        size_of::<Self>()
            + self.wire.len()
            + self.ttl_fields.len() * size_of::<u16>()
            + names
            + self.resolution.addresses.len() * size_of::<Address>()
    }

    /// The same answer without the given addresses, wherever in it they stand.
    ///
    /// # Errors
    /// The message has to be rewritten and is not what the stricter reader takes.
    pub fn without(&self, addresses: &[IpAddr]) -> Result<Self, RewriteError> {
        let wire = rewrite::remove_addresses(&self.wire, addresses)?;
        let header = Header::read(&wire).ok_or(RewriteError::Unfaithful)?;
        let mut ttl_fields = Vec::new();
        wire::for_each_record(&wire, &header, self.question_end, |record| {
            ttl_fields.push(u16::try_from(record.ttl_at).unwrap_or(0));
        })
        .map_err(|_unreadable| RewriteError::Unfaithful)?;
        let mut resolution = self.resolution.clone();
        resolution
            .addresses
            .retain(|address| !addresses.contains(&address.ip));
        Ok(Self {
            wire: wire.into(),
            ttl_fields: ttl_fields.into(),
            resolution,
            ..self.clone()
        })
    }

    /// Writes the reply to `query` into `out`, which is cleared first, and says whether it had to be truncated.
    ///
    /// `query` must be the same question ([`Query::key`]). `age` is how many seconds ago the answer was read: TTLs are
    /// that much lower, at least 0, and the answer is no longer authoritative. AD is cleared for clients that asked for
    /// neither AD nor DO (RFC 6840 §5.8). `error` comes before the upstream's own extended errors.
    pub fn write_reply(
        &self,
        query: &Query,
        age: u32,
        transport: Transport,
        error: Option<&ExtendedError>,
        out: &mut Vec<u8>,
    ) -> Truncation {
        out.clear();
        out.extend_from_slice(&self.wire);
        let flags = self.reply_flags(query, age);
        wire::set_u16(out, 0, query.id);
        wire::set_u16(out, 2, flags);
        query.restore_case(out);
        if age > 0 {
            for &at in &self.ttl_fields {
                if let Some(field) = ttl_field(out, at) {
                    *field = u32::from_be_bytes(*field).saturating_sub(age).to_be_bytes();
                }
            }
        }
        let limit = query.reply_limit(transport);
        if query.edns.is_none() {
            if out.len() <= limit {
                return Truncation::Whole;
            }
            reply::truncate(out, self.question_end);
            return Truncation::Cut;
        }
        let errors: Vec<&ExtendedError> = error.into_iter().chain(&self.errors).collect();
        let additionals = Header::read(out).map_or(0, |header| header.additionals);
        wire::set_u16(out, 10, additionals.saturating_add(1));
        reply::put_opt(out, UDP_PAYLOAD, self.rcode, query.dnssec_ok(), &errors);
        if out.len() <= limit {
            return Truncation::Whole;
        }
        reply::truncate(out, self.question_end);
        wire::set_u16(out, 10, 1);
        reply::put_opt(
            out,
            UDP_PAYLOAD,
            self.rcode,
            query.dnssec_ok(),
            error.as_slice(),
        );
        Truncation::Cut
    }

    fn reply_flags(&self, query: &Query, age: u32) -> u16 {
        let mut flags = Header::read(&self.wire).map_or(flag::RESPONSE, |header| header.flags);
        flags &= !(flag::RECURSION_DESIRED | flag::CHECKING_DISABLED | flag::TRUNCATED);
        if age > 0 {
            flags &= !flag::AUTHORITATIVE;
        }
        if !query.authentic_data && !query.dnssec_ok() {
            flags &= !flag::AUTHENTIC;
        }
        if query.recursion_desired {
            flags |= flag::RECURSION_DESIRED;
        }
        if query.checking_disabled {
            flags |= flag::CHECKING_DISABLED;
        }
        flags
    }
}

fn ttl_field(wire: &mut [u8], at: u16) -> Option<&mut [u8; 4]> {
    wire.get_mut(usize::from(at)..)?.first_chunk_mut()
}

/// Whether a reply fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truncation {
    Whole,
    /// Only the question is left and TC is set.
    Cut,
}

/// Names compare without case (RFC 4343), type and class as they are. Length octets are below `A`, so folding octets
/// cannot confuse them with letters; type and class can hold letters and are left out of the folding.
fn is_same_question(got: &[u8], expected: &[u8]) -> bool {
    let Some(name_end) = expected.len().checked_sub(4) else {
        return false;
    };
    let ((got_name, got_rest), (name, rest)) =
        (got.split_at(name_end), expected.split_at(name_end));
    got_name.eq_ignore_ascii_case(name) && got_rest == rest
}

#[cfg(test)]
mod tests;
