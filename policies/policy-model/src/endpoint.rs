use std::sync::Arc;

use crate::cluster::{
    Cluster, HostEndpoint, NAMESPACE_NAME_LABEL, NamespacedName, NetworkSet, Pod,
};
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

/// Under those prefixes, the name itself.
const NAME: &str = "projectcalico.org/name";

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
        if let Some(host) = &workload.host_endpoint {
            return Self::without_namespace(Some(&host.labels));
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
        let global = Self::without_namespace(Some(&set.labels));
        let Some(namespace) = namespace else {
            return global;
        };
        Self {
            namespace: Known::Is(namespace),
            namespace_labels: cluster
                .namespaces
                .get(namespace)
                .or(global.namespace_labels),
            ..global
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
    /// Calico adds (`projectcalico.org/namespace`, `…/serviceaccount`, `…/orchestrator`, `pcns.projectcalico.org/name`,
    /// `pcsa.…`). A namespace that nobody listed has its name all the same.
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
                    match key {
                        NAME | NAMESPACE_NAME_LABEL => part(self.namespace),
                        _ => among(self.namespace_labels, key),
                    }
                } else if let Some(key) = key.strip_prefix(OF_SERVICE_ACCOUNT) {
                    match key {
                        NAME => part(self.service_account),
                        _ => among(self.service_account_labels, key),
                    }
                } else {
                    among(self.own, key)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|(key, value)| (Arc::from(*key), Arc::from(*value)))
            .collect()
    }

    fn value(endpoint: &Endpoint<'_>, key: &str) -> Option<String> {
        match endpoint.label(key) {
            LabelValue::Is(value) => Some(value.to_owned()),
            LabelValue::Absent => None,
            LabelValue::Unknown => Some("?".to_owned()),
        }
    }

    #[test_case("app", Some("web"); "its own")]
    #[test_case("projectcalico.org/namespace", Some("shop"); "its namespace")]
    #[test_case("projectcalico.org/orchestrator", Some("k8s"); "its orchestrator")]
    #[test_case("projectcalico.org/serviceaccount", Some("runner"); "its account")]
    #[test_case("pcns.team", Some("a"); "a label of its namespace")]
    #[test_case("pcns.projectcalico.org/name", Some("shop"); "the name of its namespace")]
    #[test_case("pcns.kubernetes.io/metadata.name", Some("shop"); "the same as kubernetes calls it")]
    #[test_case("pcsa.projectcalico.org/name", Some("runner"); "the name of its account")]
    #[test_case("pcsa.role", None; "a label its account does not have")]
    #[test_case("pcns.app", None; "its own is not its namespace's")]
    fn labels_of_a_pod(key: &str, expected: Option<&str>) {
        let mut cluster = Cluster::default();
        cluster
            .namespaces
            .insert("shop".into(), labels(&[("team", "a")]));
        let pod = Pod {
            labels: labels(&[("app", "web")]),
            service_account: "runner".into(),
            ..Pod::default()
        };
        let name = ("shop".into(), "web-0".into());
        let endpoint = Endpoint::of_pod(&cluster, &name, &pod);
        assert_eq!(value(&endpoint, key).as_deref(), expected);
    }

    #[test]
    fn a_set_in_an_unlisted_namespace_has_its_name_and_no_more() {
        let (cluster, set) = (Cluster::default(), NetworkSet::default());
        let namespace = Arc::from("shop");
        let endpoint = Endpoint::of_network_set(&cluster, Some(&namespace), &set);
        assert_eq!(
            value(&endpoint, "pcns.projectcalico.org/name").as_deref(),
            Some("shop")
        );
        assert_eq!(value(&endpoint, "pcns.team"), None);
        assert_eq!(value(&endpoint, "projectcalico.org/serviceaccount"), None);
    }

    #[test]
    fn a_global_set_and_a_host_endpoint_are_in_no_namespace() {
        let (cluster, set) = (Cluster::default(), NetworkSet::default());
        let host = HostEndpoint::default();
        for endpoint in [
            Endpoint::of_network_set(&cluster, None, &set),
            Endpoint::of_host_endpoint(&host),
        ] {
            for key in [
                "projectcalico.org/namespace",
                "pcns.projectcalico.org/name",
                "projectcalico.org/orchestrator",
            ] {
                assert_eq!(value(&endpoint, key), None, "{key}");
            }
        }
    }
}
