//! Whom a policy selects, as a native `subject`.

use ipnet::IpNet;
use policy_model::{
    AddressedSubject, ContainerSubject, Expression, KubernetesSubject, PlainSubject, Subject,
};

use crate::calico::expression_text;
use crate::codes;
use crate::convert::Losses;
use crate::kubernetes::{in_namespace, selector};
use crate::native::v1alpha1::limits;
use crate::yaml::write::Map;

use super::peers::texts as nets_texts;
use super::place::{Place, Placed};

/// The subjects that together select the same workloads, nothing being every workload; none at all where it cannot be said.
pub(super) fn subjects(placed: &Placed<'_>, losses: &mut Losses) -> Vec<Option<Map>> {
    match &placed.policy.subject {
        Subject::All => vec![None],
        Subject::Plain(subject) => vec![some(plain(subject))],
        Subject::Kubernetes(subject) => kubernetes(subject, &placed.place),
        Subject::Nodes(nodes) => {
            let mut map = Map::new();
            if !nodes.is_empty() {
                map.push("nodes", selector(nodes));
            }
            vec![Some(map.with("network", "host"))]
        }
        Subject::HostEndpoint(name) => vec![Some(Map::new().with("hostEndpoint", &**name))],
        Subject::Endpoints(expression) => endpoints(expression, &[], &[], placed, losses),
        Subject::Addressed(AddressedSubject {
            endpoints: expression,
            nets,
            not_nets,
        }) => endpoints(expression, nets, not_nets, placed, losses),
    }
}

fn endpoints(
    expression: &Expression,
    nets: &[IpNet],
    not_nets: &[IpNet],
    placed: &Placed<'_>,
    losses: &mut Losses,
) -> Vec<Option<Map>> {
    let fits = nets.len() <= limits::NETS && not_nets.len() <= limits::NETS;
    let Some(text) = expression_text(expression).filter(|_| fits) else {
        losses.note(
            codes::CONVERT_SUBJECT,
            placed.policy,
            &placed.policy.origin,
            "whom it selects is over a limit here: the policy is left out",
        );
        return Vec::new();
    };
    let mut map = Map::new().with("selector", text);
    for (word, nets) in [("nets", nets), ("notNets", not_nets)] {
        if !nets.is_empty() {
            map.push(word, nets_texts(nets));
        }
    }
    vec![Some(Map::new().with("endpoints", map))]
}

fn some(map: Map) -> Option<Map> {
    (!map.is_empty()).then_some(map)
}

fn kubernetes(subject: &KubernetesSubject, place: &Place) -> Vec<Option<Map>> {
    let KubernetesSubject {
        namespace,
        namespaces,
        pods,
        service_accounts,
        nodes,
        host_network,
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
    if let Some(nodes) = nodes {
        map.push("nodes", selector(nodes));
    }
    if !host_network {
        map.push("network", "own");
    }
    if service_accounts.is_empty() {
        return vec![some(map)];
    }
    let accounts: Vec<&str> = service_accounts.iter().map(|text| &**text).collect();
    accounts
        .chunks(limits::ENTRIES)
        .map(|accounts| Some(map.clone().with("serviceAccounts", accounts.to_vec())))
        .collect()
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
