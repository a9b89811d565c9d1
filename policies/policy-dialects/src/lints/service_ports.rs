//! Rules with the port of a Service, where the pods behind it listen on another: a flow is judged by the port it ends at.

use std::collections::{BTreeMap, BTreeSet};

use policy_model::{
    Action, Cluster, Diagnostic, NamespacedName, Peer, Peers, Policy, Ports, Protocol, Rule,
    Service, ServicePort,
};

use super::tell;
use crate::codes;

pub(super) fn lint(policies: &[Policy], cluster: &Cluster, out: &mut Vec<Diagnostic>) {
    let world = Listening::of(cluster);
    if world.services.is_empty() {
        return;
    }
    for policy in policies {
        for rule in &policy.rules {
            if let Some((name, port, number)) = world.mistaken(rule, cluster) {
                let (namespace, service) = name;
                out.push(tell(
                    codes::SERVICE_PORT,
                    policy,
                    &rule.origin,
                    format!(
                        "{number}/{} is the port of the Service `{namespace}/{service}`, whose pods listen on {}",
                        port.protocol,
                        listed(port)
                    ),
                    "write the port that the pods listen on (`targetPort`)",
                ));
            }
        }
    }
}

fn listed(port: &ServicePort) -> String {
    let ports: BTreeSet<u16> = port.backends.iter().map(|backend| backend.port).collect();
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    ports.join(", ")
}

/// Which ports of a cluster belong to what.
struct Listening<'a> {
    /// Services by a port none of whose backends listens on it.
    services: BTreeMap<(Protocol, u16), Vec<(&'a NamespacedName, &'a Service, &'a ServicePort)>>,
    /// Pods by a port that they listen on, as far as anybody says so.
    pods: BTreeMap<(Protocol, u16), BTreeSet<&'a NamespacedName>>,
}

impl<'a> Listening<'a> {
    fn of(cluster: &'a Cluster) -> Self {
        let mut by_address = BTreeMap::new();
        let mut pods: BTreeMap<(Protocol, u16), BTreeSet<_>> = BTreeMap::new();
        for (name, pod) in cluster.pods.iter().filter(|(_, pod)| !pod.host_network) {
            by_address.extend(pod.addresses.iter().map(|ip| (ip.to_canonical(), name)));
            for port in &pod.ports {
                pods.entry((port.protocol, port.port))
                    .or_default()
                    .insert(name);
            }
        }
        let mut services: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, service) in &cluster.services {
            for port in &service.ports {
                for backend in &port.backends {
                    if let Some(pod) = by_address.get(&backend.address.to_canonical()) {
                        pods.entry((port.protocol, backend.port))
                            .or_default()
                            .insert(*pod);
                    }
                }
                let own = port
                    .backends
                    .iter()
                    .any(|backend| backend.port == port.port);
                if !own && !port.backends.is_empty() {
                    services
                        .entry((port.protocol, port.port))
                        .or_default()
                        .push((name, service, port));
                }
            }
        }
        Self { services, pods }
    }

    /// The Service whose port a rule has, where the rule lets nobody reach it.
    fn mistaken(
        &self,
        rule: &Rule,
        cluster: &Cluster,
    ) -> Option<(&'a NamespacedName, &'a ServicePort, u16)> {
        let (Peers::Of(peers), Ports::Only(ports)) = (&rule.peers, &rule.ports) else {
            return None;
        };
        if rule.action != Action::Allow || rule.closed.is_some() || !rule.named_ports.is_empty() {
            return None;
        }
        let single = ports.iter().filter(|port| port.first == port.last);
        single
            .filter(|port| {
                let listening = self.pods.get(&(port.protocol, port.first));
                let mut pods = listening
                    .into_iter()
                    .flatten()
                    .filter_map(|name| cluster.pods.get_key_value(*name));
                !pods.any(|(name, pod)| {
                    peers
                        .iter()
                        .any(|peer| peer.selects_pod(cluster, name, pod))
                })
            })
            .find_map(|port| {
                let services = self.services.get(&(port.protocol, port.first))?;
                services
                    .iter()
                    .filter(|(_, _, own)| {
                        !own.backends.iter().any(|backend| {
                            ports.iter().any(|port| {
                                port.protocol == own.protocol
                                    && (port.first..=port.last).contains(&backend.port)
                            })
                        })
                    })
                    .find(|(name, service, own)| {
                        peers
                            .iter()
                            .any(|peer| means(peer, cluster, name, service, own))
                    })
                    .map(|(name, _, own)| (*name, *own, port.first))
            })
    }
}

/// Whether a peer means the Service, or a pod behind it.
fn means(
    peer: &Peer,
    cluster: &Cluster,
    name: &NamespacedName,
    service: &Service,
    port: &ServicePort,
) -> bool {
    if let Peer::Service(peer) = peer {
        return !peer.with_ports && peer.means(name, service);
    }
    port.backends.iter().any(|backend| {
        cluster
            .pod_at(backend.address)
            .is_some_and(|(name, pod)| peer.selects_pod(cluster, name, pod))
    })
}
