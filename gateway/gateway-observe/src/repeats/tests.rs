use std::time::{Duration, UNIX_EPOCH};

use super::{INTERVAL, MOST_KINDS, Repeats};
use crate::destination::{Destination, Protocol};
use crate::record::{FlowRecord, Record};
use crate::ruling::Ruling;
use crate::times::Times;
use crate::timestamp::Timestamp;
use crate::verdict::Verdict;

#[test]
fn the_first_is_written_at_once_and_the_rest_once_an_interval() {
    let mut repeats = Repeats::default();
    assert_eq!(
        repeats.take(flow(1, 80), seconds(0)),
        Some(flow(1, 80)),
        "nobody waits for the first"
    );
    for second in [2, 3, 4] {
        assert_eq!(repeats.take(flow(second, 80), Duration::ZERO), None);
    }
    assert_eq!(repeats.due(INTERVAL / 2), []);
    assert_eq!(repeats.wait(INTERVAL / 2), Some(INTERVAL / 2));
    let rest = counted(flow(2, 80), 3, 4);
    assert_eq!(repeats.due(INTERVAL), [rest]);

    assert_eq!(
        repeats.take(flow(5, 80), INTERVAL),
        None,
        "it goes on: still a line an interval"
    );
    assert_eq!(repeats.due(INTERVAL * 2), [flow(5, 80)]);
    assert_eq!(repeats.due(INTERVAL * 3), [], "it has stopped");
    assert_eq!(repeats.wait(INTERVAL * 3), None);
    assert_eq!(
        repeats.take(flow(9, 80), INTERVAL * 3),
        Some(flow(9, 80)),
        "and begins again"
    );
}

#[test]
fn what_differs_in_substance_is_told_apart() {
    let mut by_another = flow(1, 80);
    if let Record::Flow(flow) = &mut by_another {
        flow.comm = Some("python".to_owned());
    }
    let mut repeats = Repeats::default();
    for other in [flow(1, 80), flow(1, 81), by_another] {
        assert_eq!(repeats.take(other.clone(), Duration::ZERO), Some(other));
    }
    let mut another_process = flow(1, 80);
    if let Record::Flow(flow) = &mut another_process {
        flow.pid = Some(2);
    }
    assert_eq!(repeats.take(another_process, Duration::ZERO), None);
}

#[test]
fn no_count_is_lost() {
    let mut repeats = Repeats::default();
    let mut told = 0;
    let sent = 10_000;
    for n in 0..sent {
        let now = Duration::from_millis(n);
        let port = u16::try_from(n % 7).unwrap();
        told += repeats.take(flow(n, port), now).map_or(0, |r| r.count());
        told += repeats.due(now).iter().map(Record::count).sum::<u64>();
    }
    told += repeats.finish().iter().map(Record::count).sum::<u64>();
    assert_eq!(told, sent);
}

#[test]
fn beyond_the_limit_of_kinds_each_is_a_line() {
    let mut repeats = Repeats::default();
    for port in 0..u16::try_from(MOST_KINDS).unwrap() {
        repeats.take(flow(0, port), Duration::ZERO);
    }
    let more = flow(0, u16::MAX);
    for _ in 0..2 {
        assert_eq!(
            repeats.take(more.clone(), Duration::ZERO),
            Some(more.clone())
        );
    }
    assert_eq!(repeats.kinds.len(), MOST_KINDS);
}

fn counted(mut record: Record, count: u64, until: u64) -> Record {
    if let Record::Flow(flow) = &mut record {
        flow.times = Times {
            count,
            until: Some(at(until)),
        };
    }
    record
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(second: u64) -> Timestamp {
    Timestamp(UNIX_EPOCH + seconds(second))
}

fn flow(second: u64, port: u16) -> Record {
    Record::Flow(FlowRecord {
        ts: at(second),
        times: Times::ONCE,
        verdict: Verdict::Deny,
        would: Verdict::Deny,
        workload: "run".to_owned(),
        hook: "connect",
        pid: Some(1),
        comm: Some("curl".to_owned()),
        destination: Destination::new([192, 0, 2, 1].into(), Protocol(6), port),
        names: Vec::new(),
        established: false,
        ruling: Ruling::plain("isolated", "no rule allows it"),
    })
}
