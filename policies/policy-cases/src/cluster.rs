//! The objects of a cluster that say who asks: namespaces and pods.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use policy_dialects::codes;
use policy_dialects::decode::Findings;
use policy_dialects::read_documents;
use policy_dialects::yaml::{Node, Shape, Typed};
use policy_model::{Labels, PodIdentity, Workload};

/// The label every namespace has by itself.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// What is known of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    namespaces: BTreeMap<Arc<str>, Labels>,
    pods: BTreeMap<(Arc<str>, Arc<str>), PodObject>,
}

/// A pod that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodObject {
    pub labels: Labels,
    pub service_account: Arc<str>,
    pub ips: Vec<IpAddr>,
}

impl Cluster {
    /// Adds the namespaces and pods of a file. Kinds that say nothing of a workload are left alone.
    pub(crate) fn add(&mut self, text: &str, findings: &mut Findings) {
        for document in read_documents(text, findings) {
            self.add_object(document.root(), findings);
        }
    }

    fn add_object(&mut self, node: Node<'_>, findings: &mut Findings) {
        let kind = node.get_str("kind").unwrap_or_default();
        if kind == "List"
            && let Some(Shape::Sequence(items)) = node.get("items").map(Node::shape)
        {
            for item in items.iter() {
                self.add_object(item, findings);
            }
            return;
        }
        let metadata = node.get("metadata");
        let text = |key| metadata.and_then(|metadata| metadata.get_str(key));
        let Some(name) = text("name") else {
            findings.report(
                codes::NOT_AN_OBJECT,
                node,
                "an object of the world has `kind` and `metadata.name`",
            );
            return;
        };
        let labels = metadata
            .and_then(|metadata| metadata.get("labels"))
            .map_or_else(Labels::new, |node| labels(node, findings));
        match kind {
            "Namespace" => {
                self.namespaces.insert(name.into(), labels);
            }
            "Pod" => {
                let status = node.get("status");
                let phase = status
                    .and_then(|status| status.get_str("phase"))
                    .unwrap_or("Running");
                // Finished pods keep an address that is used again.
                if matches!(phase, "Succeeded" | "Failed") {
                    return;
                }
                let namespace: Arc<str> = text("namespace").unwrap_or("default").into();
                let pod = PodObject {
                    labels,
                    service_account: node
                        .get("spec")
                        .and_then(|spec| spec.get_str("serviceAccountName"))
                        .unwrap_or("default")
                        .into(),
                    ips: status.map_or_else(Vec::new, ips),
                };
                self.pods.insert((namespace, name.into()), pod);
            }
            _ => {}
        }
    }

    pub fn is_empty(&self) -> bool {
        self.namespaces.is_empty() && self.pods.is_empty()
    }

    /// The pod that has an address.
    pub fn pod_at(&self, ip: IpAddr) -> Option<(&str, &str)> {
        let ip = ip.to_canonical();
        self.pods
            .iter()
            .find(|(_, pod)| pod.ips.contains(&ip))
            .map(|((namespace, name), _)| (&**namespace, &**name))
    }

    /// A pod as policies see it.
    pub fn workload(&self, namespace: &str, name: &str) -> Option<Workload> {
        let pod = self.pods.get(&(namespace.into(), name.into()))?;
        Some(self.described(
            namespace,
            pod.labels.clone(),
            &Labels::new(),
            pod.service_account.clone(),
        ))
    }

    /// A pod that is described and not listed; `more` are labels of its namespace beside those the world knows.
    pub(crate) fn described(
        &self,
        namespace: &str,
        labels: Labels,
        more: &Labels,
        service_account: Arc<str>,
    ) -> Workload {
        let mut namespace_labels = self.namespaces.get(namespace).cloned().unwrap_or_default();
        namespace_labels.extend(more.clone());
        namespace_labels.insert(NAMESPACE_NAME.into(), namespace.into());
        Workload {
            pod: PodIdentity {
                namespace: Some(namespace.into()),
                namespace_labels: Some(namespace_labels),
                labels: Some(labels),
                service_account: Some(service_account),
                node_labels: Some(Labels::new()),
                ..PodIdentity::default()
            },
            ..Workload::default()
        }
    }
}

fn ips(status: Node<'_>) -> Vec<IpAddr> {
    let mut ips: Vec<IpAddr> = status
        .get_str("podIP")
        .and_then(|ip| ip.parse().ok())
        .into_iter()
        .collect();
    if let Some(Shape::Sequence(items)) = status.get("podIPs").map(Node::shape) {
        ips.extend(
            items
                .iter()
                .filter_map(|item| item.get_str("ip")?.parse::<IpAddr>().ok()),
        );
    }
    ips.iter_mut().for_each(|ip| *ip = ip.to_canonical());
    ips
}

fn labels(node: Node<'_>, findings: &mut Findings) -> Labels {
    let Shape::Mapping(entries) = node.shape() else {
        if !node.is_null() {
            findings.wrong_type(node, "a mapping");
        }
        return Labels::new();
    };
    entries
        .iter()
        .filter_map(|entry| match entry.value.typed() {
            Some(Typed::Str(value)) => Some((entry.key.into(), value.into())),
            None | Some(Typed::Null | Typed::Bool(_) | Typed::Int(_) | Typed::Float(_)) => {
                findings.wrong_type(entry.value, "a string");
                None
            }
        })
        .collect()
}
