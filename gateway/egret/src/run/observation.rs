//! What is told of a run: by the judge and the owner, to whoever writes it down.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dns_names::{Name, Rcode, RecordType};
use ebpf_abi::Event;
use ebpf_abi::plan::WorkloadId;
use gateway_state::Described;
use policy_engine::{Reason, Verdict};
use policy_model::{Guarded, Protocol};
use tokio::sync::mpsc;

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
    /// The kernel decided a flow.
    Flow(Box<Seen>),
}

/// A question that was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub workload: WorkloadId,
    pub name: Name,
    pub record_type: RecordType,
    pub server: SocketAddr,
    pub protocol: Protocol,
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

/// A kernel event and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub event: Event,
    pub described: Described,
}

/// Takes observations from anywhere, without ever waiting.
#[derive(Debug, Clone)]
pub struct Observer {
    sender: mpsc::Sender<Observation>,
    lost: Arc<AtomicU64>,
}

impl Observer {
    /// An observer and the end its observations come out of.
    pub fn new() -> (Self, mpsc::Receiver<Observation>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (
            Self {
                sender,
                lost: Arc::default(),
            },
            receiver,
        )
    }

    /// Tells what happened; where too much is waiting already, only that something was lost.
    pub fn tell(&self, observation: Observation) {
        if self.sender.try_send(observation).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts the observations that were lost; may be read when the observers are gone.
    pub fn lost_count(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.lost)
    }
}
