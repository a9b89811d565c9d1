//! Whether two policies can have to do with one flow, as far as their texts say.
//!
//! What these functions deny cannot be; what they grant may not be either. So a lint that needs both to hold may miss, and does
//! not cry wolf because of labels that never stand together.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use policy_model::{
    Action, Block, Entity, Expression, KubernetesSubject, LabelExpression, LabelOperator,
    LabelSelector, LabelValue, Peer, Peers, PodPeer, Policy, Ports, Rule, Selects, Subject,
};

/// Policies that are asked which of them may select a workload that another one selects.
#[derive(Debug, Default)]
pub(super) struct Crowd<'a> {
    in_namespace: BTreeMap<Arc<str>, Vec<(&'a Policy, Fixed)>>,
    anywhere: Vec<(&'a Policy, Fixed)>,
}

impl<'a> Crowd<'a> {
    pub(super) fn of(policies: impl IntoIterator<Item = &'a Policy>) -> Self {
        let mut crowd = Self::default();
        for policy in policies {
            let fixed = Fixed::of(&policy.subject);
            match fixed.namespace().cloned() {
                Some(namespace) => {
                    let own = crowd.in_namespace.entry(namespace).or_default();
                    own.push((policy, fixed));
                }
                None => crowd.anywhere.push((policy, fixed)),
            }
        }
        crowd
    }

    pub(super) fn is_empty(&self) -> bool {
        self.in_namespace.is_empty() && self.anywhere.is_empty()
    }

    /// Those that may select a workload that `policy` selects.
    pub(super) fn meeting(&self, policy: &Policy) -> impl Iterator<Item = &'a Policy> {
        let fixed = Fixed::of(&policy.subject);
        let (own, all) = match fixed.namespace() {
            Some(namespace) => (self.in_namespace.get(namespace), None),
            None => (None, Some(self.in_namespace.values())),
        };
        own.into_iter()
            .chain(all.into_iter().flatten())
            .flatten()
            .chain(&self.anywhere)
            .filter(move |(one, of_one)| {
                fixed_meet((&one.subject, of_one), (&policy.subject, &fixed))
            })
            .map(|(one, _)| *one)
    }
}

/// Whether both may select one workload.
pub(super) fn subjects_meet(left: &Subject, right: &Subject) -> bool {
    fixed_meet((left, &Fixed::of(left)), (right, &Fixed::of(right)))
}

fn fixed_meet((left, of_left): (&Subject, &Fixed), (right, of_right): (&Subject, &Fixed)) -> bool {
    let same_kind = match (of_left.kind, of_right.kind) {
        (Some(left), Some(right)) => left == right,
        (None, _) | (_, None) => true,
    };
    same_kind && !excludes(left, of_right) && !excludes(right, of_left)
}

/// Whether there may be a flow that both have rules for, and which these rules decide in different ways.
pub(super) fn decide_differently(left: &Policy, right: &Policy) -> bool {
    subjects_meet(&left.subject, &right.subject)
        && left.rules.iter().any(|one| {
            right.rules.iter().any(|other| {
                decides(one)
                    && decides(other)
                    && one.action != other.action
                    && rules_meet(one, other)
            })
        })
}

fn decides(rule: &Rule) -> bool {
    rule.closed.is_none() && rule.action != Action::Log
}

fn rules_meet(left: &Rule, right: &Rule) -> bool {
    let named = |rule: &Rule| !rule.named_ports.is_empty();
    let on_ports = match (&left.ports, &right.ports) {
        (Ports::Only(one), Ports::Only(other)) if !named(left) && !named(right) => {
            one.iter().any(|one| {
                other.iter().any(|other| {
                    one.protocol == other.protocol
                        && one.first <= other.last
                        && other.first <= one.last
                })
            })
        }
        (Ports::Any | Ports::Only(_) | Ports::AllBut(_), _) => true,
    };
    on_ports
        && match (&left.peers, &right.peers) {
            (Peers::Of(one), Peers::Of(other)) => one
                .iter()
                .any(|one| other.iter().any(|other| peers_meet(one, other))),
            (Peers::Any, Peers::Of(peers)) | (Peers::Of(peers), Peers::Any) => !peers.is_empty(),
            (Peers::Any, Peers::Any) => true,
        }
}

fn peers_meet(left: &Peer, right: &Peer) -> bool {
    match (left, right) {
        (Peer::Block(one), Peer::Block(other)) => blocks_meet(one, other),
        (Peer::Fqdn(one), Peer::Fqdn(other)) => {
            match (one.pattern.exact(), other.pattern.exact()) {
                (Some(name), _) => other.pattern.matches(name),
                (None, Some(name)) => one.pattern.matches(name),
                (None, None) => true,
            }
        }
        (
            Peer::Pods(_) | Peer::Service(_) | Peer::Nodes(_),
            Peer::Fqdn(_) | Peer::Entity(Entity::World | Entity::WorldIpv4 | Entity::WorldIpv6),
        )
        | (
            Peer::Fqdn(_) | Peer::Entity(Entity::World | Entity::WorldIpv4 | Entity::WorldIpv6),
            Peer::Pods(_) | Peer::Service(_) | Peer::Nodes(_),
        )
        | (Peer::Nodes(_), Peer::Pods(_) | Peer::Service(_))
        | (Peer::Pods(_) | Peer::Service(_), Peer::Nodes(_)) => false,
        _ => match (as_subject(left), as_subject(right)) {
            (Some(one), Some(other)) => subjects_meet(&one, &other),
            (None, _) | (_, None) => true,
        },
    }
}

fn blocks_meet(left: &Block, right: &Block) -> bool {
    let inside = |net: &IpNet, except: &[IpNet]| except.iter().any(|one| one.contains(net));
    let smaller = if left.net.contains(&right.net) {
        right.net
    } else if right.net.contains(&left.net) {
        left.net
    } else {
        return false;
    };
    !inside(&smaller, &left.except) && !inside(&smaller, &right.except)
}

/// The same condition on a workload, where a peer is one.
pub(super) fn as_subject(peer: &Peer) -> Option<Subject> {
    match peer {
        Peer::Pods(PodPeer {
            namespace,
            namespaces,
            pods,
            service_accounts,
        }) => Some(Subject::Kubernetes(KubernetesSubject {
            namespace: namespace.clone(),
            namespaces: namespaces.clone(),
            pods: Some(pods.clone()),
            service_accounts: service_accounts.clone(),
            ..KubernetesSubject::default()
        })),
        Peer::Endpoints(endpoints) => endpoints
            .selector
            .as_ref()
            .map(|selector| Subject::Endpoints(selector.clone())),
        Peer::Block(_)
        | Peer::Fqdn(_)
        | Peer::Entity(_)
        | Peer::Metadata(_)
        | Peer::Nodes(_)
        | Peer::Service(_)
        | Peer::Set(_) => None,
    }
}

/// What everything that a subject selects has in common: labels of one value each, under the keys by which Calico calls them.
#[derive(Debug, Default)]
pub(super) struct Fixed {
    kind: Option<Kind>,
    labels: BTreeMap<Arc<str>, Arc<str>>,
}

/// Sorts of workload that are never one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pod,
    Host,
    Plain,
}

/// Calico's keys for what is not a label of the workload itself.
const NAMESPACE: &str = "projectcalico.org/namespace";
const ACCOUNT: &str = "projectcalico.org/serviceaccount";
const OF_NAMESPACE: &str = "pcns.";

impl Fixed {
    pub(super) fn of(subject: &Subject) -> Self {
        let mut fixed = Self::default();
        match subject {
            Subject::All => {}
            Subject::Kubernetes(KubernetesSubject {
                namespace,
                namespaces,
                pods,
                service_accounts,
                nodes: _,
                host_network: _,
            }) => {
                fixed.kind = Some(Kind::Pod);
                if let Some(namespace) = namespace {
                    fixed.is(NAMESPACE, namespace);
                }
                if let [account] = service_accounts.as_slice() {
                    fixed.is(ACCOUNT, account);
                }
                for (key, value) in pods.iter().flat_map(equalities) {
                    fixed.is(key, value);
                }
                for (key, value) in namespaces.iter().flat_map(equalities) {
                    fixed.is(&of_namespace(key), value);
                }
            }
            Subject::Endpoints(expression) => fixed.and(expression),
            Subject::Addressed(subject) => fixed.and(&subject.endpoints),
            Subject::HostEndpoint(_) | Subject::Nodes(_) => fixed.kind = Some(Kind::Host),
            Subject::Plain(_) => fixed.kind = Some(Kind::Plain),
        }
        fixed
    }

    /// The namespace of everything selected, where it is one.
    pub(super) fn namespace(&self) -> Option<&Arc<str>> {
        self.labels.get(NAMESPACE)
    }

    /// Whether nothing is asked of a workload itself, and so every one of its namespaces is selected.
    pub(super) fn is_whole_namespace(&self) -> bool {
        let of_others = |key: &str| key == NAMESPACE || key.starts_with(OF_NAMESPACE);
        self.labels.keys().all(|key| of_others(key))
    }

    fn is(&mut self, key: &str, value: &Arc<str>) {
        self.labels.insert(canonical(key).into(), Arc::clone(value));
    }

    fn and(&mut self, expression: &Expression) {
        match expression {
            Expression::And(parts) => parts.iter().for_each(|part| self.and(part)),
            Expression::Equal(key, value) => self.is(key, value),
            Expression::In(key, values) => {
                if let [value] = values.as_slice() {
                    self.is(key, value);
                }
            }
            Expression::All
            | Expression::Has(_)
            | Expression::NotEqual(..)
            | Expression::NotIn(..)
            | Expression::Contains(..)
            | Expression::StartsWith(..)
            | Expression::EndsWith(..)
            | Expression::Not(_)
            | Expression::Or(_) => {}
        }
    }

    fn label(&self, key: &str) -> LabelValue<'_> {
        self.labels
            .get(canonical(key))
            .map_or(LabelValue::Unknown, |value| LabelValue::Is(value))
    }
}

/// Whether a subject never selects what has these labels.
fn excludes(subject: &Subject, fixed: &Fixed) -> bool {
    let by_selector = |selector: &LabelSelector, key_of: &dyn Fn(&str) -> String| {
        let by_label = selector.match_labels.iter().any(|(key, value)| {
            matches!(fixed.label(&key_of(key)), LabelValue::Is(other) if *other != **value)
        });
        by_label
            || selector
                .match_expressions
                .iter()
                .any(|one| by_expression(one, fixed.label(&key_of(&one.key))))
    };
    match subject {
        Subject::Kubernetes(subject) => {
            let own = |name: &Option<Arc<str>>| matches!((name, fixed.label(NAMESPACE)), (Some(name), LabelValue::Is(other)) if **name != *other);
            own(&subject.namespace)
                || subject
                    .namespaces
                    .as_ref()
                    .is_some_and(|selector| by_selector(selector, &of_namespace))
                || subject
                    .pods
                    .as_ref()
                    .is_some_and(|selector| by_selector(selector, &str::to_owned))
        }
        Subject::Endpoints(expression) => never(expression, fixed),
        Subject::Addressed(subject) => never(&subject.endpoints, fixed),
        Subject::All | Subject::HostEndpoint(_) | Subject::Nodes(_) | Subject::Plain(_) => false,
    }
}

fn never(expression: &Expression, fixed: &Fixed) -> bool {
    expression.holds(&|key: &str| fixed.label(key)) == Selects::No
}

fn by_expression(expression: &LabelExpression, known: LabelValue<'_>) -> bool {
    let LabelValue::Is(value) = known else {
        return false;
    };
    let among = |values: &[Arc<str>]| values.iter().any(|one| **one == *value);
    match &expression.operator {
        LabelOperator::In(values) => !among(values),
        LabelOperator::NotIn(values) => among(values),
        LabelOperator::Exists => false,
        LabelOperator::DoesNotExist => true,
    }
}

/// The labels of which a selector wants one value.
fn equalities(selector: &LabelSelector) -> impl Iterator<Item = (&str, &Arc<str>)> {
    let single =
        selector
            .match_expressions
            .iter()
            .filter_map(|expression| match &expression.operator {
                LabelOperator::In(values) => match values.as_slice() {
                    [value] => Some((&*expression.key, value)),
                    _ => None,
                },
                LabelOperator::NotIn(_) | LabelOperator::Exists | LabelOperator::DoesNotExist => {
                    None
                }
            });
    selector
        .match_labels
        .iter()
        .map(|(key, value)| (&**key, value))
        .chain(single)
}

fn of_namespace(key: &str) -> String {
    format!("{OF_NAMESPACE}{key}")
}

/// One key for what has several.
fn canonical(key: &str) -> &str {
    match key {
        "pcns.kubernetes.io/metadata.name" | "pcns.projectcalico.org/name" => NAMESPACE,
        "pcsa.projectcalico.org/name" => ACCOUNT,
        _ => key,
    }
}
