use std::fs::{self, OpenOptions};
use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::{Report, ReportError, WAITING, Written};
use crate::record::{GuardRecord, Record};
use crate::ruling::Ruling;
use crate::tally::Tally;
use crate::times::Times;
use crate::timestamp::Timestamp;
use crate::verdict::Verdict;

#[test]
fn lines_are_written_in_order_and_the_summary_last() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.jsonl");
    fs::write(&path, "what an earlier run left\n").unwrap();
    let report = Report::create(&path, None).unwrap();
    let recorder = report.recorder();
    recorder.record(guard(60));
    recorder.record(guard(61));
    assert_eq!(
        close(report).unwrap(),
        Written {
            lines: 3,
            unwritten: 0
        }
    );
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines[0],
        serde_json::json!({
            "kind": "guard",
            "ts": "1970-01-01T00:00:00.000000Z",
            "count": 1,
            "verdict": "deny",
            "workload": "run",
            "name": "www.example.com",
            "address": "10.0.0.60",
            "class": "private",
            "code": "guard-rebinding",
            "reason": "",
        })
    );
    assert_eq!(lines[1]["address"], "10.0.0.61");
    assert_eq!(lines[2]["kind"], "summary");
}

#[test]
fn a_reader_that_does_not_read_blocks_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let mut reader = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let report = Report::create(&path, None).unwrap();
    let recorder = report.recorder();
    let sent = WAITING * 3;
    for _ in 0..sent {
        recorder.record(guard(60));
    }
    assert!(
        recorder.dropped.load(Ordering::Relaxed) > 0,
        "the pipe and the queue took all of {sent} lines"
    );
    let closing = std::thread::spawn(move || close(report));
    let mut read = Vec::new();
    let mut buffer = [0; 65_536];
    while !read.ends_with(b"}\n") || !last_line(&read).contains("\"summary\"") {
        let count = reader.read(&mut buffer).unwrap();
        read.extend_from_slice(&buffer[..count]);
    }
    let written = closing.join().unwrap().unwrap();
    assert_eq!(written.lines + written.unwritten, sent as u64 + 1);
}

/// It would be waited for without end, and a signal would not help.
#[test]
fn a_pipe_that_nobody_reads_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let refused = Report::create(&path, None);
    assert!(
        matches!(refused, Err(ReportError::NoReader { .. })),
        "{refused:?}"
    );
}

#[test]
fn two_reports_do_not_share_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.jsonl");
    let first = Report::create(&path, None).unwrap();
    first.recorder().record(guard(60));
    let second = Report::create(&path, None);
    assert!(
        matches!(second, Err(ReportError::InUse { .. })),
        "{second:?}"
    );
    assert_eq!(close(first).unwrap().lines, 2);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    close(Report::create(&path, None).unwrap()).unwrap();
}

#[test]
fn a_full_disk_is_told_at_the_end() {
    let report = Report::create(Path::new("/dev/full"), None).unwrap();
    report.recorder().record(guard(60));
    assert!(matches!(close(report), Err(ReportError::Write { .. })));
}

#[test]
fn what_comes_after_the_end_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let report = Report::create(&dir.path().join("report.jsonl"), None).unwrap();
    let recorder = report.recorder();
    close(report).unwrap();
    recorder.record(guard(60));
    assert_eq!(recorder.dropped.load(Ordering::Relaxed), 1);
}

#[test]
fn a_report_ends_at_its_limit_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.jsonl");
    let limit = 10_000;
    let report = Report::create(&path, Some(limit)).unwrap();
    let sent: u64 = 1_000;
    for _ in 0..sent {
        report.recorder().record(guard(60));
    }
    let written = close(report).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [records @ .., cut, summary] = lines.as_slice() else {
        panic!("no end: {text}");
    };
    assert!(!records.is_empty());
    assert!(records.iter().all(|line| line["kind"] == "guard"));
    assert_eq!(records.len() as u64 + written.unwritten, sent);
    let length: usize = text.lines().take(records.len()).map(|l| l.len() + 1).sum();
    assert!(length as u64 <= limit && (length + length / records.len()) as u64 > limit);
    assert_eq!(
        (&cut["kind"], &cut["limit"]),
        (&"cut".into(), &limit.into())
    );
    assert_eq!(summary["unwritten"], written.unwritten);
}

fn close(report: Report) -> Result<Written, ReportError> {
    let drained = report.drain()?;
    let last = summary(drained.unwritten());
    drained.close(&last)
}

fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.lines().last().unwrap_or_default().to_owned()
}

fn summary(unwritten: u64) -> Record {
    Record::Summary(Tally::default().summary(Timestamp(UNIX_EPOCH), 0, unwritten))
}

fn guard(last: u8) -> Record {
    Record::Guard(GuardRecord {
        ts: Timestamp(UNIX_EPOCH),
        times: Times::ONCE,
        verdict: Verdict::Deny,
        workload: "run".to_owned(),
        name: "www.example.com".to_owned(),
        address: [10, 0, 0, last].into(),
        class: "private",
        ruling: Ruling::plain("guard-rebinding", ""),
    })
}
