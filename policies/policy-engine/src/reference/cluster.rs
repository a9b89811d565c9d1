//! What the objects of a cluster have to do with one address.
use std::net::IpAddr;

use ipnet::IpNet;
use policy_model::{
    ContainerPort, Endpoint, EndpointPeer, EndpointScope, Expression, LabelSelector, NamedPort,
    NodePeer, PodPeer, Rule, Selects, ServicePeer, ServiceRef,
};

use super::Court;
use super::matching::{in_range, is_everything, is_in, port_holds};
use crate::decide::Flow;

impl Court<'_> {
    /// Whether the address is a node's and that node is the workload's; nothing where it is no node's.
    pub(super) fn is_own_node(&self, ip: IpAddr) -> Option<bool> {
        let (name, _) = self.world.cluster.objects().node_at(ip)?;
        Some(self.workload.pod.node.as_ref() == Some(name))
    }

    pub(super) fn is_api_server(&self, ip: IpAddr) -> bool {
        self.world
            .cluster
            .objects()
            .services
            .iter()
            .filter(|((namespace, name), _)| &**namespace == "default" && &**name == "kubernetes")
            .flat_map(|(_, service)| &service.ports)
            .flat_map(|port| &port.backends)
            .any(|backend| backend.address == ip.to_canonical())
    }

    pub(super) fn is_pod_of(&self, peer: &PodPeer, ip: IpAddr) -> bool {
        let cluster = self.world.cluster.objects();
        let pods = &cluster.pods;
        pods.iter().any(|((namespace, _), pod)| {
            let of_selector = |selector: &LabelSelector| {
                selector.is_empty() || selector.matches(&cluster.namespace_labels(namespace))
            };
            let account = &pod.service_account;
            pod.addresses.contains(&ip.to_canonical())
                && !pod.host_network
                && peer.pods.matches(&pod.labels)
                && (peer.namespace.is_none() || peer.namespace.as_ref() == Some(namespace))
                && peer.namespaces.as_ref().is_none_or(of_selector)
                && (peer.service_accounts.is_empty() || peer.service_accounts.contains(account))
        })
    }

    pub(super) fn is_node_of(&self, peer: &NodePeer, ip: IpAddr) -> bool {
        let nodes = &self.world.cluster.objects().nodes;
        nodes.iter().any(|(name, node)| {
            node.addresses.contains(&ip.to_canonical())
                && peer.labels.matches(&node.labels)
                && !(peer.remote && self.workload.pod.node.as_ref() == Some(name))
        })
    }

    pub(super) fn is_backend_of(&self, peer: &ServicePeer, flow: &Flow) -> bool {
        let services = &self.world.cluster.objects().services;
        services.iter().any(|((namespace, name), service)| {
            let named = match &peer.service {
                ServiceRef::Name(wanted) => wanted == name,
                ServiceRef::Labels(labels) => labels.matches(&service.labels),
            };
            named
                && peer.namespace.as_ref().is_none_or(|one| one == namespace)
                && (!peer.with_ports && service.selected.contains(&flow.ip.to_canonical())
                    || service.ports.iter().any(|port| {
                        port.backends.iter().chain(&port.idle).any(|backend| {
                            let there = backend.address == flow.ip.to_canonical();
                            let on_port =
                                backend.port == flow.port && port.protocol == flow.protocol;
                            there && (on_port || !peer.with_ports)
                        })
                    }))
        })
    }

    pub(super) fn is_endpoint_of(&self, peer: &EndpointPeer, ip: IpAddr) -> bool {
        let among = |nets: &[IpNet]| nets.iter().any(|net| is_in(ip, *net));
        let selected = |selector| self.selected(selector, peer.scope, ip).is_some();
        let not_selected = |selector| self.selected(selector, EndpointScope::All, ip).is_none();
        peer.selector.as_ref().is_none_or(selected)
            && peer.not_selector.as_ref().is_none_or(not_selected)
            && (peer.nets.is_empty() || among(&peer.nets))
            && !among(&peer.not_nets)
    }

    /// Whether something of the peer names the address by more than "everything".
    pub(super) fn is_named_by(&self, peer: &EndpointPeer, ip: IpAddr) -> bool {
        let by_net = |net: &IpNet| is_in(ip, *net) && !is_everything(*net);
        let selector = peer.selector.as_ref();
        peer.nets.iter().any(by_net)
            || selector.is_some_and(|selector| {
                self.selected(selector, peer.scope, ip) == Some(Named::Closely)
            })
    }

    /// Whether an expression selects something that has the address.
    fn selected(&self, by: &Expression, scope: EndpointScope, ip: IpAddr) -> Option<Named> {
        let cluster = self.world.cluster.objects();
        let ip = ip.to_canonical();
        let yes = |endpoint: Endpoint<'_>| endpoint.selects(by) == Selects::Yes;
        let pod = cluster.pods.iter().any(|(name, pod)| {
            !pod.host_network
                && pod.addresses.contains(&ip)
                && yes(Endpoint::of_pod(cluster, name, pod))
        });
        let host = cluster
            .host_endpoints
            .values()
            .any(|host| host.addresses.contains(&ip) && yes(Endpoint::of_host_endpoint(host)));
        if pod || host {
            return Some(Named::Closely);
        }
        let mut named = None;
        for ((namespace, _), set) in &cluster.network_sets {
            let endpoint = Endpoint::of_network_set(cluster, namespace.as_ref(), set);
            if scope == EndpointScope::WithoutSets || !yes(endpoint) {
                continue;
            }
            for net in set.nets.iter().filter(|net| is_in(ip, **net)) {
                if !is_everything(*net) {
                    return Some(Named::Closely);
                }
                named = Some(Named::AsEverything);
            }
        }
        named
    }

    /// Whether the rule's ports cover the flow's: by number, and by name.
    pub(super) fn covers_port(&self, rule: &Rule, flow: &Flow) -> (bool, bool) {
        let cluster = self.world.cluster.objects();
        let ip = flow.ip.to_canonical();
        let pods = cluster.pods.values();
        let of_pods = pods
            .filter(|pod| !pod.host_network && pod.addresses.contains(&ip))
            .flat_map(|pod| &pod.ports);
        let hosts = cluster.host_endpoints.values();
        let of_hosts = hosts
            .filter(|host| host.addresses.contains(&ip))
            .flat_map(|host| &host.ports);
        let here: Vec<&ContainerPort> = of_pods
            .chain(of_hosts)
            .filter(|port| (port.port, port.protocol) == (flow.port, flow.protocol))
            .collect();
        let is_named = |names: &[NamedPort]| {
            names.iter().any(|named| {
                here.iter().any(|port| {
                    port.name == named.name
                        && named
                            .protocol
                            .is_none_or(|protocol| protocol == port.protocol)
                })
            })
        };
        let named = &rule.named_ports;
        let taken =
            is_named(&named.none_of) || named.except.iter().any(|except| in_range(except, flow));
        (
            port_holds(&rule.ports, flow) && !taken,
            is_named(&named.any_of) && !taken,
        )
    }
}

/// How an address was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// By an address or a range.
    Closely,
    /// By a range of all addresses.
    AsEverything,
}
