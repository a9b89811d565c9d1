use std::sync::Arc;

use policy_model::{Labels, PodIdentity, Workload};

use super::Scene;
use crate::file::FromSpec;
use crate::need::Need;

impl Scene {
    /// Who asks, with what the world says of him.
    pub(super) fn workload(&self, from: &FromSpec) -> Result<Workload, Need> {
        Ok(match from {
            FromSpec::Command => Workload::command(),
            FromSpec::Pod { namespace, name } => {
                let name = (Arc::clone(namespace), Arc::clone(name));
                let pod = PodIdentity::of_pod(self.cluster(), &name).ok_or(Need::Pod {
                    namespace: name.0,
                    name: name.1,
                })?;
                Workload::of_pod(pod, self.cluster())
            }
            FromSpec::Described {
                namespace,
                labels,
                namespace_labels,
                service_account,
                host_network,
                node,
            } => {
                let pod = PodIdentity {
                    labels: Some(labels.clone()),
                    host_network: *host_network,
                    ..self.described(
                        namespace,
                        namespace_labels,
                        service_account,
                        node.as_deref(),
                    )
                };
                Workload::of_pod(pod, self.cluster())
            }
            FromSpec::Unit(unit) => Workload {
                unit: Some(Arc::clone(unit)),
                ..Workload::default()
            },
            FromSpec::User(user) => Workload {
                user: Some(Arc::clone(user)),
                ..Workload::default()
            },
            FromSpec::Cgroup(cgroup) => Workload {
                cgroup: Some(Arc::clone(cgroup)),
                ..Workload::default()
            },
            FromSpec::Ip(_) => Workload::without_identity(),
        })
    }

    /// A pod that is described and not listed; `more` are labels of its namespace beside those the world knows.
    fn described(
        &self,
        namespace: &Arc<str>,
        more: &Labels,
        service_account: &Arc<str>,
        node: Option<&str>,
    ) -> PodIdentity {
        let mut pod = PodIdentity::described(self.cluster(), namespace, service_account, node);
        let mut labels = self.cluster().namespace_labels(namespace);
        for (key, value) in more {
            labels.insert(Arc::clone(key), Arc::clone(value));
        }
        pod.namespace_labels = Some(labels);
        pod
    }
}
