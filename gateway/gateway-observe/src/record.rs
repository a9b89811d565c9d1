use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::Serialize;

use crate::destination::{Destination, Protocol};
use crate::ruling::Ruling;
use crate::summary::SummaryRecord;
use crate::timestamp::Timestamp;
use crate::verdict::Verdict;

/// One line of a report. `kind` says which of the shapes it has.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Record {
    /// A connection or packet was ruled on.
    Flow(FlowRecord),
    /// A DNS question was ruled on.
    Query(QueryRecord),
    /// An address was taken out of an answer.
    Guard(GuardRecord),
    /// The last line: what was denied, grouped.
    Summary(SummaryRecord),
}

/// A ruling on a connection or packet.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct FlowRecord {
    pub ts: Timestamp,
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
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct QueryRecord {
    pub ts: Timestamp,
    pub verdict: Verdict,
    pub would: Verdict,
    pub workload: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm: Option<String>,
    /// As it was asked, without the final dot.
    pub name: String,
    /// `A`, `AAAA`, `TXT`, …; `TYPE1234` where it has no name.
    #[serde(rename = "type")]
    pub record_type: String,
    /// The server the question was addressed to.
    pub server: SocketAddr,
    pub protocol: Protocol,
    /// What the client was answered, where the answer is Egret's own: `NXDOMAIN`, `REFUSED`, `SERVFAIL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rcode: Option<String>,
    #[serde(flatten)]
    pub ruling: Ruling,
}

/// An address that was taken out of an answer because an outside name may not stand for it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct GuardRecord {
    pub ts: Timestamp,
    pub verdict: Verdict,
    pub workload: String,
    pub name: String,
    pub address: IpAddr,
    /// `rule` and `place` are those of the rule that would have used the address.
    #[serde(flatten)]
    pub ruling: Ruling,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}
