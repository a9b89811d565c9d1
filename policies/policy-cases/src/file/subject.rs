use std::net::IpAddr;
use std::sync::Arc;

use dns_names::Name;
use policy_dialects::codes;
use policy_dialects::decode::{Findings, listed};
use policy_dialects::yaml::{Node, Shape};
use policy_model::Labels;

use super::values::decode_host;

/// `from`: who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromSpec {
    /// The command of `egret run`.
    Command,
    /// A pod of the world.
    Pod {
        namespace: Arc<str>,
        name: Arc<str>,
    },
    /// A pod described here.
    Described {
        namespace: Arc<str>,
        labels: Labels,
        namespace_labels: Labels,
        service_account: Arc<str>,
        host_network: bool,
        node: Option<Arc<str>>,
    },
    Unit(Arc<str>),
    User(Arc<str>),
    Cgroup(Arc<str>),
    /// Somebody of whom only the address is known.
    Ip(IpAddr),
}

/// `to`: the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToSpec {
    /// A name, and which of its addresses where only one is meant.
    Host {
        name: Name,
        ip: Option<IpAddr>,
    },
    Ip(IpAddr),
    Pod {
        namespace: Arc<str>,
        name: Arc<str>,
    },
    Service {
        namespace: Arc<str>,
        name: Arc<str>,
    },
    Node(Arc<str>),
}

impl FromSpec {
    pub(super) fn decode(node: Node<'_>, findings: &mut Findings) -> Option<Self> {
        if let Shape::Scalar(..) = node.shape() {
            let text = findings.string(node)?.value;
            if text == "command" {
                return Some(Self::Command);
            }
            let (namespace, name) = namespaced(text, node, findings)?;
            return Some(Self::Pod { namespace, name });
        }
        let mut fields = findings.fields(node)?;
        let namespace = fields.take("namespace");
        let labels = fields.take("labels");
        let namespace_labels = fields.take("namespaceLabels");
        let service_account = fields.take("serviceAccount");
        let host_network = fields.take("hostNetwork");
        let node_name = fields.take("node");
        let unit = fields.take("unit");
        let user = fields.take("user");
        let cgroup = fields.take("cgroup");
        let command = fields.take("command");
        let ip = fields.take("ip");
        fields.finish(findings, codes::UNKNOWN_FIELD);
        let pod = [
            namespace,
            labels,
            namespace_labels,
            service_account,
            host_network,
            node_name,
        ];
        let plain = [unit, user, cgroup, command, ip];
        let kinds = usize::from(pod.iter().any(Option::is_some)) + plain.iter().flatten().count();
        if kinds != 1 {
            findings.report(
                codes::INVALID_VALUE,
                node,
                format!(
                    "one of a pod, {} is needed",
                    listed(&["unit", "user", "cgroup", "command", "ip"])
                ),
            );
            return None;
        }
        let text = |node: Node<'_>, findings: &mut Findings| {
            findings.string(node).map(|text| Arc::from(text.value))
        };
        if let Some(unit) = unit {
            return text(unit, findings).map(Self::Unit);
        }
        if let Some(user) = user {
            return text(user, findings).map(Self::User);
        }
        if let Some(cgroup) = cgroup {
            return text(cgroup, findings).map(Self::Cgroup);
        }
        if let Some(command) = command {
            if !findings.boolean(command)? {
                findings.report(codes::INVALID_VALUE, command, "`command: false` is nobody");
                return None;
            }
            return Some(Self::Command);
        }
        if let Some(ip) = ip {
            return decode_ip(ip, findings).map(Self::Ip);
        }
        let or_default = |node: Option<Node<'_>>, findings: &mut Findings| match node {
            Some(node) => findings.string(node).map(|text| Arc::from(text.value)),
            None => Some(Arc::from("default")),
        };
        let namespace = or_default(namespace, findings);
        let service_account = or_default(service_account, findings);
        let labels =
            labels.map_or_else(|| Some(Labels::new()), |node| decode_labels(node, findings));
        let namespace_labels = namespace_labels
            .map_or_else(|| Some(Labels::new()), |node| decode_labels(node, findings));
        let host_network = host_network.map_or(Some(false), |node| findings.boolean(node));
        let node_name = match node_name {
            Some(node) => Some(findings.string(node)?.value.into()),
            None => None,
        };
        Some(Self::Described {
            namespace: namespace?,
            labels: labels?,
            namespace_labels: namespace_labels?,
            service_account: service_account?,
            host_network: host_network?,
            node: node_name,
        })
    }
}

impl ToSpec {
    pub(super) fn decode(node: Node<'_>, findings: &mut Findings) -> Option<Self> {
        let mut fields = findings.fields(node)?;
        let host = fields.take("host");
        let ip = fields.take("ip");
        let pod = fields.take("pod");
        let service = fields.take("service");
        let node_name = fields.take("node");
        fields.finish(findings, codes::UNKNOWN_FIELD);
        let ip = match ip {
            Some(ip) => Some(decode_ip(ip, findings)?),
            None => None,
        };
        match (host, ip, pod, service, node_name) {
            (Some(host), ip, None, None, None) => Some(Self::Host {
                name: decode_host(host, findings)?,
                ip,
            }),
            (None, Some(ip), None, None, None) => Some(Self::Ip(ip)),
            (None, None, Some(pod), None, None) => {
                let (namespace, name) = namespaced(findings.string(pod)?.value, pod, findings)?;
                Some(Self::Pod { namespace, name })
            }
            (None, None, None, Some(service), None) => {
                let (namespace, name) =
                    namespaced(findings.string(service)?.value, service, findings)?;
                Some(Self::Service { namespace, name })
            }
            (None, None, None, None, Some(node)) => {
                Some(Self::Node(findings.string(node)?.value.into()))
            }
            (_, _, _, _, _) => {
                findings.report(
                    codes::INVALID_VALUE,
                    node,
                    "one destination is needed: `host` (with `ip` if you like), `ip`, `pod`, `service` or `node`",
                );
                None
            }
        }
    }
}

pub(super) fn namespaced(
    text: &str,
    node: Node<'_>,
    findings: &mut Findings,
) -> Option<(Arc<str>, Arc<str>)> {
    let parts = text.split_once('/').filter(|(namespace, name)| {
        !namespace.is_empty() && !name.is_empty() && !name.contains('/')
    });
    if parts.is_none() {
        findings.report(
            codes::INVALID_VALUE,
            node,
            format!("`{text}` is not namespace/name"),
        );
    }
    parts.map(|(namespace, name)| (namespace.into(), name.into()))
}

pub(super) fn decode_ip(node: Node<'_>, findings: &mut Findings) -> Option<IpAddr> {
    let text = findings.string(node)?;
    let ip = text.value.parse().ok();
    if ip.is_none() {
        findings.report(
            codes::INVALID_VALUE,
            node,
            format!("`{}` is not an address", text.value),
        );
    }
    ip
}

fn decode_labels(node: Node<'_>, findings: &mut Findings) -> Option<Labels> {
    let Shape::Mapping(entries) = node.shape() else {
        findings.wrong_type(node, "a mapping");
        return None;
    };
    entries
        .iter()
        .map(|entry| Some((entry.key.into(), findings.string(entry.value)?.value.into())))
        .collect()
}
