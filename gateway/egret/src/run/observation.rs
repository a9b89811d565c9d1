//! What is told of a run: by the judge and the owner, to whoever writes it down.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use dns_bindings::Limit;
use dns_names::{Name, Rcode, RecordType};
use ebpf_abi::Event;
use ebpf_abi::plan::WorkloadId;
use gateway_observe::LimitEffect;
use gateway_state::{Described, Mode};
use policy_engine::{Reason, Verdict};
use policy_model::{Guarded, Protocol};

/// LIMIT: observations waiting to be written down. Beyond it they are counted and lost: nothing on the way of a packet
/// or an answer waits for a log.
pub const WAITING: usize = 8_192;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// A question was refused, or would have been under audit; or any, where everything is told.
    Question(Asked),
    /// The rebinding guard took addresses out of an answer.
    Stripped(Stripped),
    /// A limit kept addresses out of an answer, or closed them before their time.
    Limited(Limited),
    /// The kernel decided a flow.
    Flow(Box<Seen>),
}

impl Observation {
    /// How much happened.
    fn count(&self) -> u64 {
        match self {
            Self::Question(_) => 1,
            Self::Stripped(stripped) => stripped.addresses.len().try_into().unwrap_or(u64::MAX),
            Self::Limited(limited) => limited.addresses.len().try_into().unwrap_or(u64::MAX),
            Self::Flow(seen) => seen.times.count,
        }
    }
}

/// A question that was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub workload: WorkloadId,
    pub name: Name,
    pub record_type: RecordType,
    pub server: SocketAddr,
    pub protocol: Protocol,
    /// Where it was asked from: a port says which socket, and no more.
    pub client_port: u16,
    /// What it was answered here; nothing where it was forwarded.
    pub rcode: Option<Rcode>,
    /// Under audit: what the policies say of it. Else: what they would say with every staged and audit policy in force.
    pub would: Verdict,
    pub reason: Reason,
}

/// Addresses that were taken out of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stripped {
    pub workload: WorkloadId,
    pub name: Name,
    pub addresses: Vec<(IpAddr, Guarded)>,
    /// The rules that would have used them.
    pub wanted_by: Vec<Reason>,
}

/// Addresses of a name that a limit closed, or never opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limited {
    pub mode: Mode,
    pub name: Name,
    pub effect: LimitEffect,
    pub limit: Limit,
    /// How many it leaves.
    pub most: usize,
    pub addresses: Vec<IpAddr>,
}

/// A kernel event and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub event: Event,
    pub times: Times,
    pub described: Described,
}

/// How often the kernel told of the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    pub count: u64,
    /// The last one, as [`Event::time`].
    pub last: u64,
}

/// Takes observations from anywhere, without ever waiting.
#[derive(Debug, Clone)]
pub struct Observer {
    sender: SyncSender<Observation>,
    lost: Arc<AtomicU64>,
}

impl Observer {
    /// An observer and the end its observations come out of.
    pub fn new() -> (Self, Receiver<Observation>) {
        let (sender, receiver) = sync_channel(WAITING);
        (
            Self {
                sender,
                lost: Arc::default(),
            },
            receiver,
        )
    }

    /// Tells what happened; where too much is waiting already, only how much was lost.
    pub fn tell(&self, observation: Observation) {
        if let Err(TrySendError::Full(lost) | TrySendError::Disconnected(lost)) =
            self.sender.try_send(observation)
        {
            self.lost.fetch_add(lost.count(), Ordering::Relaxed);
        }
    }

    /// Counts the observations that were lost; may be read when the observers are gone.
    pub fn lost_count(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.lost)
    }
}
