//! Our own reading: the text of the objects, through the dialects and the model, to a compiled ruleset.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use dns_names::Name;
use oracles::{Flow, Set, Verdicts};
use policy_dialects::{Context, Others, Reading, read};
use policy_engine::{Age, Compiled, LeaseRules, Verdict, compile};
use policy_model::{
    Cluster, ClusterMap, DefaultVerdict, Diagnostic, Level, NamespacedName, Pod, PodIdentity,
    Policy, Protocol, Settings, Time, Workload, World,
};

use crate::engine::Engine;

/// Long enough that no name is over while the flows are judged.
const HOUR: Time = Duration::from_secs(3_600);

/// Egret.
pub(crate) struct Ours {
    context: Context,
    settings: Settings,
}

impl Ours {
    pub(crate) fn new() -> Self {
        Self {
            context: Context {
                others: Others::World,
                ..Context::default()
            },
            // No oracle has guards, and a pod that nobody selects is free.
            settings: Settings {
                guards: false,
                default: DefaultVerdict::Allow,
                ..Settings::default()
            },
        }
    }

    fn judge(&self, set: &Set) -> Verdicts {
        let (policies, world) = self.read(set);
        let mut compiled: BTreeMap<&str, Compiled> = BTreeMap::new();
        set.flows
            .iter()
            .map(|flow| {
                if reaches_itself(world.cluster.objects(), flow) {
                    return true;
                }
                let compiled = compiled
                    .entry(&flow.from)
                    .or_insert_with(|| self.compile(&policies, &world, &flow.from));
                allows(compiled, set, flow)
            })
            .collect()
    }

    pub(crate) fn compile(&self, policies: &[Policy], world: &World, pod: &str) -> Compiled {
        let workload = workload(world.cluster.objects(), pod);
        compile(policies, &workload, world, &self.settings).unwrap()
    }

    pub(crate) fn read(&self, set: &Set) -> (Vec<Policy>, World) {
        let text = text(set);
        let reading = read("set.yaml", &text, &self.context);
        // Sets are valid, and what is in them can be enforced.
        if let Some(diagnostic) = refused(&reading) {
            panic!("{diagnostic:#?}\nin\n{text}");
        }
        let world = World {
            cluster: ClusterMap::new(reading.cluster),
            ..World::default()
        };
        (reading.policies, world)
    }
}

/// What is not as a random set must be.
fn refused(reading: &Reading) -> Option<&Diagnostic> {
    let Reading {
        policies: _,
        cluster: _,
        diagnostics,
        world_diagnostics,
    } = reading;
    let mut found = diagnostics.iter().chain(world_diagnostics);
    found.find(|diagnostic| diagnostic.level != Level::Lint)
}

fn text(set: &Set) -> String {
    let mut text = String::new();
    for object in &set.objects {
        writeln!(text, "---\n{object}").unwrap();
    }
    text
}

impl Engine for Ours {
    fn verdicts(&mut self, sets: &[Set]) -> Vec<Verdicts> {
        sets.iter().map(|set| self.judge(set)).collect()
    }

    fn takes(&self, set: &Set) -> bool {
        refused(&read("set.yaml", &text(set), &self.context)).is_none()
    }
}

pub(crate) fn allows(compiled: &mut Compiled, set: &Set, flow: &Flow) -> bool {
    let Compiled { ruleset, lists, .. } = compiled;
    let leases: Vec<LeaseRules> = set
        .names
        .iter()
        .filter(|(_, addresses)| addresses.contains(&flow.to))
        .map(|(name, _)| {
            let name: Name = name.parse().unwrap();
            LeaseRules {
                rules: ruleset.name_rules(&name, std::slice::from_ref(&name)),
                expires_at: HOUR,
            }
        })
        .collect();
    let protocol = match flow.protocol.as_str() {
        "TCP" => Protocol::TCP,
        "UDP" => Protocol::UDP,
        "SCTP" => Protocol::SCTP,
        other => panic!("no protocol: {other}"),
    };
    let asked = policy_engine::Flow::new(flow.to, protocol, flow.port);
    let age = Age::New { now: Time::ZERO };
    let decision = ruleset.decide(lists, &asked, &leases, age).unwrap();
    let verdict = if set.proposed {
        decision.would
    } else {
        decision.verdict
    };
    verdict == Verdict::Allow
}

/// What a pod sends to itself never leaves its network, and is judged by nobody. Of a pod in its node's network only the
/// flow to the node is meant, which is judged.
fn reaches_itself(cluster: &Cluster, flow: &Flow) -> bool {
    let pod = pod(cluster, &flow.from).1;
    !pod.host_network && pod.addresses.contains(&flow.to)
}

fn pod<'c>(cluster: &'c Cluster, name: &str) -> (NamespacedName, &'c Pod) {
    let (namespace, name) = name.split_once('/').unwrap();
    let key = (Arc::from(namespace), Arc::from(name));
    let pod = cluster.pods.get(&key);
    (key.clone(), pod.unwrap_or_else(|| panic!("no pod {key:?}")))
}

/// The pod as policies see it.
fn workload(cluster: &Cluster, name: &str) -> Workload {
    let ((namespace, _), pod) = pod(cluster, name);
    let account = (Arc::clone(&namespace), Arc::clone(&pod.service_account));
    let account_labels = cluster.service_accounts.get(&account).cloned();
    let node = pod.node.as_ref().and_then(|node| cluster.nodes.get(node));
    Workload {
        pod: PodIdentity {
            namespace_labels: Some(cluster.namespace_labels(&namespace)),
            namespace: Some(namespace),
            labels: Some(pod.labels.clone()),
            service_account: Some(Arc::clone(&pod.service_account)),
            service_account_labels: Some(account_labels.unwrap_or_default()),
            node: pod.node.clone(),
            node_labels: node.map(|node| node.labels.clone()),
            host_network: pod.host_network,
            addresses: pod.addresses.clone(),
        },
        ..Workload::default()
    }
}
