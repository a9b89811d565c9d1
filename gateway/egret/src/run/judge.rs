//! What the interceptor asks: who is this, may they ask, may the answer go.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use dns_names::{Answer, ExtendedError, Query, Rcode, Resolution, Transport};
use dns_server::{Answered, Client, Judge, QuestionAction, Refusal, Release};
use ebpf_abi::plan::{RulesetId, WorkloadId};
use ebpf_abi::{address, slot};
use gateway_observe::LimitEffect;
use gateway_state::{Detail, Mode, View, Withheld, WorkloadView};
use policy_engine::{PortVerdict, QuestionRuling, Reason, Ruling, Verdict};
use policy_model::{Guarded, Protocol, RefusalCode};
use tokio::sync::{mpsc, oneshot};

use crate::run::observation::{Asked, Limited, Observation, Observer, Stripped};
use crate::run::owner::{Opened, Request};
use crate::run::withheld::without;

/// Judges by the view the owner last published, and asks the owner to write what an answer opens.
#[derive(Debug)]
pub struct PolicyJudge {
    /// The interceptor's port, part of every IPv6 slot address.
    pub port: u16,
    pub view: Arc<ArcSwap<View>>,
    pub owner: mpsc::Sender<Request>,
    pub observer: Observer,
    /// What is told of questions.
    pub detail: Detail,
}

/// What is known of a cached answer: under which rules everything it opens is written, and how it is released then.
#[derive(Debug)]
pub struct Note {
    ruleset: RulesetId,
    lease_epoch: u64,
    /// Beyond this age the least TTL is below the least life of a lease, and each release prolongs the lease.
    fresh_until: Duration,
    release: Release,
}

impl Judge for PolicyJudge {
    type Memo = ArcSwapOption<Note>;

    fn client(&self, local: SocketAddr, peer: SocketAddr, transport: Transport) -> Option<Client> {
        let number = slot::slot_of(&address::from_ip(local.ip()), self.port)?;
        let slot = self.view.load().slot(number)?;
        Some(Client {
            workload: slot.workload.0,
            server: slot.server,
            port: peer.port(),
            transport,
        })
    }

    fn question(&self, client: &Client, query: &Query) -> QuestionAction {
        let view = self.view.load();
        let Some(workload) = view.workload(WorkloadId(client.workload)) else {
            return QuestionAction::Refuse(not_ready());
        };
        let protocol = protocol_of(client.transport);
        let server = (client.server.ip(), client.server.port());
        let (refusal, reason) = match workload.flow_to(client.server, protocol) {
            Some(PortVerdict {
                verdict: Verdict::Allow,
                ..
            }) => {
                match workload
                    .ruleset
                    .judge_question(server, protocol, &query.name)
                {
                    QuestionRuling::NotFiltered { reason } | QuestionRuling::Forward { reason } => {
                        (None, reason)
                    }
                    QuestionRuling::Refuse { code, reason } => (Some(rcode(code)), reason),
                }
            }
            Some(denied) => (Some(Rcode::REFUSED), denied.reason),
            None => return QuestionAction::Refuse(not_ready()),
        };
        let reason = workload.ruleset.reason(reason);
        let answered = refusal.filter(|_| workload.mode == Mode::Enforce);
        let enforced = if refusal.is_some() {
            Verdict::Deny
        } else {
            Verdict::Allow
        };
        let would = match workload.mode {
            Mode::Enforce if workload.proposes => workload
                .ruleset
                .judge_question_by(Ruling::Proposed, server, protocol, &query.name)
                .verdict(),
            Mode::Enforce | Mode::Audit => enforced,
        };
        if refusal.is_some() || would != enforced || self.detail == Detail::Everything {
            self.observer.tell(Observation::Question(Asked {
                workload: workload.id,
                name: query.name.clone(),
                record_type: query.record_type,
                server: client.server,
                protocol,
                client_port: client.port,
                rcode: answered,
                would,
                reason: reason.clone(),
            }));
        }
        match answered {
            None => QuestionAction::Forward,
            Some(rcode) => QuestionAction::Refuse(Refusal {
                rcode,
                error: Some(blocked(reason)),
            }),
        }
    }

    fn release_now(
        &self,
        client: &Client,
        _query: &Query,
        answered: &Answered<Self::Memo>,
        age: Duration,
    ) -> Option<Release> {
        if answered.answer.addresses().is_empty() {
            return Some(Release::Whole);
        }
        let view = self.view.load();
        let workload = view.workload(WorkloadId(client.workload))?;
        let note = answered.memo.load();
        let note = note.as_ref()?;
        let holds = note.ruleset == workload.ruleset_id
            && note.lease_epoch == view.lease_epoch
            && age <= note.fresh_until;
        holds.then(|| note.release.clone())
    }

    async fn release(
        &self,
        client: &Client,
        query: &Query,
        answered: &Answered<Self::Memo>,
        age: Duration,
    ) -> Release {
        if answered.answer.addresses().is_empty() {
            return Release::Whole;
        }
        // Rules that change in between are rare; twice in a row is not worth waiting for.
        for _ in 0..2 {
            // Taken before the write: if leases are evicted meanwhile, the note does not hold.
            let view = self.view.load_full();
            let Some(workload) = view.workload(WorkloadId(client.workload)) else {
                return Release::Refuse(not_ready());
            };
            let release = self.screen(workload, query, &answered.answer);
            let Some(resolution) = remaining(answered.answer.resolution(), &release) else {
                return release;
            };
            match self
                .open(resolution.clone(), age, workload.ruleset_id)
                .await
            {
                Opened::Written(withheld) => {
                    let release = match withheld {
                        Some(withheld) => {
                            self.withhold(workload, query, release, &resolution, withheld)
                        }
                        None => release,
                    };
                    let note = note(&view, workload, &resolution, release.clone());
                    answered.memo.store(Some(Arc::new(note)));
                    return release;
                }
                Opened::Stale => {}
                Opened::Failed => break,
            }
        }
        Release::Fail
    }
}

impl PolicyJudge {
    async fn open(&self, resolution: Resolution, age: Duration, ruleset: RulesetId) -> Opened {
        let (done, opened) = oneshot::channel();
        // A full queue is too much at once: the answer is not released, and the client asks again.
        let request = Request::Answer {
            resolution,
            age,
            ruleset,
            done,
        };
        match self.owner.try_send(request) {
            Ok(()) => opened.await.unwrap_or(Opened::Failed),
            Err(_) => Opened::Failed,
        }
    }

    /// Takes out what a limit withholds, and tells of it. Under audit nothing is closed, and the answer is left as it is.
    fn withhold(
        &self,
        workload: &WorkloadView,
        query: &Query,
        release: Release,
        resolution: &Resolution,
        withheld: Withheld,
    ) -> Release {
        self.observer.tell(Observation::Limited(Limited {
            mode: workload.mode,
            name: query.name.clone(),
            effect: LimitEffect::Withheld,
            limit: withheld.limit,
            most: withheld.most,
            addresses: withheld.addresses.clone(),
        }));
        match workload.mode {
            Mode::Enforce => without(release, resolution, withheld),
            Mode::Audit => release,
        }
    }

    /// Applies the rebinding guard, and tells what it took out.
    fn screen(&self, workload: &WorkloadView, query: &Query, answer: &Answer) -> Release {
        let screened = workload.screen(answer.resolution());
        if screened.stripped.is_empty() {
            return Release::Whole;
        }
        let wanted_by = workload
            .ruleset
            .reasons_of(&screened.rules)
            .into_iter()
            .cloned();
        self.observer.tell(Observation::Stripped(Stripped {
            workload: workload.id,
            name: query.name.clone(),
            addresses: screened.stripped.clone(),
            wanted_by: wanted_by.collect(),
        }));
        let text = format!(
            "egret: an outside name may not stand for {} (rebinding guard{})",
            list(&screened.stripped),
            opener(&screened.stripped)
        );
        Release::Without {
            addresses: screened.stripped.into_iter().map(|(ip, _)| ip).collect(),
            error: Some(ExtendedError::new(ExtendedError::FILTERED, text)),
        }
    }
}

fn note(view: &View, workload: &WorkloadView, resolution: &Resolution, release: Release) -> Note {
    let ttls = resolution
        .addresses
        .iter()
        .map(|address| Duration::from_secs(address.ttl.into()));
    let min_ttl = workload.ruleset.settings().min_ttl;
    Note {
        ruleset: workload.ruleset_id,
        lease_epoch: view.lease_epoch,
        fresh_until: ttls.min().unwrap_or_default().saturating_sub(min_ttl),
        release,
    }
}

/// What an answer gives when some of it is taken out; nothing where no address is left.
fn remaining(resolution: &Resolution, release: &Release) -> Option<Resolution> {
    let mut left = resolution.clone();
    match release {
        Release::Whole => {}
        Release::Without { addresses, .. } => {
            left.addresses
                .retain(|address| !addresses.contains(&address.ip));
        }
        Release::Refuse(_) | Release::Fail => return None,
    }
    (!left.addresses.is_empty()).then_some(left)
}

fn blocked(reason: &Reason) -> ExtendedError {
    ExtendedError::new(ExtendedError::BLOCKED, format!("egret: {reason}"))
}

/// The workload is not, or no longer, held: nothing is known, and unknown is denied.
fn not_ready() -> Refusal {
    Refusal {
        rcode: Rcode::SERVFAIL,
        error: Some(ExtendedError::new(
            ExtendedError::NOT_READY,
            "egret: no rules for this workload",
        )),
    }
}

fn protocol_of(transport: Transport) -> Protocol {
    match transport {
        Transport::Udp => Protocol::UDP,
        Transport::Tcp => Protocol::TCP,
    }
}

fn rcode(code: RefusalCode) -> Rcode {
    match code {
        RefusalCode::NxDomain => Rcode::NXDOMAIN,
        RefusalCode::Refused => Rcode::REFUSED,
    }
}

/// What would let an outside name stand for these, where one thing does for all of them.
fn opener(addresses: &[(IpAddr, Guarded)]) -> &'static str {
    let all = |wanted: fn(Guarded) -> bool| addresses.iter().all(|(_, what)| wanted(*what));
    if all(|what| what == Guarded::Metadata) {
        "; a `metadata:` preset opens it"
    } else if all(|what| match what {
        Guarded::Loopback
        | Guarded::Host
        | Guarded::LinkLocal
        | Guarded::Private
        | Guarded::Cluster => true,
        Guarded::Unspecified | Guarded::Metadata | Guarded::Multicast | Guarded::Broadcast => false,
    }) {
        "; `allowPrivate` lets it"
    } else {
        ""
    }
}

fn list(addresses: &[(IpAddr, Guarded)]) -> String {
    let words: Vec<String> = addresses
        .iter()
        .map(|(ip, what)| format!("{ip} ({what})"))
        .collect();
    words.join(", ")
}
