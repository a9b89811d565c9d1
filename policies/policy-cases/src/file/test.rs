use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use dns_names::{Name, Rcode, RecordType};
use policy_dialects::codes;
use policy_dialects::decode::{Fields, Findings};
use policy_dialects::yaml::{Node, Shape, Typed};
use policy_engine::Verdict;
use policy_model::{DenyStyle, Origin, Protocol};

use super::responses::{ServerSpec, decode_server};
use super::settings::SettingsSpec;
use super::subject::{FromSpec, ToSpec, decode_ip};
use super::values::{decode_name, decode_number, decode_rcode, decode_seconds, required};

/// One entry of `tests`.
#[derive(Debug, Clone)]
pub struct Test {
    pub origin: Origin,
    pub name: Arc<str>,
    pub tags: Vec<Arc<str>>,
    /// Seconds from now.
    pub at: u32,
    pub check: Check,
}

/// What is asked, and what is expected.
#[derive(Debug, Clone)]
pub enum Check {
    Flow(FlowTest),
    Query(QueryTest),
    Learned(LearnedTest),
    Diagnostic(DiagnosticTest),
    Matrix(MatrixTest),
}

#[derive(Debug, Clone)]
pub struct FlowTest {
    pub from: FromSpec,
    pub to: ToSpec,
    pub protocol: Protocol,
    /// ICMP: `type << 8 | code`; protocols without ports: 0.
    pub port: u16,
    /// The flow began when every response was fresh.
    pub established: bool,
    pub expect: Expect,
}

#[derive(Debug, Clone)]
pub struct QueryTest {
    pub name: Name,
    pub record_type: RecordType,
    pub from: FromSpec,
    pub server: ServerSpec,
    /// Nothing: the server's own.
    pub port: Option<u16>,
    pub protocol: Protocol,
    pub expect: Expect,
    pub rcode: Option<Rcode>,
}

/// What a flow or a question is expected to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    pub verdict: Verdict,
    /// With every staged and audit policy in force.
    pub would: Option<Verdict>,
    pub how: Option<DenyStyle>,
    pub by: Option<ByRef>,
}

/// `[kind/][namespace/]name`, `guard` or `default`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ByRef {
    Guard,
    Default,
    Policy(Arc<str>),
}

#[derive(Debug, Clone)]
pub struct LearnedTest {
    pub host: Name,
    pub from: FromSpec,
    /// What is not given is not looked at.
    pub addresses: Option<Vec<IpAddr>>,
    /// Seconds, as learned: the least of the addresses.
    pub ttl: Option<u32>,
    /// As `443/TCP`, `8000-8010/TCP`, `UDP`, `any`.
    pub ports: Option<Vec<Arc<str>>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiagnosticTest {
    /// `diagnostic: none`: the policies give none at all.
    None,
    /// At least one that has all given parts is reported, or none is.
    Some {
        code: Option<Arc<str>>,
        level: Option<Arc<str>>,
        object: Option<Arc<str>>,
        line: Option<u32>,
        reported: bool,
    },
}

/// One test for each pair.
#[derive(Debug, Clone)]
pub struct MatrixTest {
    pub from: Vec<Arc<str>>,
    pub to: Vec<Arc<str>>,
    pub port: u16,
    pub protocol: Protocol,
    /// By `from`: one character for each `to`.
    pub expect: BTreeMap<Arc<str>, Arc<str>>,
}

impl Test {
    pub(super) fn decode(
        node: Node<'_>,
        settings: &SettingsSpec,
        findings: &mut Findings,
    ) -> Option<Self> {
        let mut fields = findings.fields(node)?;
        let name = fields
            .take("name")
            .and_then(|node| findings.string(node))
            .map(|name| Arc::from(name.value));
        let tags = fields
            .take("tags")
            .and_then(|node| findings.strings(node))
            .unwrap_or_default();
        let tags = tags.into_iter().map(|tag| tag.value.into()).collect();
        let at = fields
            .take("at")
            .map_or(Some(0), |node| decode_seconds(node, findings));
        let query = fields.take("query");
        let learned = fields.take("learned");
        let diagnostic = fields.take_any("diagnostic");
        let matrix = fields.take("matrix");
        let to = fields.take("to");
        let given = [
            ("query", query),
            ("learned", learned),
            ("diagnostic", diagnostic),
            ("matrix", matrix),
            ("to", to),
        ];
        if given.iter().filter(|(_, node)| node.is_some()).count() != 1 {
            findings.report(
                codes::INVALID_VALUE,
                node,
                "a test has one of `to` (a flow), `query`, `learned`, `diagnostic` and `matrix`",
            );
            return None;
        }
        let check = if let Some(query) = query {
            QueryTest::decode(query, node, &mut fields, settings, findings).map(Check::Query)
        } else if let Some(learned) = learned {
            LearnedTest::decode(learned, node, &mut fields, findings).map(Check::Learned)
        } else if let Some(diagnostic) = diagnostic {
            DiagnosticTest::decode(diagnostic, node, &mut fields, findings).map(Check::Diagnostic)
        } else if let Some(matrix) = matrix {
            MatrixTest::decode(matrix, node, &mut fields, findings).map(Check::Matrix)
        } else {
            FlowTest::decode(to?, node, &mut fields, findings).map(Check::Flow)
        };
        fields.finish(findings, codes::UNKNOWN_FIELD);
        let check = check?;
        Some(Self {
            origin: findings.origin(node),
            name: name.unwrap_or_else(|| check.describe()),
            tags,
            at: at?,
            check,
        })
    }
}

impl Check {
    /// A name for a test that has none.
    fn describe(&self) -> Arc<str> {
        match self {
            Self::Flow(FlowTest {
                to, port, protocol, ..
            }) => {
                let to = match to {
                    ToSpec::Host { name, .. } => name.without_dot().to_owned(),
                    ToSpec::Ip(ip) => ip.to_string(),
                    ToSpec::Pod { namespace, name } => format!("pod {namespace}/{name}"),
                    ToSpec::Service { namespace, name } => format!("service {namespace}/{name}"),
                    ToSpec::Node(name) => format!("node {name}"),
                };
                format!("{to} {port}/{protocol}")
            }
            Self::Query(query) => format!("query {}", query.name.without_dot()),
            Self::Learned(learned) => format!("learned {}", learned.host.without_dot()),
            Self::Diagnostic(_) => "diagnostic".to_owned(),
            Self::Matrix(matrix) => format!("matrix {}/{}", matrix.port, matrix.protocol),
        }
        .into()
    }
}

impl FlowTest {
    fn decode(
        to: Node<'_>,
        node: Node<'_>,
        fields: &mut Fields<'_>,
        findings: &mut Findings,
    ) -> Option<Self> {
        let to = ToSpec::decode(to, findings);
        let from = decode_from(fields.take("from"), findings);
        let protocol = fields
            .take("protocol")
            .map_or(Some(Protocol::TCP), |node| decode_protocol(node, findings));
        let port = fields.take("port");
        let icmp = fields.take("icmp");
        let established = fields
            .take("established")
            .map_or(Some(false), |node| findings.boolean(node));
        let expect = Expect::decode(node, fields, findings);
        let (to, protocol) = (to?, protocol?);
        let is_icmp = matches!(protocol, Protocol::ICMP | Protocol::ICMPV6);
        if let (Some(icmp), false) = (icmp, is_icmp) {
            findings.report(
                codes::INVALID_VALUE,
                icmp,
                "`icmp` stands only with protocol ICMP or ICMPv6",
            );
            return None;
        }
        let port = if is_icmp {
            if let Some(port) = port {
                findings.report_help(
                    codes::INVALID_VALUE,
                    port,
                    "ICMP has no ports",
                    "write `icmp: {type: 8, code: 0}`",
                );
                return None;
            }
            decode_icmp(icmp, protocol, findings)?
        } else if protocol.has_ports() {
            decode_port(required(port, "port", node, findings)?, findings)?
        } else {
            0
        };
        Some(Self {
            from: from?,
            to,
            protocol,
            port,
            established: established?,
            expect: expect?,
        })
    }
}

impl QueryTest {
    fn decode(
        query: Node<'_>,
        node: Node<'_>,
        outer: &mut Fields<'_>,
        settings: &SettingsSpec,
        findings: &mut Findings,
    ) -> Option<Self> {
        let mut fields = findings.fields(query)?;
        let name = required(fields.take("name"), "name", query, findings)
            .and_then(|node| decode_name(node, findings));
        let record_type = match fields.take("type") {
            Some(node) => decode_record_type(node, findings),
            None => Some(RecordType::A),
        };
        let from = decode_from(fields.take("from"), findings);
        let server = match fields.take("server") {
            // A question may well be sent to a server nobody configured.
            Some(node) => decode_server(node, false, settings, findings),
            None => Some(ServerSpec::Cluster),
        };
        let port = match fields.take("port") {
            Some(node) => decode_port(node, findings).map(Some),
            None => Some(None),
        };
        let protocol = fields
            .take("protocol")
            .map_or(Some(Protocol::UDP), |node| decode_protocol(node, findings));
        fields.finish(findings, codes::UNKNOWN_FIELD);
        let expect = Expect::decode(node, outer, findings);
        let rcode = match outer.take("rcode") {
            Some(node) => decode_rcode(node, findings).map(Some),
            None => Some(None),
        };
        Some(Self {
            name: name?,
            record_type: record_type?,
            from: from?,
            server: server?,
            port: port?,
            protocol: protocol?,
            expect: expect?,
            rcode: rcode?,
        })
    }
}

impl LearnedTest {
    fn decode(
        learned: Node<'_>,
        node: Node<'_>,
        outer: &mut Fields<'_>,
        findings: &mut Findings,
    ) -> Option<Self> {
        let mut fields = findings.fields(learned)?;
        let host = required(fields.take("host"), "host", learned, findings)
            .and_then(|node| decode_name(node, findings));
        let from = decode_from(fields.take("from"), findings);
        fields.finish(findings, codes::UNKNOWN_FIELD);
        let expect = required(outer.take("expect"), "expect", node, findings)?;
        let mut fields = findings.fields(expect)?;
        let addresses = fields.take("addresses").map(|node| {
            let items = findings.list(node).unwrap_or_default();
            items
                .into_iter()
                .filter_map(|item| decode_ip(item, findings))
                .collect()
        });
        let ttl = fields
            .take("ttl")
            .and_then(|node| decode_seconds(node, findings));
        let ports = fields
            .take("ports")
            .and_then(|node| findings.strings(node))
            .map(|ports| ports.into_iter().map(|port| port.value.into()).collect());
        fields.finish(findings, codes::UNKNOWN_FIELD);
        Some(Self {
            host: host?,
            from: from?,
            addresses,
            ttl,
            ports,
        })
    }
}

impl DiagnosticTest {
    fn decode(
        diagnostic: Node<'_>,
        node: Node<'_>,
        outer: &mut Fields<'_>,
        findings: &mut Findings,
    ) -> Option<Self> {
        let reported = match outer.take("expect") {
            Some(node) => {
                findings
                    .word(node, &[("reported", true), ("absent", false)])?
                    .value
            }
            None => true,
        };
        if let Some(Typed::Str("none")) = diagnostic.typed() {
            return Some(Self::None);
        }
        if diagnostic.is_null() {
            findings.report_help(
                codes::INVALID_VALUE,
                node,
                "an empty `diagnostic`",
                "write `diagnostic: none` for a clean file",
            );
            return None;
        }
        let mut fields = findings.fields(diagnostic)?;
        let mut text = |key| {
            let node = fields.take(key)?;
            findings
                .string(node)
                .map(|text| Arc::<str>::from(text.value))
        };
        let (code, level, object) = (text("code"), text("level"), text("object"));
        let line = fields
            .take("line")
            .and_then(|node| decode_number(node, "line", findings));
        fields.finish(findings, codes::UNKNOWN_FIELD);
        Some(Self::Some {
            code,
            level,
            object,
            line,
            reported,
        })
    }
}

impl MatrixTest {
    fn decode(
        matrix: Node<'_>,
        node: Node<'_>,
        outer: &mut Fields<'_>,
        findings: &mut Findings,
    ) -> Option<Self> {
        let mut fields = findings.fields(matrix)?;
        let mut names = |key| {
            let names = required(fields.take(key), key, matrix, findings)
                .and_then(|node| findings.strings(node));
            names.map(|names| {
                names
                    .into_iter()
                    .map(|name| Arc::from(name.value))
                    .collect::<Vec<Arc<str>>>()
            })
        };
        let (from, to) = (names("from"), names("to"));
        let port = required(fields.take("port"), "port", matrix, findings)
            .and_then(|node| decode_port(node, findings));
        let protocol = fields
            .take("protocol")
            .map_or(Some(Protocol::TCP), |node| decode_protocol(node, findings));
        fields.finish(findings, codes::UNKNOWN_FIELD);
        let expect_node = required(outer.take("expect"), "expect", node, findings)?;
        let Shape::Mapping(entries) = expect_node.shape() else {
            findings.wrong_type(expect_node, "a mapping");
            return None;
        };
        let (from, to) = (from?, to?);
        let mut expect = BTreeMap::new();
        for entry in entries.iter() {
            let row = findings.string(entry.value)?;
            if !from.iter().any(|name| **name == *entry.key) {
                findings.report_key(
                    codes::INVALID_VALUE,
                    entry,
                    format!("`{}` is not in `from`", entry.key),
                    None,
                );
            }
            if row.value.chars().count() != to.len()
                || row.value.chars().any(|c| !".X#?".contains(c))
            {
                findings.report(
                    codes::INVALID_VALUE,
                    entry.value,
                    format!(
                        "a row has one of `.`, `X`, `#`, `?` for each of the {} in `to`",
                        to.len()
                    ),
                );
            }
            expect.insert(entry.key.into(), row.value.into());
        }
        for name in from.iter().filter(|name| !expect.contains_key(*name)) {
            findings.report(
                codes::MISSING_FIELD,
                expect_node,
                format!("the row of `{name}` is missing"),
            );
        }
        Some(Self {
            from,
            to,
            port: port?,
            protocol: protocol?,
            expect,
        })
    }
}

impl Expect {
    fn decode(node: Node<'_>, fields: &mut Fields<'_>, findings: &mut Findings) -> Option<Self> {
        const VERDICTS: &[(&str, Verdict)] = &[("allow", Verdict::Allow), ("deny", Verdict::Deny)];
        let verdict = required(fields.take("expect"), "expect", node, findings)
            .and_then(|node| findings.word(node, VERDICTS));
        let would = fields
            .take("would")
            .and_then(|node| findings.word(node, VERDICTS));
        let how_node = fields.take("how");
        let how = how_node.and_then(|node| {
            findings.word(
                node,
                &[("reject", DenyStyle::Reject), ("drop", DenyStyle::Drop)],
            )
        });
        let by = fields
            .take("by")
            .and_then(|node| findings.string(node))
            .map(|by| match by.value {
                "guard" => ByRef::Guard,
                "default" => ByRef::Default,
                policy => ByRef::Policy(policy.into()),
            });
        let verdict = verdict?.value;
        if let (Some(how), Verdict::Allow) = (how_node, verdict) {
            findings.report(
                codes::INVALID_VALUE,
                how,
                "`how` stands only with `expect: deny`",
            );
        }
        Some(Self {
            verdict,
            would: would.map(|would| would.value),
            how: how.map(|how| how.value),
            by,
        })
    }
}

fn decode_from(node: Option<Node<'_>>, findings: &mut Findings) -> Option<FromSpec> {
    node.map_or(Some(FromSpec::Command), |node| {
        FromSpec::decode(node, findings)
    })
}

fn decode_protocol(node: Node<'_>, findings: &mut Findings) -> Option<Protocol> {
    const NAMES: &[(&str, Protocol)] = &[
        ("TCP", Protocol::TCP),
        ("UDP", Protocol::UDP),
        ("SCTP", Protocol::SCTP),
        ("ICMP", Protocol::ICMP),
        ("ICMPv6", Protocol::ICMPV6),
    ];
    if let Some(Typed::Int(number)) = node.typed() {
        let protocol = u8::try_from(number).ok();
        if protocol.is_none() {
            findings.report(
                codes::INVALID_VALUE,
                node,
                format!("{number} is not a protocol number"),
            );
        }
        return protocol.map(Protocol);
    }
    findings.word(node, NAMES).map(|protocol| protocol.value)
}

fn decode_port(node: Node<'_>, findings: &mut Findings) -> Option<u16> {
    let number = findings.integer(node)?;
    let port = u16::try_from(number.value).ok().filter(|port| *port > 0);
    if port.is_none() {
        findings.report(
            codes::INVALID_PORT,
            node,
            format!("{} is not a port: 1 to 65535", number.value),
        );
    }
    port
}

/// An echo request where nothing is said.
fn decode_icmp(node: Option<Node<'_>>, protocol: Protocol, findings: &mut Findings) -> Option<u16> {
    let echo = if protocol == Protocol::ICMPV6 { 128 } else { 8 };
    let Some(node) = node else {
        return Some(u16::from_be_bytes([echo, 0]));
    };
    let mut fields = findings.fields(node)?;
    let mut byte = |key, absent| match fields.take(key) {
        None => Some(absent),
        Some(node) => {
            let number = findings.integer(node)?;
            let byte = u8::try_from(number.value).ok();
            if byte.is_none() {
                findings.report(
                    codes::INVALID_VALUE,
                    node,
                    format!("{} is not 0 to 255", number.value),
                );
            }
            byte
        }
    };
    let (kind, code) = (byte("type", echo), byte("code", 0));
    fields.finish(findings, codes::UNKNOWN_FIELD);
    Some(u16::from_be_bytes([kind?, code?]))
}

fn decode_record_type(node: Node<'_>, findings: &mut Findings) -> Option<RecordType> {
    let text = findings.string(node)?;
    let found = text.value.parse().ok();
    if found.is_none() {
        findings.report(
            codes::INVALID_VALUE,
            node,
            format!("`{}` is not a record type", text.value),
        );
    }
    found
}
