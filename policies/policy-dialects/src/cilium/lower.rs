//! From `cilium.io/v2` to the model.

mod rule;

use std::sync::Arc;

use policy_model::{
    Action, DnsFilter, ObjectRef, Order, Peer, Peers, Policy, Rule, Standing, Subject, TierRef,
};

use super::subject;
use super::v2::{PolicyRuleSpec, SubjectSpec};
use crate::Context;
use crate::codes;
use crate::decode::Findings;
use crate::object::Object;
use crate::surroundings::Surroundings;
use crate::yaml::Node;

use rule::{Around, lower_egress};

/// Reads one object of either kind; nothing where it is refused.
pub(crate) fn read(
    object: &Object<'_>,
    surroundings: &Surroundings,
    context: &Context,
    findings: &mut Findings,
) -> Vec<Policy> {
    let mark = findings.mark();
    let Object {
        node,
        kind: _,
        id,
        metadata,
        is_repeated: _,
    } = object;
    let scope = object.scope();
    let mut bodies: Vec<Node<'_>> = node
        .get("spec")
        .filter(|node| !node.is_null())
        .into_iter()
        .collect();
    if let Some(specs) = node.get("specs").filter(|node| !node.is_null()) {
        bodies.extend(findings.list(specs).unwrap_or_default());
    }
    if bodies.is_empty() && !findings.refused_since(mark) {
        findings.report(
            codes::CILIUM_NO_SPEC,
            *node,
            "a policy has `spec`, `specs` or both",
        );
    }
    let around = Around {
        namespace: id.namespace.clone(),
        allow_private: metadata.allows_private(findings),
        surroundings,
    };
    let mut policies = Vec::new();
    let mut index = 0;
    for body in bodies {
        if let Some(spec) = PolicyRuleSpec::decode(body, scope, context, findings) {
            lower(spec, id, &around, &mut index, findings, &mut policies);
        }
    }
    if findings.refused_since(mark) {
        Vec::new()
    } else {
        policies
    }
}

fn lower(
    spec: PolicyRuleSpec<'_>,
    id: &ObjectRef,
    around: &Around<'_>,
    index: &mut u32,
    findings: &mut Findings,
    policies: &mut Vec<Policy>,
) {
    let PolicyRuleSpec {
        node,
        subject,
        egress,
        egress_deny,
        ingress,
        default_deny,
    } = spec;
    if let Some(ingress) = ingress {
        findings.report_help(
            codes::CILIUM_INGRESS,
            ingress,
            "ingress rules are not enforced",
            "Egret holds what a workload sends; leave ingress to the network",
        );
    }
    let Some(subject) = subject else { return };
    let subject = match subject {
        SubjectSpec::Endpoints(selector) => {
            subject::lower(selector, id.namespace.as_ref(), findings)
        }
        SubjectSpec::Nodes(selector) => {
            findings.report_help(
                codes::CILIUM_NODE_SUBJECT,
                node,
                "a nodeSelector is about what runs in the nodes' own network, not about the pods on them",
                "Egret holds pods that share that network, and no other process of a node; select pods by `endpointSelector`",
            );
            Subject::Nodes(selector)
        }
    };
    let isolates = default_deny.unwrap_or(!egress.is_empty() || !egress_deny.is_empty());
    if default_deny.is_none()
        && egress.is_empty()
        && let Some(deny) = egress_deny.first()
    {
        findings.report_help(
            codes::CILIUM_DENY_ONLY_ISOLATES,
            deny.node,
            "a policy with only `egressDeny` also denies everything no other policy allows",
            "add `enableDefaultDeny: {egress: false}` to deny only what is named",
        );
    }
    let whole = Policy {
        id: id.clone(),
        origin: findings.origin(node),
        tier: TierRef::union(),
        order: Order(0.0),
        tie: Arc::from(""),
        subject,
        isolates,
        standing: Standing::Enforced,
        deny_style: None,
        dns: DnsFilter::Untouched,
        rules: Vec::new(),
    };
    let (mut allows, mut denies) = (Vec::new(), Vec::new());
    for (specs, action, rules) in [
        (egress, Action::Allow, &mut allows),
        (egress_deny, Action::Deny, &mut denies),
    ] {
        for spec in specs {
            lower_egress(spec, action, *index, around, findings, rules);
            *index += 1;
        }
    }
    let dns = dns_filter(&allows, isolates);
    let every_name = |rule: &Rule| {
        rule.questions
            .iter()
            .flatten()
            .any(dns_names::NamePattern::is_match_all)
    };
    if !isolates && dns == DnsFilter::Filter && !allows.iter().any(every_name) {
        findings.report_help(
            codes::CILIUM_DNS_LIMITS,
            node,
            "nothing is denied by default here, but `rules.dns` lets only its own names be asked",
            "add `matchPattern: \"*\"` to leave other names alone",
        );
    }
    if !denies.is_empty() {
        policies.push(Policy {
            tier: TierRef::deny(),
            isolates: false,
            rules: denies,
            ..whole.clone()
        });
    }
    if isolates || !allows.is_empty() {
        policies.push(Policy {
            dns,
            rules: allows,
            ..whole
        });
    }
}

fn dns_filter(allows: &[Rule], isolates: bool) -> DnsFilter {
    let asks = allows.iter().any(|rule| rule.questions.is_some());
    let names = allows.iter().any(|rule| match &rule.peers {
        Peers::Any => false,
        Peers::Of(peers) => peers.iter().any(|peer| matches!(peer, Peer::Fqdn(_))),
    });
    // `rules.dns` limits names even where the policy isolates nobody (cilium#38676).
    match (asks, names, isolates) {
        (true, _, _) | (false, true, true) => DnsFilter::Filter,
        (false, true, false) => DnsFilter::Learn,
        (false, false, _) => DnsFilter::Untouched,
    }
}
