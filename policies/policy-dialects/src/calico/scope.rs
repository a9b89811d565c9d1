//! What a selector really selects: the conversions of `updateprocessors` in libcalico-go.

use std::sync::Arc;

use policy_model::Expression;

use super::labels::{NAMESPACE, SERVICE_ACCOUNT};
use super::selector::Selector;

/// Before the labels of an endpoint's namespace.
const OF_NAMESPACE: &str = "pcns.";
/// Before the labels of its `ServiceAccount`.
const OF_SERVICE_ACCOUNT: &str = "pcsa.";

/// Whom a policy selects, or a rule's source or destination is about.
#[derive(Debug, Default)]
pub(super) struct Selectors<'s> {
    pub(super) endpoints: Option<&'s Selector>,
    pub(super) not_endpoints: Option<&'s Selector>,
    pub(super) namespaces: Option<&'s Selector>,
    pub(super) account_names: Vec<Arc<str>>,
    pub(super) accounts: Option<&'s Selector>,
}

/// The endpoints a policy is for. A namespaced policy is for its own namespace only.
pub(super) fn subject(selectors: &Selectors<'_>, namespace: Option<&Arc<str>>) -> Expression {
    let Selectors {
        endpoints,
        not_endpoints: _,
        namespaces,
        account_names: _,
        accounts,
    } = selectors;
    let mut parts = Vec::new();
    parts.extend(endpoints.map(Selector::expression));
    parts.extend(namespace.map(own));
    parts.extend(namespaces.map(in_namespaces));
    parts.extend(accounts.map(|accounts| {
        // Calico asks for an account only where the policy is global.
        let all = match namespace {
            None => Expression::Has(SERVICE_ACCOUNT.into()),
            Some(_) => Expression::All,
        };
        accounts.expression_of(OF_SERVICE_ACCOUNT, &all)
    }));
    parts.retain(|part| *part != Expression::All);
    match parts.pop() {
        None => Expression::All,
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            Expression::And(parts)
        }
    }
}

/// The endpoints and network sets a source or destination is about; nothing where it does not select.
///
/// In a namespaced policy without `namespaceSelector` that is the own namespace as soon as anything selects, `notSelector`
/// too. `notSelector` itself holds wherever.
pub(super) fn entity(
    selectors: &Selectors<'_>,
    namespace: Option<&Arc<str>>,
) -> Option<Expression> {
    let Selectors {
        endpoints,
        not_endpoints,
        namespaces,
        account_names,
        accounts,
    } = selectors;
    let names = (!account_names.is_empty()).then(|| {
        let mut names = account_names.clone();
        names.sort_unstable();
        names.dedup();
        Expression::In(SERVICE_ACCOUNT.into(), names)
    });
    let accounts = accounts.map(|one| one.expression_of(OF_SERVICE_ACCOUNT, &Expression::All));
    let accounts = both(accounts, names);
    let endpoints = both(accounts, endpoints.map(Selector::expression));
    let selects = endpoints.is_some() || not_endpoints.is_some();
    let namespaces = match (namespaces, namespace) {
        (Some(namespaces), _) => Some(in_namespaces(namespaces)),
        (None, Some(namespace)) if selects => Some(own(namespace)),
        (None, _) => None,
    };
    both(namespaces, endpoints)
}

fn own(namespace: &Arc<str>) -> Expression {
    Expression::Equal(NAMESPACE.into(), Arc::clone(namespace))
}

/// `all()` over namespaces is whatever is in one, `global()` what is in none.
fn in_namespaces(selector: &Selector) -> Expression {
    let in_one = Expression::Has(NAMESPACE.into());
    if *selector == Selector::Global {
        return Expression::Not(Box::new(in_one));
    }
    selector.expression_of(OF_NAMESPACE, &in_one)
}

fn both(first: Option<Expression>, second: Option<Expression>) -> Option<Expression> {
    match (first, second) {
        (Some(first), Some(second)) => Some(Expression::And(vec![first, second])),
        (first, second) => first.or(second),
    }
}
