//! Keys without a value.

use crate::codes;
use crate::decode::Findings;
use crate::yaml::{Node, Shape};

/// Refuses every key of a `spec` that has no value: a template whose value was empty leaves `to:` behind, and an absent `to`
/// means every destination. The schema of these kinds refuses it as well.
pub(super) fn refuse(node: Node<'_>, findings: &mut Findings) {
    match node.shape() {
        Shape::Scalar(..) => {}
        Shape::Sequence(items) => items.iter().for_each(|item| refuse(item, findings)),
        Shape::Mapping(entries) => {
            for entry in entries.iter() {
                if entry.value.is_null() {
                    let key = entry.key;
                    findings.report_key(
                        codes::WRONG_TYPE,
                        entry,
                        format!("`{key}` has no value, so it is unclear what is meant"),
                        Some(format!("write the value, or leave `{key}` out")),
                    );
                } else {
                    // Recursion is bounded by the depth a file may have.
                    refuse(entry.value, findings);
                }
            }
        }
    }
}
