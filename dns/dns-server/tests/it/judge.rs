use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use dns_names::{ExtendedError, Name, Query, Rcode, Transport};
use dns_server::{Answered, Client, Judge, QuestionAction, Refusal, Release};
use tokio::sync::watch;

/// A judge that is told what to say and remembers what it was asked.
pub(crate) struct FakeJudge {
    pub(crate) denied: Mutex<Vec<Name>>,
    /// What to say of answers to these names; `Whole` for others.
    pub(crate) rulings: Mutex<HashMap<Name, Release>>,
    /// While false, nothing is released that was not released before: the kernel write is stuck.
    pub(crate) writes: watch::Sender<bool>,
    /// `name: addresses` of every release, in the order they were let go.
    pub(crate) released: Mutex<Vec<String>>,
    pub(crate) clients: Mutex<Vec<Client>>,
}

impl Default for FakeJudge {
    fn default() -> Self {
        Self {
            denied: Mutex::default(),
            rulings: Mutex::default(),
            writes: watch::Sender::new(true),
            released: Mutex::default(),
            clients: Mutex::default(),
        }
    }
}

impl FakeJudge {
    pub(crate) fn deny(&self, name: &str) {
        self.denied
            .lock()
            .expect("unpoisoned")
            .push(Name::parse(name).expect("a name"));
    }

    pub(crate) fn rule(&self, name: &str, release: Release) {
        self.rulings
            .lock()
            .expect("unpoisoned")
            .insert(Name::parse(name).expect("a name"), release);
    }

    pub(crate) fn released(&self) -> Vec<String> {
        self.released.lock().expect("unpoisoned").clone()
    }

    fn ruling(&self, query: &Query) -> Release {
        self.rulings
            .lock()
            .expect("unpoisoned")
            .get(&query.name)
            .cloned()
            .unwrap_or(Release::Whole)
    }
}

/// Slots of workload 7 are 127.83.0/24, of workload 8 127.83.1/24 and so on.
fn workload(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(v4) => 7 + u64::from(v4.octets()[2]),
        IpAddr::V6(_) => 7,
    }
}

/// Slots are 127.83/16, `fd83:6567:7265::/64` and, so that no route is needed, `::1`.
fn is_slot(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => matches!(v4.octets(), [127, 83, ..]),
        IpAddr::V6(v6) => {
            v6.is_loopback() || matches!(v6.segments(), [0xfd83, 0x6567, 0x7265, 0, ..])
        }
    }
}

impl Judge for FakeJudge {
    type Memo = std::sync::OnceLock<()>;

    fn client(&self, local: SocketAddr, peer: SocketAddr, transport: Transport) -> Option<Client> {
        let client = Client {
            workload: workload(local.ip()),
            server: ([192, 0, 2, 53], 53).into(),
            port: peer.port(),
            transport,
        };
        is_slot(local.ip()).then(|| {
            self.clients.lock().expect("unpoisoned").push(client);
            client
        })
    }

    fn question(&self, _: &Client, query: &Query) -> QuestionAction {
        if self
            .denied
            .lock()
            .expect("unpoisoned")
            .contains(&query.name)
        {
            let error = Some(ExtendedError::new(
                ExtendedError::BLOCKED,
                "no policy allows it",
            ));
            return QuestionAction::Refuse(Refusal {
                rcode: Rcode::NXDOMAIN,
                error,
            });
        }
        QuestionAction::Forward
    }

    fn release_now(
        &self,
        _: &Client,
        query: &Query,
        answered: &Answered<Self::Memo>,
        _: Duration,
    ) -> Option<Release> {
        answered.memo.get().map(|()| self.ruling(query))
    }

    async fn release(
        &self,
        _: &Client,
        query: &Query,
        answered: &Answered<Self::Memo>,
        _: Duration,
    ) -> Release {
        self.writes
            .subscribe()
            .wait_for(|open| *open)
            .await
            .expect("the sender lives");
        let addresses: Vec<String> = answered
            .answer
            .addresses()
            .iter()
            .map(|a| a.ip.to_string())
            .collect();
        self.released.lock().expect("unpoisoned").push(format!(
            "{}: {}",
            query.name,
            addresses.join(" ")
        ));
        answered.memo.get_or_init(|| ());
        self.ruling(query)
    }
}
