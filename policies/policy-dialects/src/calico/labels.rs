use policy_model::Labels;

use crate::codes;
use crate::decode::Findings;
use crate::kubernetes::labels_of;
use crate::object::Object;

/// The label of the namespace an object is in: given by Calico, never written.
pub(super) const NAMESPACE: &str = "projectcalico.org/namespace";
pub(super) const SERVICE_ACCOUNT: &str = "projectcalico.org/serviceaccount";

/// The labels in an object's metadata.
pub(super) fn of_object(object: &Object<'_>, findings: &mut Findings) -> Labels {
    let node = object
        .node
        .get("metadata")
        .and_then(|metadata| metadata.get("labels"))
        .filter(|labels| !labels.is_null());
    let Some(node) = node else {
        return Labels::new();
    };
    let labels = labels_of(node, findings);
    if labels.contains_key(NAMESPACE) {
        findings.report_help(
            codes::CALICO_LABEL,
            node,
            format!("the label `{NAMESPACE}` is given by Calico and cannot be written"),
            "put the object into the namespace instead",
        );
    }
    labels
}
