//! The OPT record of replies, and how a reply is cut to what its client takes.

use crate::codes::{ExtendedError, Rcode, RecordType};
use crate::wire::{self, DNSSEC_OK, HEADER, flag};

/// How a query came and its reply goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    Udp,
    Tcp,
}

/// EDNS option "Extended DNS Error" (RFC 8914).
const EXTENDED_ERROR: u16 = 15;

/// Appends an OPT record; the caller counts it in the header.
pub(crate) fn put_opt(
    out: &mut Vec<u8>,
    udp_size: u16,
    rcode: Rcode,
    dnssec_ok: bool,
    errors: &[&ExtendedError],
) {
    out.push(0);
    wire::put_u16(out, RecordType::OPT.0);
    wire::put_u16(out, udp_size);
    let high = u32::from(rcode.0 >> 4) << 24;
    wire::put_u32(out, high | if dnssec_ok { DNSSEC_OK } else { 0 });
    let length_at = out.len();
    wire::put_u16(out, 0);
    for error in errors {
        let text = error.wire_text();
        wire::put_u16(out, EXTENDED_ERROR);
        wire::put_u16(out, u16::try_from(text.len() + 2).unwrap_or(2));
        wire::put_u16(out, error.code);
        out.extend_from_slice(text.as_bytes());
    }
    let length = u16::try_from(out.len() - length_at - 2).unwrap_or(0);
    wire::set_u16(out, length_at, length);
}

/// The extended errors among an OPT record's options; options that run over the end are left out.
pub(crate) fn read_extended_errors(mut options: &[u8]) -> Vec<ExtendedError> {
    let mut errors = Vec::new();
    while let Some((&[a, b, c, d], rest)) = options.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([c, d]));
        let Some((value, rest)) = rest.split_at_checked(length) else {
            break;
        };
        if u16::from_be_bytes([a, b]) == EXTENDED_ERROR
            && let Some((&[high, low], text)) = value.split_first_chunk()
        {
            let text = String::from_utf8_lossy(text);
            errors.push(ExtendedError::new(
                u16::from_be_bytes([high, low]),
                text.trim_end_matches('\0'),
            ));
        }
        options = rest;
    }
    errors
}

/// Cuts a finished reply to its question and marks it truncated: the client asks again over TCP. (RFC 2181 §9: what is
/// left of a truncated answer is not to be used, so nothing is left.)
pub(crate) fn truncate(out: &mut Vec<u8>, question_end: usize) {
    out.truncate(question_end);
    if let Some(byte) = out.get_mut(2) {
        *byte |= flag::TRUNCATED.to_be_bytes()[0];
    }
    if let Some(counts) = out.get_mut(6..HEADER) {
        counts.fill(0);
    }
}
