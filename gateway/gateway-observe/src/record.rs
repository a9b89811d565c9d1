use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::Serialize;

use crate::destination::{Destination, Protocol};
use crate::ruling::Ruling;
use crate::summary::SummaryRecord;
use crate::times::Times;
use crate::timestamp::Timestamp;
use crate::verdict::Verdict;

/// One line of a report. `kind` says which of the shapes it has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Record {
    /// A connection or packet was ruled on.
    Flow(FlowRecord),
    /// A DNS question was ruled on.
    Query(QueryRecord),
    /// An address was taken out of an answer.
    Guard(GuardRecord),
    /// A limit kept addresses out of an answer, or closed them before their time.
    Limit(LimitRecord),
    /// The report has reached its limit: nothing follows but the summary.
    Cut(CutRecord),
    /// The last line: what was denied, grouped.
    Summary(SummaryRecord),
}

/// A ruling on a connection or packet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct FlowRecord {
    /// Of several, the first.
    pub ts: Timestamp,
    #[serde(flatten)]
    pub times: Times,
    /// What happened.
    pub verdict: Verdict,
    /// With `--audit`: what the policies would have done. Else: what would happen with every staged and audit policy
    /// in force.
    pub would: Verdict,
    /// Who: the run, or the workload's cgroup.
    pub workload: String,
    /// Where it was seen: `connect`, `sendmsg` or `packet`.
    pub hook: &'static str,
    /// Process id as the host counts, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Name of the program, at most 15 characters, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm: Option<String>,
    pub destination: Destination,
    /// The names that stood for the address at that moment; empty where none was asked for.
    pub names: Vec<String>,
    /// An established flow that was judged again because the rules changed.
    #[serde(skip_serializing_if = "is_false")]
    pub established: bool,
    #[serde(flatten)]
    pub ruling: Ruling,
}

/// A ruling on a question.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct QueryRecord {
    /// Of several, the first.
    pub ts: Timestamp,
    #[serde(flatten)]
    pub times: Times,
    pub verdict: Verdict,
    pub would: Verdict,
    pub workload: String,
    /// As it was asked, without the final dot.
    pub name: String,
    /// `A`, `AAAA`, `TXT`, …; `TYPE1234` where it has no name.
    #[serde(rename = "type")]
    pub record_type: String,
    /// The server the question was addressed to.
    pub server: SocketAddr,
    pub protocol: Protocol,
    /// The port it was asked from.
    pub client_port: u16,
    /// What the client was answered, where the answer is Egret's own: `NXDOMAIN`, `REFUSED`, `SERVFAIL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rcode: Option<String>,
    #[serde(flatten)]
    pub ruling: Ruling,
}

/// An address that was taken out of an answer because an outside name may not stand for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct GuardRecord {
    /// Of several, the first.
    pub ts: Timestamp,
    #[serde(flatten)]
    pub times: Times,
    pub verdict: Verdict,
    pub workload: String,
    pub name: String,
    pub address: IpAddr,
    /// What it is: `loopback`, `unspecified`, `host`, `metadata`, `link-local`, `private`, `multicast`, `broadcast` or
    /// `cluster`.
    pub class: &'static str,
    /// `rule` and `place` are those of the rule that would have used the address.
    #[serde(flatten)]
    pub ruling: Ruling,
}

/// Addresses that a limit closed, or never opened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct LimitRecord {
    /// Of several, the first.
    pub ts: Timestamp,
    /// Counts addresses.
    #[serde(flatten)]
    pub times: Times,
    /// `allow` under `--audit`, where nothing is closed.
    pub verdict: Verdict,
    pub workload: String,
    pub effect: LimitEffect,
    /// The name whose addresses they are.
    pub name: String,
    /// The first few of them.
    pub addresses: Vec<IpAddr>,
    /// Stable word for programs: `limit-addresses-of-name` (of one name) or `limit-addresses` (of all names together).
    pub code: String,
    /// One line for people.
    pub reason: String,
}

/// What a limit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LimitEffect {
    /// They were left out of an answer.
    Withheld,
    /// They were handed out, and closed before their time for others.
    Evicted,
}

impl LimitEffect {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Withheld => "withheld",
            Self::Evicted => "evicted",
        }
    }
}

impl LimitRecord {
    /// LIMIT: addresses written out. One answer has up to four thousand.
    pub const MOST_ADDRESSES: usize = 8;
}

/// From here on lines are counted and not written: see `unwritten` of the summary.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct CutRecord {
    pub ts: Timestamp,
    /// Bytes that the lines before this one may have.
    pub limit: u64,
}

impl Record {
    /// When it happened.
    pub fn ts(&self) -> Timestamp {
        match self {
            Self::Flow(FlowRecord { ts, .. })
            | Self::Query(QueryRecord { ts, .. })
            | Self::Guard(GuardRecord { ts, .. })
            | Self::Limit(LimitRecord { ts, .. })
            | Self::Cut(CutRecord { ts, .. })
            | Self::Summary(SummaryRecord { ts, .. }) => *ts,
        }
    }

    /// How often what it tells of happened; 0 for lines that tell of the report.
    pub fn count(&self) -> u64 {
        match self {
            Self::Flow(FlowRecord { times, .. })
            | Self::Query(QueryRecord { times, .. })
            | Self::Guard(GuardRecord { times, .. })
            | Self::Limit(LimitRecord { times, .. }) => times.count,
            Self::Cut(_) | Self::Summary(_) => 0,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}
