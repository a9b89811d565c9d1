//! Takes records, or parts of records, out of a message. Compression pointers make that a re-encoding, which
//! hickory-proto does; a message it cannot read is not passed on.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hickory_proto::ProtoError;
use hickory_proto::op::Message;
use hickory_proto::rr::rdata::svcb::{SVCB, SvcParamKey, SvcParamValue};
use hickory_proto::rr::{RData, Record};
use hickory_proto::serialize::binary::DecodeError;

use crate::name::Name;
use crate::wire;

/// Service parameter keys (RFC 9460 §14.3.2, RFC 9848).
const IPV4_HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6_HINT: u16 = 6;

/// Why records could not be taken out of a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    #[error("the message cannot be decoded")]
    Decode(#[source] Unreadable),
    #[error("the message cannot be encoded")]
    Encode(#[source] Unreadable),
    #[error("the rewritten message does not say what the original said")]
    Unfaithful,
}

/// What the codec said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(Box<str>);

impl From<DecodeError> for Unreadable {
    fn from(error: DecodeError) -> Self {
        Self(error.to_string().into())
    }
}

impl From<ProtoError> for Unreadable {
    fn from(error: ProtoError) -> Self {
        Self(error.to_string().into())
    }
}

/// The message without OPT record, without addresses in the answer section whose owner `is_wanted` does not know, and
/// without hints and `ech` in HTTPS and SVCB records.
pub(crate) fn pass_on(
    message: &[u8],
    is_wanted: impl Fn(&Name) -> bool,
) -> Result<Vec<u8>, RewriteError> {
    edit(message, |message| {
        message.answers.retain(|record| {
            address_of(record).is_none()
                || wire::to_name(&record.name).is_some_and(|owner| is_wanted(&owner))
        });
        for record in message
            .answers
            .iter_mut()
            .chain(&mut message.authorities)
            .chain(&mut message.additionals)
        {
            strip_hints(record);
        }
    })
}

/// The message without `addresses`, in the answer and additional sections.
pub(crate) fn remove_addresses(
    message: &[u8],
    addresses: &[IpAddr],
) -> Result<Vec<u8>, RewriteError> {
    let addresses: BTreeSet<IpAddr> = addresses.iter().copied().collect();
    let stays = |record: &Record| address_of(record).is_none_or(|ip| !addresses.contains(&ip));
    edit(message, |message| {
        message.answers.retain(stays);
        message.additionals.retain(stays);
    })
}

/// How many parameters of an HTTPS or SVCB record must not be passed on. A record that is not well formed counts as
/// one, so that it meets the stricter reader.
pub(crate) fn count_hints(rdata: &[u8]) -> usize {
    try_count_hints(rdata).unwrap_or(1)
}

fn try_count_hints(rdata: &[u8]) -> Option<usize> {
    let mut rest = rdata.get(2..)?;
    // The target name is never compressed (RFC 9460 §2.2).
    loop {
        let (&length, tail) = rest.split_first()?;
        rest = tail.get(usize::from(length)..)?;
        if length == 0 {
            break;
        }
    }
    let mut hints = 0;
    while !rest.is_empty() {
        let (&[key_high, key_low, length_high, length_low], tail) = rest.split_first_chunk()?;
        rest = tail.get(usize::from(u16::from_be_bytes([length_high, length_low]))..)?;
        hints += usize::from(matches!(
            u16::from_be_bytes([key_high, key_low]),
            IPV4_HINT | ECH | IPV6_HINT
        ));
    }
    Some(hints)
}

fn edit(message: &[u8], change: impl FnOnce(&mut Message)) -> Result<Vec<u8>, RewriteError> {
    let mut message =
        Message::from_vec(message).map_err(|error| RewriteError::Decode(error.into()))?;
    message.edns = None;
    // The codec would take the upper bits of an extended code for an OPT record that is gone.
    let low = message.metadata.response_code.low();
    message.metadata.response_code = hickory_proto::op::ResponseCode::from(0, low);
    change(&mut message);
    message
        .to_vec()
        .map_err(|error| RewriteError::Encode(error.into()))
}

fn address_of(record: &Record) -> Option<IpAddr> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "two of hickory's forty record types hold an address"
    )]
    match &record.data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
        _ => None,
    }
}

fn strip_hints(record: &mut Record) {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "two of hickory's forty record types hold hints"
    )]
    match &mut record.data {
        RData::HTTPS(https) => strip_svcb(&mut https.0),
        RData::SVCB(svcb) => strip_svcb(svcb),
        _ => {}
    }
}

fn strip_svcb(svcb: &mut SVCB) {
    let is_hint = |key: &SvcParamKey| matches!(u16::from(*key), IPV4_HINT | ECH | IPV6_HINT);
    svcb.svc_params.retain_mut(|(key, value)| {
        // A client ignores a record whose `mandatory` lists what is not there (RFC 9460 §8).
        if let SvcParamValue::Mandatory(mandatory) = value {
            mandatory.0.retain(|key| !is_hint(key));
            return !mandatory.0.is_empty();
        }
        !is_hint(key)
    });
}
