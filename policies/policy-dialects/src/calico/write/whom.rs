//! Whom a policy selects.

use std::sync::Arc;

use policy_model::{Expression, PodPeer, Policy, Subject};

use crate::calico::labels::NAMESPACE;
use crate::codes;
use crate::convert::Losses;
use crate::yaml::write::Map;

use super::expressions::{is_of, terms, text, text_of};
use super::selectors::{NAME, OF_NAMESPACE, OF_SERVICE_ACCOUNT, labels, namespaces_text};

/// Whom an object selects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Whom {
    /// Of a namespaced object.
    pub(super) namespace: Option<Arc<str>>,
    /// Fields of `spec`.
    pub(super) fields: Map,
}

/// Whom the policy selects; nothing where that cannot be said.
pub(super) fn whom(policy: &Policy, losses: &mut Losses) -> Option<Whom> {
    let (found, beside) = match &policy.subject {
        Subject::All => (
            Some(every_pod()),
            "pods in the network of their node, and what is no pod, are",
        ),
        Subject::Kubernetes(subject) => {
            let beside = if subject.host_network {
                "pods in the network of their node are"
            } else {
                ""
            };
            let pods = PodPeer {
                namespace: subject.namespace.clone(),
                namespaces: subject.namespaces.clone(),
                pods: subject.pods.clone().unwrap_or_default(),
                service_accounts: subject.service_accounts.clone(),
            };
            let found = if subject.nodes.is_none() {
                of_pods(&pods)
            } else {
                None
            };
            (found, beside)
        }
        Subject::Endpoints(expression) => (of_expression(expression, policy), ""),
        Subject::Plain(_)
        | Subject::Addressed(_)
        | Subject::HostEndpoint(_)
        | Subject::Nodes(_) => (None, ""),
    };
    if found.is_none() {
        losses.note(
            codes::CONVERT_SUBJECT,
            policy,
            &policy.origin,
            "whom it selects cannot be said: the policy is left out",
        );
        return None;
    }
    if !beside.is_empty() {
        let message = format!("{beside} no longer selected");
        losses.note(codes::CONVERT_NODE_PODS, policy, &policy.origin, message);
    }
    found
}

fn every_pod() -> Whom {
    Whom {
        namespace: None,
        fields: Map::new().with("namespaceSelector", "all()"),
    }
}

fn of_pods(subject: &PodPeer) -> Option<Whom> {
    let PodPeer {
        namespace,
        namespaces,
        pods,
        service_accounts,
    } = subject;
    let mut fields = Map::new();
    if !pods.is_empty() {
        fields.push("selector", text(&labels(pods)?)?);
    }
    if !service_accounts.is_empty() {
        let names = Expression::In(NAME.into(), service_accounts.clone());
        fields.push("serviceAccountSelector", text(&names)?);
    }
    if namespace.is_some() && namespaces.is_none() {
        if fields.is_empty() {
            fields.push("selector", "all()");
        }
        return Some(Whom {
            namespace: namespace.clone(),
            fields,
        });
    }
    fields.push(
        "namespaceSelector",
        namespaces_text(namespace.as_ref(), namespaces.as_ref())?,
    );
    Some(Whom {
        namespace: None,
        fields,
    })
}

/// A subject of Calico's own: the terms about the namespace stand where they were written.
fn of_expression(expression: &Expression, policy: &Policy) -> Option<Whom> {
    let own = policy.id.namespace.as_ref();
    let is_own = |term: &Expression| matches!((term, own), (Expression::Equal(key, value), Some(own)) if **key == *NAMESPACE && value == own);
    let mut terms = terms(expression);
    let namespaced = terms.iter().any(is_own);
    terms.retain(|term| !is_own(term));
    let mut fields = Map::new();
    let (namespaces, terms): (Vec<_>, Vec<_>) = terms
        .into_iter()
        .partition(|term| !namespaced && is_of(term, OF_NAMESPACE));
    let (accounts, terms): (Vec<_>, Vec<_>) = terms
        .into_iter()
        .partition(|term| is_of(term, OF_SERVICE_ACCOUNT));
    for (word, prefix, terms) in [
        ("selector", "", terms),
        ("namespaceSelector", OF_NAMESPACE, namespaces),
        ("serviceAccountSelector", OF_SERVICE_ACCOUNT, accounts),
    ] {
        if !terms.is_empty() {
            fields.push(word, text_of(&terms, prefix)?);
        }
    }
    // In a global policy an account is asked for where its labels are.
    if fields.is_empty() {
        fields.push("selector", "all()");
    }
    Some(Whom {
        namespace: own.filter(|_| namespaced).cloned(),
        fields,
    })
}
