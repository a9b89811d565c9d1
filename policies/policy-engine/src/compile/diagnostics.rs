//! What this engine tells policy authors, beyond what their dialect did.
use std::net::IpAddr;

use dns_names::Name;
use ipnet::IpNet;
use policy_model::{
    Action, Band, Diagnostic, Entity, Level, OpenedBy, Peer, Policy, Ports, Rule, Settings, World,
};

use super::clauses::{
    CONDITION_NOT_ENFORCED, Force, PASS_BY_NAME, PEER_NOT_HERE, canonical, force_of, has_names,
    is_unknown, peers,
};
use crate::guard::metadata_addresses;

pub(super) fn diagnose(policies: &[Policy], world: &World, settings: &Settings) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for policy in policies {
        for rule in &policy.rules {
            let mut about = |level, code, message: &str, help: Option<&str>| {
                let mut diagnostic = Diagnostic::new(level, code, rule.origin.clone(), message)
                    .about(policy.id.clone());
                diagnostic.help = help.map(str::to_owned);
                found.push(diagnostic);
            };
            closed(rule, &mut about);
            if force_of(rule) == Force::AsWritten {
                odd(rule, world, &mut about);
                if settings.guards {
                    metadata(rule, policy.tier.band, settings.opened_by, &mut about);
                }
            }
        }
    }
    found
}

type About<'a> = &'a mut dyn FnMut(Level, &'static str, &str, Option<&str>);

/// What is not enforced as written. A rule its dialect closed was reported there.
fn closed(rule: &Rule, about: About<'_>) {
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
    for peer in peers(rule).iter().filter(|peer| is_unknown(peer)) {
        let what = match peer {
            Peer::Pods(_) => "pods".to_owned(),
            Peer::Nodes(_) => "nodes".to_owned(),
            Peer::Service(service) => format!("Service `{}/{}`", service.namespace, service.name),
            Peer::Set(name) => format!("set `{name}`"),
            Peer::Block(_) | Peer::Fqdn(_) | Peer::Entity(_) | Peer::Metadata(_) => continue,
        };
        let effect = match rule.action {
            Action::Allow | Action::Log => "this peer matches nothing",
            Action::Deny | Action::Pass => "the rule denies everything",
        };
        about(
            Level::Closed,
            PEER_NOT_HERE,
            &format!("{what} are not known on one machine: {effect}"),
            None,
        );
    }
}

/// What is enforced, and may not be what was meant.
fn odd(rule: &Rule, world: &World, about: About<'_>) {
    if rule.action == Action::Deny && has_names(rule) && rule.ports != Ports::Any {
        let message = "a Deny by name refuses the name itself, on every port";
        about(
            Level::Lint,
            "deny-by-name-ports",
            message,
            Some("leave `ports` away, or deny by address"),
        );
    }
    for peer in peers(rule) {
        if let Peer::Entity(entity @ (Entity::Cluster | Entity::KubeApiserver)) = peer {
            let message = format!(
                "there is no cluster here: entity `{}` matches nothing",
                entity.as_str()
            );
            about(Level::Lint, "entity-empty", &message, None);
        }
        if let Peer::Entity(Entity::Dns) = peer
            && world.resolvers.is_empty()
        {
            about(
                Level::Lint,
                "no-resolver",
                "no resolver is known: entity `dns` matches nothing",
                None,
            );
        }
    }
    if rule.questions.is_some() && world.resolvers.is_empty() {
        let message = "no resolver is known: a rule about DNS questions matches nothing";
        about(Level::Lint, "no-resolver", message, None);
    }
}

/// Rules that open guarded addresses, and rules that look as if they did.
fn metadata(rule: &Rule, band: Band, opened_by: OpenedBy, about: About<'_>) {
    if rule.action != Action::Allow {
        return;
    }
    for peer in peers(rule) {
        match peer {
            Peer::Metadata(preset) => {
                let message = format!("opens the metadata service `{}`", preset.as_str());
                about(Level::Lint, "metadata-opened", &message, None);
            }
            Peer::Block(block) => {
                let net = canonical(block.net);
                let opens = match opened_by {
                    OpenedBy::Preset => false,
                    OpenedBy::Admin => band == Band::Admin,
                    OpenedBy::Any => true,
                };
                if let Some(address) = names_exactly(net) {
                    if opens {
                        let message = format!("opens the metadata address {address}");
                        about(Level::Lint, "metadata-opened", &message, None);
                    } else {
                        let message = format!(
                            "does not open the metadata address {address}, which the guard closes"
                        );
                        about(
                            Level::Lint,
                            "metadata-guarded",
                            &message,
                            Some("use a `metadata:` preset"),
                        );
                    }
                }
            }
            Peer::Fqdn(fqdn) => {
                let guarded = policy_model::METADATA_NAMES
                    .iter()
                    .filter_map(|name| Name::parse(name).ok())
                    .any(|name| fqdn.pattern.exact() == Some(&name));
                if guarded {
                    let message =
                        format!("does not open `{}`, which the guard closes", fqdn.pattern);
                    about(
                        Level::Lint,
                        "metadata-guarded",
                        &message,
                        Some("use a `metadata:` preset"),
                    );
                }
            }
            Peer::Entity(_) | Peer::Pods(_) | Peer::Nodes(_) | Peer::Service(_) | Peer::Set(_) => {}
        }
    }
}

fn names_exactly(net: IpNet) -> Option<IpAddr> {
    (net.prefix_len() == net.max_prefix_len())
        .then(|| net.addr())
        .filter(|ip| metadata_addresses().any(|address| address == *ip))
}
