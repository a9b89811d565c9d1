//! hickory-server's part of the front: the strict reader, Egret's own replies, and the handle replies are sent by.

use std::any::Any;
use std::iter::{self, Empty};
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use dns_names::{ExtendedError, Name, Query, Rcode, Transport};
use hickory_server::net::NetError;
use hickory_server::net::xfer::Protocol;
use hickory_server::proto::ProtoError;
use hickory_server::proto::op::{Edns, Header, HeaderCounts, Message, Metadata, ResponseCode};
use hickory_server::proto::rr::Record;
use hickory_server::proto::rr::rdata::opt::EdnsOption;
use hickory_server::proto::serialize::binary::{BinDecodable, BinDecoder, BinEncoder};
use hickory_server::server::{Request, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::{MessageResponse, MessageResponseBuilder};

use crate::judge::Refusal;

/// The largest UDP answer we say we take (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1232;
/// The option "extended DNS error" (RFC 8914).
const EXTENDED_ERROR: u16 = 15;

/// Reads the whole of `message`, every record of it, as hickory-server does; [`Query::read`] reads no more than the
/// question and the OPT record's fixed part.
///
/// Nothing where hickory-server cannot read it, or reads another question in it than `query`.
pub(crate) fn read(
    message: &[u8],
    query: &Query,
    peer: SocketAddr,
    transport: Transport,
) -> Option<Request> {
    let protocol = match transport {
        Transport::Udp => Protocol::Udp,
        Transport::Tcp => Protocol::Tcp,
    };
    let request = Request::from_bytes(message.to_vec(), peer, protocol).ok()?;
    let asked = request.request_info().ok()?.query;
    let is_same = Name::from_labels(asked.name().iter()).is_ok_and(|name| name == query.name)
        && u16::from(asked.query_type()) == query.record_type.0
        && u16::from(asked.query_class()) == query.class;
    is_same.then_some(request)
}

/// A reply of Egret's own, without records: refusals, failures and names answered from here.
pub(crate) struct OwnReply<'q> {
    request: &'q Request,
    rcode: ResponseCode,
    edns: Option<Edns>,
}

type NoRecords = Empty<&'static Record>;

impl<'q> OwnReply<'q> {
    pub(crate) fn new(request: &'q Request, query: &Query, refusal: &Refusal) -> Self {
        let edns = query.edns.map(|_| {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_PAYLOAD)
                .set_dnssec_ok(query.dnssec_ok());
            if let Some(error) = &refusal.error {
                edns.options_mut().insert(option(error));
            }
            edns
        });
        // An extended code needs the OPT record to carry its upper bits.
        let rcode = if refusal.rcode.0 > 0xf && edns.is_none() {
            Rcode::SERVFAIL
        } else {
            refusal.rcode
        };
        Self {
            request,
            rcode: rcode.0.into(),
            edns,
        }
    }

    fn response(&self) -> MessageResponse<'_, 'static, NoRecords, NoRecords, NoRecords, NoRecords> {
        let mut metadata = Metadata::response_from_request(&self.request.metadata);
        metadata.recursion_available = true;
        metadata.response_code = self.rcode;
        let none = iter::empty::<&'static Record>;
        MessageResponseBuilder::new(&self.request.queries, self.edns.as_ref()).build(
            metadata,
            none(),
            none(),
            none(),
            none(),
        )
    }

    /// The reply's octets, where there is nobody to wait.
    ///
    /// # Errors
    /// It does not fit a message: not so for one question and one short text.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, ProtoError> {
        Ok(encode(self.response())?.1)
    }

    pub(crate) async fn send(
        &self,
        response: &mut impl ResponseHandler,
    ) -> Result<ResponseInfo, NetError> {
        response.send_response(self.response()).await
    }
}

/// hickory-server's reply handle for a query of ours: gives the octets to the loop that read the query, which alone
/// knows the slot address they have to come from.
#[derive(Clone)]
pub(crate) struct SlotReply(Arc<dyn Fn(Vec<u8>) + Send + Sync>);

impl SlotReply {
    pub(crate) fn new(send: impl Fn(Vec<u8>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(send))
    }
}

#[async_trait]
impl ResponseHandler for SlotReply {
    async fn send_response<'a>(
        &mut self,
        response: MessageResponse<
            '_,
            'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
        >,
    ) -> Result<ResponseInfo, NetError> {
        let (info, octets) = encode(response)?;
        (self.0)(octets);
        Ok(info)
    }
}

/// Sends a finished message: octet for octet where the handle is ours, record by record where it is hickory-server's.
pub(crate) async fn send(
    octets: Vec<u8>,
    request: &Request,
    response: &mut impl ResponseHandler,
) -> Result<ResponseInfo, NetError> {
    if let Some(SlotReply(send)) = (response as &mut dyn Any).downcast_ref() {
        let header = Header::read(&mut BinDecoder::new(&octets))?;
        send(octets);
        return Ok(header.into());
    }
    let message = Message::from_vec(&octets)?;
    let response_message = MessageResponseBuilder::new(&request.queries, message.edns.as_ref())
        .build(
            message.metadata,
            &message.answers,
            &message.authorities,
            iter::empty(),
            &message.additionals,
        );
    response.send_response(response_message).await
}

/// What is said of a reply that could not be sent.
pub(crate) fn failed(request: &Request) -> ResponseInfo {
    let mut metadata = Metadata::response_from_request(&request.metadata);
    metadata.response_code = ResponseCode::ServFail;
    let counts = HeaderCounts::default();
    Header { metadata, counts }.into()
}

fn encode<'a>(
    response: MessageResponse<
        '_,
        'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
    >,
) -> Result<(ResponseInfo, Vec<u8>), ProtoError> {
    let mut octets = Vec::with_capacity(512);
    let info = response.destructive_emit(&mut BinEncoder::new(&mut octets))?;
    Ok((info, octets))
}

fn option(error: &ExtendedError) -> EdnsOption {
    let octets = [&error.code.to_be_bytes(), error.wire_text().as_bytes()].concat();
    EdnsOption::Unknown(EXTENDED_ERROR, octets)
}

#[cfg(test)]
mod tests;
