//! `toServices`.

use policy_model::{Peer, ServicePeer, ServiceRef};

use super::labels::without_sources;
use super::v2::closed_text;
use crate::codes;
use crate::decode::{Findings, Unknown};
use crate::kubernetes::LabelSelectorSpec;
use crate::yaml::Node;

/// Reads one entry of `toServices`; nothing where it is closed or refused, which is reported.
pub(super) fn decode(node: Node<'_>, deny: bool, findings: &mut Findings) -> Option<Peer> {
    let mut fields = findings.fields(node)?;
    let by_name = fields.take("k8sService");
    let by_labels = fields.take("k8sServiceSelector");
    if fields.finish(findings, codes::UNKNOWN_RULE_FIELD) == Unknown::Some {
        return None;
    }
    let (namespace, service) = match (by_name, by_labels) {
        (Some(node), None) => decode_name(node, findings)?,
        (None, Some(node)) => decode_selector(node, findings)?,
        (Some(_), Some(_)) | (None, None) => {
            findings.report_help(
                codes::CILIUM_TO_SERVICES,
                node,
                closed_text("an entry that does not name Services in one way", deny),
                "write either `k8sService` or `k8sServiceSelector`",
            );
            return None;
        }
    };
    if namespace.is_none() {
        findings.report_help(
            codes::CILIUM_SERVICE_ANY_NAMESPACE,
            node,
            "no namespace is given, so Services of every namespace are meant",
            "write `namespace` beside it",
        );
    }
    if namespace == Some("default")
        && matches!(&service, ServiceRef::Name(name) if **name == *"kubernetes")
    {
        findings.report_help(
            codes::CILIUM_SERVICE_KUBERNETES,
            node,
            "the API server is not a pod, and its Service may have no backends that can be told",
            "write `toEntities: [kube-apiserver]`",
        );
    }
    Some(Peer::Service(ServicePeer {
        namespace: namespace.map(Into::into),
        service,
        with_ports: false,
    }))
}

fn decode_name<'d>(
    node: Node<'d>,
    findings: &mut Findings,
) -> Option<(Option<&'d str>, ServiceRef)> {
    let mut fields = findings.fields(node)?;
    let name = fields.take("serviceName");
    let namespace = decode_namespace(fields.take("namespace"), findings);
    fields.finish(findings, codes::UNKNOWN_FIELD);
    let Some(name) = name else {
        findings.report(codes::MISSING_FIELD, node, "`serviceName` is missing");
        return None;
    };
    let name = findings.string(name)?.value;
    Some((namespace, ServiceRef::Name(name.into())))
}

fn decode_selector<'d>(
    node: Node<'d>,
    findings: &mut Findings,
) -> Option<(Option<&'d str>, ServiceRef)> {
    let mut fields = findings.fields(node)?;
    let selector = fields.take("selector");
    let namespace = decode_namespace(fields.take("namespace"), findings);
    fields.finish(findings, codes::UNKNOWN_FIELD);
    let Some(selector) = selector else {
        findings.report(codes::MISSING_FIELD, node, "`selector` is missing");
        return None;
    };
    let selector = without_sources(LabelSelectorSpec::decode(selector, findings)?.lower());
    Some((namespace, ServiceRef::Labels(selector)))
}

/// An empty namespace is none, as for Cilium.
fn decode_namespace<'d>(node: Option<Node<'d>>, findings: &mut Findings) -> Option<&'d str> {
    let text = findings.string(node?)?.value;
    (!text.is_empty()).then_some(text)
}
