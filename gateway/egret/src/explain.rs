//! `egret explain`: whether a destination is allowed, and every step to the answer.
//!
//! The answer is that of the tables the kernel would be filled with; the steps are told by the same engine.

mod json;
mod question;
mod text;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use policy_cases::{
    CaseFile, Check, CompiledEngine, Engine as _, EngineError, Expect, FlowTest, FromSpec, Need,
    Observed, ObservedQuery, ResponseSpec, Scene, SceneError, SettingsSpec, Test, TestKind, ToSpec,
    Trial, TrialKind, decode_responses,
};
use policy_dialects::{Context, Reading, read_set};
use policy_engine::{Age, Compiled, Explanation, Flow, NamedLease, Ruling, Verdict, compile};
use policy_model::{Diagnostic, Level, ObjectRef, Origin, PodIdentity, Policy, Workload};

use crate::cli::{ExplainArgs, Output};
use crate::machine;
use crate::policy_files::{self, PolicyFile, PolicyFileError};
use crate::render::{self, Look};

pub(crate) use json::ReasonJson;
use question::Destination;
pub(crate) use text::{place, steps};

/// The flow is allowed.
const ALLOWED: u8 = 0;
/// It is denied.
const DENIED: u8 = 1;
/// There is no answer.
const NOT_JUDGED: u8 = 2;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum ExplainError {
    #[error(transparent)]
    Destination(#[from] question::DestinationError),
    #[error(
        "workload `{0}` is not known: `command`, `unit:NAME`, `user:NAME` and `cgroup:PATH` are; pods come with the policies of a cluster"
    )]
    Workload(String),
    #[error("a path of --policy could not be read")]
    Files(Vec<PolicyFileError>),
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
    #[error("this cannot be judged")]
    Need(#[source] Need),
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
    destination: Destination,
    /// The look-up, where names are filtered.
    question: Option<ObservedQuery>,
    /// Each address of the destination, with its story in both rulings.
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
}

impl Answer {
    /// What a program sees: the name may be asked, and every address may be reached.
    fn verdict(&self) -> Verdict {
        let asked = self
            .question
            .as_ref()
            .map_or(Verdict::Allow, |question| question.verdict);
        self.flows
            .iter()
            .map(|flow| flow.enforced.verdict)
            .fold(asked, Verdict::max)
    }

    fn would(&self) -> Verdict {
        let asked = self
            .question
            .as_ref()
            .and_then(|question| question.would)
            .unwrap_or(Verdict::Allow);
        self.flows
            .iter()
            .map(|flow| flow.proposed.verdict)
            .fold(asked, Verdict::max)
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
    let workload = workload(args)?;
    let (policies, diagnostics) = policies(args)?;
    let places = policies
        .iter()
        .map(|policy| (policy.id.clone(), policy.origin.clone()))
        .collect();
    let scene = scene(args, &destination, policies)?;
    let [test] = scene.file.tests.as_slice() else {
        return Err(ExplainError::Scene(SceneError::World(Vec::new())));
    };
    let trial = Trial {
        workload,
        ..scene.trial(test).map_err(ExplainError::Need)?
    };
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
    let mut all = diagnostics;
    all.append(&mut compiled);
    Ok(Answer {
        destination,
        question,
        flows,
        fresh: trial.fresh.is_some(),
        diagnostics: all,
        places,
        now: trial.now,
    })
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
        flows.push(FlowAnswer {
            enforced: story(Ruling::Enforced)?,
            proposed: story(Ruling::Proposed)?,
        });
    }
    Ok((flows, diagnostics))
}

fn workload(args: &ExplainArgs) -> Result<Workload, ExplainError> {
    let mut workload = match args.from.split_once(':') {
        None if args.from == "command" => Workload::command(),
        Some(("unit", name)) => Workload {
            unit: Some(name.into()),
            ..Workload::default()
        },
        Some(("user", name)) => Workload {
            user: Some(name.into()),
            ..Workload::default()
        },
        Some(("cgroup", path)) => Workload {
            cgroup: Some(path.into()),
            ..Workload::default()
        },
        None | Some(_) => return Err(ExplainError::Workload(args.from.clone())),
    };
    let labels: BTreeMap<Arc<str>, Arc<str>> = args
        .labels
        .iter()
        .map(|(key, value)| (Arc::from(key.as_str()), Arc::from(value.as_str())))
        .collect();
    workload.pod = PodIdentity {
        namespace: args.namespace.as_deref().map(Arc::from),
        labels: (!labels.is_empty()).then_some(labels),
        service_account: args.service_account.as_deref().map(Arc::from),
        ..PodIdentity::default()
    };
    Ok(workload)
}

/// Reads the policies; a refused one leaves no answer, unless the best effort is asked for.
fn policies(args: &ExplainArgs) -> Result<(Vec<Policy>, Vec<Diagnostic>), ExplainError> {
    let (files, errors) = policy_files::load(&args.policy);
    for error in &errors {
        render::complain("explain", error);
    }
    if !errors.is_empty() {
        return Err(ExplainError::Files(errors));
    }
    let context = Context {
        default_namespace: Arc::from(args.namespace.as_deref().unwrap_or("default")),
        ..Context::default()
    };
    let texts = files
        .iter()
        .map(|file| (file.name.as_str(), file.text.as_str()));
    let Reading {
        policies,
        diagnostics,
        ..
    } = read_set(texts, &context);
    let refused: Vec<Diagnostic> = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.level == Level::Refused)
        .cloned()
        .collect();
    if !refused.is_empty() {
        render::complain_with(&render::diagnostics(&refused, &files, Look::of_stderr()));
        if !args.best_effort {
            return Err(ExplainError::Refused(refused));
        }
    }
    Ok((policies, diagnostics))
}

/// The policies, the answers and the one test that is the flow in question.
fn scene(
    args: &ExplainArgs,
    destination: &Destination,
    policies: Vec<Policy>,
) -> Result<Scene, ExplainError> {
    let nowhere = Origin::new("command line", 1, 1, "");
    let test = Test {
        origin: nowhere,
        name: Arc::from(args.to.as_str()),
        tags: Vec::new(),
        at: u32::try_from(args.at).unwrap_or(u32::MAX),
        kind: TestKind::Flow,
        check: Check::Flow(FlowTest {
            from: FromSpec::Command,
            to: match &destination.to {
                question::To::Host(name) => ToSpec::Host {
                    name: name.clone(),
                    ip: None,
                },
                question::To::Ip(ip) => ToSpec::Ip(*ip),
            },
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
    let file = CaseFile {
        source: Arc::from("command line"),
        policies: Vec::new(),
        world: Vec::new(),
        inline: None,
        settings: SettingsSpec::default(),
        responses: answers(args)?,
        tests: vec![test],
        lints: Vec::new(),
    };
    let mut scene = Scene::prepare(file, &[], &[]).map_err(ExplainError::Scene)?;
    scene.policies = policies;
    scene.world = machine::world(scene.world);
    Ok(scene)
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
