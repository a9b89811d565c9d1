//! Keys without a value.

use crate::codes;
use crate::decode::Findings;
use crate::object::Object;
use crate::shorten;
use crate::yaml::{Entry, Node, Shape};

/// Refuses every key of a `spec` that has no value: a template whose value was empty leaves `to:` behind, and an absent `to`
/// means every destination. The schema of these kinds refuses it as well.
pub(crate) fn refuse(spec: Node<'_>, findings: &mut Findings) {
    each(spec, &mut |entry| {
        let key = entry.key;
        findings.report_key(
            codes::WRONG_TYPE,
            entry,
            format!("`{key}` has no value, so it is unclear what is meant"),
            Some(help(key)),
        );
    });
}

/// Tells of those in an object of which its reader, since `mark`, has said nothing: an API server drops them, and what is
/// left may mean more.
pub(crate) fn tell(object: &Object<'_>, mark: usize, findings: &mut Findings) {
    let told = findings.paths_since(mark);
    for field in ["spec", "specs"] {
        let Some(node) = object.node.get(field) else {
            continue;
        };
        each(node, &mut |entry| {
            let path = shorten::path(findings.origin(entry.value).path);
            let is_told = told.contains(&path);
            if !is_told {
                let key = entry.key;
                findings.report_key(
                    codes::KEY_WITHOUT_VALUE,
                    entry,
                    format!("`{key}` has no value, and counts as if it were not there"),
                    Some(help(key)),
                );
            }
        });
    }
}

fn help(key: &str) -> String {
    format!("write the value, or leave `{key}` out")
}

/// Recursion is bounded by the depth a file may have.
fn each<'d>(node: Node<'d>, say: &mut impl FnMut(Entry<'d>)) {
    match node.shape() {
        Shape::Scalar(..) => {}
        Shape::Sequence(items) => items.iter().for_each(|item| each(item, say)),
        Shape::Mapping(entries) => {
            for entry in entries.iter() {
                if entry.value.is_null() {
                    say(entry);
                } else {
                    each(entry.value, say);
                }
            }
        }
    }
}
