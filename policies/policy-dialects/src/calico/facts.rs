use std::collections::BTreeMap;
use std::sync::Arc;

use policy_model::{Cluster, Labels, ObjectRef};

use super::profile::Profile;
use super::tier::Tier;

/// What Calico's policies depend on beside the cluster's own objects.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(super) tiers: BTreeMap<Arc<str>, Tier>,
    pub(super) profiles: BTreeMap<Arc<str>, Profile>,
    /// The profiles of each host endpoint, in order.
    pub(super) host_profiles: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    /// The name each policy is written by, by its identity: a staged policy may write another one for the same.
    written: BTreeMap<ObjectRef, Arc<str>>,
}

impl Facts {
    /// Notes that a policy is there.
    pub(crate) fn remember(&mut self, identity: ObjectRef, name: &Arc<str>) {
        self.written
            .entry(identity)
            .or_insert_with(|| Arc::clone(name));
    }

    /// The policy of an identity by the name it is written by.
    pub(super) fn as_written(&self, identity: &ObjectRef) -> Option<ObjectRef> {
        self.written.get(identity).map(|name| ObjectRef {
            name: Arc::clone(name),
            ..identity.clone()
        })
    }

    /// Once every fact is read: gives host endpoints the labels of their profiles. Its own label holds before a profile's,
    /// an earlier profile's before a later one's.
    pub(crate) fn settle(&self, cluster: &mut Cluster) {
        for (endpoint, profiles) in &self.host_profiles {
            let Some(endpoint) = cluster.host_endpoints.get_mut(endpoint) else {
                continue;
            };
            for profile in profiles {
                let labels = self.profiles.get(profile).map(|profile| &profile.labels);
                inherit(&mut endpoint.labels, labels);
            }
        }
    }
}

fn inherit(own: &mut Labels, labels: Option<&Labels>) {
    for (key, value) in labels.into_iter().flatten() {
        own.entry(Arc::clone(key))
            .or_insert_with(|| Arc::clone(value));
    }
}
