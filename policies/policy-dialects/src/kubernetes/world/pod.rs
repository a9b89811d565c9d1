use std::sync::Arc;

use policy_model::{ContainerPort, Pod};

use crate::decode::Findings;
use crate::kubernetes::object_labels;
use crate::object::Object;
use crate::surroundings::Surroundings;
use crate::yaml::Node;

use super::{add_once, address, field, items, namespaced, port_number, protocol, text, truth};

/// A pod that runs, or will. One that has finished is not there: its address is used again.
pub(super) fn read(object: &Object<'_>, surroundings: &mut Surroundings, findings: &mut Findings) {
    let status = field(Some(object.node), "status");
    let phase = text(status, "phase", findings).map_or("Running", |phase| phase.value);
    if matches!(phase, "Succeeded" | "Failed") {
        return;
    }
    let spec = field(Some(object.node), "spec");
    let account = text(spec, "serviceAccountName", findings)
        .or_else(|| text(spec, "serviceAccount", findings))
        .map_or("default", |account| account.value);
    let mut pod = Pod {
        labels: object_labels(object.node, findings),
        service_account: Arc::from(account),
        node: text(spec, "nodeName", findings).map(|node| Arc::from(node.value)),
        host_network: truth(spec, "hostNetwork", findings).unwrap_or(false),
        ports: ports(spec, findings),
        ..Pod::default()
    };
    let first = field(status, "podIP");
    let all = items(status, "podIPs", findings)
        .into_iter()
        .filter_map(|item| field(Some(item), "ip"));
    for value in first.into_iter().chain(all) {
        let ip = address(value, findings);
        add_once(&mut pod.addresses, ip);
    }
    let name = namespaced(object);
    let metadata = field(Some(object.node), "metadata");
    // A pod that is going, or that says it is not ready, is a pod all the same, and Services lead to others.
    if field(metadata, "deletionTimestamp").is_some() {
        surroundings.unfinished.going.insert(name.clone());
    }
    if !is_ready(status, findings) {
        surroundings.unfinished.unready.insert(name.clone());
    }
    surroundings.cluster.pods.insert(name, Arc::new(pod));
}

/// What its `Ready` condition says. A file that has none means a pod that is ready.
fn is_ready(status: Option<Node<'_>>, findings: &mut Findings) -> bool {
    items(status, "conditions", findings)
        .into_iter()
        .filter(|condition| condition.get_str("type") == Some("Ready"))
        .all(|condition| condition.get_str("status") == Some("True"))
}

/// The named ports of everything that runs in it: containers, and init containers, which listen too while they run
/// (sidecars all the time). Two containers may give one name to two ports: then it means both.
fn ports(spec: Option<Node<'_>>, findings: &mut Findings) -> Vec<ContainerPort> {
    let mut ports = Vec::new();
    for kind in ["containers", "initContainers"] {
        for container in items(spec, kind, findings) {
            for port in items(Some(container), "ports", findings) {
                let name = text(Some(port), "name", findings).filter(|name| !name.value.is_empty());
                let number = field(Some(port), "containerPort")
                    .and_then(|value| port_number(value, findings));
                let protocol = protocol(port, findings);
                if let (Some(name), Some(port), Some(protocol)) = (name, number, protocol) {
                    let name = Arc::from(name.value);
                    add_once(
                        &mut ports,
                        [ContainerPort {
                            name,
                            protocol,
                            port,
                        }],
                    );
                }
            }
        }
    }
    ports
}
