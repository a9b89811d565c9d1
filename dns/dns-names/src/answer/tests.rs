use std::net::Ipv4Addr;

use hickory_proto::op::{
    Edns as WireEdns, Message, MessageType, OpCode, Query as WireQuery, ResponseCode,
};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::svcb::{
    Alpn, EchConfigList, IpHint, Mandatory, SVCB, SvcParamKey, SvcParamValue,
};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, HTTPS, NULL, SOA};
use hickory_proto::rr::{Name as WireName, RData, Record, RecordType as WireType};
use proptest::prelude::*;
use test_case::test_case;

use super::*;
use crate::codes::RecordType;
use crate::query::Edns;

fn wire_name(text: &str) -> WireName {
    WireName::from_ascii(text).expect("a name")
}

fn query(name: &str, record_type: RecordType) -> Query {
    Query::new(7, Name::parse(name).expect("a name"), record_type)
}

/// `owner ttl TYPE data`
fn record(line: &str) -> Record {
    let [owner, ttl, kind, data] = line.split(' ').collect::<Vec<_>>()[..] else {
        panic!("four words: {line}")
    };
    let data = match kind {
        "A" => RData::A(A(data.parse().expect("IPv4"))),
        "AAAA" => RData::AAAA(AAAA(data.parse().expect("IPv6"))),
        "CNAME" => RData::CNAME(CNAME(wire_name(data))),
        "SOA" => RData::SOA(SOA::new(
            wire_name("ns."),
            wire_name("root."),
            1,
            2,
            3,
            4,
            data.parse().expect("MINIMUM"),
        )),
        _ => RData::Unknown {
            code: WireType::from(kind.parse::<RecordType>().expect("a type").0),
            rdata: NULL::with(data.as_bytes().to_vec()),
        },
    };
    Record::from_rdata(wire_name(owner), ttl.parse().expect("a TTL"), data)
}

fn message(query: &Query, change: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message::new(query.id, MessageType::Response, OpCode::Query);
    message.metadata.recursion_available = true;
    message.metadata.authoritative = true;
    message.metadata.authentic_data = true;
    message.add_query(WireQuery::query(
        wire_name(query.name.as_str()),
        WireType::from(query.record_type.0),
    ));
    change(&mut message);
    message.to_vec().expect("encodes")
}

fn answer(query: &Query, lines: &[&str]) -> Vec<u8> {
    message(query, |message| {
        message.answers = lines.iter().map(|line| record(line)).collect()
    })
}

fn show(answer: &Answer) -> String {
    let addresses: Vec<String> = answer
        .addresses()
        .iter()
        .map(|a| format!("{}/{}", a.ip, a.ttl))
        .collect();
    let chain: Vec<&str> = answer.chain().iter().map(Name::as_str).collect();
    format!("{} | {}", chain.join(" "), addresses.join(" "))
}

fn reply(answer: &Answer, query: &Query, age: u32) -> Message {
    let mut out = Vec::new();
    answer.write_reply(query, age, Transport::Udp, None, &mut out);
    Message::from_vec(&out).expect("decodes")
}

#[test_case(&["a. 60 A 192.0.2.1", "a. 60 A 192.0.2.2"] => "a. | 192.0.2.1/60 192.0.2.2/60"; "two addresses")]
#[test_case(&["a. 60 CNAME b.", "b. 30 A 192.0.2.1", "b. 90 AAAA 2001:db8::1"] => "a. b. | 192.0.2.1/30 2001:db8::1/60"; "alias")]
#[test_case(&["a. 2147483648 A 192.0.2.1"] => "a. | 192.0.2.1/0"; "a TTL with the top bit is zero")]
#[test_case(&["x. 60 A 192.0.2.1"] => "a. | "; "foreign owner")]
fn chain_and_addresses(lines: &[&str]) -> String {
    let query = query("a", RecordType::A);
    show(&Answer::read(&answer(&query, lines), &query).expect("an answer"))
}

#[test]
fn an_untouched_answer_keeps_its_octets() {
    let query = query("a", RecordType::ANY);
    let wire = answer(
        &query,
        &[
            "a. 60 A 192.0.2.1",
            "a. 60 TYPE46 signature",
            "a. 60 TYPE65280 whatever",
        ],
    );
    let read = Answer::read(&wire, &query).expect("an answer");
    assert_eq!(&*read.wire, &wire[..]);
    let mut out = Vec::new();
    let asked = Query {
        authentic_data: true,
        ..query.asked_with(99)
    };
    assert_eq!(
        read.write_reply(&asked, 0, Transport::Udp, None, &mut out),
        Truncation::Whole
    );
    assert_eq!(&out[..2], [0, 99]);
    assert_eq!(&out[4..], &wire[4..]);
    let reply = Message::from_vec(&out).expect("decodes");
    assert!(
        reply.metadata.recursion_desired
            && reply.metadata.authentic_data
            && reply.metadata.authoritative
    );
}

#[test]
fn stray_addresses_are_removed_and_the_rest_stays() {
    let query = query("a", RecordType::A);
    let wire = answer(
        &query,
        &[
            "x. 60 A 192.0.2.66",
            "a. 60 CNAME b.",
            "b. 60 A 192.0.2.1",
            "x. 60 TYPE65280 whatever",
        ],
    );
    let read = Answer::read(&wire, &query).expect("an answer");
    assert_eq!(show(&read), "a. b. | 192.0.2.1/60");
    assert_eq!(
        read.resolution().strays,
        [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 66))]
    );
    let kept: Vec<String> = reply(&read, &query, 0)
        .answers
        .iter()
        .map(|r| format!("{} {}", r.name, r.record_type()))
        .collect();
    assert_eq!(kept, ["a. CNAME", "b. A", "x. Unknown"]);
}

#[test]
fn hints_and_ech_are_removed_everywhere() {
    let query = query("a", RecordType::HTTPS);
    let params = vec![
        (
            SvcParamKey::Mandatory,
            SvcParamValue::Mandatory(Mandatory(vec![SvcParamKey::Ipv4Hint])),
        ),
        (
            SvcParamKey::Alpn,
            SvcParamValue::Alpn(Alpn(vec!["h2".to_owned()])),
        ),
        (
            SvcParamKey::Ipv4Hint,
            SvcParamValue::Ipv4Hint(IpHint(vec![A::new(192, 0, 2, 1)])),
        ),
        (
            SvcParamKey::EchConfigList,
            SvcParamValue::EchConfigList(EchConfigList(vec![1, 2])),
        ),
        (
            SvcParamKey::Ipv6Hint,
            SvcParamValue::Ipv6Hint(IpHint(vec![AAAA::new(0, 0, 0, 0, 0, 0, 0, 1)])),
        ),
    ];
    let svcb = SVCB::new(1, wire_name("."), params);
    let wire = message(&query, |message| {
        message.add_answer(Record::from_rdata(
            wire_name("a."),
            60,
            RData::HTTPS(HTTPS(svcb.clone())),
        ));
        message.add_additional(Record::from_rdata(wire_name("b."), 60, RData::SVCB(svcb)));
    });
    let read = Answer::read(&wire, &query).expect("an answer");
    assert_eq!((read.hints_removed(), read.cache_ttl()), (6, Some(60)));
    let reply = reply(&read, &query, 0);
    for record in reply.answers.iter().chain(&reply.additionals) {
        let (RData::HTTPS(HTTPS(svcb)) | RData::SVCB(svcb)) = &record.data else {
            panic!("{record:?}")
        };
        assert_eq!(
            svcb.svc_params
                .iter()
                .map(|(key, _)| *key)
                .collect::<Vec<_>>(),
            [SvcParamKey::Alpn]
        );
    }
}

#[test]
fn addresses_are_taken_out_one_by_one() {
    let query = query("a", RecordType::A);
    let wire = message(&query, |message| {
        message.answers = vec![record("a. 60 A 192.0.2.1"), record("a. 60 A 10.0.0.1")];
        message.additionals = vec![record("b. 60 A 10.0.0.1")];
    });
    let read = Answer::read(&wire, &query).expect("an answer");
    let filtered = read
        .without(&["10.0.0.1".parse().expect("IPv4")])
        .expect("rewritten");
    assert_eq!(show(&filtered), "a. | 192.0.2.1/60");
    let reply = reply(&filtered, &query, 20);
    assert_eq!(
        (
            reply.answers.len(),
            reply.additionals.len(),
            reply.answers[0].ttl
        ),
        (1, 0, 40)
    );
}

#[test]
fn an_aged_reply_counts_down_and_is_not_authoritative() {
    let query = query("a", RecordType::A);
    let wire = message(&query, |message| {
        message.answers = vec![record("a. 60 A 192.0.2.1")];
        message.authorities = vec![record("a. 10 TYPE65280 x")];
    });
    let read = Answer::read(&wire, &query).expect("an answer");
    let reply = reply(&read, &query, 20);
    assert_eq!((reply.answers[0].ttl, reply.authorities[0].ttl), (40, 0));
    assert!(!reply.metadata.authoritative && !reply.metadata.authentic_data);
}

/// A client that is told more than was counted uses an address that is closed.
#[test_case(&["a. 4294967295 A 192.0.2.1"], 0 => vec![0]; "all bits")]
#[test_case(&["a. 2147483648 A 192.0.2.1"], 0 => vec![0]; "the upper bit alone")]
#[test_case(&["a. 2147483647 A 192.0.2.1"], 0 => vec![2_147_483_647]; "the most there is")]
#[test_case(&["a. 4294967295 A 192.0.2.1"], 20 => vec![0]; "all bits, from the cache")]
#[test_case(&["a. 60 A 192.0.2.1", "a. 30 A 192.0.2.2"], 0 => vec![30, 30]; "the least of a set")]
#[test_case(&["a. 20 CNAME b.", "b. 300 A 192.0.2.1"], 5 => vec![15, 15]; "the least of a chain")]
#[test_case(&["a. 60 CNAME b.", "a. 9 A 192.0.2.1", "b. 70 A 192.0.2.1"], 0 => vec![60, 9, 60]; "nothing is raised")]
#[test_case(&["a. 60 A 192.0.2.1", "a. 4294967295 TYPE65280 x"], 0 => vec![60, 0]; "no address")]
fn the_ttl_that_leaves_is_the_one_that_was_counted(lines: &[&str], age: u32) -> Vec<u32> {
    let asked = query("a", RecordType::A);
    let read = Answer::read(&answer(&asked, lines), &asked).expect("an answer");
    let mut out = Vec::new();
    read.write_reply(&asked, age, Transport::Tcp, None, &mut out);
    raw_ttls(&out, read.question_end)
}

#[test]
fn a_rewritten_answer_says_the_ttl_that_was_counted() {
    let asked = query("a", RecordType::A);
    let lines = [
        "x. 60 A 192.0.2.9",
        "a. 20 CNAME b.",
        "b. 4294967295 A 192.0.2.1",
        "b. 50 A 192.0.2.2",
    ];
    let read = Answer::read(&answer(&asked, &lines), &asked).expect("an answer");
    let read = read
        .without(&["192.0.2.2".parse().expect("IPv4")])
        .expect("rewritten");
    let mut out = Vec::new();
    read.write_reply(&asked, 0, Transport::Tcp, None, &mut out);
    assert_eq!(raw_ttls(&out, read.question_end), [20, 0]);
}

/// As they stand there, whatever a reader makes of them.
fn raw_ttls(message: &[u8], question_end: usize) -> Vec<u32> {
    let header = Header::read(message).expect("a header");
    let mut ttls = Vec::new();
    wire::for_each_record(message, &header, question_end, |record| {
        ttls.push(record.ttl)
    })
    .expect("records");
    ttls
}

#[test]
fn the_upstreams_opt_record_stays_behind_and_its_words_do_not() {
    let asked = query("a", RecordType::A);
    let wire = message(&asked, |message| {
        message.answers = vec![record("a. 60 A 192.0.2.1")];
        let mut edns = WireEdns::new();
        edns.options_mut()
            .insert(EdnsOption::Unknown(15, [&[0, 3][..], b"stale"].concat()));
        edns.options_mut()
            .insert(EdnsOption::Unknown(10, vec![1; 16]));
        message.set_edns(edns);
    });
    let read = Answer::read(&wire, &asked).expect("an answer");
    assert_eq!(read.extended_errors(), [ExtendedError::new(3, "stale")]);
    assert!(reply(&read, &asked, 0).edns.is_none());
    let with = Query {
        edns: Some(Edns {
            udp_size: 1232,
            version: 0,
            dnssec_ok: true,
        }),
        ..asked
    };
    let edns = reply(&read, &with, 0).edns.expect("an OPT record");
    assert!(edns.flags().dnssec_ok);
    let codes: Vec<u16> = edns
        .options()
        .as_ref()
        .iter()
        .map(|(code, _)| u16::from(*code))
        .collect();
    assert_eq!(codes, [15]);
}

#[test]
fn an_opt_record_in_the_middle_is_taken_out() {
    let asked = query("a", RecordType::A);
    let mut wire = message(&asked, |message| {
        message.answers = vec![record("a. 60 A 192.0.2.1")];
        message.set_edns(WireEdns::new());
    });
    // A plain record after the OPT record.
    wire.extend_from_slice(&[1, b'b', 0, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 9]);
    wire[11] = 2;
    let reply = reply(&Answer::read(&wire, &asked).expect("an answer"), &asked, 0);
    assert_eq!((reply.edns.is_none(), reply.additionals.len()), (true, 1));
}

#[test]
fn what_does_not_fit_is_cut_to_the_question() {
    let asked = query("a", RecordType::A);
    let lines: Vec<String> = (0..60).map(|n| format!("a. 60 A 192.0.2.{n}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let read = Answer::read(&answer(&asked, &lines), &asked).expect("an answer");
    let mut out = Vec::new();
    assert_eq!(
        read.write_reply(&asked, 0, Transport::Udp, None, &mut out),
        Truncation::Cut
    );
    let cut = Message::from_vec(&out).expect("decodes");
    assert!(cut.metadata.truncation && cut.answers.is_empty() && cut.queries.len() == 1);
    assert_eq!(
        read.write_reply(&asked, 0, Transport::Tcp, None, &mut out),
        Truncation::Whole
    );
    let edns = |udp_size| Query {
        edns: Some(Edns {
            udp_size,
            version: 0,
            dnssec_ok: false,
        }),
        ..asked.clone()
    };
    assert_eq!(
        read.write_reply(&edns(1232), 0, Transport::Udp, None, &mut out),
        Truncation::Whole
    );
    assert_eq!(
        read.write_reply(&edns(600), 0, Transport::Udp, None, &mut out),
        Truncation::Cut
    );
    assert!(Message::from_vec(&out).expect("decodes").edns.is_some());
}

#[test]
fn the_question_comes_back_in_the_clients_case() {
    let asked = query("example.com", RecordType::A);
    let read =
        Answer::read(&answer(&asked, &["EXAMPLE.com. 60 A 192.0.2.1"]), &asked).expect("an answer");
    assert_eq!(show(&read), "example.com. | 192.0.2.1/60");
    let client = Query::read(
        b"\x00\x63\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07eXaMpLe\x03COM\x00\x00\x01\x00\x01",
    )
    .expect("a query");
    assert_eq!(
        reply(&read, &client, 0).queries[0].name().to_ascii(),
        "eXaMpLe.COM."
    );
}

#[test_case(|m| m.metadata.id = 8, AnswerError::WrongId { got: 8, expected: 7 }; "wrong id")]
#[test_case(|m| { m.metadata.message_type = MessageType::Query; }, AnswerError::NotAResponse; "a query")]
#[test_case(|m| { m.queries[0].set_name(wire_name("b.")); }, AnswerError::WrongQuestion; "wrong name")]
#[test_case(|m| { m.queries[0].set_query_type(WireType::AAAA); }, AnswerError::WrongQuestion; "wrong type")]
#[test_case(|m| { m.queries[0].set_query_class(hickory_proto::rr::DNSClass::CH); }, AnswerError::WrongQuestion; "wrong class")]
#[test_case(|m| m.queries.clear(), AnswerError::WrongQuestion; "no question")]
#[test_case(|m| { m.queries.clear(); m.metadata.response_code = ResponseCode::FormErr; }, AnswerError::BareError { rcode: Rcode::FORMERR }; "bare error")]
#[test_case(|m| m.metadata.truncation = true, AnswerError::Truncated; "truncated")]
#[test_case(|m| m.answers = vec![record("a. 60 TYPE1 abc")], AnswerError::Malformed; "an address of three octets")]
#[test_case(|m| m.answers = vec![record("a. 60 CNAME a.")], AnswerError::Chain(ChainError::Loop { name: Name::parse("a").expect("a name") }); "a loop")]
fn not_an_answer(change: fn(&mut Message), error: AnswerError) {
    let asked = query("a", RecordType::A);
    assert_eq!(Answer::read(&message(&asked, change), &asked), Err(error));
}

#[test_case(|m| m.answers = vec![record("a. 60 A 192.0.2.1"), record("a. 50 A 192.0.2.2")], Some(50); "the least of the answer")]
#[test_case(|m| { m.metadata.response_code = ResponseCode::NXDomain; m.authorities = vec![record(". 900 SOA 300")]; }, Some(300); "no such name, by the SOA's minimum")]
#[test_case(|m| { m.metadata.response_code = ResponseCode::NXDomain; m.authorities = vec![record(". 100 SOA 300")]; }, Some(100); "no such name, by the SOA's TTL")]
#[test_case(|m| { m.answers = vec![record("a. 20 CNAME b.")]; m.authorities = vec![record(". 900 SOA 300")]; }, Some(20); "no such type behind an alias")]
#[test_case(|m| m.metadata.response_code = ResponseCode::NXDomain, None; "negative without SOA")]
#[test_case(|m| m.answers = vec![record("a. 20 CNAME b.")], None; "an alias and nothing else")]
#[test_case(|m| { m.metadata.response_code = ResponseCode::ServFail; m.authorities = vec![record(". 900 SOA 300")]; }, None; "failure")]
fn cache_ttl(change: fn(&mut Message), ttl: Option<u32>) {
    let asked = query("a", RecordType::A);
    assert_eq!(
        Answer::read(&message(&asked, change), &asked)
            .expect("an answer")
            .cache_ttl(),
        ttl
    );
}

/// Arbitrary answers about few names, so that chains, loops and strays all happen.
fn arbitrary_records() -> impl Strategy<Value = Vec<String>> {
    let owner = prop::sample::select(vec!["a.", "b.", "c.", "x.y.", "A."]);
    let data = prop_oneof![
        any::<u32>().prop_map(|ip| format!("A {}", Ipv4Addr::from(ip))),
        any::<u128>().prop_map(|ip| format!("AAAA {}", std::net::Ipv6Addr::from(ip))),
        prop::sample::select(vec!["a.", "b.", "c.", "x.y."])
            .prop_map(|name| format!("CNAME {name}")),
        Just("TYPE65280 opaque".to_owned()),
    ];
    prop::collection::vec(
        (owner, any::<u32>(), data).prop_map(|(owner, ttl, data)| format!("{owner} {ttl} {data}")),
        0..8,
    )
}

/// What hickory reads in the message, followed naively: every address the question's aliases can reach.
fn reachable(wire: &[u8], question: &Name) -> Vec<IpAddr> {
    let Ok(message) = Message::from_vec(wire) else {
        return Vec::new();
    };
    let ours = |name: &WireName| Name::from_labels(name.iter()).expect("a name");
    let mut names = vec![question.clone()];
    let mut at = 0;
    while let Some(name) = names.get(at).cloned() {
        for record in &message.answers {
            if let RData::CNAME(target) = &record.data
                && ours(&record.name) == name
                && !names.contains(&ours(&target.0))
            {
                names.push(ours(&target.0));
            }
        }
        at += 1;
    }
    let address = |record: &Record| {
        if let RData::A(a) = &record.data {
            return Some(IpAddr::V4(a.0));
        }
        if let RData::AAAA(a) = &record.data {
            Some(IpAddr::V6(a.0))
        } else {
            None
        }
    };
    message
        .answers
        .iter()
        .filter(|r| names.contains(&ours(&r.name)))
        .filter_map(address)
        .collect()
}

proptest! {
    #[test]
    fn no_address_off_the_chain(lines in arbitrary_records()) {
        let asked = query("a", RecordType::A);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let wire = answer(&asked, &lines);
        if let Ok(read) = Answer::read(&wire, &asked) {
            let reachable = reachable(&wire, &asked.name);
            prop_assert!(read.addresses().iter().all(|address| reachable.contains(&address.ip)));
            let mut out = Vec::new();
            read.write_reply(&asked, 1, Transport::Tcp, None, &mut out);
            let released = reply(&read, &asked, 0);
            let released = released.answers.iter().filter(|r| matches!(r.record_type(), WireType::A | WireType::AAAA)).count();
            prop_assert!(released >= read.addresses().len());
            // What the client can read is what was learned.
            let read_again = Answer::read(&out, &asked).expect("our own reply");
            prop_assert!(read_again.resolution().strays.is_empty());
        }
    }

    #[test]
    fn damaged_answers_never_panic(lines in arbitrary_records(), damage in prop::collection::vec((2usize..300, any::<u8>()), 0..4), cut in 12usize..400) {
        let asked = query("a", RecordType::A);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let mut wire = answer(&asked, &lines);
        for (at, octet) in damage {
            if let Some(slot) = wire.get_mut(at) { *slot = octet; }
        }
        wire.truncate(cut);
        if let Ok(read) = Answer::read(&wire, &asked) {
            let mut out = Vec::new();
            read.write_reply(&asked, 5, Transport::Udp, None, &mut out);
            if let Some(first) = read.addresses().first() {
                let _filtered = read.without(&[first.ip]);
            }
        }
    }

    #[test]
    fn garbage_never_panics(wire in prop::collection::vec(any::<u8>(), 0..200)) {
        let asked = query("a", RecordType::A);
        let mut message = vec![0, 7, 0x80, 0, 0, 1, 0, 3, 0, 2, 0, 2, 1, b'a', 0, 0, 1, 0, 1];
        message.extend_from_slice(&wire);
        let _read = Answer::read(&message, &asked);
        let _read = Answer::read(&wire, &asked);
    }
}
