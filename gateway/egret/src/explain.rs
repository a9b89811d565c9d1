//! `egret explain`: whether a destination is allowed, and every step to the answer.
//!
//! The answer is that of the tables the kernel would be filled with; the steps are told by the same engine.

mod json;
mod question;
mod source;
mod text;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use policy_cases::{
    CaseFile, Check, CompiledEngine, Engine as _, EngineError, Expect, FlowTest, Need, Observed,
    ObservedQuery, ResponseSpec, Scene, SceneError, Test, TestKind, Trial, TrialKind,
    decode_responses,
};
use policy_engine::{
    Age, Compiled, Explanation, Flow, NamedLease, Reason, RuleReason, Ruling, Verdict, compile,
};
use policy_model::{Action, Diagnostic, ObjectRef, Origin, Policy, Selects, Standing, Subject};

use crate::cli::{ExplainArgs, Output};
use crate::machine;
use crate::policy_files::{PolicyFile, PolicyFileError};
use crate::policy_set::{self, PolicySet, PolicySetError};
use crate::render::{self, Look};

pub(crate) use json::ReasonJson;
use question::{Destination, To};
use source::{Source, SourceError};
pub(crate) use text::{place, steps};

/// The flow is allowed.
const ALLOWED: u8 = 0;
/// It is denied.
const DENIED: u8 = 1;
/// There is no answer.
const NOT_JUDGED: u8 = 2;

/// Why a host without an address is not reached, whatever the policies say.
const NO_ADDRESS: &str = "no answer to the name holds an address";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum ExplainError {
    #[error(transparent)]
    Destination(#[from] question::DestinationError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("a path of --policy or --world could not be read")]
    Files(Vec<PolicyFileError>),
    #[error("the files of --world could not be read")]
    World(Vec<Diagnostic>),
    #[error("`{0}` is a name of the cluster's own zone, and --world has no Service of that name")]
    Host(String),
    #[error(
        "a refused policy could select this workload, so its answer is not known (--best-effort answers without it)"
    )]
    Refused(Vec<Diagnostic>),
    #[error("failed to read `{path}`")]
    ReadAnswers {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the answers of --dns could not be read")]
    Answers(Vec<Diagnostic>),
    #[error("the answers of --dns make no sense")]
    Scene(#[source] SceneError),
    #[error("{}", needs(.0, *.1))]
    Need(Need, bool),
    #[error(
        "the policies cannot be compiled; --labels, --namespace and --service-account say who the command is"
    )]
    Compile(#[from] policy_engine::CompileError),
    #[error("the policies are over a limit")]
    Limit(#[from] policy_engine::LimitError),
    #[error("the policies cannot be judged")]
    Engine(#[source] EngineError),
}

/// Explains one flow. Exit status: 0 allowed, 1 denied, 2 it could not be judged.
#[must_use]
pub fn run(args: &ExplainArgs) -> ExitCode {
    match explain(args) {
        Ok(answer) => {
            let look = Look::of_stdout();
            render::print(&match args.output {
                Output::Text => text::answer(&answer, look),
                Output::Json => json::answer(&answer),
            });
            ExitCode::from(match answer.verdict() {
                Verdict::Allow => ALLOWED,
                Verdict::Deny => DENIED,
            })
        }
        Err(error) => {
            render::complain("explain", &error);
            if args.output == Output::Json {
                render::print(&json::no_answer(&error));
            }
            ExitCode::from(NOT_JUDGED)
        }
    }
}

/// What was asked, and everything there is to say of it.
#[derive(Debug)]
struct Answer {
    /// Who asks, as `--from` names him.
    from: String,
    destination: Destination,
    /// The look-up, where names are filtered.
    question: Option<ObservedQuery>,
    /// Each address of the destination, with its story in both rulings; none of a host whose answers hold none.
    flows: Vec<FlowAnswer>,
    /// No answer was given for the host: its address is made up.
    fresh: bool,
    diagnostics: Vec<Diagnostic>,
    /// Where each policy stands.
    places: BTreeMap<ObjectRef, Origin>,
    /// What time is called now.
    now: policy_model::Time,
}

#[derive(Debug)]
struct FlowAnswer {
    enforced: Explanation,
    proposed: Explanation,
    /// The object of the world that has the address.
    object: Option<String>,
    /// The object that has the address of the backend whose walk is told.
    backend: Option<String>,
    /// Of a flow that is denied: rules that would allow it, of policies that select others.
    of_others: Vec<RuleReason>,
}

impl Answer {
    /// What holds where nothing is denied: a host whose answers hold no address is not reached.
    const fn at_best(&self) -> Verdict {
        if self.flows.is_empty() {
            Verdict::Deny
        } else {
            Verdict::Allow
        }
    }

    /// What a program sees: the name may be asked, and every address may be reached.
    fn verdict(&self) -> Verdict {
        let asked = self.question.as_ref().map(|question| question.verdict);
        let reached = self.flows.iter().map(|flow| flow.enforced.verdict);
        asked
            .into_iter()
            .chain(reached)
            .fold(self.at_best(), Verdict::max)
    }

    fn would(&self) -> Verdict {
        let asked = self.question.as_ref().and_then(|question| question.would);
        let reached = self.flows.iter().map(|flow| flow.proposed.verdict);
        asked
            .into_iter()
            .chain(reached)
            .fold(self.at_best(), Verdict::max)
    }

    /// Why the verdict would be another one, where it is a flow that decides that.
    fn would_because(&self) -> Option<&Reason> {
        let would = self.would();
        self.flows
            .iter()
            .find(|flow| flow.proposed.verdict == would && flow.enforced.verdict != would)
            .filter(|_| would != self.verdict())
            .map(|flow| &flow.proposed.reason)
    }

    /// The flow that decides: the first that has the verdict.
    fn deciding(&self) -> Option<&FlowAnswer> {
        self.flows
            .iter()
            .find(|flow| flow.enforced.verdict == self.verdict())
    }
}

fn explain(args: &ExplainArgs) -> Result<Answer, ExplainError> {
    let destination = Destination::parse(&args.to, &args.port)?;
    let source = Source::parse(args)?;
    let set = policies(args, &source)?;
    let file = question(args, &source, &destination)?;
    let (mut scene, _files) = set.into_scene(file).map_err(|error| match error {
        PolicySetError::Scene(error) => ExplainError::Scene(error),
        PolicySetError::Files(errors) => ExplainError::Files(errors),
        PolicySetError::World(diagnostics, _) => ExplainError::World(diagnostics),
    })?;
    if args.world.is_empty() {
        scene.world = machine::world(scene.world);
    } else {
        is_known(&destination.to, &scene)?;
    }
    let places = scene
        .policies
        .iter()
        .map(|policy| (policy.id.clone(), policy.origin.clone()))
        .collect();
    let [test] = scene.file.tests.as_slice() else {
        return Err(ExplainError::Scene(SceneError::World(Vec::new())));
    };
    let has_world = !args.world.is_empty();
    let trial = scene.trial(test);
    let mut trial = trial.map_err(|need| ExplainError::Need(need, has_world))?;
    source.add_what_is_said(args, &mut trial.workload);
    let observed = CompiledEngine.run(&trial).map_err(|error| match error {
        EngineError::Compile(error) => ExplainError::Compile(error),
        EngineError::Limit(error) => ExplainError::Limit(error),
        error @ (EngineError::Unsupported { .. } | EngineError::Failed { .. }) => {
            ExplainError::Engine(error)
        }
    })?;
    let question = match observed {
        Observed::Flow(flow) => flow.question,
        Observed::Query(_) | Observed::Learned(_) => None,
    };
    let (flows, mut compiled) = stories(&trial)?;
    let mut all = scene.diagnostics.clone();
    all.append(&mut compiled);
    Ok(Answer {
        from: source.to_string(),
        destination,
        question,
        // The names of Services stand for them, whether or not anybody has asked.
        fresh: trial.fresh.is_some()
            && !flows.is_empty()
            && flows.iter().all(|flow| flow.object.is_none()),
        flows,
        diagnostics: all,
        places,
        now: trial.now,
    })
}

fn needs(need: &Need, has_world: bool) -> String {
    let need = match need {
        Need::Pod { .. } | Need::Object { .. } => format!("the question {need}"),
        Need::Address { .. }
        | Need::HostAddress { .. }
        | Need::ServicePort { .. }
        | Need::NoEngine => need.to_string(),
    };
    if has_world {
        need
    } else {
        format!("{need}: --world describes the cluster")
    }
}

/// A name that the cluster's own DNS would not know is nobody's, and not one that somebody could have made up.
fn is_known(to: &To, scene: &Scene) -> Result<(), ExplainError> {
    let To::Host(name) = to else { return Ok(()) };
    let Some(zone) = scene.settings_for(true).cluster_domain else {
        return Ok(());
    };
    let services = format!("svc.{zone}");
    let Some(below) = name.as_str().strip_suffix(&services) else {
        return Ok(());
    };
    let mut answers = scene.responses.iter();
    let answered = answers.any(|response| response.resolution.chain.first() == Some(name));
    let is_service = below
        .strip_suffix('.')
        .and_then(|below| below.split_once('.'))
        .is_some_and(|(service, namespace)| {
            let name = (Arc::from(namespace), Arc::from(service));
            scene.cluster().services.contains_key(&name)
        });
    if answered || is_service {
        Ok(())
    } else {
        Err(ExplainError::Host(name.without_dot().to_owned()))
    }
}

/// The walk of each address, in both rulings.
fn stories(trial: &Trial<'_>) -> Result<(Vec<FlowAnswer>, Vec<Diagnostic>), ExplainError> {
    let Compiled {
        ruleset,
        mut lists,
        diagnostics,
    } = compile(
        &trial.scene.policies,
        &trial.workload,
        &trial.scene.world,
        &trial.settings,
    )?;
    let TrialKind::Flow {
        addresses,
        protocol,
        port,
        ..
    } = &trial.kind
    else {
        return Ok((Vec::new(), diagnostics));
    };
    let leases = trial.leases();
    let cluster = &trial.scene.world.cluster;
    let mut flows = Vec::new();
    for ip in addresses {
        let ip = ip.to_canonical();
        let of_ip: Vec<NamedLease> = leases
            .iter()
            .filter(|(of, _)| *of == ip)
            .map(|(_, lease)| lease.clone())
            .collect();
        let flow = Flow::new(ip, *protocol, *port);
        let age = Age::New { now: trial.now };
        let mut story = |ruling| ruleset.explain(&mut lists, &flow, &of_ip, age, ruling);
        let enforced = story(Ruling::Enforced)?;
        flows.push(FlowAnswer {
            proposed: story(Ruling::Proposed)?,
            object: policy_set::object_at(cluster, ip),
            backend: enforced
                .backend
                .and_then(|backend| policy_set::object_at(cluster, backend.ip)),
            of_others: match enforced.verdict {
                Verdict::Deny => of_others(trial, &flow, &of_ip),
                Verdict::Allow => Vec::new(),
            },
            enforced,
        });
    }
    Ok((flows, diagnostics))
}

/// The rules that would allow a flow if their policies selected the workload. Nothing where those cannot be compiled: they
/// decide nothing.
fn of_others(trial: &Trial<'_>, flow: &Flow, leases: &[NamedLease]) -> Vec<RuleReason> {
    let selecting: Vec<Policy> = trial
        .scene
        .policies
        .iter()
        .filter(|policy| policy.standing == Standing::Enforced)
        .filter(|policy| policy.subject.selects(&trial.workload) == Selects::No)
        .map(|policy| Policy {
            subject: Subject::All,
            ..policy.clone()
        })
        .collect();
    let world = &trial.scene.world;
    let Ok(compiled) = compile(&selecting, &trial.workload, world, &trial.settings) else {
        return Vec::new();
    };
    let Compiled {
        ruleset, mut lists, ..
    } = compiled;
    let age = Age::New { now: trial.now };
    let story = ruleset.explain(&mut lists, flow, leases, age, Ruling::Enforced);
    // What a guard closes no such rule would open.
    let story = story
        .ok()
        .filter(|story| !matches!(story.reason, Reason::Guard(_)));
    let rules = story.into_iter().flat_map(|story| story.tiers);
    rules
        .flat_map(|tier| tier.rules)
        .filter(|trace| trace.miss.is_none() && trace.rule.action == Action::Allow)
        .map(|trace| trace.rule)
        .collect()
}

/// Reads the policies and the world; a refused policy that could select who asks leaves no answer, unless the best effort is
/// asked for.
fn policies(args: &ExplainArgs, source: &Source) -> Result<PolicySet, ExplainError> {
    let set = PolicySet::read(&args.policy, &args.world, args.namespace.as_deref());
    let set = set.map_err(|error| match error {
        PolicySetError::Files(errors) => {
            for error in &errors {
                render::complain("explain", error);
            }
            ExplainError::Files(errors)
        }
        PolicySetError::World(diagnostics, files) => {
            render::complain_with(&render::diagnostics(
                &diagnostics,
                &files,
                Look::of_stderr(),
            ));
            ExplainError::World(diagnostics)
        }
        PolicySetError::Scene(error) => ExplainError::Scene(error),
    })?;
    let namespace = source.namespace().or(args.namespace.as_deref());
    let in_doubt = set.in_doubt([namespace]);
    if !in_doubt.is_empty() {
        render::complain_with(&render::diagnostics(
            &in_doubt,
            &set.files,
            Look::of_stderr(),
        ));
        if !args.best_effort {
            return Err(ExplainError::Refused(in_doubt));
        }
    }
    Ok(set)
}

/// The answers and the one test that is the flow in question.
fn question(
    args: &ExplainArgs,
    source: &Source,
    destination: &Destination,
) -> Result<CaseFile, ExplainError> {
    let test = Test {
        origin: Origin::new("command line", 1, 1, ""),
        name: Arc::from(args.to.as_str()),
        tags: Vec::new(),
        at: u32::try_from(args.at).unwrap_or(u32::MAX),
        kind: TestKind::Flow,
        check: Check::Flow(FlowTest {
            from: source.spec(),
            to: destination.to.spec(),
            protocol: destination.protocol,
            port: destination.port,
            established: false,
            expect: Expect {
                verdict: Verdict::Allow,
                would: None,
                how: None,
                by: None,
            },
        }),
    };
    Ok(CaseFile {
        responses: answers(args)?,
        tests: vec![test],
        ..policy_set::case_file()
    })
}

fn answers(args: &ExplainArgs) -> Result<Vec<ResponseSpec>, ExplainError> {
    let Some(path) = &args.dns else {
        return Ok(Vec::new());
    };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| ExplainError::ReadAnswers {
        path: name.clone(),
        source,
    })?;
    decode_responses(&name, &text).map_err(|diagnostics| {
        let file = PolicyFile {
            name,
            path: path.clone(),
            text,
        };
        render::complain_with(&render::diagnostics(
            &diagnostics,
            &[file],
            Look::of_stderr(),
        ));
        ExplainError::Answers(diagnostics)
    })
}

#[cfg(test)]
mod tests;
