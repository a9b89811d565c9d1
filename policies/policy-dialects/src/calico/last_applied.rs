//! What was applied before the API server dropped what it does not know.

use std::collections::BTreeMap;

use crate::object::Object;
use crate::yaml::{self, Limits, Node, Shape};

/// Where `kubectl apply` keeps the object as it was written.
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// For each egress rule of the object as it was applied, whether it named domains; nothing where nobody knows.
pub(super) fn rules_with_domains(object: &Object<'_>) -> BTreeMap<u32, bool> {
    let Some(applied) = object.metadata.annotation(ANNOTATION) else {
        return BTreeMap::new();
    };
    let (documents, _errors) = yaml::load(applied.value, &Limits::default());
    let Some(document) = documents.first() else {
        return BTreeMap::new();
    };
    let rules = document
        .root()
        .get("spec")
        .and_then(|spec| spec.get("egress"))
        .map(Node::shape);
    let Some(Shape::Sequence(rules)) = rules else {
        return BTreeMap::new();
    };
    (0..)
        .zip(rules.iter())
        .map(|(index, rule)| {
            let domains = rule
                .get("destination")
                .and_then(|destination| destination.get("domains"));
            let named = matches!(domains.map(Node::shape), Some(Shape::Sequence(names)) if !names.is_empty());
            (index, named)
        })
        .collect()
}
