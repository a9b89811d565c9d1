//! Labels in Calico's language.

use std::sync::Arc;

use policy_model::{Expression, LabelOperator, LabelSelector, PodPeer};

use crate::calico::labels::NAMESPACE;
use crate::yaml::write::Map;

use super::expressions::{and, is_of, terms, text, text_of};

/// Before the labels of an endpoint's namespace, and of its `ServiceAccount`, in expressions.
pub(super) const OF_NAMESPACE: &str = "pcns.";
pub(super) const OF_SERVICE_ACCOUNT: &str = "pcsa.";
/// The name of a namespace or account, among its labels.
pub(super) const NAME: &str = "projectcalico.org/name";
/// What pods have and network sets and host endpoints do not.
const ORCHESTRATOR: &str = "projectcalico.org/orchestrator";

/// Pods as a destination in an object of the namespace `own`.
pub(super) fn pods(peer: &PodPeer, own: Option<&str>) -> Option<Map> {
    let PodPeer {
        namespace,
        namespaces,
        pods,
        service_accounts,
    } = peer;
    let is_pod = Expression::Equal(ORCHESTRATOR.into(), "k8s".into());
    let mut asked = terms(&labels(pods)?);
    asked.push(is_pod);
    let selector = and(asked);
    let mut map = Map::new().with("selector", text(&selector)?);
    let at_home = namespaces.is_none() && namespace.is_some() && own == namespace.as_deref();
    if !at_home {
        map.push(
            "namespaceSelector",
            namespaces_text(namespace.as_ref(), namespaces.as_ref())?,
        );
    }
    if !service_accounts.is_empty() {
        let names: Vec<&str> = service_accounts.iter().map(|name| &**name).collect();
        map.push("serviceAccounts", Map::new().with("names", names));
    }
    Some(map)
}

/// Endpoints of an expression as a destination likewise; without one, whatever there is.
pub(super) fn endpoints(expression: &Expression, own: Option<&str>) -> Option<Map> {
    let is_own = |term: &Expression| matches!((term, own), (Expression::Equal(key, value), Some(own)) if **key == *NAMESPACE && **value == *own);
    let mut terms = terms(expression);
    let at_home = terms.iter().any(is_own) && !terms.iter().any(|term| is_of(term, OF_NAMESPACE));
    let mut map = Map::new();
    if at_home {
        terms.retain(|term| !is_own(term));
    } else {
        let (namespaces, others): (Vec<_>, Vec<_>) = terms
            .into_iter()
            .partition(|term| is_of(term, OF_NAMESPACE));
        terms = others;
        if !namespaces.is_empty() {
            map.push("namespaceSelector", text_of(&namespaces, OF_NAMESPACE)?);
        } else if own.is_some() {
            // Whatever is in no namespace would be meant, and in a namespaced policy its own would be.
            let in_none = Expression::Not(Box::new(Expression::Has(NAMESPACE.into())));
            let in_any = Expression::Has(NAMESPACE.into());
            let (word, said) = if terms.contains(&in_none) {
                ("global()", in_none)
            } else if terms.contains(&in_any) {
                ("all()", in_any)
            } else {
                return None;
            };
            terms.retain(|term| *term != said);
            map.push("namespaceSelector", word);
        }
    }
    if !terms.is_empty() || map.is_empty() {
        map.push("selector", text_of(&terms, "")?);
    }
    Some(map)
}

/// The namespaces of that name or with those labels.
pub(super) fn namespaces_text(
    namespace: Option<&Arc<str>>,
    namespaces: Option<&LabelSelector>,
) -> Option<String> {
    let mut terms = Vec::new();
    if let Some(namespace) = namespace {
        terms.push(Expression::Equal(NAME.into(), Arc::clone(namespace)));
    }
    if let Some(namespaces) = namespaces {
        terms.push(labels(namespaces)?);
        // What is in no namespace has none of the labels, as a term may ask.
        if namespace.is_none() {
            terms.push(Expression::Has(NAME.into()));
        }
    }
    terms.retain(|term| *term != Expression::All);
    if matches!(terms.as_slice(), [] | [Expression::Has(_)]) {
        return Some("all()".to_owned());
    }
    // A label that must be there says as much.
    let says = |term: &Expression| {
        matches!(
            term,
            Expression::Equal(..) | Expression::In(..) | Expression::Has(_)
        )
    };
    let flat: Vec<Expression> = terms.iter().flat_map(self::terms).collect();
    let others = flat
        .iter()
        .filter(|term| !matches!(term, Expression::Has(key) if **key == *NAME));
    let flat: Vec<Expression> = if others.clone().any(says) {
        others.cloned().collect()
    } else {
        flat
    };
    text(&and(flat))
}

/// A selector of Kubernetes; nothing where it asks for labels that Calico gives by itself.
pub(super) fn labels(selector: &LabelSelector) -> Option<Expression> {
    let LabelSelector {
        match_labels,
        match_expressions,
    } = selector;
    let equal = |(key, value): (&Arc<str>, &Arc<str>)| {
        Expression::Equal(Arc::clone(key), Arc::clone(value))
    };
    let mut terms: Vec<Expression> = match_labels.iter().map(equal).collect();
    for one in match_expressions {
        let key = Arc::clone(&one.key);
        terms.push(match &one.operator {
            LabelOperator::In(values) => Expression::In(key, values.clone()),
            LabelOperator::NotIn(values) => Expression::NotIn(key, values.clone()),
            LabelOperator::Exists => Expression::Has(key),
            LabelOperator::DoesNotExist => Expression::Not(Box::new(Expression::Has(key))),
        });
    }
    let keys = match_labels
        .keys()
        .chain(match_expressions.iter().map(|one| &one.key));
    let given = |key: &Arc<str>| {
        ["projectcalico.org/", OF_NAMESPACE, OF_SERVICE_ACCOUNT]
            .iter()
            .any(|prefix| key.starts_with(prefix))
    };
    let mut keys = keys;
    (!keys.any(given)).then(|| and(terms))
}
