use std::sync::Arc;

use policy_model::NAMESPACE_NAME_LABEL;

use crate::decode::Findings;
use crate::kubernetes::object_labels;
use crate::object::Object;
use crate::surroundings::Surroundings;

/// A namespace is its labels, and its name among them: the API server adds that, so files do not have it.
pub(super) fn read(object: &Object<'_>, surroundings: &mut Surroundings, findings: &mut Findings) {
    let mut labels = object_labels(object.node, findings);
    let name = Arc::clone(&object.id.name);
    labels.insert(Arc::from(NAMESPACE_NAME_LABEL), Arc::clone(&name));
    surroundings.cluster.namespaces.insert(name, labels);
}
