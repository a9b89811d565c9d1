use policy_model::{KubernetesSubject, Subject};

use super::api::{Api, required};
use crate::codes;
use crate::decode::Findings;
use crate::kubernetes::LabelSelectorSpec;
use crate::yaml::Node;

/// Which pods a policy selects, as written. Those in the host's network never are.
#[derive(Debug)]
pub(super) struct SubjectSpec<'d> {
    pub(super) node: Node<'d>,
    namespaces: LabelSelectorSpec<'d>,
    pods: Option<LabelSelectorSpec<'d>>,
}

impl<'d> SubjectSpec<'d> {
    /// Reads a subject; nothing where it is not clear whom it selects.
    pub(super) fn decode(node: Node<'d>, api: &Api, findings: &mut Findings) -> Option<Self> {
        let mark = findings.mark();
        let mut fields = findings.fields(node)?;
        let namespaces = fields.take("namespaces");
        let pods = fields.take("pods");
        fields.finish(findings, codes::UNKNOWN_FIELD);
        match (namespaces, pods) {
            (Some(namespaces), None) => Some(Self {
                node,
                namespaces: LabelSelectorSpec::decode_subject(namespaces, findings)?,
                pods: None,
            }),
            (None, Some(pods)) => {
                let mut fields = findings.fields(pods)?;
                let selector = fields.take("podSelector");
                let namespaces = fields.take("namespaceSelector");
                fields.finish(findings, codes::UNKNOWN_FIELD);
                let selector = required(selector, "podSelector", pods, findings);
                if api.namespaces_required {
                    required(namespaces, "namespaceSelector", pods, findings);
                }
                let namespaces = match namespaces {
                    Some(namespaces) => LabelSelectorSpec::decode_subject(namespaces, findings)?,
                    None => LabelSelectorSpec::everything(),
                };
                Some(Self {
                    node,
                    namespaces,
                    pods: Some(LabelSelectorSpec::decode_subject(selector?, findings)?),
                })
            }
            (Some(_), Some(_)) | (None, None) => {
                if !findings.refused_since(mark) {
                    findings.report_help(
                        codes::CLUSTER_NETWORK_POLICY_SUBJECT,
                        node,
                        "a subject has exactly one of `namespaces` and `pods`",
                        "`namespaces: {}` selects every pod of every namespace",
                    );
                }
                None
            }
        }
    }

    pub(super) fn selects_everything(&self) -> bool {
        self.namespaces.is_empty() && self.pods.as_ref().is_none_or(LabelSelectorSpec::is_empty)
    }

    pub(super) fn lower(self) -> Subject {
        let Self {
            node: _,
            namespaces,
            pods,
        } = self;
        Subject::Kubernetes(KubernetesSubject {
            namespaces: Some(namespaces.lower()),
            pods: pods.map(LabelSelectorSpec::lower),
            ..KubernetesSubject::default()
        })
    }
}
