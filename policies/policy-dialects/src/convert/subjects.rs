//! Whom a policy selects, as pods of Kubernetes.

use std::sync::Arc;

use policy_model::{
    Action, Cluster, EndpointPeer, Expression, KubernetesSubject, LabelExpression, LabelOperator,
    LabelSelector, NAMESPACE_NAME_LABEL, PodPeer, Policy, Subject,
};

use super::Losses;
use crate::codes;

const NAMESPACE: &str = "projectcalico.org/namespace";
const NAMESPACE_NAME: &str = "pcns.projectcalico.org/name";
const SERVICE_ACCOUNT: &str = "projectcalico.org/serviceaccount";
const ORCHESTRATOR: &str = "projectcalico.org/orchestrator";

/// The subjects that together select the same pods with a network of their own; none where that cannot be said.
pub(crate) fn subjects(policy: &Policy, losses: &mut Losses) -> Vec<KubernetesSubject> {
    let (subjects, beside) = match &policy.subject {
        Subject::All => (
            Some(vec![KubernetesSubject::default()]),
            "pods in the network of their node, and what is no pod, are",
        ),
        Subject::Kubernetes(subject) => (
            Some(vec![KubernetesSubject {
                host_network: false,
                ..subject.clone()
            }]),
            if subject.host_network {
                "pods in the network of their node are"
            } else {
                ""
            },
        ),
        Subject::Endpoints(expression) => (
            alternatives(expression)
                .iter()
                .map(pods_of)
                .collect::<Option<Vec<_>>>(),
            if names_namespace(expression) {
                ""
            } else {
                "Calico's host endpoints are"
            },
        ),
        Subject::Plain(_)
        | Subject::Addressed(_)
        | Subject::HostEndpoint(_)
        | Subject::Nodes(_) => (None, ""),
    };
    let Some(subjects) = subjects else {
        losses.note(
            codes::CONVERT_SUBJECT,
            policy,
            &policy.origin,
            "whom it selects cannot be said: the policy is left out",
        );
        return Vec::new();
    };
    if !beside.is_empty() {
        let message = format!("{beside} no longer selected");
        losses.note(codes::CONVERT_NODE_PODS, policy, &policy.origin, message);
    }
    subjects
}

/// The pods that endpoints are, where they are chosen by an expression alone that says so of pods.
pub(crate) fn pods_among(peer: &EndpointPeer) -> Option<PodPeer> {
    let EndpointPeer {
        selector,
        not_selector: None,
        // Pods are meant in either.
        scope: _,
        nets,
        not_nets,
    } = peer
    else {
        return None;
    };
    if !nets.is_empty() || !not_nets.is_empty() {
        return None;
    }
    let subject = pods_of(selector.as_ref()?)?;
    Some(PodPeer {
        namespace: subject.namespace,
        namespaces: subject.namespaces,
        pods: subject.pods.unwrap_or_default(),
        service_accounts: subject.service_accounts,
    })
}

/// Whether endpoints may be more than the pods among them. An Allow means what is known; what a Deny means may lie in another
/// file, unless its expression asks for pods.
pub(crate) fn may_be_more_than_pods(
    peer: &EndpointPeer,
    action: Action,
    cluster: &Cluster,
) -> bool {
    let known = !cluster.network_sets.is_empty() || !cluster.host_endpoints.is_empty();
    let asks_for_pods = peer.selector.as_ref().is_some_and(|selector| {
        terms(selector)
            .iter()
            .any(|term| matches!(term, Expression::Equal(key, _) if **key == *ORCHESTRATOR))
    });
    known || action != Action::Allow && !asks_for_pods
}

/// The pods an expression holds for, where it asks for labels, namespace and account one beside the other.
fn pods_of(expression: &Expression) -> Option<KubernetesSubject> {
    let mut subject = KubernetesSubject::default();
    let mut namespaces = LabelSelector::default();
    let mut pods = LabelSelector::default();
    for term in terms(expression) {
        let (key, operator) = match term {
            Expression::All => continue,
            Expression::Has(key) => (key, LabelOperator::Exists),
            Expression::Equal(key, value) => (key, LabelOperator::In(vec![Arc::clone(value)])),
            Expression::NotEqual(key, value) => {
                (key, LabelOperator::NotIn(vec![Arc::clone(value)]))
            }
            Expression::In(key, values) => (key, LabelOperator::In(values.clone())),
            Expression::NotIn(key, values) => (key, LabelOperator::NotIn(values.clone())),
            Expression::Not(inner) => {
                let Expression::Has(key) = &**inner else {
                    return None;
                };
                (key, LabelOperator::DoesNotExist)
            }
            Expression::Contains(..)
            | Expression::StartsWith(..)
            | Expression::EndsWith(..)
            | Expression::And(_)
            | Expression::Or(_) => return None,
        };
        if !is_said(key, &operator) {
            return None;
        }
        match &**key {
            NAMESPACE | NAMESPACE_NAME => match operator {
                LabelOperator::Exists => {}
                LabelOperator::In(values) if values.len() == 1 && subject.namespace.is_none() => {
                    subject.namespace = values.into_iter().next();
                }
                LabelOperator::In(_) | LabelOperator::NotIn(_) => {
                    namespaces.match_expressions.push(LabelExpression {
                        key: NAMESPACE_NAME_LABEL.into(),
                        operator,
                    });
                }
                LabelOperator::DoesNotExist => return None,
            },
            SERVICE_ACCOUNT => match operator {
                LabelOperator::Exists => {}
                LabelOperator::In(names) if subject.service_accounts.is_empty() => {
                    subject.service_accounts = names;
                }
                LabelOperator::In(_) | LabelOperator::NotIn(_) | LabelOperator::DoesNotExist => {
                    return None;
                }
            },
            ORCHESTRATOR => match operator {
                LabelOperator::In(values) if values == [Arc::from("k8s")] => {}
                LabelOperator::Exists => {}
                LabelOperator::In(_) | LabelOperator::NotIn(_) | LabelOperator::DoesNotExist => {
                    return None;
                }
            },
            other => {
                let (selector, key) = match other.strip_prefix("pcns.") {
                    Some(key) => (&mut namespaces, key),
                    None => (&mut pods, other),
                };
                if other.starts_with("pcsa.") || key.starts_with("projectcalico.org/") {
                    return None;
                }
                add(selector, key, operator);
            }
        }
    }
    subject.namespaces = (!namespaces.is_empty()).then_some(namespaces);
    subject.pods = Some(pods);
    Some(subject)
}

fn add(selector: &mut LabelSelector, key: &str, operator: LabelOperator) {
    match operator {
        LabelOperator::In(values)
            if values.len() == 1 && !selector.match_labels.contains_key(key) =>
        {
            selector
                .match_labels
                .extend(values.into_iter().map(|value| (key.into(), value)));
        }
        operator @ (LabelOperator::In(_)
        | LabelOperator::NotIn(_)
        | LabelOperator::Exists
        | LabelOperator::DoesNotExist) => selector.match_expressions.push(LabelExpression {
            key: key.into(),
            operator,
        }),
    }
}

/// Whether a selector of Kubernetes can ask for it: those have words and no empty lists.
fn is_said(key: &str, operator: &LabelOperator) -> bool {
    let word = |text: &str| {
        let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        text.len() <= 63
            && ends(text.chars().next())
            && ends(text.chars().next_back())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let (domain, name) = key.rsplit_once('/').unwrap_or(("domain", key));
    let domain = domain.split('.').all(|part| {
        word(part)
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    });
    domain
        && word(name)
        && match operator {
            LabelOperator::In(values) | LabelOperator::NotIn(values) => {
                !values.is_empty() && values.iter().all(|value| value.is_empty() || word(value))
            }
            LabelOperator::Exists | LabelOperator::DoesNotExist => true,
        }
}

/// The parts of which one must hold.
fn alternatives(expression: &Expression) -> Vec<Expression> {
    if let Expression::Or(parts) = expression {
        return parts.iter().flat_map(alternatives).collect();
    }
    let Expression::And(parts) = expression else {
        return vec![expression.clone()];
    };
    // The first alternative among the parts is drawn out; more of them are beyond what people write.
    let is_or = |part: &Expression| matches!(part, Expression::Or(_));
    let Some((at, or)) = parts.iter().enumerate().find(|(_, part)| is_or(part)) else {
        return vec![expression.clone()];
    };
    let with = |one: Expression| {
        let others = parts.iter().enumerate().filter(|(other, _)| *other != at);
        let others = others.map(|(_, part)| part.clone());
        Expression::And(others.chain([one]).collect())
    };
    alternatives(or).into_iter().map(with).collect()
}

fn terms(expression: &Expression) -> Vec<&Expression> {
    if let Expression::And(parts) = expression {
        parts.iter().flat_map(terms).collect()
    } else {
        vec![expression]
    }
}

/// Whether only pods can be meant, which alone are in a namespace.
fn names_namespace(expression: &Expression) -> bool {
    match expression {
        Expression::And(parts) => parts.iter().any(names_namespace),
        Expression::Or(parts) => parts.iter().all(names_namespace),
        Expression::Equal(key, _) | Expression::In(key, _) | Expression::Has(key) => {
            [NAMESPACE, ORCHESTRATOR, SERVICE_ACCOUNT].contains(&&**key) || key.starts_with("pcns.")
        }
        Expression::All
        | Expression::NotEqual(..)
        | Expression::NotIn(..)
        | Expression::Contains(..)
        | Expression::StartsWith(..)
        | Expression::EndsWith(..)
        | Expression::Not(_) => false,
    }
}
