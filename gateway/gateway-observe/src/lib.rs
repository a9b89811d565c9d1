//! What happened, told: to programs as JSON lines ([`Report`]), to people as a few lines at the end ([`Tally`]).
//!
//! Both are fed with [`Record`]s, one per ruling or change. The shape of a line is a contract: its schema is
//! `report.schema.json` beside this crate's manifest, and a test holds the two together.
//!
//! What this crate does not do: read kernel events, look anything up, or know what time it is.
//!
//! Types to know: [`Record`] (a line), [`Ruling`] (who decided, and why), [`Repeats`] (many alike, one line), [`Report`]
//! (the file; never blocks whoever writes to it, never grows beyond its limit), [`Tally`] (the counts behind the summary).

#![forbid(unsafe_code)]

mod record;
pub use record::{
    CutRecord, FlowRecord, GuardRecord, LimitEffect, LimitRecord, QueryRecord, Record,
};

mod times;
pub use times::Times;

mod repeats;
pub use repeats::Repeats;

mod verdict;
pub use verdict::Verdict;

mod destination;
pub use destination::{Destination, Icmp, Protocol};

mod ruling;
pub use ruling::{RuleRef, Ruling};

mod timestamp;
pub use timestamp::Timestamp;

mod report;
pub use report::{Drained, Recorder, Report, ReportError, Written};

mod tally;
pub use tally::Tally;

mod group;
pub use group::{Happened, Subject};

mod advice;
mod summary;
pub use summary::{SummaryGroup, SummaryLimit, SummaryRecord};
