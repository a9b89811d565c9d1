use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use policy_model::{Action, Cluster, Expression, Rule};

use crate::codes::{self, Code};
use crate::decode::{Findings, Unknown};
use crate::yaml::Node;

use super::super::scope::{self, Selectors};
use super::super::v3::{ActionSpec, EntitySpec, IpVersion, RuleSpec};
use super::super::{lints, selector::Selector};
use super::{peers, ports};

/// What a rule is lowered with.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Lowering<'a> {
    /// Of a namespaced policy.
    pub(in super::super) namespace: Option<&'a Arc<str>>,
    /// Whether its names may hold private addresses.
    pub(in super::super) allow_private: bool,
    /// By rule, whether it named domains when it was applied; nothing for rules that Calico writes itself.
    pub(in super::super) pruned: Option<&'a BTreeMap<u32, bool>>,
    pub(in super::super) cluster: &'a Cluster,
}

/// A condition on the workload itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct SourceCondition {
    pub(in super::super) endpoints: Option<Expression>,
    pub(in super::super) nets: Vec<IpNet>,
    pub(in super::super) not_nets: Vec<IpNet>,
}

/// A rule, and whom it is for among those its policy selects: nothing is all of them. Two where a condition on the source
/// holds for flows of one family only.
pub(in super::super) fn lower_rule(
    spec: &RuleSpec<'_>,
    index: u32,
    lowering: Lowering<'_>,
    findings: &mut Findings,
) -> Vec<(Option<SourceCondition>, Rule)> {
    let RuleSpec {
        node,
        action,
        ip_version,
        protocol: _,
        not_protocol: _,
        icmp: _,
        not_icmp: _,
        source,
        destination,
        unknown,
    } = spec;
    let action = match action {
        ActionSpec::Allow => Action::Allow,
        ActionSpec::Deny => Action::Deny,
        ActionSpec::Log => Action::Log,
        ActionSpec::Pass => Action::Pass,
    };
    let mut closed: Option<Code> = (*unknown == Unknown::Some).then_some(codes::UNKNOWN_RULE_FIELD);
    let mut close = |code: Code, at: Node<'_>, what: &str, help: &str| {
        let text = match action {
            Action::Allow => format!("{what}: nothing is allowed by this rule"),
            Action::Deny | Action::Pass => format!("{what}: the rule denies everything"),
            Action::Log => format!("{what}: nothing is noted by this rule"),
        };
        findings.report_help(code, at, text, help);
        closed = closed.or(Some(code));
    };
    if let Some(source) = source
        && let Some(port) = source.ports.iter().chain(&source.not_ports).next()
    {
        close(
            codes::CALICO_SOURCE_PORTS,
            port.node,
            "Egret does not judge by the port a flow comes from",
            "leave the source's ports out",
        );
    }
    let parts = parts(
        source.as_ref(),
        destination.as_ref(),
        *ip_version,
        lowering.namespace,
    );
    if let Some(destination) = destination {
        let of_family = parts.iter().any(|(family, _)| family.is_some());
        if let Some(service) = destination.service.as_ref().filter(|_| of_family) {
            close(
                codes::CALICO_SERVICES_FAMILY,
                service.node,
                "a Service's endpoints of one family alone",
                "leave out `ipVersion` and the blocks of the source",
            );
        }
        if let Some((at, what)) = beside_names(destination, *ip_version, of_family) {
            close(
                codes::CALICO_DOMAIN_BESIDE,
                at,
                what,
                "leave it out, or write two rules",
            );
        }
        if let (Action::Allow, Some(at)) = (action, destination.no_domain) {
            close(
                codes::CALICO_EMPTIED_DESTINATION,
                at,
                "`domains` names none, and Calico would take that for every destination",
                "leave `domains` out to allow everything",
            );
        } else if action == Action::Allow && is_emptied(destination, index, lowering) {
            close(
                codes::CALICO_EMPTIED_DESTINATION,
                destination.node,
                "the destination is empty, as a server that is not Enterprise's leaves it of one that named domains",
                "leave `destination` out to allow everything",
            );
        }
    } else if action == Action::Allow && lowering.names_were_applied(index) {
        close(
            codes::CALICO_EMPTIED_DESTINATION,
            *node,
            "the rule named domains when it was applied, and the server dropped them",
            "read the policy as it was applied",
        );
    }
    lints::rule(spec, lowering, findings);
    let (ports, named_ports) = ports::lower(spec);
    parts
        .into_iter()
        .map(|(family, source)| {
            let rule = Rule {
                peers: peers::lower(destination.as_ref(), family, lowering.namespace),
                ports: ports.clone(),
                named_ports: named_ports.clone(),
                allow_private: lowering.allow_private,
                closed: closed.map(|code| code.id),
                ..Rule::new(index, action, findings.origin(*node))
            };
            (source, rule)
        })
        .collect()
}

/// The families of flows that a rule is about, nothing being both, and whom it is for in each.
///
/// A flow has one family, so a condition on one end holds for the other. What the source must not be says nothing of flows of
/// the other family: those the rule is about whatever addresses a workload has beside.
fn parts(
    source: Option<&EntitySpec<'_>>,
    destination: Option<&EntitySpec<'_>>,
    version: Option<IpVersion>,
    namespace: Option<&Arc<str>>,
) -> Vec<(Option<IpVersion>, Option<SourceCondition>)> {
    let condition = source.and_then(|source| condition(source, namespace));
    let first = |nets: &[IpNet]| nets.first().copied().map(IpVersion::of);
    let by_source = condition.as_ref().and_then(|source| first(&source.nets));
    let family = version.or(by_source);
    let by_destination = destination.is_some_and(|destination| !destination.nets.is_empty());
    let Some(source) = condition else {
        return vec![(family, None)];
    };
    let excluded = first(&source.not_nets).filter(|_| family.is_none() && !by_destination);
    let Some(excluded) = excluded else {
        return vec![(family, Some(source))];
    };
    let other = source.endpoints.clone().map(|endpoints| SourceCondition {
        endpoints: Some(endpoints),
        nets: Vec::new(),
        not_nets: Vec::new(),
    });
    vec![
        (Some(excluded), Some(source)),
        (Some(excluded.other()), other),
    ]
}

impl Lowering<'_> {
    fn names_were_applied(self, index: u32) -> bool {
        self.pruned
            .and_then(|applied| applied.get(&index))
            .is_some_and(|named| *named)
    }
}

/// Whether the destination lost names between the file and the server. What was applied says so; where nobody knows, an
/// empty one is taken for it.
fn is_emptied(destination: &EntitySpec<'_>, index: u32, lowering: Lowering<'_>) -> bool {
    let Some(applied) = lowering.pruned else {
        return false;
    };
    destination.domains.is_none() && applied.get(&index).copied().unwrap_or(destination.is_empty)
}

/// What stands beside names and cannot be held together with them.
fn beside_names<'d>(
    destination: &EntitySpec<'d>,
    version: Option<IpVersion>,
    of_family: bool,
) -> Option<(Node<'d>, &'static str)> {
    let domains = destination.domains.as_ref()?;
    if let Some(net) = destination.not_nets.first() {
        return Some((net.node, "`notNets` beside `domains` cannot be enforced"));
    }
    if let Some(selector) = &destination.not_selector {
        return Some((
            selector.node,
            "`notSelector` beside `domains` cannot be enforced",
        ));
    }
    of_family.then_some((
        domains.node,
        match version {
            Some(_) => "`ipVersion` beside `domains` cannot be enforced",
            None => "blocks of the source beside `domains` cannot be enforced",
        },
    ))
}

fn condition(source: &EntitySpec<'_>, namespace: Option<&Arc<str>>) -> Option<SourceCondition> {
    let selected = entity(source, namespace);
    let not = source.not_selector.as_ref();
    let not = not.map(|at| Expression::Not(Box::new(at.value.expression())));
    let endpoints = match (selected, not) {
        (Some(selected), Some(not)) => Some(Expression::And(vec![selected, not])),
        (selected, not) => selected.or(not),
    };
    let nets: Vec<IpNet> = source.nets.iter().map(|net| net.value).collect();
    let not_nets: Vec<IpNet> = source.not_nets.iter().map(|net| net.value).collect();
    let given = endpoints.is_some() || !nets.is_empty() || !not_nets.is_empty();
    given.then_some(SourceCondition {
        endpoints,
        nets,
        not_nets,
    })
}

/// The endpoints a source or destination is about.
pub(in super::super) fn entity(
    spec: &EntitySpec<'_>,
    namespace: Option<&Arc<str>>,
) -> Option<Expression> {
    fn value<'s>(at: Option<&'s crate::decode::At<'_, Selector>>) -> Option<&'s Selector> {
        at.map(|at| &at.value)
    }
    let selectors = Selectors {
        endpoints: value(spec.selector.as_ref()),
        not_endpoints: value(spec.not_selector.as_ref()),
        namespaces: value(spec.namespaces.as_ref()),
        account_names: spec
            .account_names
            .iter()
            .map(|name| Arc::from(*name))
            .collect(),
        accounts: value(spec.accounts.as_ref()),
    };
    scope::entity(&selectors, namespace)
}
