use std::fmt;

use crate::codes::{Rcode, RecordType};
use crate::name::Name;
use crate::reply::{self, Transport};
use crate::wire::{self, CLASS_IN, DNSSEC_OK, HEADER, Header, Section, flag};

/// What we tell upstreams and clients we take over UDP: fits one packet nearly everywhere (DNS flag day 2020).
pub(crate) const UDP_PAYLOAD: u16 = 1232;
/// LIMIT: the most a client's UDP answer may have, whatever it announces (BIND's and Unbound's `max-udp-size` of old).
const MAX_UDP_REPLY: u16 = 4096;
/// What a client without EDNS takes (RFC 1035 §4.2.1).
const MIN_UDP_REPLY: u16 = 512;

/// A question somebody asks, read from a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub id: u16,
    pub name: Name,
    pub record_type: RecordType,
    pub class: u16,
    /// RD: wants the server to find out.
    pub recursion_desired: bool,
    /// CD: wants unvalidated data too.
    pub checking_disabled: bool,
    /// AD: understands the AD bit of answers (RFC 6840 §5.7).
    pub authentic_data: bool,
    /// What the OPT record says, if there is one. Its options are not looked at: cookies (RFC 7873 §5.2 lets a server
    /// ignore them), client subnets and paddings concern one hop, and none goes upstream.
    pub edns: Option<Edns>,
    /// Which octets of the name were written in upper case.
    pub(crate) case: CaseMask,
}

/// The fixed part of a query's OPT record (RFC 6891).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edns {
    /// The largest UDP answer the sender takes, in octets.
    pub udp_size: u16,
    pub version: u8,
    /// DO: wants DNSSEC records.
    pub dnssec_ok: bool,
}

/// What makes two queries the same question for a cache: the answer to one may be given to the other.
///
/// EDNS's presence and the AD bit are not part of it, because both are settled when a reply is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QuestionKey {
    pub name: Name,
    pub record_type: RecordType,
    pub class: u16,
    pub dnssec_ok: bool,
    pub checking_disabled: bool,
    pub recursion_desired: bool,
}

/// Why a message is not a query we can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("the message is shorter than a header")]
    TooShort,
    #[error("the message is a response")]
    Response,
    #[error("operation {opcode} is not a query")]
    Opcode { opcode: u16 },
    #[error("the message has {count} questions, expected one")]
    QuestionCount { count: u16 },
    #[error("the message is malformed")]
    Malformed,
    #[error("the message has more than one OPT record")]
    SeveralOpt,
}

impl QueryError {
    /// What to answer; nothing where any answer could start a loop or has no id to go to.
    pub fn rcode(self) -> Option<Rcode> {
        match self {
            Self::TooShort | Self::Response => None,
            Self::Opcode { .. } => Some(Rcode::NOTIMP),
            Self::QuestionCount { .. } | Self::Malformed | Self::SeveralOpt => Some(Rcode::FORMERR),
        }
    }

    /// The answer to the unreadable `message`, a bare header; nothing where it must not be answered.
    pub fn reply(self, message: &[u8]) -> Option<Vec<u8>> {
        let header = Header::read(message)?;
        let rcode = self.rcode()?;
        let mut out = Vec::with_capacity(HEADER);
        wire::put_u16(&mut out, header.id);
        wire::put_u16(
            &mut out,
            flag::RESPONSE
                | (header.flags & (flag::OPCODE | flag::RECURSION_DESIRED))
                | (rcode.0 & flag::RCODE),
        );
        out.resize(HEADER, 0);
        Some(out)
    }
}

impl Query {
    /// A query as Egret itself would ask it: recursive, class IN, no EDNS.
    pub fn new(id: u16, name: Name, record_type: RecordType) -> Self {
        Self {
            id,
            name,
            record_type,
            class: CLASS_IN,
            recursion_desired: true,
            checking_disabled: false,
            authentic_data: false,
            edns: None,
            case: CaseMask::default(),
        }
    }

    /// Reads a client's message.
    ///
    /// Any class, type and EDNS version is read; what to do about odd ones is the server's decision.
    ///
    /// # Errors
    /// See [`QueryError`]; none of them is worth more than [`QueryError::reply`].
    pub fn read(message: &[u8]) -> Result<Self, QueryError> {
        let header = Header::read(message).ok_or(QueryError::TooShort)?;
        if header.flags & flag::RESPONSE != 0 {
            return Err(QueryError::Response);
        }
        let opcode = (header.flags & flag::OPCODE) >> 11;
        if opcode != 0 {
            return Err(QueryError::Opcode { opcode });
        }
        if header.questions != 1 {
            return Err(QueryError::QuestionCount {
                count: header.questions,
            });
        }
        let question = Question::read(message).ok_or(QueryError::Malformed)?;
        Ok(Self {
            id: header.id,
            name: question.name,
            record_type: question.record_type,
            class: question.class,
            recursion_desired: header.flags & flag::RECURSION_DESIRED != 0,
            checking_disabled: header.flags & flag::CHECKING_DISABLED != 0,
            authentic_data: header.flags & flag::AUTHENTIC != 0,
            edns: read_edns(message, &header, question.end)?,
            case: question.case,
        })
    }

    /// The same question under another id, in lower case: what goes upstream in its place.
    pub fn asked_with(&self, id: u16) -> Self {
        Self {
            id,
            case: CaseMask::default(),
            ..self.clone()
        }
    }

    /// The message that asks this upstream, over UDP or TCP.
    ///
    /// Written from its parts, so that nothing else of a client's message (options, extra records, unused bits) leaves
    /// the machine. AD is always set, so that one cached answer serves clients with and without it; DO, CD and RD are
    /// as asked. `edns` without is for old servers that answer FORMERR to an OPT record.
    pub fn to_upstream(&self, edns: UpstreamEdns) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + self.name.as_str().len() + 16);
        let mut flags = flag::AUTHENTIC;
        if self.recursion_desired {
            flags |= flag::RECURSION_DESIRED;
        }
        if self.checking_disabled {
            flags |= flag::CHECKING_DISABLED;
        }
        for word in [
            self.id,
            flags,
            1,
            0,
            0,
            u16::from(edns == UpstreamEdns::With),
        ] {
            wire::put_u16(&mut out, word);
        }
        self.put_question(&mut out);
        if edns == UpstreamEdns::With {
            reply::put_opt(&mut out, UDP_PAYLOAD, Rcode::NOERROR, self.dnssec_ok(), &[]);
        }
        out
    }

    pub fn key(&self) -> QuestionKey {
        QuestionKey {
            name: self.name.clone(),
            record_type: self.record_type,
            class: self.class,
            dnssec_ok: self.dnssec_ok(),
            checking_disabled: self.checking_disabled,
            recursion_desired: self.recursion_desired,
        }
    }

    pub fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    /// The most octets a reply may have over `transport`.
    pub fn reply_limit(&self, transport: Transport) -> usize {
        match transport {
            Transport::Tcp => usize::from(u16::MAX),
            Transport::Udp => usize::from(self.edns.map_or(MIN_UDP_REPLY, |edns| {
                edns.udp_size.clamp(MIN_UDP_REPLY, MAX_UDP_REPLY)
            })),
        }
    }

    fn put_question(&self, out: &mut Vec<u8>) {
        put_name(out, &self.name);
        wire::put_u16(out, self.record_type.0);
        wire::put_u16(out, self.class);
    }

    /// Writes the question's name in `message` in the case this query used (0x20).
    pub(crate) fn restore_case(&self, message: &mut [u8]) {
        if let Some(name) = message.get_mut(HEADER..) {
            self.case.apply(name);
        }
    }

    /// The question as it stands in a message, in lower case.
    pub(crate) fn question_wire(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.name.as_str().len() + 6);
        self.put_question(&mut out);
        out
    }
}

/// Whether a query sent upstream carries an OPT record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamEdns {
    With,
    Without,
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.record_type)
    }
}

/// Which octets of a name in wire form are upper case letters; a name has at most 255.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct CaseMask([u64; 4]);

impl CaseMask {
    fn set(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    /// Gives the name at the start of `octets` this case.
    fn apply(self, octets: &mut [u8]) {
        let mut at = 0;
        while let Some(&length) = octets.get(at) {
            if length == 0 || usize::from(length) > crate::name::MAX_LABEL {
                return;
            }
            for position in at + 1..=at + usize::from(length) {
                let Some(octet) = octets.get_mut(position) else {
                    return;
                };
                let upper = self
                    .0
                    .get(position / 64)
                    .is_some_and(|word| word >> (position % 64) & 1 == 1);
                *octet = if upper {
                    octet.to_ascii_uppercase()
                } else {
                    octet.to_ascii_lowercase()
                };
            }
            at += 1 + usize::from(length);
        }
    }
}

impl fmt::Debug for CaseMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let upper: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        write!(f, "{upper} upper case")
    }
}

struct Question {
    name: Name,
    case: CaseMask,
    record_type: RecordType,
    class: u16,
    end: usize,
}

impl Question {
    /// Reads the first question. There is nothing before it that a compression pointer could mean, so none is taken.
    fn read(message: &[u8]) -> Option<Self> {
        let body = message.get(HEADER..)?;
        let mut labels: Vec<&[u8]> = Vec::with_capacity(8);
        let mut case = CaseMask::default();
        let mut at = 0;
        loop {
            let length = usize::from(*body.get(at)?);
            if length == 0 {
                break;
            }
            // LIMIT: RFC 1035's 255 octets; also keeps the case mask in range.
            if length > crate::name::MAX_LABEL || at > 255 {
                return None;
            }
            let label = body.get(at + 1..=at + length)?;
            for (offset, octet) in label.iter().enumerate() {
                if octet.is_ascii_uppercase() {
                    case.set(at + 1 + offset);
                }
            }
            labels.push(label);
            at += 1 + length;
        }
        let name = Name::from_labels(labels).ok()?;
        let [type_high, type_low, class_high, class_low] = *body.get(at + 1..)?.first_chunk()?;
        Some(Self {
            name,
            case,
            record_type: RecordType(u16::from_be_bytes([type_high, type_low])),
            class: u16::from_be_bytes([class_high, class_low]),
            end: HEADER + at + 5,
        })
    }
}

fn read_edns(
    message: &[u8],
    header: &Header,
    question_end: usize,
) -> Result<Option<Edns>, QueryError> {
    let mut found = Ok(None);
    wire::for_each_record(message, header, question_end, |record| {
        if record.record_type != RecordType::OPT {
            return;
        }
        found = match found {
            Ok(None) if record.section == Section::Additional && record.owner.is_root() => {
                Ok(Some(Edns {
                    udp_size: record.class,
                    version: record.ttl.to_be_bytes()[1],
                    dnssec_ok: record.ttl & DNSSEC_OK != 0,
                }))
            }
            Ok(None) => Err(QueryError::Malformed),
            Ok(Some(_)) => Err(QueryError::SeveralOpt),
            Err(error) => Err(error),
        };
    })
    .map_err(|_unreadable| QueryError::Malformed)?;
    found
}

/// A name in wire form, uncompressed.
fn put_name(out: &mut Vec<u8>, name: &Name) {
    for label in name.labels() {
        let length_at = out.len();
        out.push(0);
        let mut octets = label.bytes();
        while let Some(octet) = octets.next() {
            // INVARIANT: canonical text escapes as `\DDD` and nothing else.
            let octet = if octet == b'\\' {
                octets.by_ref().take(3).fold(0u8, |sum, digit| {
                    sum.wrapping_mul(10).wrapping_add(digit.wrapping_sub(b'0'))
                })
            } else {
                octet
            };
            out.push(octet);
        }
        let length = u8::try_from(out.len() - length_at - 1).unwrap_or(0);
        if let Some(slot) = out.get_mut(length_at) {
            *slot = length;
        }
    }
    out.push(0);
}

#[cfg(test)]
mod tests;
