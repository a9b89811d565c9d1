use crate::decode::Findings;
use crate::kubernetes::object_labels;
use crate::object::Object;
use crate::surroundings::Surroundings;

use super::namespaced;

pub(super) fn read(object: &Object<'_>, surroundings: &mut Surroundings, findings: &mut Findings) {
    let labels = object_labels(object.node, findings);
    surroundings
        .cluster
        .service_accounts
        .insert(namespaced(object), labels);
}
