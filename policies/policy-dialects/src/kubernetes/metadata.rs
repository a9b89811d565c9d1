//! `metav1.ObjectMeta`, as far as a policy has to do with it.

use std::sync::Arc;

use policy_model::Labels;

use crate::codes;
use crate::decode::{At, Findings};
use crate::yaml::{Node, Shape};

/// Whether a kind lives in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// In the default namespace where it names none.
    Namespaced,
    Cluster,
    /// In a namespace where it names one, else in none: native policies are read on plain Linux too.
    Anywhere,
}

#[derive(Debug, Clone)]
pub(crate) struct MetadataSpec<'d> {
    pub(crate) name: At<'d, &'d str>,
    pub(crate) namespace: Option<At<'d, &'d str>>,
    pub(crate) annotations: Vec<(&'d str, At<'d, &'d str>)>,
}

/// Reads `metadata` of `object`; nothing where the object has no usable name.
pub(crate) fn decode_metadata<'d>(
    object: Node<'d>,
    scope: Scope,
    findings: &mut Findings,
) -> Option<MetadataSpec<'d>> {
    /// The fields of `ObjectMeta` that mean nothing here.
    const OTHER: &[&str] = &[
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "labels",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    ];
    let Some(node) = object.get("metadata").filter(|node| !node.is_null()) else {
        findings.report_help(
            codes::NOT_AN_OBJECT,
            object,
            "`metadata` is missing",
            "every policy has a `metadata.name`",
        );
        return None;
    };
    let mut fields = findings.fields(node)?;
    let name = fields.take("name");
    let namespace = fields
        .take("namespace")
        .and_then(|node| findings.string(node));
    let annotations = fields
        .take("annotations")
        .map_or_else(Vec::new, |node| annotations(node, findings));
    for other in OTHER {
        fields.take(other);
    }
    fields.finish(findings, codes::UNKNOWN_TOP_LEVEL_FIELD);
    let Some(name) = name else {
        findings.report(codes::NOT_AN_OBJECT, node, "`metadata.name` is missing");
        return None;
    };
    let name = findings.string(name)?;
    if !is_subdomain(name.value) {
        findings.report_help(
            codes::INVALID_NAME,
            name.node,
            format!("`{}` is not a name Kubernetes allows", name.value),
            "at most 253 lower-case letters, digits, `-` and `.`, with a letter or digit at both ends",
        );
        return None;
    }
    if let Some(namespace) = namespace {
        match scope {
            Scope::Cluster => {
                findings.report_help(
                    codes::INVALID_NAME,
                    namespace.node,
                    "this kind does not live in a namespace",
                    "leave `namespace` out, or use the namespaced kind",
                );
                return None;
            }
            Scope::Namespaced | Scope::Anywhere
                if !is_subdomain(namespace.value)
                    || namespace.value.contains('.')
                    || namespace.value.len() > 63 =>
            {
                findings.report(
                    codes::INVALID_NAME,
                    namespace.node,
                    format!("`{}` is not a namespace's name", namespace.value),
                );
                return None;
            }
            Scope::Namespaced | Scope::Anywhere => {}
        }
    }
    Some(MetadataSpec {
        name,
        namespace,
        annotations,
    })
}

/// On an object of a dialect that cannot say `allowPrivate`: its names may hold private addresses.
pub(crate) const ALLOW_PRIVATE: &str = "egret.dev/allow-private";

impl MetadataSpec<'_> {
    /// Whether an annotation lets the object's names hold private addresses.
    pub(crate) fn allows_private(&self, findings: &mut Findings) -> bool {
        match self.annotation(ALLOW_PRIVATE) {
            None | Some(At { value: "false", .. }) => false,
            Some(At { value: "true", .. }) => true,
            Some(At { value, node }) => {
                findings.report(
                    codes::INVALID_VALUE,
                    node,
                    format!("`{value}` is neither \"true\" nor \"false\""),
                );
                false
            }
        }
    }

    /// The value of an annotation.
    pub(crate) fn annotation(&self, key: &str) -> Option<At<'_, &str>> {
        self.annotations
            .iter()
            .find(|(known, _)| *known == key)
            .map(|(_, value)| *value)
    }
}

fn annotations<'d>(node: Node<'d>, findings: &mut Findings) -> Vec<(&'d str, At<'d, &'d str>)> {
    let Shape::Mapping(entries) = node.shape() else {
        findings.wrong_type(node, "a mapping");
        return Vec::new();
    };
    entries
        .iter()
        .filter_map(|entry| findings.string(entry.value).map(|value| (entry.key, value)))
        .collect()
}

/// The labels of an object; none where it has none.
pub(crate) fn object_labels(object: Node<'_>, findings: &mut Findings) -> Labels {
    object
        .get("metadata")
        .and_then(|metadata| metadata.get("labels"))
        .filter(|labels| !labels.is_null())
        .map_or_else(Labels::new, |labels| labels_of(labels, findings))
}

/// A mapping of labels. What is no text is reported and left out.
pub(crate) fn labels_of(node: Node<'_>, findings: &mut Findings) -> Labels {
    let Shape::Mapping(entries) = node.shape() else {
        findings.wrong_type(node, "a mapping");
        return Labels::new();
    };
    entries
        .iter()
        .filter_map(|entry| {
            let value = findings.string(entry.value)?.value;
            Some((Arc::from(entry.key), Arc::from(value)))
        })
        .collect()
}

/// RFC 1123 subdomain, the rule for object names.
fn is_subdomain(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}
