//! Peers as entries of a native `to`.

use dns_names::Grammar;
use ipnet::IpNet;
use policy_model::{
    Action, Block, EndpointPeer, EndpointScope, Expression, FqdnBy, FqdnPeer, NodePeer, Peer,
    PodPeer, Rule, Scope, ServicePeer, ServiceRef,
};

use crate::calico::expression_text;
use crate::cidr::canonical;
use crate::convert::is_guarded_address;
use crate::kubernetes::{in_namespace, selector};
use crate::native::v1alpha1::limits;
use crate::yaml::write::Map;

/// Entries of `to`, the presets of `metadata`, and what could not be said.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) to: Vec<Map>,
    pub(super) metadata: Vec<&'static str>,
    pub(super) unsaid: Vec<String>,
}

/// Where the rule stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) rule: &'a Rule,
    /// The namespace of the written object.
    pub(super) namespace: Option<&'a str>,
    /// The policy moves up into the admin tier, whose rules open guarded addresses.
    pub(super) lifted: bool,
}

pub(super) fn peers(peers: &[Peer], around: Around<'_>) -> Written {
    let mut out = Written::default();
    let mut at = 0;
    while let Some(peer) = peers.get(at) {
        // Names that are read alike share an entry.
        if let Peer::Fqdn(first) = peer {
            let alike = |peer: &&Peer| matches!(peer, Peer::Fqdn(other) if (other.by, other.scope) == (first.by, first.scope));
            let group: Vec<&Peer> = peers[at..].iter().take_while(alike).collect();
            at += group.len();
            names(first, &group, &mut out);
            continue;
        }
        at += 1;
        match peer {
            Peer::Fqdn(_) => {}
            Peer::Block(block) => self::block(block, around, &mut out),
            Peer::Entity(entity) => out.to.push(Map::new().with("entity", entity.as_str())),
            Peer::Metadata(preset) if around.rule.action == Action::Allow => {
                out.metadata.push(preset.as_str());
            }
            Peer::Metadata(preset) => out.unsaid.push(format!(
                "the preset `{}` outside of an Allow",
                preset.as_str()
            )),
            Peer::Pods(pods) => out.to.extend(self::pods(pods, around.namespace)),
            Peer::Nodes(NodePeer { labels, remote }) => {
                let word = if *remote { "remoteNodes" } else { "nodes" };
                out.to.push(Map::new().with(word, selector(labels)));
            }
            Peer::Service(service) => out.to.push(self::service(service)),
            Peer::Set(name) => out.to.push(Map::new().with("set", &**name)),
            Peer::Endpoints(endpoints) => match self::endpoints(endpoints) {
                Some(map) => out.to.push(map),
                None => out
                    .unsaid
                    .push("endpoints by an expression that is over a limit".to_owned()),
            },
        }
    }
    out
}

fn names(first: &FqdnPeer, group: &[&Peer], out: &mut Written) {
    let mut patterns: Vec<String> = Vec::new();
    for peer in group {
        let Peer::Fqdn(peer) = peer else { continue };
        // A pattern that covers no name is no pattern, and nothing is lost with it.
        if peer.pattern.is_never() {
            continue;
        }
        match peer.pattern.in_grammar(Grammar::Native) {
            Some(pattern) => patterns.push(pattern.as_str().to_owned()),
            None => out.unsaid.push(format!(
                "the name pattern `{}`: it is no pattern here",
                peer.pattern.as_str()
            )),
        }
    }
    if patterns.is_empty() {
        return;
    }
    for patterns in patterns.chunks(limits::NAMES) {
        let mut map = scoped(Map::new().with("fqdn", patterns.to_vec()), first.scope);
        if first.by == FqdnBy::Question {
            map.push("chain", false);
        }
        out.to.push(map);
    }
}

/// Whether a peer is the full address of a metadata service, which may open the guard.
pub(super) fn is_guarded(peer: &Peer) -> bool {
    matches!(peer, Peer::Block(block) if is_guarded_address(block.net))
}

fn scoped(map: Map, scope: Scope) -> Map {
    match scope {
        Scope::Any => map,
        Scope::Outside => map.with("scope", "outside"),
    }
}

fn block(block: &Block, around: Around<'_>, out: &mut Written) {
    let Block { net, except, scope } = block;
    let net = canonical(*net);
    let except: Vec<IpNet> = except.iter().copied().map(canonical).collect();
    let opens = around.lifted && around.rule.action == Action::Allow && is_guarded_address(net);
    if opens {
        out.unsaid.push(format!(
            "`{net}` in a rule that opens no guarded address: the rules of an admin tier do"
        ));
        return;
    }
    // An exception that is no part of the block takes nothing from it; one that covers the block takes all.
    if except.iter().any(|except| except.contains(&net)) {
        return;
    }
    let except: Vec<String> = except
        .iter()
        .filter(|except| net.contains(*except))
        .map(ToString::to_string)
        .collect();
    if except.len() > limits::ENTRIES {
        out.unsaid
            .push(format!("`{net}` with {} exceptions", except.len()));
        return;
    }
    let mut map = Map::new().with("cidr", net.to_string());
    if !except.is_empty() {
        map.push("except", except);
    }
    out.to.push(scoped(map, *scope));
}

fn pods(peer: &PodPeer, own: Option<&str>) -> Vec<Map> {
    let PodPeer {
        namespace,
        namespaces,
        pods,
        service_accounts,
    } = peer;
    let namespaces = match (namespace.as_deref(), namespaces) {
        (Some(namespace), None) if own == Some(namespace) => None,
        (Some(namespace), namespaces) => Some(in_namespace(
            &namespaces.clone().unwrap_or_default(),
            namespace,
        )),
        (None, namespaces) => Some(namespaces.clone().unwrap_or_default()),
    };
    let mut map = Map::new();
    if let Some(namespaces) = namespaces {
        map.push("namespaces", selector(&namespaces));
    }
    map.append(selector(pods));
    if service_accounts.is_empty() {
        return vec![Map::new().with("pods", map)];
    }
    let accounts: Vec<&str> = service_accounts.iter().map(|account| &**account).collect();
    accounts
        .chunks(limits::ENTRIES)
        .map(|accounts| {
            Map::new().with(
                "pods",
                map.clone().with("serviceAccounts", accounts.to_vec()),
            )
        })
        .collect()
}

/// Nothing where an expression has no text.
fn endpoints(peer: &EndpointPeer) -> Option<Map> {
    let EndpointPeer {
        selector,
        not_selector,
        scope,
        nets,
        not_nets,
    } = peer;
    if nets.len() > limits::NETS || not_nets.len() > limits::NETS {
        return None;
    }
    let text = |expression: &Option<Expression>| match expression {
        Some(expression) => expression_text(expression).map(Some),
        None => Some(None),
    };
    let mut map = Map::new()
        .with_some("selector", text(selector)?)
        .with_some("notSelector", text(not_selector)?);
    for (word, nets) in [("nets", nets), ("notNets", not_nets)] {
        if !nets.is_empty() {
            map.push(word, texts(nets));
        }
    }
    if map.is_empty() {
        return None;
    }
    if *scope == EndpointScope::WithoutSets {
        map.push("networkSets", false);
    }
    Some(Map::new().with("endpoints", map))
}

pub(super) fn texts(nets: &[IpNet]) -> Vec<String> {
    nets.iter().map(|net| canonical(*net).to_string()).collect()
}

fn service(peer: &ServicePeer) -> Map {
    let ServicePeer {
        namespace,
        service,
        with_ports,
    } = peer;
    let mut map = match namespace {
        Some(namespace) => Map::new().with("namespace", &**namespace),
        None => Map::new().with("allNamespaces", true),
    };
    match service {
        ServiceRef::Name(name) => map.push("name", &**name),
        ServiceRef::Labels(labels) => map.push("labels", selector(labels)),
    }
    if !with_ports {
        map.push("anyPort", true);
    }
    Map::new().with("service", map)
}
