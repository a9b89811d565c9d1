//! The one task that owns policies, leases and the kernel's tables.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use dns_bindings::{Eviction, Limit};
use dns_names::{Name, Resolution};
use ebpf_abi::Event;
use ebpf_abi::plan::{RulesetId, WorkloadId};
use ebpf_loader::{ApplyError, Datapath};
use gateway_observe::LimitEffect;
use gateway_state::{GatewayState, Mode, Plan, PolicyError, View, Withheld};
use policy_model::{Cluster, Diagnostic, Policy, Settings, Workload, World};
use tokio::sync::{mpsc, oneshot};

use crate::clock::since_boot;
use crate::render::chain;
use crate::run::observation::{Limited, Observation, Observer, Seen, Times};

/// LIMIT: requests waiting for the owner. One is served in microseconds; behind a longer queue the answers would come
/// later than clients wait, so more are refused (SERVFAIL).
pub const WAITING: usize = 1_024;

/// LIMIT: events waiting for the owner. More wait in the kernel's ring, which counts those it has no room for.
pub const EVENTS_WAITING: usize = 256;

/// What others ask of the owner.
#[derive(Debug)]
pub enum Request {
    /// Open what an answer gives; says whether it is written.
    Answer {
        resolution: Resolution,
        /// How long ago it was read.
        age: Duration,
        /// The rules it was screened by.
        ruleset: RulesetId,
        done: oneshot::Sender<Opened>,
    },
    /// Hold the workload to other policies.
    Policies {
        policies: Vec<Policy>,
        /// What they brought with them.
        cluster: Cluster,
        done: oneshot::Sender<Result<InForce, HoldError>>,
    },
}

/// What the kernel decided, for people.
pub type Events = mpsc::Receiver<(Event, Times)>;

/// What became of an answer's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// The kernel holds all that the rules open of them, but for what a limit withholds.
    Written(Option<Withheld>),
    /// Other rules have come since it was screened: screen it again.
    Stale,
    /// The kernel, or a limit, did not take them.
    Failed,
}

/// Policies that came into force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// What their authors should know.
    pub diagnostics: Vec<Diagnostic>,
    /// None of them selects the workload: the guards hold it, and nothing else.
    pub guards_only: bool,
}

/// Why policies did not come into force; the last good ones stay.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error("the kernel did not take the rules")]
    Kernel(#[from] ApplyError),
}

/// Owns the state and the tables. Everything that changes them goes through [`Owner::serve`].
#[derive(Debug)]
pub struct Owner<D> {
    state: GatewayState,
    datapath: D,
    held: Held,
    view: Arc<ArcSwap<View>>,
    observer: Observer,
}

/// The workload, and what does not change while it runs.
#[derive(Debug)]
pub struct Held {
    pub id: WorkloadId,
    pub who: Workload,
    pub mode: Mode,
    pub world: World,
    pub settings: Settings,
}

impl<D: Datapath> Owner<D> {
    /// Holds nothing yet.
    pub fn new(state: GatewayState, datapath: D, held: Held, observer: Observer) -> Self {
        let view = Arc::new(ArcSwap::new(state.view()));
        Self {
            state,
            datapath,
            held,
            view,
            observer,
        }
    }

    /// What the hot path reads.
    pub fn view(&self) -> Arc<ArcSwap<View>> {
        Arc::clone(&self.view)
    }

    /// Holds the workload to policies, as a whole or not at all; `cluster` is what they brought with them.
    ///
    /// # Errors
    ///
    /// See [`HoldError`]; the last good rules stay in force.
    pub fn hold(&mut self, policies: &[Policy], cluster: Cluster) -> Result<InForce, HoldError> {
        let Held {
            id,
            who,
            mode,
            world,
            settings,
        } = &self.held;
        let id = *id;
        let world = World {
            cluster: cluster.into(),
            ..world.clone()
        };
        let (plan, diagnostics) =
            self.state
                .plan_policies(id, who, *mode, policies, &world, settings, since_boot())?;
        self.carry_out(plan)?;
        let view = self.state.view();
        Ok(InForce {
            diagnostics,
            guards_only: view
                .workload(id)
                .is_some_and(|workload| workload.ruleset.guards_only()),
        })
    }

    /// Serves until everybody who may ask or tell is gone, and gives the tables back.
    ///
    /// Events wait for requests: however much a workload has denied, answers do not come later.
    pub async fn serve(mut self, mut requests: mpsc::Receiver<Request>, mut events: Events) -> D {
        let (mut asked, mut told) = (true, true);
        while asked || told {
            let timeout = self
                .state
                .poll_timeout()
                .map(|at| at.saturating_sub(since_boot()));
            tokio::select! {
                biased;
                request = requests.recv(), if asked => match request {
                    Some(request) => self.handle(request),
                    None => asked = false,
                },
                () = sleep(timeout) => self.handle_timeout(),
                event = events.recv(), if told => match event {
                    Some((event, times)) => self.describe(event, times),
                    None => told = false,
                },
            }
        }
        self.datapath
    }

    fn describe(&self, event: Event, times: Times) {
        let described = self.state.describe(&event);
        self.observer.tell(Observation::Flow(Box::new(Seen {
            event,
            times,
            described,
        })));
    }

    fn handle(&mut self, request: Request) {
        match request {
            Request::Answer {
                resolution,
                age,
                ruleset,
                done,
            } => {
                // Whoever asked may have stopped waiting; what was opened is allowed all the same.
                let _unheard = done.send(self.open(&resolution, age, ruleset));
            }
            Request::Policies {
                policies,
                cluster,
                done,
            } => drop(done.send(self.hold(&policies, cluster))),
        }
    }

    /// Opens what an answer gives.
    fn open(&mut self, resolution: &Resolution, age: Duration, ruleset: RulesetId) -> Opened {
        let view = self.state.view();
        if view
            .workload(self.held.id)
            .is_none_or(|workload| workload.ruleset_id != ruleset)
        {
            return Opened::Stale;
        }
        let plan = match self.state.plan_answer(resolution, age, since_boot()) {
            Ok(plan) => plan,
            Err(error) => {
                tracing::warn!(%error, "an answer's addresses do not fit the rules' tables");
                return Opened::Failed;
            }
        };
        let withheld = plan.withheld().cloned();
        match self.carry_out(plan) {
            Ok(()) => Opened::Written(withheld),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "the kernel did not take an answer's addresses");
                Opened::Failed
            }
        }
    }

    fn handle_timeout(&mut self) {
        let plan = self.state.plan_timeout(since_boot());
        // Expiry is judged in the kernel; a row that could not be removed is closed all the same.
        if let Err(error) = self.carry_out(plan) {
            tracing::warn!(error = %chain(&error), "could not sweep expired addresses");
        }
    }

    fn carry_out(&mut self, plan: Plan) -> Result<(), ApplyError> {
        let applied = self.datapath.apply(plan.batch());
        match applied {
            Ok(()) => self.state.applied(plan),
            Err(_) => {
                let undo = self.state.abandoned(plan);
                if let Err(error) = self.datapath.apply(&undo) {
                    tracing::warn!(error = %chain(&error), "could not take half-written rules out again");
                }
            }
        }
        self.view.store(self.state.view());
        let evicted = self.state.take_evicted();
        self.tell_evicted(evicted);
        applied
    }

    /// One observation for each name and limit.
    fn tell_evicted(&self, evicted: Vec<Eviction>) {
        let mut of_names: BTreeMap<(Name, Limit), Vec<IpAddr>> = BTreeMap::new();
        for Eviction {
            names, ip, limit, ..
        } in evicted
        {
            let key = (names.question().clone(), limit);
            of_names.entry(key).or_default().push(ip);
        }
        for ((name, limit), addresses) in of_names {
            self.observer.tell(Observation::Limited(Limited {
                mode: self.held.mode,
                name,
                effect: LimitEffect::Evicted,
                limit,
                most: self.state.most(limit),
                addresses,
            }));
        }
    }
}

async fn sleep(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => std::future::pending().await,
    }
}
