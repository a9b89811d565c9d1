//! The policies of a fleet, filed by the namespace they are pinned to.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use policy_model::{Expression, ObjectRef, Policy, Standing, Subject, Workload};

/// Number of a policy; a changed policy has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PolicyNumber(u64);

#[derive(Debug, Default)]
pub(super) struct PolicyIndex {
    next: u64,
    policies: BTreeMap<PolicyNumber, Arc<Policy>>,
    objects: BTreeMap<ObjectRef, Vec<PolicyNumber>>,
    pinned: BTreeMap<Arc<str>, BTreeSet<PolicyNumber>>,
    unpinned: BTreeSet<PolicyNumber>,
}

/// What a replacement changed.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) removed: Vec<PolicyNumber>,
    pub(super) added: Vec<Arc<Policy>>,
    /// The ids that staged policies among them replace or remove, or no longer do.
    pub(super) replaces: BTreeSet<ObjectRef>,
    /// The namespaces whose workloads they may select; nothing: any.
    pub(super) namespaces: Option<BTreeSet<Arc<str>>>,
}

impl PolicyIndex {
    pub(super) fn replace(&mut self, object: ObjectRef, policies: Vec<Arc<Policy>>) -> Change {
        let removed = self.objects.remove(&object).unwrap_or_default();
        let mut replaces = BTreeSet::new();
        let mut namespaces = Some(BTreeSet::new());
        let mut note = |policy: &Policy| {
            match (pinned_to(&policy.subject), &mut namespaces) {
                (Some(namespace), Some(namespaces)) => {
                    namespaces.insert(Arc::clone(namespace));
                }
                (None, _) => namespaces = None,
                (Some(_), None) => {}
            }
            if matches!(policy.standing, Standing::Staged(_)) {
                replaces.insert(policy.id.clone());
            }
        };
        for number in &removed {
            if let Some(policy) = self.policies.remove(number) {
                note(&policy);
                match pinned_to(&policy.subject).and_then(|to| self.pinned.get_mut(to)) {
                    Some(pinned) => pinned.remove(number),
                    None => self.unpinned.remove(number),
                };
            }
        }
        let mut numbers = Vec::with_capacity(policies.len());
        for policy in &policies {
            note(policy);
            let number = PolicyNumber(self.next);
            self.next += 1;
            match pinned_to(&policy.subject) {
                Some(namespace) => self.pinned.entry(namespace.clone()).or_default(),
                None => &mut self.unpinned,
            }
            .insert(number);
            self.policies.insert(number, Arc::clone(policy));
            numbers.push(number);
        }
        if !numbers.is_empty() {
            self.objects.insert(object, numbers);
        }
        Change {
            removed,
            added: policies,
            replaces,
            namespaces,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (PolicyNumber, &Arc<Policy>)> {
        self.policies
            .iter()
            .map(|(number, policy)| (*number, policy))
    }

    /// The policies that may select the workload, ascending.
    pub(super) fn candidates(
        &self,
        workload: &Workload,
    ) -> impl Iterator<Item = (PolicyNumber, &Arc<Policy>)> {
        // A workload in no namespace may be in any: ask every policy.
        let all = workload
            .pod
            .namespace
            .is_none()
            .then(|| self.policies.keys());
        let own = workload
            .pod
            .namespace
            .as_ref()
            .and_then(|namespace| self.pinned.get(namespace));
        let of_namespace = workload.pod.namespace.as_ref().map(|_| {
            let mut numbers: Vec<PolicyNumber> = self
                .unpinned
                .iter()
                .chain(own.into_iter().flatten())
                .copied()
                .collect();
            numbers.sort_unstable();
            numbers
        });
        all.into_iter()
            .flatten()
            .copied()
            .chain(of_namespace.into_iter().flatten())
            .map(|number| (number, &self.policies[&number]))
    }

    /// The policies with an id.
    pub(super) fn of_id(&self, id: &ObjectRef) -> BTreeSet<PolicyNumber> {
        self.iter()
            .filter(|(_, policy)| policy.id == *id)
            .map(|(number, _)| number)
            .collect()
    }
}

/// The one namespace whose workloads a subject may select, where it says one.
fn pinned_to(subject: &Subject) -> Option<&Arc<str>> {
    match subject {
        Subject::Kubernetes(subject) => subject.namespace.as_ref(),
        Subject::Endpoints(expression) => pinned_by(expression),
        Subject::Addressed(subject) => pinned_by(&subject.endpoints),
        Subject::All | Subject::Plain(_) | Subject::Nodes(_) | Subject::HostEndpoint(_) => None,
    }
}

fn pinned_by(expression: &Expression) -> Option<&Arc<str>> {
    match expression {
        Expression::Equal(key, value) if &**key == "projectcalico.org/namespace" => Some(value),
        Expression::And(all) => all.iter().find_map(pinned_by),
        Expression::Equal(..)
        | Expression::All
        | Expression::Has(_)
        | Expression::NotEqual(..)
        | Expression::In(..)
        | Expression::NotIn(..)
        | Expression::Contains(..)
        | Expression::StartsWith(..)
        | Expression::EndsWith(..)
        | Expression::Not(_)
        | Expression::Or(_) => None,
    }
}
