use hickory_proto::op::{Edns as WireEdns, Message, MessageType, OpCode, Query as WireQuery};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{Name as WireName, RecordType as WireType};
use proptest::prelude::*;
use test_case::test_case;

use super::*;

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

/// What a client sends, built by hickory.
fn message(question: &str, change: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(WireQuery::query(
        WireName::from_ascii(question).expect("a name"),
        WireType::AAAA,
    ));
    change(&mut message);
    message.to_vec().expect("encodes")
}

fn edns(size: u16, dnssec_ok: bool) -> WireEdns {
    let mut edns = WireEdns::new();
    edns.set_max_payload(size).set_dnssec_ok(dnssec_ok);
    edns
}

#[test]
fn everything_a_query_says_is_read() {
    let wire = message("wWw.ExAmple.com.", |message| {
        message.metadata.checking_disabled = true;
        message.metadata.authentic_data = true;
        let mut edns = edns(1400, true);
        edns.options_mut()
            .insert(EdnsOption::Unknown(10, vec![1; 8]));
        message.set_edns(edns);
    });
    let query = Query::read(&wire).expect("a query");
    assert_eq!(query.to_string(), "www.example.com. AAAA");
    assert_eq!(
        (query.id, query.class, query.recursion_desired),
        (0x1234, 1, true)
    );
    assert_eq!(
        (query.checking_disabled, query.authentic_data),
        (true, true)
    );
    assert_eq!(
        query.edns,
        Some(Edns {
            udp_size: 1400,
            version: 0,
            dnssec_ok: true
        })
    );
}

#[test]
fn upstreams_are_asked_from_parts_and_nothing_else_passes() {
    let wire = message("wWw.ExAmple.com.", |message| {
        message.metadata.checking_disabled = true;
        let mut edns = edns(4096, true);
        edns.options_mut()
            .insert(EdnsOption::Unknown(65001, b"secret".to_vec()));
        message.set_edns(edns);
    });
    let query = Query::read(&wire).expect("a query").asked_with(7);
    let read = Message::from_vec(&query.to_upstream(UpstreamEdns::With)).expect("decodes");
    assert_eq!(
        (read.metadata.id, read.queries[0].name().to_ascii()),
        (7, "www.example.com.".to_owned())
    );
    assert!(
        read.metadata.recursion_desired
            && read.metadata.checking_disabled
            && read.metadata.authentic_data
    );
    let read_edns = read.edns.expect("an OPT record");
    assert!(read_edns.flags().dnssec_ok && read_edns.options().as_ref().is_empty());
    assert_eq!(read_edns.max_payload(), 1232);
    let read = Message::from_vec(&query.to_upstream(UpstreamEdns::Without)).expect("decodes");
    assert!(read.edns.is_none());
}

#[test_case(&[], QueryError::TooShort, None; "empty")]
#[test_case(&[0; 11], QueryError::TooShort, None; "short header")]
#[test_case(&[0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0], QueryError::Response, None; "a response")]
#[test_case(&[0, 1, 0x28, 0, 0, 1, 0, 0, 0, 0, 0, 0], QueryError::Opcode { opcode: 5 }, Some(4); "an update")]
#[test_case(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], QueryError::QuestionCount { count: 0 }, Some(1); "no question")]
#[test_case(&[0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0], QueryError::QuestionCount { count: 2 }, Some(1); "two questions")]
#[test_case(&[0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a'], QueryError::Malformed, Some(1); "cut name")]
#[test_case(&[0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1], QueryError::Malformed, Some(1); "a pointer")]
#[test_case(&[0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 1], QueryError::Malformed, Some(1); "a missing record")]
fn unreadable(message: &[u8], error: QueryError, rcode: Option<u8>) {
    assert_eq!(Query::read(message), Err(error));
    let reply = error.reply(message);
    assert_eq!(
        reply
            .as_ref()
            .map(|reply| (reply[0..2].to_vec(), reply[3] & 15)),
        rcode.map(|rcode| (vec![0, 1], rcode))
    );
}

#[test]
fn two_opt_records_are_refused() {
    let mut wire = message("a.", |message| {
        message.set_edns(edns(1232, false));
    });
    let opt = wire[wire.len() - 11..].to_vec();
    wire.extend_from_slice(&opt);
    wire[11] = 2;
    assert_eq!(Query::read(&wire), Err(QueryError::SeveralOpt));
}

#[test_case(None, 512; "without EDNS")]
#[test_case(Some(100), 512; "below the minimum")]
#[test_case(Some(1232), 1232; "as announced")]
#[test_case(Some(65535), 4096; "above the maximum")]
fn udp_replies_fit_their_client(size: Option<u16>, limit: usize) {
    let query = Query {
        edns: size.map(|udp_size| Edns {
            udp_size,
            version: 0,
            dnssec_ok: false,
        }),
        ..Query::new(1, name("a"), RecordType::A)
    };
    assert_eq!(
        (
            query.reply_limit(Transport::Udp),
            query.reply_limit(Transport::Tcp)
        ),
        (limit, 65535)
    );
}

proptest! {
    #[test]
    fn read_never_panics(wire in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Err(error) = Query::read(&wire) {
            let _reply = error.reply(&wire);
        }
    }

    #[test]
    fn damaged_queries_never_panic(at in 0usize..60, octet in any::<u8>(), cut in 0usize..80) {
        let mut wire = message("wWw.ExAmple.com.", |message| { message.set_edns(edns(1232, true)); });
        if let Some(slot) = wire.get_mut(at) { *slot = octet; }
        wire.truncate(cut.max(12));
        if let Ok(query) = Query::read(&wire) {
            let _upstream = query.to_upstream(UpstreamEdns::With);
        }
    }

    #[test]
    fn any_name_comes_back_in_the_case_it_was_asked(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..30), 0..7)) {
        let mut wire = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in &labels {
            wire.push(u8::try_from(label.len()).expect("short"));
            wire.extend_from_slice(label);
        }
        wire.extend_from_slice(&[0, 0, 1, 0, 1]);
        let query = Query::read(&wire).expect("a query");
        let mut again = query.to_upstream(UpstreamEdns::Without);
        query.restore_case(&mut again);
        prop_assert_eq!(&again[12..], &wire[12..]);
    }
}
