//! `toEntities`.

use policy_model::Entity;

use super::v2::closed_text;
use crate::codes;
use crate::decode::{At, Findings, listed};
use crate::suggest::nearest;
use crate::yaml::Node;

/// An entity, as far as Egret can tell it from other destinations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntitySpec {
    Entity(Entity),
    /// `none`: no destination.
    Nothing,
    /// It is known to Cilium's agents alone; why.
    Foreign(&'static str),
}

const ENTITIES: &[(&str, EntitySpec)] = &[
    ("all", EntitySpec::Entity(Entity::All)),
    ("world", EntitySpec::Entity(Entity::World)),
    ("world-ipv4", EntitySpec::Entity(Entity::WorldIpv4)),
    ("world-ipv6", EntitySpec::Entity(Entity::WorldIpv6)),
    ("cluster", EntitySpec::Entity(Entity::Cluster)),
    ("host", EntitySpec::Entity(Entity::Host)),
    ("remote-node", EntitySpec::Entity(Entity::RemoteNode)),
    ("kube-apiserver", EntitySpec::Entity(Entity::KubeApiserver)),
    ("none", EntitySpec::Nothing),
    (
        "cluster-mesh",
        EntitySpec::Foreign("only a mesh of Cilium's knows the pods of its other clusters"),
    ),
    (
        "health",
        EntitySpec::Foreign("only Cilium's agents have health endpoints"),
    ),
    (
        "ingress",
        EntitySpec::Foreign("only Cilium knows the addresses of its own ingress proxies"),
    ),
    (
        "init",
        EntitySpec::Foreign("only Cilium has endpoints whose labels are not known yet"),
    ),
    (
        "unmanaged",
        EntitySpec::Foreign("only Cilium knows which pods it does not manage"),
    ),
];

/// The entity of that name.
pub(super) fn of_name(name: &str) -> Option<EntitySpec> {
    ENTITIES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, entity)| *entity)
}

/// Reads one entry of `toEntities`.
pub(super) fn decode<'d>(
    node: Node<'d>,
    deny: bool,
    findings: &mut Findings,
) -> Option<At<'d, EntitySpec>> {
    let text = findings.string(node)?.value;
    let Some(value) = of_name(text) else {
        let known: Vec<&str> = ENTITIES.iter().map(|(name, _)| *name).collect();
        let help = match nearest(text, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known: {}", listed(&known)),
        };
        findings.report_help(
            codes::CILIUM_ENTITY,
            node,
            format!("unsupported entity: {text}"),
            help,
        );
        return None;
    };
    if let EntitySpec::Foreign(why) = value {
        findings.report_help(
            codes::CILIUM_CLUSTER_ENTITY,
            node,
            closed_text(&format!("the entity `{text}`"), deny),
            why,
        );
    }
    Some(At { value, node })
}
