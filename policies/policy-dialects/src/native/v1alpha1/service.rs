use crate::codes;
use crate::decode::{At, Findings};
use crate::kubernetes::LabelSelectorSpec;
use crate::yaml::Node;

use super::non_empty;

/// The backends of Services, as a peer.
#[derive(Debug)]
pub(crate) struct ServiceSpec<'d> {
    pub(crate) namespace: Option<&'d str>,
    /// Services of every namespace are meant.
    pub(crate) all_namespaces: bool,
    pub(crate) which: WhichSpec<'d>,
    /// Those endpoints on the rule's ports, whichever the Services have.
    pub(crate) any_port: bool,
}

#[derive(Debug)]
pub(crate) enum WhichSpec<'d> {
    Name(&'d str),
    Labels(LabelSelectorSpec<'d>),
}

impl<'d> ServiceSpec<'d> {
    pub(super) fn decode(node: Node<'d>, findings: &mut Findings) -> Option<Self> {
        let mut fields = findings.fields(node)?;
        let namespace_node = fields.take("namespace");
        let namespace = namespace_node
            .and_then(|node| non_empty(node, findings))
            .map(|at| at.value);
        let all = fields.take("allNamespaces");
        let all_namespaces = match all {
            Some(node) => findings.boolean(node)?,
            None => false,
        };
        let name = fields.take("name");
        let labels = match fields.take("labels") {
            Some(node) => Some(At {
                value: LabelSelectorSpec::decode(node, findings)?,
                node,
            }),
            None => None,
        };
        let any_port = match fields.take("anyPort") {
            Some(node) => findings.boolean(node)?,
            None => false,
        };
        fields.finish(findings, codes::UNKNOWN_FIELD);
        if let (Some(node), true) = (namespace_node, all_namespaces) {
            findings.report(
                codes::NATIVE_PEER,
                node,
                "a service is in `namespace` or in `allNamespaces`, not in both",
            );
            return None;
        }
        let which = match (name, labels) {
            (Some(name), None) => WhichSpec::Name(non_empty(name, findings)?.value),
            (None, Some(labels)) => WhichSpec::Labels(labels.value),
            (Some(_), Some(labels)) => {
                findings.report(
                    codes::NATIVE_PEER,
                    labels.node,
                    "a service is chosen by `name` or by `labels`, not by both",
                );
                return None;
            }
            (None, None) => {
                findings.report_help(
                    codes::NATIVE_PEER,
                    node,
                    "this names no service",
                    "write `name`, or `labels` for every service that has them",
                );
                return None;
            }
        };
        Some(Self {
            namespace,
            all_namespaces,
            which,
            any_port,
        })
    }
}
