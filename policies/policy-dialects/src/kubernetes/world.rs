//! Objects that describe a cluster: who asks, and what policies speak of. One file per kind.
//!
//! They are read as an API server gives them out: a field that says nothing of who may reach whom is left alone, and one
//! that does must have its type, because a pod without its labels is another pod. Files come in any order, so what needs
//! several objects (a Service its backends, a pod in the host's network its node) waits in [`Unfinished`].

mod backends;
mod endpoint_slice;
mod endpoints;
mod namespace;
mod node;
mod pod;
mod service;
mod service_account;
mod unfinished;

use std::net::IpAddr;
use std::sync::Arc;

use policy_model::{NamespacedName, Protocol};

use crate::catalog::{Kind, Role};
use crate::codes;
use crate::decode::{At, Findings};
use crate::kubernetes::Scope;
use crate::object::Object;
use crate::surroundings::Surroundings;
use crate::yaml::Node;

pub(crate) use unfinished::Unfinished;

/// The kinds of a cluster's description.
pub(crate) const KINDS: &[Kind] = &[
    world("", "Namespace", Scope::Cluster, namespace::read),
    world("", "Pod", Scope::Namespaced, pod::read),
    world("", "Node", Scope::Cluster, node::read),
    world("", "Service", Scope::Namespaced, service::read),
    world("", "Endpoints", Scope::Namespaced, endpoints::read),
    world(
        "",
        "ServiceAccount",
        Scope::Namespaced,
        service_account::read,
    ),
    world(
        "discovery.k8s.io",
        "EndpointSlice",
        Scope::Namespaced,
        endpoint_slice::read,
    ),
];

const fn world(
    group: &'static str,
    kind: &'static str,
    scope: Scope,
    read: fn(&Object<'_>, &mut Surroundings, &mut Findings),
) -> Kind {
    Kind {
        group,
        kind,
        versions: &["v1"],
        scope,
        fields: &[],
        role: Role::World(read),
    }
}

/// The name of a namespaced object.
fn namespaced(object: &Object<'_>) -> NamespacedName {
    let namespace = object.id.namespace.clone();
    (
        namespace.unwrap_or_else(|| Arc::from("default")),
        Arc::clone(&object.id.name),
    )
}

/// A field that is not null.
fn field<'d>(node: Option<Node<'d>>, key: &str) -> Option<Node<'d>> {
    node?.get(key).filter(|value| !value.is_null())
}

/// The items of a list; none where it is absent.
fn items<'d>(node: Option<Node<'d>>, key: &str, findings: &mut Findings) -> Vec<Node<'d>> {
    field(node, key)
        .and_then(|list| findings.list(list))
        .unwrap_or_default()
}

fn text<'d>(node: Option<Node<'d>>, key: &str, findings: &mut Findings) -> Option<At<'d, &'d str>> {
    field(node, key).and_then(|value| findings.string(value))
}

fn truth(node: Option<Node<'_>>, key: &str, findings: &mut Findings) -> Option<bool> {
    field(node, key).and_then(|value| findings.boolean(value))
}

/// An address, canonical. An empty text is none, as the API server writes it.
fn address(value: Node<'_>, findings: &mut Findings) -> Option<IpAddr> {
    let text = findings.string(value)?.value;
    if text.is_empty() {
        return None;
    }
    let address = text.parse::<IpAddr>().ok();
    if address.is_none() {
        findings.report(
            codes::INVALID_VALUE,
            value,
            format!("`{text}` is not an address"),
        );
    }
    address.map(|address| address.to_canonical())
}

/// `protocol` of a port: TCP where it is left out.
fn protocol(port: Node<'_>, findings: &mut Findings) -> Option<Protocol> {
    const PROTOCOLS: &[(&str, Protocol)] = &[
        ("TCP", Protocol::TCP),
        ("UDP", Protocol::UDP),
        ("SCTP", Protocol::SCTP),
    ];
    match field(Some(port), "protocol") {
        None => Some(Protocol::TCP),
        Some(value) => findings.word(value, PROTOCOLS).map(|at| at.value),
    }
}

/// A port number.
fn port_number(value: Node<'_>, findings: &mut Findings) -> Option<u16> {
    let number = findings.integer(value)?.value;
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    if port.is_none() {
        findings.report(
            codes::INVALID_PORT,
            value,
            format!("{number} is not a port: 1 to 65535"),
        );
    }
    port
}

/// Adds what is not there yet, in the order of arrival.
fn add_once<T: PartialEq>(list: &mut Vec<T>, more: impl IntoIterator<Item = T>) {
    for one in more {
        if !list.contains(&one) {
            list.push(one);
        }
    }
}
