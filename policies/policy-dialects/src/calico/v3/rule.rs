use ipnet::IpNet;
use policy_model::Protocol;

use crate::codes;
use crate::decode::{At, Findings, Unknown};
use crate::yaml::{Node, Shape};

use super::entity::{EntitySpec, unknown_code};
use super::ports::{self, PortSpec};
use super::{Direction, Sort};

/// LIMIT: `maxItems` of `http.methods` and `http.paths` in the CRDs.
const MAX_HTTP: usize = 20;

/// One rule, as written.
#[derive(Debug)]
pub(in super::super) struct RuleSpec<'d> {
    pub(in super::super) node: Node<'d>,
    pub(in super::super) action: ActionSpec,
    pub(in super::super) ip_version: Option<IpVersion>,
    pub(in super::super) protocol: Option<Protocol>,
    pub(in super::super) not_protocol: Option<Protocol>,
    pub(in super::super) icmp: Option<IcmpSpec>,
    pub(in super::super) not_icmp: Option<IcmpSpec>,
    pub(in super::super) source: Option<EntitySpec<'d>>,
    pub(in super::super) destination: Option<EntitySpec<'d>>,
    /// A field that does not exist stands in it, so what was meant is unknown.
    pub(in super::super) unknown: Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum ActionSpec {
    Allow,
    Deny,
    Log,
    Pass,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum IpVersion {
    V4,
    V6,
}

/// An ICMP type, and a code where one is given. Neither: every type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct IcmpSpec {
    pub(in super::super) kind: Option<u8>,
    pub(in super::super) code: Option<u8>,
}

impl<'d> RuleSpec<'d> {
    /// Reads a rule; nothing where it has no action.
    pub(super) fn decode(
        node: Node<'d>,
        direction: Direction,
        sort: Sort,
        findings: &mut Findings,
    ) -> Option<Self> {
        const ACTIONS: &[(&str, ActionSpec)] = &[
            ("Allow", ActionSpec::Allow),
            ("Deny", ActionSpec::Deny),
            ("Log", ActionSpec::Log),
            ("Pass", ActionSpec::Pass),
        ];
        let mut fields = findings.fields(node)?;
        let action = match fields.take("action") {
            Some(action) => findings.word(action, ACTIONS),
            None => {
                findings.report_help(
                    codes::MISSING_FIELD,
                    node,
                    "`action` is missing",
                    "a rule says `action: Allow`, `Deny`, `Pass` or `Log`",
                );
                None
            }
        };
        let version = fields
            .take("ipVersion")
            .and_then(|node| ip_version(node, findings));
        let mut protocol = |key| {
            fields
                .take(key)
                .and_then(|node| ports::protocol(node, findings))
        };
        let (given, not) = (protocol("protocol"), protocol("notProtocol"));
        let mut unknown = Unknown::None;
        let mut icmp = |key| {
            fields.take(key).and_then(|node| {
                let value = icmp(node, direction, &mut unknown, findings)?;
                Some(At { value, node })
            })
        };
        let (icmp, not_icmp) = (icmp("icmp"), icmp("notICMP"));
        let mut entity = |key| {
            fields
                .take(key)
                .and_then(|node| EntitySpec::decode(node, direction, sort, &mut unknown, findings))
        };
        let (source, destination) = (entity("source"), entity("destination"));
        let http = fields.take("http");
        // Annotations of a rule are for people.
        if let Some(metadata) = fields.take("metadata") {
            check_annotations(metadata, findings);
        }
        if fields.finish(findings, unknown_code(direction)) == Unknown::Some {
            unknown = Unknown::Some;
        }
        let action = action?.value;
        check_protocols(given, not, icmp, version, findings);
        let spec = Self {
            node,
            action,
            ip_version: version.map(|at| at.value),
            protocol: given.map(|at| at.value),
            not_protocol: not.map(|at| at.value),
            icmp: icmp.map(|at| at.value),
            not_icmp: not_icmp.map(|at| at.value),
            source,
            destination,
            unknown,
        };
        if let Some(http) = http {
            check_http(http, direction, action, given, findings);
        }
        spec.check_ports(findings);
        spec.check_families(findings);
        spec.check_services(direction, findings);
        spec.check_domains(direction, findings);
        Some(spec)
    }

    pub(in super::super) fn entities(&self) -> impl Iterator<Item = &EntitySpec<'d>> {
        self.source.iter().chain(&self.destination)
    }

    /// Numbers need a protocol that has ports; a name brings its own.
    fn check_ports(&self, findings: &mut Findings) {
        let has_ports =
            |protocol: Protocol| [Protocol::TCP, Protocol::UDP, Protocol::SCTP].contains(&protocol);
        for entity in self.entities() {
            let numeric = entity
                .ports
                .iter()
                .chain(&entity.not_ports)
                .find(|port| matches!(port.value, PortSpec::Range { .. }));
            let any = entity.ports.iter().chain(&entity.not_ports).next();
            let wrong = match self.protocol {
                None => numeric,
                Some(protocol) if has_ports(protocol) => None,
                Some(_) => any,
            };
            if let Some(port) = wrong {
                findings.report_help(
                    codes::CALICO_PORTS_PROTOCOL,
                    port.node,
                    "rules that specify ports must set protocol to TCP or UDP or SCTP",
                    "add `protocol: TCP`",
                );
            }
        }
    }

    /// One rule is about one family.
    fn check_families(&self, findings: &mut Findings) {
        let mut seen: Option<(IpVersion, IpNet)> = None;
        for entity in self.entities() {
            for net in entity.nets.iter().chain(&entity.not_nets) {
                let version = IpVersion::of(net.value);
                if self.ip_version.is_some_and(|wanted| wanted != version) {
                    findings.report(
                        codes::CALICO_NETS,
                        net.node,
                        "the rule's `ipVersion` is not that of the block",
                    );
                }
                match seen {
                    Some((other, before)) if other != version => findings.report_help(
                        codes::CALICO_NETS,
                        net.node,
                        format!("the rule contains both IPv4 and IPv6 blocks, `{before}` too"),
                        "write one rule for each family",
                    ),
                    Some(_) => {}
                    None => seen = Some((version, net.value)),
                }
            }
        }
    }

    fn check_services(&self, direction: Direction, findings: &mut Findings) {
        let code = codes::CALICO_SERVICES;
        let (far, near, where_) = match direction {
            Direction::Egress => (&self.destination, &self.source, "egress rule source"),
            Direction::Ingress => (&self.source, &self.destination, "ingress rule destination"),
        };
        if let Some(service) = near.as_ref().and_then(|entity| entity.service) {
            findings.report(
                code,
                service.node,
                format!("services are not allowed in {where_}"),
            );
        }
        if let Some(entity) = far
            && direction == Direction::Egress
            && let (Some(_), Some(port)) = (
                entity.service,
                entity.ports.iter().chain(&entity.not_ports).next(),
            )
        {
            findings.report_help(
                code,
                port.node,
                "cannot specify ports with a service selector",
                "a service's own backend ports are meant",
            );
        }
    }

    /// Names stand in destinations of egress Allow rules only.
    fn check_domains(&self, direction: Direction, findings: &mut Findings) {
        let allowed = direction == Direction::Egress && self.action == ActionSpec::Allow;
        let source = self.source.as_ref().and_then(|e| e.domains.as_ref());
        let destination = self.destination.as_ref().and_then(|e| e.domains.as_ref());
        for domains in source.into_iter().chain(destination.filter(|_| !allowed)) {
            findings.report_help(
                codes::CALICO_DOMAIN,
                domains.node,
                "domains are only valid in the destination of egress rules that Allow",
                "deny addresses by `nets`",
            );
        }
    }
}

impl IpVersion {
    pub(in super::super) const fn of(net: IpNet) -> Self {
        match net {
            IpNet::V4(_) => Self::V4,
            IpNet::V6(_) => Self::V6,
        }
    }

    pub(in super::super) const fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }
}

fn ip_version<'d>(node: Node<'d>, findings: &mut Findings) -> Option<At<'d, IpVersion>> {
    let value = match findings.integer(node)?.value {
        4 => IpVersion::V4,
        6 => IpVersion::V6,
        other => {
            findings.report(
                codes::INVALID_VALUE,
                node,
                format!("`{other}` is neither 4 nor 6"),
            );
            return None;
        }
    };
    Some(At { value, node })
}

fn icmp(
    node: Node<'_>,
    direction: Direction,
    unknown: &mut Unknown,
    findings: &mut Findings,
) -> Option<IcmpSpec> {
    /// Calico keeps 255 for itself.
    const MAX_TYPE: u8 = 254;
    let mut fields = findings.fields(node)?;
    let mut number = |key, most: u8| {
        let node = fields.take(key)?;
        let value = findings.integer(node)?.value;
        let number = u8::try_from(value).ok().filter(|number| *number <= most);
        if number.is_none() {
            findings.report(
                codes::CALICO_ICMP,
                node,
                format!("{value} is out of range: 0 to {most}"),
            );
        }
        number
    };
    let (kind, code) = (number("type", MAX_TYPE), number("code", u8::MAX));
    if fields.finish(findings, unknown_code(direction)) == Unknown::Some {
        *unknown = Unknown::Some;
    }
    if code.is_some() && kind.is_none() {
        findings.report(
            codes::CALICO_ICMP,
            node,
            "ICMP code specified without an ICMP type",
        );
    }
    Some(IcmpSpec { kind, code })
}

fn check_protocols(
    protocol: Option<At<'_, Protocol>>,
    not_protocol: Option<At<'_, Protocol>>,
    icmp: Option<At<'_, IcmpSpec>>,
    version: Option<At<'_, IpVersion>>,
    findings: &mut Findings,
) {
    let is_icmp = |at: At<'_, Protocol>| [Protocol::ICMP, Protocol::ICMPV6].contains(&at.value);
    if let Some(icmp) = icmp
        && !protocol.is_some_and(is_icmp)
    {
        findings.report_help(
            codes::CALICO_ICMP,
            icmp.node,
            "ICMP fields require protocol to be ICMP or ICMPv6",
            "add `protocol: ICMP`",
        );
    }
    let Some(version) = version else { return };
    for protocol in [protocol, not_protocol].into_iter().flatten() {
        let expected = match protocol.value {
            Protocol::ICMP => IpVersion::V4,
            Protocol::ICMPV6 => IpVersion::V6,
            _ => continue,
        };
        if version.value != expected {
            findings.report(
                codes::CALICO_ICMP,
                version.node,
                format!(
                    "protocol {} requires ipVersion {}",
                    protocol.value,
                    if expected == IpVersion::V4 { 4 } else { 6 }
                ),
            );
        }
    }
}

fn check_annotations(metadata: Node<'_>, findings: &mut Findings) {
    let Some(mut fields) = findings.fields(metadata) else {
        return;
    };
    if let Some(annotations) = fields.take("annotations")
        && let Some(Shape::Mapping(entries)) =
            findings.fields(annotations).map(|_| annotations.shape())
    {
        for entry in entries.iter() {
            findings.string(entry.value);
        }
    }
    fields.finish(findings, codes::UNKNOWN_TOP_LEVEL_FIELD);
}

/// `http` stands in ingress rules that Allow only.
fn check_http(
    node: Node<'_>,
    direction: Direction,
    action: ActionSpec,
    protocol: Option<At<'_, Protocol>>,
    findings: &mut Findings,
) {
    let code = codes::CALICO_HTTP;
    if direction == Direction::Egress {
        findings.report_help(
            code,
            node,
            "an HTTP match is not allowed in egress rules",
            "Calico refuses it too; allow the port, or a name by `domains`",
        );
        return;
    }
    if action != ActionSpec::Allow {
        findings.report(code, node, "HTTP match is only valid on Allow rules");
    }
    if protocol.is_some_and(|protocol| protocol.value != Protocol::TCP) {
        findings.report(
            code,
            node,
            "rules with HTTP match must have protocol TCP or unset",
        );
    }
    for key in ["methods", "paths"] {
        if let Some(list) = node.get(key)
            && findings
                .list(list)
                .is_some_and(|items| items.len() > MAX_HTTP)
        {
            findings.report(
                codes::CALICO_TOO_MANY,
                list,
                format!("at most {MAX_HTTP} of them"),
            );
        }
    }
}
