use policy_model::Subject;

use crate::codes;
use crate::decode::{At, Findings};
use crate::kubernetes::LabelSelectorSpec;
use crate::yaml::{Node, Shape};

use super::peer::service_accounts;
use super::{endpoints, non_empty};

/// Whom the policy is for: all given parts must match.
#[derive(Debug)]
pub(crate) struct SubjectSpec<'d> {
    pub(crate) node: Node<'d>,
    pub(crate) namespaces: Option<At<'d, LabelSelectorSpec<'d>>>,
    pub(crate) pods: Option<LabelSelectorSpec<'d>>,
    pub(crate) service_accounts: Option<Vec<At<'d, &'d str>>>,
    /// Of the node the workload runs on.
    pub(crate) nodes: Option<LabelSelectorSpec<'d>>,
    pub(crate) network: Option<At<'d, NetworkSpec>>,
    /// By an expression: `Subject::Endpoints` or `Subject::Addressed`.
    pub(crate) endpoints: Option<At<'d, Subject>>,
    pub(crate) host_endpoint: Option<At<'d, &'d str>>,
    pub(crate) unit: Option<At<'d, &'d str>>,
    pub(crate) user: Option<At<'d, &'d str>>,
    pub(crate) cgroup: Option<At<'d, &'d str>>,
    pub(crate) container: Option<ContainerSpec<'d>>,
    pub(crate) command: Option<bool>,
}

/// Whose network a workload is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NetworkSpec {
    /// One of its own.
    Own,
    /// That of its node.
    Host,
}

#[derive(Debug)]
pub(crate) struct ContainerSpec<'d> {
    pub(crate) labels: Vec<(&'d str, At<'d, &'d str>)>,
    pub(crate) name: Option<At<'d, &'d str>>,
}

impl<'d> SubjectSpec<'d> {
    pub(super) fn decode(node: Node<'d>, findings: &mut Findings) -> Option<Self> {
        let mut fields = findings.fields(node)?;
        let namespaces = fields.take("namespaces").and_then(|node| {
            LabelSelectorSpec::decode(node, findings).map(|value| At { value, node })
        });
        let pods = fields
            .take("pods")
            .and_then(|node| LabelSelectorSpec::decode(node, findings));
        let service_accounts = fields
            .take("serviceAccounts")
            .and_then(|node| service_accounts(node, findings));
        let nodes = fields
            .take("nodes")
            .and_then(|node| LabelSelectorSpec::decode(node, findings));
        let network = fields.take("network").and_then(|node| {
            findings.word(
                node,
                &[("own", NetworkSpec::Own), ("host", NetworkSpec::Host)],
            )
        });
        let endpoints = fields.take("endpoints").and_then(|node| {
            endpoints::decode_subject(node, findings).map(|value| At { value, node })
        });
        let host_endpoint = fields
            .take("hostEndpoint")
            .and_then(|node| non_empty(node, findings));
        let unit = fields
            .take("unit")
            .and_then(|node| non_empty(node, findings));
        let user = fields
            .take("user")
            .and_then(|node| non_empty(node, findings));
        let cgroup = fields
            .take("cgroup")
            .and_then(|node| non_empty(node, findings));
        let container = fields
            .take("container")
            .and_then(|node| ContainerSpec::decode(node, findings));
        let command = fields
            .take("command")
            .and_then(|node| findings.boolean(node));
        fields.finish(findings, codes::UNKNOWN_FIELD);
        Some(Self {
            node,
            namespaces,
            pods,
            service_accounts,
            nodes,
            network,
            endpoints,
            host_endpoint,
            unit,
            user,
            cgroup,
            container,
            command,
        })
    }

    /// The part that is of no one namespace, if there is one.
    pub(crate) fn of_cluster(&self) -> Option<Node<'d>> {
        let host = self.network.filter(|at| at.value == NetworkSpec::Host);
        let parts = [
            self.namespaces.as_ref().map(|at| at.node),
            host.map(|at| at.node),
            self.endpoints.as_ref().map(|at| at.node),
            self.host_endpoint.map(|at| at.node),
        ];
        parts.into_iter().flatten().next()
    }
}

impl<'d> ContainerSpec<'d> {
    pub(super) fn decode(node: Node<'d>, findings: &mut Findings) -> Option<Self> {
        let mut fields = findings.fields(node)?;
        let mut labels = Vec::new();
        if let Some(node) = fields.take("labels") {
            let Shape::Mapping(entries) = node.shape() else {
                findings.wrong_type(node, "a mapping");
                return None;
            };
            labels.extend(
                entries
                    .iter()
                    .filter_map(|entry| Some((entry.key, findings.string(entry.value)?))),
            );
        }
        let name = fields
            .take("name")
            .and_then(|node| non_empty(node, findings));
        fields.finish(findings, codes::UNKNOWN_FIELD);
        if labels.is_empty() && name.is_none() {
            findings.report(
                codes::NATIVE_SUBJECT,
                node,
                "a container is chosen by `labels`, by `name` or by both",
            );
            return None;
        }
        Some(Self { labels, name })
    }
}
