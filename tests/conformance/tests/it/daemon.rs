//! The real `egret run`, on an internet whose resolvers answer what the scene says.
//!
//! One run for each file: the held client asks for every answer of the scene first, then does what the tests say. What
//! it saw is the verdict; who decided is read from the report.

mod stage;

use std::fmt;
use std::net::SocketAddr;

use dns_names::{Rcode, RecordData};
use policy_cases::{
    Address, By, Check, Engine, EngineError, FromSpec, Observed, ObservedFlow, ObservedQuery,
    Scene, Trial, TrialKind, Who,
};
use policy_engine::{Flow, Verdict};
use policy_model::{DenyStyle, ObjectRef, Protocol};
use serde_json::Value;
use testkit::as_root;

use self::stage::Stage;
use crate::corpus::files;
use crate::host::{Fate, how, verdict};
use crate::suite;

/// The suite's engine.
#[derive(Default)]
struct DaemonEngine {
    stage: Option<Stage>,
}

const NAME: &str = "daemon";

/// Why a test cannot be put to the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inexpressible {
    NotACommand,
    Later,
    OldAnswer,
    AnsweredAgain,
    GuardsOff,
    ClusterDomain,
    ResolverPort,
    RawSocket,
    Learned,
}

#[test]
fn the_daemon_agrees_with_every_file_it_can_be_asked() {
    as_root(|| suite::run(&mut DaemonEngine::default(), &files()).check("daemon", 135));
}

impl Engine for DaemonEngine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn run(&mut self, trial: &Trial<'_>) -> Result<Observed, EngineError> {
        if let Some(why) = inexpressible(trial) {
            return Err(why.into());
        }
        let scene = trial.scene;
        let stage = match self.stage.take().filter(|stage| stage.is_of(scene)) {
            Some(stage) => stage,
            None => Stage::of(scene),
        };
        let stage = self.stage.insert(stage);
        Ok(match &trial.kind {
            TrialKind::Flow {
                question,
                addresses,
                protocol,
                port,
                ..
            } => {
                if let Some(fresh) = &trial.fresh {
                    stage.knows(&fresh.resolution);
                }
                let question = question.as_ref().and_then(|question| {
                    let resolver = scene.world.resolvers.first()?;
                    let server = SocketAddr::new(resolver.address, resolver.port);
                    let sight =
                        stage.ask(&question.name, question.record_type, server, Protocol::UDP);
                    // A resolver that cannot be reached past an interceptor is not asked through one.
                    (sight.error.as_deref() != Some("EPERM")).then(|| {
                        let name = question.name.without_dot();
                        let told = stage.told();
                        let line = told.iter().find(|line| line["name"] == name);
                        observed_query(sight.error.as_deref(), line)
                    })
                });
                let refused = question
                    .as_ref()
                    .is_some_and(|question| question.verdict == Verdict::Deny);
                let flows = addresses.iter().filter(|_| !refused);
                Observed::Flow(ObservedFlow {
                    addresses: flows
                        .map(|ip| reach(stage, &Flow::new(*ip, *protocol, *port)))
                        .collect(),
                    question,
                })
            }
            TrialKind::Query {
                question,
                server,
                port,
                protocol,
            } => {
                stage.knows_something_of(&question.name, scene);
                let known = scene.world.resolvers.iter();
                let is_known = known
                    .into_iter()
                    .any(|resolver| (resolver.address, resolver.port) == (*server, *port));
                Observed::Query(if is_known {
                    let server = SocketAddr::new(*server, *port);
                    let sight = stage.ask(&question.name, question.record_type, server, *protocol);
                    let name = question.name.without_dot();
                    let told = stage.told();
                    let line = told
                        .iter()
                        .find(|line| line["name"] == name || line["destination"]["port"] == *port);
                    observed_query(sight.error.as_deref(), line)
                } else {
                    let Address {
                        verdict,
                        would,
                        how,
                        by,
                        ..
                    } = reach(stage, &Flow::new(*server, *protocol, *port));
                    ObservedQuery {
                        verdict,
                        would,
                        rcode: None,
                        how,
                        by,
                    }
                })
            }
            TrialKind::Learned { .. } => return Err(Inexpressible::Learned.into()),
        })
    }
}

fn inexpressible(trial: &Trial<'_>) -> Option<Inexpressible> {
    let Scene { file, world, .. } = trial.scene;
    let from = match &trial.test.check {
        Check::Flow(flow) => &flow.from,
        Check::Query(query) => &query.from,
        Check::Learned(_) | Check::Diagnostic(_) => {
            return Some(Inexpressible::Learned);
        }
    };
    let (TrialKind::Flow { protocol, .. } | TrialKind::Query { protocol, .. }) = &trial.kind else {
        return Some(Inexpressible::Learned);
    };
    let mut asked: Vec<_> = file
        .responses
        .iter()
        .map(|response| &response.query)
        .collect();
    let answers = asked.len();
    asked.sort();
    asked.dedup();
    let over = file.responses.iter().any(|response| {
        let over = |record: &dns_names::Record| match record.data {
            RecordData::Address(_) => record.ttl < response.age,
            RecordData::Alias(_) => false,
        };
        response.records.iter().any(over)
    });
    let reasons = [
        (
            !matches!(from, FromSpec::Command),
            Inexpressible::NotACommand,
        ),
        (trial.test.at != 0, Inexpressible::Later),
        (over, Inexpressible::OldAnswer),
        (asked.len() < answers, Inexpressible::AnsweredAgain),
        (!file.settings.guards, Inexpressible::GuardsOff),
        (
            file.settings.cluster_domain.is_some(),
            Inexpressible::ClusterDomain,
        ),
        (
            world.resolvers.iter().any(|resolver| resolver.port != 53),
            Inexpressible::ResolverPort,
        ),
        (
            ![Protocol::TCP, Protocol::UDP].contains(protocol),
            Inexpressible::RawSocket,
        ),
    ];
    let first = reasons.into_iter().find(|(holds, _)| *holds);
    first.map(|(_, reason)| reason)
}

fn reach(stage: &mut Stage, flow: &Flow) -> Address {
    let fate = match stage.start(flow) {
        // Whether somebody is there is the internet's business.
        Fate::Redirected => Fate::Allowed,
        fate @ (Fate::Allowed | Fate::Rejected | Fate::Dropped) => fate,
    };
    let told = stage.told();
    let (ip, port) = (flow.ip.to_canonical().to_string(), flow.port);
    let line = told.iter().find(|line| {
        let to = &line["destination"];
        to["ip"] == ip.as_str() && to["port"] == port
    });
    Address {
        ip: flow.ip,
        verdict: verdict(fate),
        would: Some(line.map_or_else(|| verdict(fate), would)),
        how: how(fate),
        by: line.and_then(by),
    }
}

/// What a client's error says of a question, and a line of the report of who decided.
fn observed_query(error: Option<&str>, line: Option<&Value>) -> ObservedQuery {
    let (verdict, rcode) = match error {
        None => (Verdict::Allow, None),
        Some("NXDOMAIN") => (Verdict::Deny, Some(Rcode::NXDOMAIN)),
        Some("REFUSED") => (Verdict::Deny, Some(Rcode::REFUSED)),
        Some("EPERM") => (Verdict::Deny, None),
        Some(error) => panic!("{error}"),
    };
    ObservedQuery {
        verdict,
        would: line.map(would),
        rcode,
        how: (verdict == Verdict::Deny).then_some(DenyStyle::Reject),
        by: line.and_then(by),
    }
}

fn would(line: &Value) -> Verdict {
    if line["would"] == "allow" {
        Verdict::Allow
    } else {
        Verdict::Deny
    }
}

fn by(line: &Value) -> Option<By> {
    // An allow is told for what it would have been, with the reason of what it is.
    let code = line["code"].as_str()?;
    let policies: Vec<ObjectRef> = line["policies"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|policy| object(policy.as_str()?))
        .collect();
    let who = if code.starts_with("guard") {
        Who::Guard
    } else if policies.is_empty() {
        Who::Default
    } else {
        Who::Policies(policies)
    };
    Some(By {
        who,
        text: line["reason"].as_str()?.to_owned(),
        tier: line["tier"].as_str().map(str::to_owned),
    })
}

fn object(text: &str) -> Option<ObjectRef> {
    let words: Vec<&str> = text.split('/').collect();
    match *words.as_slice() {
        [kind, name] => Some(ObjectRef::new(kind, None, name)),
        [kind, namespace, name] => Some(ObjectRef::new(kind, Some(namespace), name)),
        _ => None,
    }
}

impl From<Inexpressible> for EngineError {
    fn from(why: Inexpressible) -> Self {
        Self::Unsupported {
            engine: NAME,
            why: why.to_string().into(),
        }
    }
}

impl fmt::Display for Inexpressible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotACommand => "a pod, unit or user, where a command is held",
            Self::Later => "a later time, which passes by itself",
            Self::OldAnswer => "an answer that is over",
            Self::AnsweredAgain => "a second answer to a question, which the cache answers",
            Self::GuardsOff => "guards that are off",
            Self::ClusterDomain => "a cluster's domain",
            Self::ResolverPort => "a resolver on another port than 53",
            Self::RawSocket => "a raw socket, which a held command does not get",
            Self::Learned => "what is learned, which is seen by what it opens",
        })
    }
}
