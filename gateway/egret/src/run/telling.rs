//! Tells of a run: lines on standard error, the report file, the summary at the end.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use dns_bindings::Limit;
use gateway_observe::{
    Destination, Drained, FlowRecord, GuardRecord, LimitEffect, LimitRecord, Protocol, QueryRecord,
    Record, Recorder, Repeats, Report, Ruling, Tally, Times, Timestamp, Verdict,
};
use gateway_sandbox::Notice;
use gateway_state::Mode;
use policy_model::Guarded;

use crate::cli::RunArgs;
use crate::clock::since_boot;
use crate::run::failure::Failure;
use crate::run::observation::{Asked, Limited, Observation, Observer, Seen, Stripped};
use crate::run::words::say;

const MIB: u64 = 1 << 20;

/// Writes down what is observed, on a thread of its own.
#[derive(Debug)]
pub(super) struct Telling {
    quiet: bool,
    report: Option<Report>,
    thread: JoinHandle<Tally>,
    observer_lost: Arc<AtomicU64>,
    kernel_lost: Arc<AtomicU64>,
}

impl Telling {
    /// Starts writing; makes the report file.
    ///
    /// # Errors
    ///
    /// Where the report cannot be written.
    pub(super) fn start(
        args: &RunArgs,
        workload: String,
        observations: Receiver<Observation>,
        observer: &Observer,
    ) -> Result<Self, Failure> {
        let limit = (args.report_limit > 0).then_some(args.report_limit.saturating_mul(MIB));
        let create = |path| Report::create(path, limit).map_err(Failure::Report);
        let report = args.report.as_deref().map(create).transpose()?;
        let recorder = report.as_ref().map(Report::recorder);
        let thread = std::thread::Builder::new()
            .name("egret-tell".to_owned())
            .spawn(move || write_down(observations, recorder, &workload))
            .map_err(Failure::Runtime)?;
        Ok(Self {
            quiet: args.quiet,
            report,
            thread,
            observer_lost: observer.lost_count(),
            kernel_lost: Arc::default(),
        })
    }

    /// Where the count of events that the kernel had no room for belongs.
    pub(super) fn kernel_lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.kernel_lost)
    }

    /// Says which walls this machine does not have.
    pub(super) fn notices(&self, notices: &[Notice]) {
        for notice in notices.iter().filter(|_| !self.quiet) {
            say(&format!("egret run: {notice}"));
        }
    }

    /// Waits until everything observed is written down, then says what was denied. Every [`Observer`] must be gone.
    pub(super) fn finish(self) {
        let Self {
            quiet,
            report,
            thread,
            observer_lost,
            kernel_lost,
        } = self;
        let Ok(tally) = thread.join() else {
            say("egret run: what happened could not be written down: its thread panicked");
            return;
        };
        // The disk first: what it did not take is part of the summary.
        let drained = match report.map(Report::drain).transpose() {
            Ok(drained) => drained,
            Err(error) => {
                say(&format!("egret run: {error}"));
                None
            }
        };
        let lost = observer_lost.load(Ordering::Relaxed) + kernel_lost.load(Ordering::Relaxed);
        let unwritten = drained.as_ref().map_or(0, Drained::unwritten);
        let summary = tally.summary(Timestamp(SystemTime::now()), lost, unwritten);
        let text = summary.to_string();
        if !quiet && !text.trim().is_empty() {
            say(text.trim_end());
        }
        if let Some(drained) = drained
            && let Err(error) = drained.close(&Record::Summary(summary))
        {
            say(&format!("egret run: {error}"));
        }
    }
}

fn write_down(
    observations: Receiver<Observation>,
    recorder: Option<Recorder>,
    workload: &str,
) -> Tally {
    let mut tally = Tally::default();
    let mut repeats = Repeats::default();
    let write = |record| {
        if let Some(recorder) = &recorder {
            recorder.record(record);
        }
    };
    loop {
        let observed = match repeats.wait(since_boot()) {
            Some(wait) => observations.recv_timeout(wait),
            None => observations.recv().map_err(RecvTimeoutError::from),
        };
        let now = since_boot();
        match observed {
            Ok(observation) => {
                for record in records(observation, workload) {
                    tally.note(&record);
                    if recorder.is_some() {
                        repeats.take(record, now).map(&write);
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        repeats.due(now).into_iter().for_each(&write);
    }
    repeats.finish().into_iter().for_each(&write);
    tally
}

fn records(observation: Observation, workload: &str) -> Vec<Record> {
    match observation {
        Observation::Question(asked) => vec![Record::Query(query(asked, workload))],
        Observation::Stripped(stripped) => guards(stripped, workload),
        Observation::Limited(limited) => vec![Record::Limit(limit(limited, workload))],
        Observation::Flow(seen) => vec![Record::Flow(flow(*seen, workload))],
    }
}

fn query(asked: Asked, workload: &str) -> QueryRecord {
    let Asked {
        workload: _,
        name,
        record_type,
        server,
        protocol,
        client_port,
        rcode,
        would,
        reason,
    } = asked;
    QueryRecord {
        ts: Timestamp(SystemTime::now()),
        times: Times::ONCE,
        verdict: if rcode.is_some() {
            Verdict::Deny
        } else {
            Verdict::Allow
        },
        would: match would {
            policy_engine::Verdict::Allow => Verdict::Allow,
            policy_engine::Verdict::Deny => Verdict::Deny,
        },
        workload: workload.to_owned(),
        name: name.without_dot().to_owned(),
        record_type: record_type.to_string(),
        server,
        protocol: Protocol(protocol.0),
        client_port,
        rcode: rcode.map(|rcode| rcode.to_string()),
        ruling: Ruling::from(&reason),
    }
}

fn guards(stripped: Stripped, workload: &str) -> Vec<Record> {
    let Stripped {
        workload: _,
        name,
        addresses,
        wanted_by,
    } = stripped;
    let wanted_by = wanted_by.first().map(Ruling::from);
    let record = |(address, what): (IpAddr, Guarded)| {
        let mut ruling = Ruling::plain(
            "guard-rebinding",
            format!("an outside name may not stand for an address of this kind: {what}"),
        );
        if let Some(rule) = &wanted_by {
            ruling.policies.clone_from(&rule.policies);
            ruling.rule.clone_from(&rule.rule);
            ruling.place.clone_from(&rule.place);
        }
        Record::Guard(GuardRecord {
            ts: Timestamp(SystemTime::now()),
            times: Times::ONCE,
            verdict: Verdict::Deny,
            workload: workload.to_owned(),
            name: name.without_dot().to_owned(),
            address,
            class: what.as_str(),
            ruling,
        })
    };
    addresses.into_iter().map(record).collect()
}

fn limit(limited: Limited, workload: &str) -> LimitRecord {
    let Limited {
        mode,
        name,
        effect,
        limit,
        most,
        mut addresses,
    } = limited;
    let (code, kept) = match limit {
        Limit::PerName => ("limit-addresses-of-name", "one name has"),
        Limit::Allowed | Limit::Remembered => ("limit-addresses", "all names together have"),
    };
    let done = match effect {
        LimitEffect::Withheld => "the others are left out of its answers",
        LimitEffect::Evicted => "the idlest are closed before their time",
    };
    let times = Times {
        count: addresses.len().try_into().unwrap_or(u64::MAX),
        until: None,
    };
    addresses.truncate(LimitRecord::MOST_ADDRESSES);
    LimitRecord {
        ts: Timestamp(SystemTime::now()),
        times,
        verdict: match mode {
            Mode::Enforce => Verdict::Deny,
            Mode::Audit => Verdict::Allow,
        },
        workload: workload.to_owned(),
        effect,
        name: name.without_dot().to_owned(),
        addresses,
        code: code.to_owned(),
        reason: format!("{kept} at most {most} addresses at a time: {done}"),
    }
}

fn flow(seen: Seen, workload: &str) -> FlowRecord {
    let Seen {
        event,
        times,
        described,
    } = seen;
    let verdict = |verdict| match verdict {
        ebpf_abi::Verdict::Allow => Verdict::Allow,
        ebpf_abi::Verdict::Deny => Verdict::Deny,
    };
    let ruling = match (
        &described.reason,
        event.cause().and_then(Ruling::from_cause),
    ) {
        (Some(reason), _) => Ruling::from(reason),
        (None, Some(ruling)) => ruling,
        (None, None) => Ruling::plain("unknown", "the rules that decided are gone"),
    };
    let comm = String::from_utf8_lossy(event.comm()).into_owned();
    FlowRecord {
        ts: Timestamp(wall_time(event.time)),
        times: Times {
            count: times.count,
            until: (times.count > 1).then(|| Timestamp(wall_time(times.last))),
        },
        verdict: verdict(event.verdict()),
        would: verdict(event.would()),
        workload: workload.to_owned(),
        hook: match event.hook() {
            Some(ebpf_abi::Hook::Connect) => "connect",
            Some(ebpf_abi::Hook::Sendmsg) => "sendmsg",
            Some(ebpf_abi::Hook::Egress) | None => "packet",
        },
        pid: (event.pid != 0).then_some(event.pid),
        comm: (!comm.is_empty()).then_some(comm),
        destination: Destination::new(
            event.remote_ip(),
            Protocol(event.protocol),
            event.remote_port,
        ),
        names: described
            .names
            .iter()
            .map(|name| name.without_dot().to_owned())
            .collect(),
        established: event.flags & ebpf_abi::event_flags::ESTABLISHED != 0,
        ruling,
    }
}

/// The wall clock's word for a moment the kernel saw.
fn wall_time(since_boot_nanoseconds: u64) -> SystemTime {
    let ago = since_boot().saturating_sub(Duration::from_nanos(since_boot_nanoseconds));
    let now = SystemTime::now();
    now.checked_sub(ago).unwrap_or(now)
}
