use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use dns_names::RecordType;
use hickory_server::net::BufDnsStreamHandle;
use hickory_server::proto::op::{MessageType, OpCode, Query as WireQuery};
use hickory_server::proto::rr::rdata::A;
use hickory_server::proto::rr::{Name as WireName, RData, RecordType as WireType};
use hickory_server::server::ResponseHandle;
use test_case::test_case;

use super::*;

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4000);

fn message(question: &str, change: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(WireQuery::query(
        WireName::from_ascii(question).expect("a name"),
        WireType::A,
    ));
    change(&mut message);
    message.to_vec().expect("encodes")
}

fn with_edns(message: &mut Message, version: u8) {
    let mut edns = Edns::new();
    edns.set_max_payload(512)
        .set_dnssec_ok(true)
        .set_version(version);
    message.set_edns(edns);
}

/// Egret's own reply to a message, as a client reads it, and its octets.
fn own(message: &[u8], rcode: Rcode, text: &str) -> (Message, Vec<u8>) {
    let query = Query::read(message).expect("a query");
    let request = read(message, &query, PEER, Transport::Udp).expect("read by both");
    let refusal = Refusal {
        rcode,
        error: Some(ExtendedError::new(ExtendedError::BLOCKED, text)),
    };
    let octets = OwnReply::new(&request, &query, &refusal)
        .encode()
        .expect("fits");
    (Message::from_vec(&octets).expect("decodes"), octets)
}

#[test]
fn a_reply_keeps_id_case_and_bits_and_says_why() {
    let wire = message("wWw.ExAmple.com.", |message| with_edns(message, 0));
    let (reply, _) = own(&wire, Rcode::NXDOMAIN, "no policy allows it");
    assert_eq!(reply.queries[0].name().to_ascii(), "wWw.ExAmple.com.");
    let metadata = reply.metadata;
    assert_eq!(
        (metadata.id, metadata.message_type, metadata.response_code),
        (0x1234, MessageType::Response, ResponseCode::NXDomain)
    );
    assert!(metadata.recursion_desired && metadata.recursion_available);
    let edns = reply.edns.expect("an OPT record");
    assert!(edns.flags().dnssec_ok);
    assert_eq!(
        edns.option(EXTENDED_ERROR.into()),
        Some(&EdnsOption::Unknown(
            EXTENDED_ERROR,
            [&[0, 15][..], b"no policy allows it"].concat()
        ))
    );
}

#[test]
fn a_reply_to_a_query_without_edns_has_none() {
    let (reply, _) = own(&message("a.", |_| {}), Rcode::REFUSED, "why");
    assert!(reply.edns.is_none());
    let (reply, _) = own(&message("a.", |_| {}), Rcode::BADVERS, "why");
    assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
}

#[test]
fn an_extended_code_keeps_its_upper_bits() {
    let wire = message("a.", |message| with_edns(message, 1));
    let (reply, _) = own(&wire, Rcode::BADVERS, "");
    assert_eq!(u16::from(reply.metadata.response_code), Rcode::BADVERS.0);
}

#[test]
fn the_longest_question_with_the_longest_reason_fits_512_octets() {
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}.", "a".repeat(61));
    let wire = message(&longest, |message| with_edns(message, 0));
    assert!(own(&wire, Rcode::NXDOMAIN, &"x".repeat(1000)).1.len() <= 512);
}

#[test_case(&[0, 0, 41, 2, 0, 0, 0, 0, 0, 0, 4, 0, 8, 0, 9]; "an option that runs over the record")]
#[test_case(&[0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 3, 1, 2, 3]; "an address of three octets")]
fn what_only_the_strict_reader_refuses_is_refused(additional: &[u8]) {
    let mut wire = message("a.", |_| {});
    wire[11] = 1;
    wire.extend_from_slice(additional);
    let query = Query::read(&wire).expect("the question is fine");
    assert!(read(&wire, &query, PEER, Transport::Udp).is_none());
}

#[test]
fn a_request_for_another_question_is_refused() {
    let wire = message("a.", |_| {});
    let query = Query::read(&wire).expect("a query");
    let other = Query::new(1, Name::parse("b").expect("a name"), RecordType::A);
    assert!(read(&wire, &query, PEER, Transport::Tcp).is_some());
    assert!(read(&wire, &other, PEER, Transport::Tcp).is_none());
    let mut aaaa = query;
    aaaa.record_type = RecordType::AAAA;
    assert!(read(&wire, &aaaa, PEER, Transport::Tcp).is_none());
}

/// An answer with a record in it, in octets that hickory would write otherwise: the owner is not compressed.
fn answer() -> Vec<u8> {
    let mut octets = message("a.", |message| {
        message.metadata.message_type = MessageType::Response;
    });
    octets[7] = 1;
    octets.extend_from_slice(&[1, b'A', 0, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
    octets
}

#[tokio::test]
async fn our_handle_gets_octets_and_any_other_gets_records() {
    let wire = message("a.", |_| {});
    let query = Query::read(&wire).expect("a query");
    let request = read(&wire, &query, PEER, Transport::Tcp).expect("read by both");

    let got = Arc::new(Mutex::new(Vec::new()));
    let mut ours = SlotReply::new({
        let got = Arc::clone(&got);
        move |octets| *got.lock().expect("unpoisoned") = octets
    });
    let info = send(answer(), &request, &mut ours).await.expect("sent");
    assert_eq!(info.counts().answers, 1);
    assert_eq!(*got.lock().expect("unpoisoned"), answer());

    let (stream, mut sent) = BufDnsStreamHandle::new(PEER);
    let mut theirs = ResponseHandle::new(PEER, stream, Protocol::Tcp);
    send(answer(), &request, &mut theirs).await.expect("sent");
    let message = futures_util::StreamExt::next(&mut sent)
        .await
        .expect("a message");
    let message = Message::from_vec(message.bytes()).expect("decodes");
    assert_eq!(
        message.answers[0].data,
        RData::A(A(Ipv4Addr::new(192, 0, 2, 1)))
    );
    assert_eq!(message.metadata.id, 0x1234);
}
