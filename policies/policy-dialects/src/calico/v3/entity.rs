use dns_names::NamePattern;
use ipnet::IpNet;

use crate::cidr;
use crate::codes;
use crate::decode::{At, Findings, Unknown};
use crate::yaml::{Node, Shape, Typed};

use super::super::domains;
use super::super::selector::Selector;
use super::ports::{self, PortSpec};
use super::{Direction, Sort, selectors};

/// LIMIT: `maxItems` of `nets` and `notNets` in the CRDs.
const MAX_NETS: usize = 256;

/// `source` or `destination` of a rule.
#[derive(Debug)]
pub(in super::super) struct EntitySpec<'d> {
    pub(in super::super) node: Node<'d>,
    /// It was written and says nothing: `{}`.
    pub(in super::super) is_empty: bool,
    /// `domains` is there and names none.
    pub(in super::super) no_domain: Option<Node<'d>>,
    pub(in super::super) nets: Vec<At<'d, IpNet>>,
    pub(in super::super) not_nets: Vec<At<'d, IpNet>>,
    pub(in super::super) selector: Option<At<'d, Selector>>,
    pub(in super::super) not_selector: Option<At<'d, Selector>>,
    pub(in super::super) namespaces: Option<At<'d, Selector>>,
    pub(in super::super) account_names: Vec<&'d str>,
    pub(in super::super) accounts: Option<At<'d, Selector>>,
    pub(in super::super) ports: Vec<At<'d, PortSpec<'d>>>,
    pub(in super::super) not_ports: Vec<At<'d, PortSpec<'d>>>,
    pub(in super::super) service: Option<At<'d, ServiceSpec<'d>>>,
    pub(in super::super) domains: Option<At<'d, Vec<NamePattern>>>,
}

/// One Service.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct ServiceSpec<'d> {
    pub(in super::super) name: &'d str,
    pub(in super::super) namespace: Option<&'d str>,
}

impl<'d> EntitySpec<'d> {
    /// Reads one; `unknown` is set where a field of it does not exist.
    pub(super) fn decode(
        node: Node<'d>,
        direction: Direction,
        sort: Sort,
        unknown: &mut Unknown,
        findings: &mut Findings,
    ) -> Option<Self> {
        let mut fields = findings.fields(node)?;
        let mut take_nets = |key| {
            fields
                .take(key)
                .map_or_else(Vec::new, |node| nets(node, sort, findings))
        };
        let (nets, not_nets) = (take_nets("nets"), take_nets("notNets"));
        let mut take_ports = |key| {
            fields
                .take(key)
                .map_or_else(Vec::new, |node| ports::decode(node, findings))
        };
        let (ports, not_ports) = (take_ports("ports"), take_ports("notPorts"));
        let mut take_selector = |key| {
            fields
                .take(key)
                .and_then(|node| selectors::decode(node, findings))
        };
        let (selector, not_selector) = (take_selector("selector"), take_selector("notSelector"));
        let namespaces = fields
            .take("namespaceSelector")
            .and_then(|node| selectors::decode_namespaces(node, findings));
        let account_node = fields.take("serviceAccounts");
        let (account_names, accounts) = account_node
            .map(|node| service_accounts(node, direction, unknown, findings))
            .unwrap_or_default();
        let service = fields
            .take("services")
            .and_then(|node| service(node, direction, sort, unknown, findings));
        let domains = fields.take("domains").map(|node| At {
            value: domains::decode(node, findings),
            node,
        });
        if fields.finish(findings, unknown_code(direction)) == Unknown::Some {
            *unknown = Unknown::Some;
        }
        let spec = Self {
            node,
            is_empty: says_nothing(node),
            no_domain: domains
                .as_ref()
                .map(|domains| domains.node)
                .filter(|node| matches!(node.shape(), Shape::Sequence(items) if items.is_empty())),
            nets,
            not_nets,
            selector,
            not_selector,
            namespaces,
            account_names,
            accounts,
            ports,
            not_ports,
            service,
            domains: domains.filter(|domains| !domains.value.is_empty()),
        };
        spec.check(account_node, findings);
        Some(spec)
    }

    pub(in super::super) fn selects(&self) -> bool {
        self.selector.is_some()
            || self.not_selector.is_some()
            || self.namespaces.is_some()
            || self.accounts.is_some()
            || !self.account_names.is_empty()
    }

    fn check(&self, accounts: Option<Node<'_>>, findings: &mut Findings) {
        for net in &self.not_nets {
            if net.value.prefix_len() == 0 {
                findings.report(
                    codes::CALICO_NETS,
                    net.node,
                    "`notNets` that hold every address leave nothing to match",
                );
            }
        }
        let beside_service = [
            (self.namespaces.is_some(), "NamespaceSelector"),
            (
                self.selector.is_some() || self.not_selector.is_some(),
                "Selector/NotSelector",
            ),
            (accounts.is_some(), "ServiceAccounts"),
            (
                !self.nets.is_empty() || !self.not_nets.is_empty(),
                "Nets/NotNets",
            ),
        ];
        for (_, what) in beside_service.iter().filter(|(given, _)| *given) {
            if let Some(service) = &self.service {
                findings.report(
                    codes::CALICO_SERVICES,
                    service.node,
                    format!("cannot specify {what} and Services on the same rule"),
                );
            }
        }
        let beside_domains = [
            (!self.nets.is_empty(), "Nets"),
            (self.selector.is_some(), "Selector"),
            (self.namespaces.is_some(), "NamespaceSelector"),
            (accounts.is_some(), "ServiceAccounts"),
            (self.service.is_some(), "Services"),
        ];
        for (_, what) in beside_domains.iter().filter(|(given, _)| *given) {
            if let Some(domains) = &self.domains {
                findings.report(
                    codes::CALICO_DOMAIN,
                    domains.node,
                    format!("cannot specify {what} and Domains on the same rule"),
                );
            }
        }
    }
}

/// A field that does not exist closes an egress rule; ingress rules are read to be checked only.
pub(super) const fn unknown_code(direction: Direction) -> codes::Code {
    match direction {
        Direction::Egress => codes::UNKNOWN_RULE_FIELD,
        Direction::Ingress => codes::CALICO_UNKNOWN_INGRESS_FIELD,
    }
}

fn says_nothing(node: Node<'_>) -> bool {
    match node.shape() {
        Shape::Mapping(entries) => entries.iter().all(|entry| entry.value.is_null()),
        Shape::Scalar(..) | Shape::Sequence(_) => false,
    }
}

fn nets<'d>(node: Node<'d>, sort: Sort, findings: &mut Findings) -> Vec<At<'d, IpNet>> {
    let items = findings.list(node).unwrap_or_default();
    if items.len() > MAX_NETS {
        findings.report(
            codes::CALICO_TOO_MANY,
            node,
            format!("at most {MAX_NETS} blocks, found {}", items.len()),
        );
    }
    items
        .into_iter()
        .filter_map(|node| {
            // Of what its own storage holds, Calico drops those bits; its servers refuse them.
            if let (Some(Typed::Str(text)), false) = (node.typed(), sort.stored)
                && let Some(net) = cidr::with_host_bits(text)
            {
                findings.report_help(
                    codes::CALICO_NETS,
                    node,
                    format!("`{text}` has bits set beyond its prefix"),
                    format!(
                        "write `{}`, or /{} for the one address",
                        net.trunc(),
                        net.max_prefix_len()
                    ),
                );
                return None;
            }
            let value = cidr::decode(node, codes::CALICO_NETS, findings)?;
            Some(At { value, node })
        })
        .collect()
}

/// `serviceAccounts: {names: [a], selector: "…"}`; both must hold.
fn service_accounts<'d>(
    node: Node<'d>,
    direction: Direction,
    unknown: &mut Unknown,
    findings: &mut Findings,
) -> (Vec<&'d str>, Option<At<'d, Selector>>) {
    let Some(mut fields) = findings.fields(node) else {
        return (Vec::new(), None);
    };
    let names = fields
        .take("names")
        .and_then(|node| findings.strings(node))
        .unwrap_or_default();
    let selector = fields
        .take("selector")
        .and_then(|node| selectors::decode(node, findings));
    if fields.finish(findings, unknown_code(direction)) == Unknown::Some {
        *unknown = Unknown::Some;
    }
    (names.into_iter().map(|name| name.value).collect(), selector)
}

/// `services: {name: api, namespace: shop}`
fn service<'d>(
    node: Node<'d>,
    direction: Direction,
    sort: Sort,
    unknown: &mut Unknown,
    findings: &mut Findings,
) -> Option<At<'d, ServiceSpec<'d>>> {
    let mut fields = findings.fields(node)?;
    let mut text = |key| {
        let text = fields.take(key).and_then(|node| findings.string(node))?;
        (!text.value.is_empty()).then_some(text.value)
    };
    let (name, namespace) = (text("name"), text("namespace"));
    if fields.finish(findings, unknown_code(direction)) == Unknown::Some {
        *unknown = Unknown::Some;
    }
    let Some(name) = name else {
        findings.report(
            codes::CALICO_SERVICES,
            node,
            "services must specify a service name",
        );
        return None;
    };
    if sort.global && namespace.is_none() {
        findings.report_help(
            codes::CALICO_SERVICES,
            node,
            "services of a global policy must specify a namespace",
            format!("write `services: {{name: {name}, namespace: …}}`"),
        );
    }
    Some(At {
        value: ServiceSpec { name, namespace },
        node,
    })
}
