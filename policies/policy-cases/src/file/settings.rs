use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use dns_names::Name;
use policy_dialects::codes;
use policy_dialects::decode::Findings;
use policy_dialects::yaml::Node;
use policy_model::Scope;

use super::values::{decode_name, decode_seconds};

/// `settings`; what is left out has the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsSpec {
    pub guards: bool,
    /// Nothing: `cluster.local` for pods, none for others.
    pub cluster_domain: Option<Name>,
    /// Known resolvers; one stands for the cluster's where none is given.
    pub resolvers: Vec<ResolverSpec>,
    pub network_policy_cidr: Scope,
    pub closed: Closed,
    /// Seconds.
    pub grace: u32,
}

/// A known resolver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolverSpec {
    Address(SocketAddr),
    /// `namespace/name` of a Service.
    Service(Arc<str>),
}

/// What rules that fail closed do to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The file fails, unless a `diagnostic` test expects them.
    Error,
    Accept,
}

impl Default for SettingsSpec {
    fn default() -> Self {
        Self {
            guards: true,
            cluster_domain: None,
            resolvers: Vec::new(),
            network_policy_cidr: Scope::Any,
            closed: Closed::Error,
            grace: 0,
        }
    }
}

impl SettingsSpec {
    pub(super) fn decode(node: Node<'_>, findings: &mut Findings) -> Self {
        let mut settings = Self::default();
        let Some(mut fields) = findings.fields(node) else {
            return settings;
        };
        if let Some(node) = fields.take("guards")
            && let Some(guards) = findings.boolean(node)
        {
            settings.guards = guards;
        }
        if let Some(node) = fields.take("clusterDomain")
            && let Some(name) = decode_name(node, findings)
        {
            settings.cluster_domain = Some(name);
        }
        if let Some(node) = fields.take("resolvers") {
            let texts = findings.strings(node).unwrap_or_default();
            settings.resolvers = texts
                .into_iter()
                .filter_map(|text| {
                    let resolver = ResolverSpec::parse(text.value);
                    if resolver.is_none() {
                        findings.report(
                            codes::INVALID_VALUE,
                            text.node,
                            format!("`{}` is neither an address nor namespace/name", text.value),
                        );
                    }
                    resolver
                })
                .collect();
        }
        if let Some(node) = fields.take("networkPolicyCIDR")
            && let Some(scope) =
                findings.word(node, &[("any", Scope::Any), ("outside", Scope::Outside)])
        {
            settings.network_policy_cidr = scope.value;
        }
        if let Some(node) = fields.take("closed")
            && let Some(closed) = findings.word(
                node,
                &[("error", Closed::Error), ("accept", Closed::Accept)],
            )
        {
            settings.closed = closed.value;
        }
        if let Some(node) = fields.take("grace")
            && let Some(grace) = decode_seconds(node, findings)
        {
            settings.grace = grace;
        }
        fields.finish(findings, codes::UNKNOWN_FIELD);
        settings
    }
}

impl ResolverSpec {
    /// `ADDRESS`, `ADDRESS:PORT` or `NAMESPACE/NAME`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Address(SocketAddr::new(address, 53)));
        }
        if let Ok(address) = text.parse() {
            return Some(Self::Address(address));
        }
        let (namespace, name) = text.split_once('/')?;
        (!namespace.is_empty() && !name.is_empty() && !name.contains('/'))
            .then(|| Self::Service(text.into()))
    }
}
