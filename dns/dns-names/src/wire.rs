//! Walks a message record by record, reading no more than has to be understood.
//!
//! Names are read by hickory-proto, which bounds compression pointers; RDATA stays octets, so that types nobody here
//! knows, and known ones a strict parser would dislike, do not make a message unreadable.

use hickory_proto::rr::Name as WireName;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, DecodeError};

use crate::codes::RecordType;
use crate::name::Name;

pub(crate) const HEADER: usize = 12;
pub(crate) const CLASS_IN: u16 = 1;

/// Bits of the header's second word (RFC 1035 §4.1.1, RFC 4035 §3.2).
pub(crate) mod flag {
    pub(crate) const RESPONSE: u16 = 0x8000;
    pub(crate) const OPCODE: u16 = 0x7800;
    pub(crate) const AUTHORITATIVE: u16 = 0x0400;
    pub(crate) const TRUNCATED: u16 = 0x0200;
    pub(crate) const RECURSION_DESIRED: u16 = 0x0100;
    pub(crate) const AUTHENTIC: u16 = 0x0020;
    pub(crate) const CHECKING_DISABLED: u16 = 0x0010;
    pub(crate) const RCODE: u16 = 0x000f;
}

/// The DO bit in an OPT record's TTL field (RFC 6891 §6.1.3).
pub(crate) const DNSSEC_OK: u32 = 0x8000;

/// A message's first twelve octets.
pub(crate) struct Header {
    pub(crate) id: u16,
    pub(crate) flags: u16,
    pub(crate) questions: u16,
    pub(crate) answers: u16,
    pub(crate) authorities: u16,
    pub(crate) additionals: u16,
}

impl Header {
    pub(crate) fn read(wire: &[u8]) -> Option<Self> {
        let (header, _) = wire.split_first_chunk::<HEADER>()?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        Some(Self {
            id: word(0),
            flags: word(2),
            questions: word(4),
            answers: word(6),
            authorities: word(8),
            additionals: word(10),
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Answer,
    Authority,
    Additional,
}

/// One record and where it stands in the message.
pub(crate) struct RawRecord<'a> {
    pub(crate) section: Section,
    pub(crate) owner: WireName,
    pub(crate) record_type: RecordType,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    pub(crate) start: usize,
    pub(crate) ttl_at: usize,
    pub(crate) end: usize,
    pub(crate) rdata: &'a [u8],
    message: &'a [u8],
}

impl RawRecord<'_> {
    /// The name that is the whole RDATA (CNAME, NS, PTR…), which may be compressed.
    pub(crate) fn rdata_name(&self) -> Option<WireName> {
        let start = self.end - self.rdata.len();
        // Up to the record's end only: a name that runs on into the next record is malformed.
        let mut decoder = BinDecoder::new(self.message.get(..self.end)?);
        decoder.read_slice(start).ok()?;
        let name = WireName::read(&mut decoder).ok()?;
        decoder.is_empty().then_some(name)
    }
}

/// Calls `each` for every record after the question, in order.
///
/// # Errors
/// The message ends early or a name is malformed. Octets after the last record are not looked at.
pub(crate) fn for_each_record<'a>(
    wire: &'a [u8],
    header: &Header,
    question_end: usize,
    mut each: impl FnMut(RawRecord<'a>),
) -> Result<(), DecodeError> {
    let mut decoder = BinDecoder::new(wire);
    decoder.read_slice(question_end)?;
    let sections = [
        (Section::Answer, header.answers),
        (Section::Authority, header.authorities),
        (Section::Additional, header.additionals),
    ];
    for (section, count) in sections {
        for _ in 0..count {
            each(read_record(wire, section, &mut decoder)?);
        }
    }
    Ok(())
}

fn read_record<'a>(
    wire: &'a [u8],
    section: Section,
    decoder: &mut BinDecoder<'a>,
) -> Result<RawRecord<'a>, DecodeError> {
    let start = decoder.index();
    let owner = WireName::read(decoder)?;
    let record_type = RecordType(decoder.read_u16()?.unverified());
    let class = decoder.read_u16()?.unverified();
    let ttl_at = decoder.index();
    let ttl = decoder.read_u32()?.unverified();
    let length = decoder.read_u16()?.unverified();
    let rdata = decoder.read_slice(usize::from(length))?.unverified();
    Ok(RawRecord {
        section,
        owner,
        record_type,
        class,
        ttl,
        start,
        ttl_at,
        end: decoder.index(),
        rdata,
        message: wire,
    })
}

/// A TTL as RFC 2181 §8 wants it read: with the top bit set it is zero.
pub(crate) fn effective_ttl(ttl: u32) -> u32 {
    if ttl > i32::MAX.cast_unsigned() {
        0
    } else {
        ttl
    }
}

/// Our name for a name off the wire. Cannot fail for a name hickory read: both hold RFC 1035's limits.
pub(crate) fn to_name(name: &WireName) -> Option<Name> {
    Name::from_labels(name.iter()).ok()
}

pub(crate) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Overwrites the word at `at`; a position outside the message changes nothing.
pub(crate) fn set_u16(out: &mut [u8], at: usize, value: u16) {
    if let Some(word) = out.get_mut(at..at + 2) {
        word.copy_from_slice(&value.to_be_bytes());
    }
}
