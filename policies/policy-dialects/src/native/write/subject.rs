//! Whom a policy selects, as a native `subject`.

use std::sync::Arc;

use policy_model::{ContainerSubject, KubernetesSubject, PlainSubject, Subject};

use crate::codes;
use crate::convert::Losses;
use crate::yaml::write::{Map, Value};

use super::place::{Place, Placed};
use super::selector::{in_namespace, selector};

/// The subjects that together select the same workloads, nothing being every workload; none at all where it cannot be said.
pub(super) fn subjects(placed: &Placed<'_>, losses: &mut Losses) -> Vec<Option<Map>> {
    match &placed.policy.subject {
        Subject::All => vec![None],
        Subject::Plain(subject) => vec![some(plain(subject))],
        Subject::Kubernetes(subject) if subject.nodes.is_none() => {
            if !subject.host_network {
                losses.note(
                    codes::CONVERT_HOST_NETWORK,
                    placed.policy,
                    &placed.policy.origin,
                    "natively pods in the network of their node are selected too",
                );
            }
            vec![some(kubernetes(subject, &placed.place))]
        }
        Subject::Kubernetes(_)
        | Subject::Endpoints(_)
        | Subject::Addressed(_)
        | Subject::HostEndpoint(_)
        | Subject::Nodes(_) => {
            losses.note(
                codes::CONVERT_SUBJECT,
                placed.policy,
                &placed.policy.origin,
                "whom it selects cannot be said natively: the policy is left out",
            );
            Vec::new()
        }
    }
}

fn some(map: Map) -> Option<Map> {
    (!map.is_empty()).then_some(map)
}

fn kubernetes(subject: &KubernetesSubject, place: &Place) -> Map {
    let KubernetesSubject {
        namespace,
        namespaces,
        pods,
        service_accounts,
        nodes: _,
        host_network: _,
    } = subject;
    let mut map = Map::new();
    let namespaces = match (namespace, namespaces, place) {
        (_, None, Place::Namespace(_)) | (None, None, Place::Tier { .. }) => None,
        (Some(namespace), namespaces, Place::Tier { .. }) => Some(in_namespace(
            &namespaces.clone().unwrap_or_default(),
            namespace,
        )),
        (_, Some(namespaces), _) => Some(namespaces.clone()),
    };
    if let Some(namespaces) = namespaces {
        map.push("namespaces", selector(&namespaces));
    }
    if let Some(pods) = pods {
        map.push("pods", selector(pods));
    }
    if !service_accounts.is_empty() {
        map.push("serviceAccounts", texts(service_accounts));
    }
    map
}

fn plain(subject: &PlainSubject) -> Map {
    let PlainSubject {
        unit,
        user,
        cgroup,
        container,
        command,
    } = subject;
    let mut map = Map::new()
        .with_some("unit", unit.as_deref())
        .with_some("user", user.as_deref())
        .with_some("cgroup", cgroup.as_deref());
    if let Some(ContainerSubject { name, labels }) = container {
        let labels = labels
            .match_labels
            .iter()
            .fold(Map::new(), |map, (key, value)| map.with(key, &**value));
        let container = Map::new()
            .with_some("name", name.as_deref())
            .with_some("labels", some(labels));
        map.push("container", container);
    }
    map.with_some("command", *command)
}

fn texts(texts: &[Arc<str>]) -> Value {
    let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
    texts.into()
}
