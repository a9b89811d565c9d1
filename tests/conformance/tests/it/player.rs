//! A scene played to the state machine, and its plans to tables: as the daemon does it, with time as an argument.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dns_bindings::{Limits, Timing};
use dns_names::Resolution;
use ebpf_abi::plan::{Batch, Op, WorkloadId};
use ebpf_abi::{Event, workload_flags};
use gateway_state::{GatewayState, Mode, Plan, PolicyError, WorkloadView};
use policy_cases::{EngineError, Response, Trial, TrialKind};
use policy_engine::{LimitError, Reason};
use policy_model::{Policy, Settings, Time, Workload, World};

/// What holds the tables.
pub(crate) trait Tables {
    fn apply(&mut self, batch: &Batch);
}

/// The state of a gateway and its tables.
pub(crate) struct Player<T> {
    pub(crate) tables: T,
    state: GatewayState,
}

/// Who is held, and to what.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) id: WorkloadId,
    pub(crate) who: &'a Workload,
    pub(crate) mode: Mode,
    pub(crate) policies: &'a [Policy],
    pub(crate) world: &'a World,
    pub(crate) settings: &'a Settings,
}

impl<T: Tables> Player<T> {
    pub(crate) fn new(tables: T, timing: Timing) -> Self {
        Self {
            tables,
            state: GatewayState::new(timing, Limits::default()),
        }
    }

    /// Holds a workload to its terms, or to others than before.
    pub(crate) fn hold(&mut self, terms: &Terms<'_>, now: Time) -> Result<(), PolicyError> {
        let Terms {
            id,
            who,
            mode,
            policies,
            world,
            settings,
        } = *terms;
        let planned = self
            .state
            .plan_policies(id, who, mode, policies, world, settings, now);
        self.carry_out(planned?.0);
        Ok(())
    }

    /// Lets an answer come in.
    pub(crate) fn answer(
        &mut self,
        resolution: &Resolution,
        age: Time,
        now: Time,
    ) -> Result<(), LimitError> {
        let plan = self.state.plan_answer(resolution, age, now)?;
        self.carry_out(plan);
        Ok(())
    }

    /// Lets an answer come in by way of the rebinding guard.
    pub(crate) fn screened_answer(
        &mut self,
        id: WorkloadId,
        resolution: &Resolution,
        now: Time,
    ) -> Result<(), LimitError> {
        let stripped: BTreeSet<IpAddr> = match self.view(id) {
            Some(view) => {
                let stripped = view.screen(resolution).stripped;
                stripped.into_iter().map(|(ip, _)| ip).collect()
            }
            None => BTreeSet::new(),
        };
        let mut remaining = resolution.clone();
        remaining
            .addresses
            .retain(|address| !stripped.contains(&address.ip));
        self.answer(&remaining, Duration::ZERO, now)
    }

    /// Sweeps what has ended, at the very moments the state asks for.
    pub(crate) fn sweep_until(&mut self, now: Time) {
        while let Some(at) = self.state.poll_timeout().filter(|at| *at <= now) {
            let plan = self.state.plan_timeout(at);
            self.carry_out(plan);
        }
    }

    /// Lets a workload go: nothing of it stays in the tables.
    pub(crate) fn release(&mut self, id: WorkloadId) {
        let plan = self.state.plan_release(id);
        self.carry_out(plan);
    }

    pub(crate) fn view(&self, id: WorkloadId) -> Option<Arc<WorkloadView>> {
        self.state.view().workload(id).cloned()
    }

    /// What ruled.
    pub(crate) fn reason(&self, event: &Event) -> Option<Reason> {
        self.state.describe(event).reason
    }

    fn carry_out(&mut self, plan: Plan) {
        self.tables.apply(&telling_all(plan.batch()));
        self.state.applied(plan);
    }
}

/// Plays a trial's policies and answers up to `until`, with `clock` from the scene's times to the tables'.
pub(crate) fn play<T: Tables>(
    trial: &Trial<'_>,
    id: WorkloadId,
    tables: T,
    until: Time,
    clock: impl Fn(Time) -> Time,
) -> Result<Player<T>, EngineError> {
    let timing = Timing {
        min_ttl: trial.settings.min_ttl,
        grace: trial.settings.grace,
        ..Timing::EXACT
    };
    let mut player = Player::new(tables, timing);
    let answers = answers(trial);
    let first = answers.first().map_or(until, |answer| answer.at);
    let held = player.hold(&terms(trial, id), clock(first));
    held.map_err(|error| failed(&error))?;
    for answer in answers.iter().filter(|answer| answer.at <= until) {
        let opened = player.screened_answer(id, &answer.resolution, clock(answer.at));
        opened?;
    }
    Ok(player)
}

/// Whether the tables can answer a trial: they hold addresses, and do not know yet where a Service leads.
pub(crate) fn for_tables(trial: &Trial<'_>, engine: &'static str) -> Result<(), EngineError> {
    let TrialKind::Flow {
        addresses,
        protocol,
        port,
        ..
    } = &trial.kind
    else {
        return Ok(());
    };
    let cluster = &trial.scene.world.cluster;
    let leads = |ip: &IpAddr| cluster.backends(*ip, *protocol, *port).is_some();
    if addresses.iter().any(leads) {
        return Err(EngineError::Unsupported {
            engine,
            why: "the tables do not know where a Service leads".into(),
        });
    }
    Ok(())
}

/// The trusted answers, earliest first.
pub(crate) fn answers<'t>(trial: &'t Trial<'_>) -> Vec<&'t Response> {
    let all = trial.scene.responses.iter().chain(&trial.fresh);
    let mut answers: Vec<&Response> = all.filter(|response| response.trusted).collect();
    answers.sort_by_key(|response| response.at);
    answers
}

pub(crate) fn terms<'t>(trial: &'t Trial<'_>, id: WorkloadId) -> Terms<'t> {
    Terms {
        id,
        who: &trial.workload,
        mode: Mode::Enforce,
        policies: &trial.scene.policies,
        world: &trial.scene.world,
        settings: &trial.settings,
    }
}

fn failed(error: &dyn std::error::Error) -> EngineError {
    EngineError::Failed {
        engine: "the state",
        why: error.to_string().into(),
    }
}

/// The same batch, and every new flow is told of, allowed or not.
fn telling_all(batch: &Batch) -> Batch {
    let tell = |op: &Op| match op {
        Op::SetWorkload {
            workload,
            ruleset,
            flags,
        } => Op::SetWorkload {
            workload: *workload,
            ruleset: *ruleset,
            flags: flags | workload_flags::LOG_ALLOWED,
        },
        Op::PutList { .. }
        | Op::DelList { .. }
        | Op::PutPrefix { .. }
        | Op::PutLearned { .. }
        | Op::DelLearned { .. }
        | Op::PutSlot { .. }
        | Op::DelSlot { .. }
        | Op::DelWorkload { .. }
        | Op::DelRuleset { .. } => op.clone(),
    };
    batch.ops().iter().map(tell).collect()
}
