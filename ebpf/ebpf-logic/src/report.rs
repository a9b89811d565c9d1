//! From a ruling to what happens, and the event that tells of it.

use ebpf_abi::{Cause, Event, Hook, Verdict, WorkloadRow, event_flags, workload_flags};

use crate::rule::{Age, Ruling};
use crate::seams::{Maps, Socket};
use crate::target::Target;

/// What an event tells besides the ruling.
pub(crate) struct Story<'a> {
    pub(crate) hook: Hook,
    pub(crate) workload: u64,
    pub(crate) row: &'a WorkloadRow,
    pub(crate) target: &'a Target,
    pub(crate) local_port: u16,
    pub(crate) length: u32,
    pub(crate) age: Age,
    /// Process of the socket's last system call, for hooks that run in none.
    pub(crate) pid: u32,
}

/// The verdict that counts: under audit everything passes, but for what would disturb another workload.
#[inline(always)]
pub(crate) fn effective(row: &WorkloadRow, ruling: &Ruling) -> Verdict {
    let audit = row.flags & workload_flags::AUDIT != 0;
    if audit && !matches!(ruling.cause, Cause::ForeignSlot | Cause::UnknownWorkload) {
        Verdict::Allow
    } else {
        ruling.verdict
    }
}

/// Tells user space, where it wants to be told: denials, what audit let pass, and new allowed flows on request.
#[inline(always)]
pub(crate) fn tell<M: Maps, S: Socket>(maps: &M, socket: &S, story: &Story<'_>, ruling: &Ruling) {
    let audit = story.row.flags & workload_flags::AUDIT != 0;
    let verdict = effective(story.row, ruling);
    let would = if audit { ruling.verdict } else { ruling.would };
    let log_allowed = story.row.flags & workload_flags::LOG_ALLOWED != 0;
    let quiet = matches!(verdict, Verdict::Allow) && matches!(would, Verdict::Allow);
    if quiet && (!log_allowed || matches!(story.age, Age::Established)) {
        return;
    }
    let who = socket.who();
    let mut flags = 0;
    if audit {
        flags |= event_flags::AUDIT;
    }
    if matches!(story.age, Age::Established) {
        flags |= event_flags::ESTABLISHED;
    }
    maps.emit(&Event {
        time: maps.now(),
        workload: story.workload,
        socket: socket.cookie(),
        remote: story.target.address,
        ruleset: story.row.ruleset,
        list: ruling.list,
        reason: ruling.reason,
        lease: ruling.lease,
        pid: if who.pid == 0 { story.pid } else { who.pid },
        uid: who.uid,
        length: story.length,
        remote_port: story.target.port,
        local_port: story.local_port,
        protocol: story.target.protocol,
        hook: story.hook as u8,
        verdict: verdict as u8,
        would: would as u8,
        style: ruling.style as u8,
        cause: ruling.cause as u8,
        flags,
        comm: who.comm,
    });
}
