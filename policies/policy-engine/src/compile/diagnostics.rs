//! What this engine tells policy authors, beyond what their dialect did: rules it closes although the dialect did not,
//! and what is empty on this machine.
use std::sync::Arc;

use policy_model::{Action, Diagnostic, Entity, Level, Peer, Policy, Rule, World};

use super::clauses::{
    CONDITION_NOT_ENFORCED, Force, PASS_BY_NAME, PEER_NOT_HERE, force_of, has_names, is_unknown,
};
use crate::codes::NO_RESOLVER;

pub(super) fn diagnose(policies: &[Arc<Policy>], world: &World) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for policy in policies {
        for rule in &policy.rules {
            let mut about = |level, code, message: &str, help: Option<&str>| {
                let mut diagnostic = Diagnostic::new(level, code, rule.origin.clone(), message)
                    .about(policy.id.clone());
                diagnostic.help = help.map(str::to_owned);
                found.push(diagnostic);
            };
            closed(rule, world, &mut about);
            if force_of(rule, world) == Force::AsWritten {
                empty_here(rule, world, &mut about);
            }
        }
    }
    found
}

type About<'a> = &'a mut dyn FnMut(Level, &'static str, &str, Option<&str>);

/// What is not enforced as written. A rule its dialect closed was reported there.
fn closed(rule: &Rule, world: &World, about: About<'_>) {
    if rule.closed.is_some() {
        return;
    }
    let effect = match rule.action {
        Action::Allow => "it allows nothing",
        Action::Deny | Action::Pass => "it denies everything",
        Action::Log => "it notes nothing",
    };
    if rule.sni.is_some() || !rule.http.is_empty() {
        let message = format!("no proxy enforces conditions on TLS or HTTP yet: {effect}");
        about(Level::Closed, CONDITION_NOT_ENFORCED, &message, None);
    }
    if rule.action == Action::Pass && has_names(rule) {
        let message = "a Pass by name would open when a name expires: it denies everything";
        let help = "pass by address, or allow the names in this tier";
        about(Level::Closed, PASS_BY_NAME, message, Some(help));
    }
    let mut unknown = rule
        .peers
        .given()
        .iter()
        .filter(|peer| is_unknown(peer, world))
        .peekable();
    while let Some(peer) = unknown.next() {
        let what = match peer {
            Peer::Pods(_) => "pods are".to_owned(),
            Peer::Nodes(_) => "nodes are".to_owned(),
            Peer::Service(_) => "Services are".to_owned(),
            Peer::Endpoints(_) => "endpoints are".to_owned(),
            Peer::Set(name) => format!("set `{name}` is"),
            // Cilium's `cluster` is both of these.
            Peer::Entity(Entity::Cluster)
                if unknown
                    .next_if_eq(&&Peer::Entity(Entity::KubeApiserver))
                    .is_some() =>
            {
                "entity `cluster`, with `kube-apiserver`, is".to_owned()
            }
            Peer::Entity(entity) => format!("entity `{}` is", entity.as_str()),
            Peer::Block(_) | Peer::Fqdn(_) | Peer::Metadata(_) => continue,
        };
        let effect = match rule.action {
            Action::Allow | Action::Log => "this peer matches nothing",
            Action::Deny | Action::Pass => "the rule denies everything",
        };
        about(
            Level::Closed,
            PEER_NOT_HERE,
            &format!("{what} not known on one machine: {effect}"),
            None,
        );
    }
}

/// What matches nothing because of the machine it runs on, which the dialect cannot know.
fn empty_here(rule: &Rule, world: &World, about: About<'_>) {
    let asks_dns =
        rule.peers.given().contains(&Peer::Entity(Entity::Dns)) || rule.questions.is_some();
    if asks_dns && world.resolvers.is_empty() {
        let message = "no resolver is known on this machine: the rule opens none";
        about(
            Level::Lint,
            NO_RESOLVER,
            message,
            Some("name one in the configuration"),
        );
    }
}
