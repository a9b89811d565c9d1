use std::sync::Arc;

use crate::cluster::{Cluster, HostEndpoint, NamespacedName, NetworkSet, Pod};
use crate::expression::{Expression, LabelValue};
use crate::selector::Labels;
use crate::subject::Selects;
use crate::workload::Workload;

/// Labels every endpoint of Calico has beside its own (libcalico-go, conversion of pods and profiles).
const NAMESPACE: &str = "projectcalico.org/namespace";
const ORCHESTRATOR: &str = "projectcalico.org/orchestrator";
const SERVICE_ACCOUNT: &str = "projectcalico.org/serviceaccount";
/// Prefixes of the labels of its namespace and of its `ServiceAccount`.
const OF_NAMESPACE: &str = "pcns.";
const OF_SERVICE_ACCOUNT: &str = "pcsa.";

/// Which endpoints an expression is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum EndpointScope {
    /// Pods, host endpoints and network sets.
    #[default]
    All,
    /// Pods and host endpoints (where `ServiceAccount`s are named, which sets do not have).
    WithoutSets,
}

/// The labels of a pod, host endpoint or network set as Calico's expressions see them.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint<'a> {
    own: Option<&'a Labels>,
    namespace: Known<&'a str>,
    namespace_labels: Option<&'a Labels>,
    service_account: Known<&'a str>,
    service_account_labels: Option<&'a Labels>,
    is_pod: bool,
}

/// A part that an endpoint has, does not have, or of which nobody knows.
#[derive(Debug, Clone, Copy)]
enum Known<T> {
    Is(T),
    Not,
    Unknown,
}

impl<'a> Endpoint<'a> {
    pub fn of_workload(workload: &'a Workload) -> Self {
        let pod = &workload.pod;
        let known = |part: &'a Option<Arc<str>>| part.as_deref().map_or(Known::Unknown, Known::Is);
        if workload.host_endpoint.is_some() {
            return Self::without_namespace(pod.labels.as_ref());
        }
        Self {
            own: pod.labels.as_ref(),
            namespace: known(&pod.namespace),
            namespace_labels: pod.namespace_labels.as_ref(),
            service_account: known(&pod.service_account),
            service_account_labels: pod.service_account_labels.as_ref(),
            is_pod: true,
        }
    }

    /// A pod of a cluster.
    pub fn of_pod(cluster: &'a Cluster, (namespace, _): &'a NamespacedName, pod: &'a Pod) -> Self {
        static NO_LABELS: Labels = Labels::new();
        let account = (Arc::clone(namespace), Arc::clone(&pod.service_account));
        Self {
            own: Some(&pod.labels),
            namespace: Known::Is(namespace),
            namespace_labels: Some(cluster.namespaces.get(namespace).unwrap_or(&NO_LABELS)),
            service_account: Known::Is(&pod.service_account),
            service_account_labels: Some(
                cluster.service_accounts.get(&account).unwrap_or(&NO_LABELS),
            ),
            is_pod: true,
        }
    }

    pub fn of_host_endpoint(endpoint: &'a HostEndpoint) -> Self {
        Self::without_namespace(Some(&endpoint.labels))
    }

    pub fn of_network_set(
        cluster: &'a Cluster,
        namespace: Option<&'a Arc<str>>,
        set: &'a NetworkSet,
    ) -> Self {
        Self {
            namespace: namespace.map_or(Known::Not, |namespace| Known::Is(namespace)),
            namespace_labels: namespace.and_then(|namespace| cluster.namespaces.get(namespace)),
            ..Self::without_namespace(Some(&set.labels))
        }
    }

    fn without_namespace(own: Option<&'a Labels>) -> Self {
        static NO_LABELS: Labels = Labels::new();
        Self {
            own,
            namespace: Known::Not,
            namespace_labels: Some(&NO_LABELS),
            service_account: Known::Not,
            service_account_labels: Some(&NO_LABELS),
            is_pod: false,
        }
    }

    pub fn selects(&self, expression: &Expression) -> Selects {
        expression.holds(&|key: &str| self.label(key))
    }

    /// The value of a label: its own, `pcns.` ones of its namespace, `pcsa.` ones of its `ServiceAccount`, and those that
    /// Calico adds (`projectcalico.org/namespace`, `…/serviceaccount`, `…/orchestrator`).
    pub fn label(&self, key: &str) -> LabelValue<'a> {
        let part = |part: Known<&'a str>| match part {
            Known::Is(value) => LabelValue::Is(value),
            Known::Not => LabelValue::Absent,
            Known::Unknown => LabelValue::Unknown,
        };
        let among =
            |labels: Option<&'a Labels>, key: &str| match labels.map(|labels| labels.get(key)) {
                Some(Some(value)) => LabelValue::Is(value),
                Some(None) => LabelValue::Absent,
                None => LabelValue::Unknown,
            };
        match key {
            NAMESPACE => part(self.namespace),
            SERVICE_ACCOUNT => part(self.service_account),
            ORCHESTRATOR if self.is_pod => LabelValue::Is("k8s"),
            _ => {
                if let Some(key) = key.strip_prefix(OF_NAMESPACE) {
                    among(self.namespace_labels, key)
                } else if let Some(key) = key.strip_prefix(OF_SERVICE_ACCOUNT) {
                    among(self.service_account_labels, key)
                } else {
                    among(self.own, key)
                }
            }
        }
    }
}
