use std::net::IpAddr;
use std::sync::Arc;

use dns_names::{Name, Rcode, RecordType};
use policy_dialects::codes;
use policy_dialects::decode::{At, Fields, Findings, did_you_mean};
use policy_dialects::yaml::{Node, Typed};
use policy_engine::Verdict;
use policy_model::{DenyStyle, Level, Origin, Protocol};

use super::responses::{ServerSpec, decode_server};
use super::settings::SettingsSpec;
use super::subject::{FromSpec, ToSpec, decode_ip};
use super::values::{
    decode_host, decode_name, decode_number, decode_rcode, decode_seconds, required,
};

mod matrix;

/// One test of a file.
#[derive(Debug, Clone)]
pub struct Test {
    pub origin: Origin,
    pub name: Arc<str>,
    pub tags: Vec<Arc<str>>,
    /// Seconds from now.
    pub at: u32,
    pub kind: TestKind,
    pub check: Check,
}

/// What a test was written as. A cell of a matrix is a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TestKind {
    Flow,
    Query,
    Learned,
    Diagnostic,
    Matrix,
}

impl TestKind {
    /// The word of reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Query => "query",
            Self::Learned => "learned",
            Self::Diagnostic => "diagnostic",
            Self::Matrix => "matrix",
        }
    }
}

/// What is asked, and what is expected.
#[derive(Debug, Clone)]
pub enum Check {
    Flow(FlowTest),
    Query(QueryTest),
    Learned(LearnedTest),
    Diagnostic(DiagnosticTest),
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

impl Test {
    /// Reads one entry of `tests`: one test, or one for each cell of a matrix.
    pub(super) fn decode(
        node: Node<'_>,
        settings: &SettingsSpec,
        findings: &mut Findings,
    ) -> Vec<Self> {
        let Some(mut fields) = findings.fields(node) else {
            return Vec::new();
        };
        let name = fields
            .take("name")
            .and_then(|node| findings.string(node))
            .map(|name| Arc::from(name.value));
        let tags = fields
            .take("tags")
            .and_then(|node| findings.strings(node))
            .unwrap_or_default();
        let tags: Vec<Arc<str>> = tags.into_iter().map(|tag| tag.value.into()).collect();
        let at = fields
            .take("at")
            .map_or(Some(0), |node| decode_seconds(node, findings));
        let found = Self::checks(node, &mut fields, settings, findings);
        fields.finish(findings, codes::UNKNOWN_FIELD);
        let (Some((kind, checks)), Some(at)) = (found, at) else {
            return Vec::new();
        };
        checks
            .into_iter()
            .map(|Named { own, origin, check }| Self {
                origin,
                name: match (&name, own) {
                    (Some(name), None) => Arc::clone(name),
                    (Some(name), Some(own)) => format!("{name}: {own}").into(),
                    (None, Some(own)) => own.into(),
                    (None, None) => check.describe(),
                },
                tags: tags.clone(),
                at,
                kind,
                check,
            })
            .collect()
    }

    /// What an entry asks.
    fn checks(
        node: Node<'_>,
        fields: &mut Fields<'_>,
        settings: &SettingsSpec,
        findings: &mut Findings,
    ) -> Option<(TestKind, Vec<Named>)> {
        let query = fields.take("query");
        let learned = fields.take("learned");
        let diagnostic = fields.take_any("diagnostic");
        let matrix = fields.take("matrix");
        let to = fields.take("to");
        let given = [query, learned, diagnostic, matrix, to];
        if given.iter().flatten().count() != 1 {
            findings.report(
                codes::INVALID_VALUE,
                node,
                "a test has one of `to` (a flow), `query`, `learned`, `diagnostic` and `matrix`",
            );
            // What belongs to any of them is no unknown field as well.
            for field in ["from", "port", "protocol", "icmp", "established"] {
                fields.take(field);
            }
            for field in ["expect", "would", "how", "by", "rcode"] {
                fields.take(field);
            }
            return None;
        }
        if let Some(matrix) = matrix {
            return matrix::decode(matrix, node, fields, findings)
                .map(|cells| (TestKind::Matrix, cells));
        }
        let (kind, check) = if let Some(query) = query {
            let test = QueryTest::decode(query, node, fields, settings, findings);
            (TestKind::Query, test.map(Check::Query))
        } else if let Some(learned) = learned {
            let test = LearnedTest::decode(learned, node, fields, findings);
            (TestKind::Learned, test.map(Check::Learned))
        } else if let Some(diagnostic) = diagnostic {
            let test = DiagnosticTest::decode(diagnostic, node, fields, findings);
            (TestKind::Diagnostic, test.map(Check::Diagnostic))
        } else {
            let test = FlowTest::decode(to?, node, fields, findings);
            (TestKind::Flow, test.map(Check::Flow))
        };
        let one = Named {
            own: None,
            origin: findings.origin(node),
            check: check?,
        };
        Some((kind, vec![one]))
    }
}

/// A check, where it stands, and the name it has by itself.
pub(super) struct Named {
    pub(super) own: Option<String>,
    pub(super) origin: Origin,
    pub(super) check: Check,
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
            .and_then(|node| decode_host(node, findings));
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
        let expect = match outer.take("expect") {
            Some(node) => Some(findings.word(node, &[("reported", true), ("absent", false)])?),
            None => None,
        };
        if let Some(Typed::Str("none")) = diagnostic.typed() {
            if let Some(At { value: true, node }) = expect {
                findings.report_help(
                    codes::INVALID_VALUE,
                    node,
                    "`diagnostic: none` expects that none is reported",
                    "leave `expect` out",
                );
                return None;
            }
            return Some(Self::None);
        }
        let reported = expect.is_none_or(|expect| expect.value);
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
        // What no diagnostic can have is a slip: a test that expects it to be absent would always pass.
        let known: Vec<&'static str> = codes::ALL.iter().map(|code| code.id).collect();
        let code = fields
            .take("code")
            .map(|node| decode_known(node, "code", &known, findings));
        let levels = [Level::Refused, Level::Closed, Level::Lint].map(Level::as_str);
        let level = fields
            .take("level")
            .map(|node| decode_known(node, "level", &levels, findings));
        let object = fields
            .take("object")
            .and_then(|node| findings.string(node))
            .map(|text| Arc::<str>::from(text.value));
        let line = fields
            .take("line")
            .and_then(|node| decode_number(node, "line", findings));
        fields.finish(findings, codes::UNKNOWN_FIELD);
        Some(Self::Some {
            code: code.map_or(Some(None), |code| code.map(Some))?,
            level: level.map_or(Some(None), |level| level.map(Some))?,
            object,
            line,
            reported,
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

pub(super) fn decode_protocol(node: Node<'_>, findings: &mut Findings) -> Option<Protocol> {
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

pub(super) fn decode_port(node: Node<'_>, findings: &mut Findings) -> Option<u16> {
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

/// One of the words there are for a part of a diagnostic.
fn decode_known(
    node: Node<'_>,
    what: &str,
    known: &[&'static str],
    findings: &mut Findings,
) -> Option<Arc<str>> {
    let text = findings.string(node)?.value;
    if known.contains(&text) {
        return Some(text.into());
    }
    findings.report_help(
        codes::INVALID_VALUE,
        node,
        format!("no diagnostic has the {what} `{text}`"),
        did_you_mean(text, known).unwrap_or_else(|| "`egret check -o json` prints them".into()),
    );
    None
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
