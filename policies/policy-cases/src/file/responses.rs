use dns_names::{Name, Rcode, Record, RecordData};
use policy_dialects::codes;
use policy_dialects::decode::{At, Findings};
use policy_dialects::read_document;
use policy_dialects::yaml::{Node, Shape};
use policy_model::{Diagnostic, Level, Origin};

use super::settings::{ResolverSpec, SettingsSpec};
use super::values::{decode_name, decode_rcode, decode_seconds, required};

/// One entry of `dns`: a response that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseSpec {
    pub origin: Origin,
    pub query: Name,
    pub records: Vec<Record>,
    /// Seconds before now.
    pub age: u32,
    pub server: ServerSpec,
    /// False: the answer of a server nobody configured, from which nothing is learned.
    pub trusted: bool,
    pub rcode: Rcode,
}

/// Who answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerSpec {
    /// The first of the known resolvers.
    Cluster,
    Known(ResolverSpec),
    Unknown(ResolverSpec),
}

/// Reads a file that is a list of responses, or a test file of which only `dns` counts (`egret explain --dns`).
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn decode_responses(source: &str, text: &str) -> Result<Vec<ResponseSpec>, Vec<Diagnostic>> {
    let mut findings = Findings::new(source);
    let mut responses = Vec::new();
    if let Some(document) = read_document(text, &mut findings) {
        let root = document.root();
        let settings = root
            .get("settings")
            .map_or_else(SettingsSpec::default, |node| {
                SettingsSpec::decode(node, &mut findings)
            });
        match root.shape() {
            Shape::Sequence(_) => responses = decode_list(root, &settings, &mut findings),
            Shape::Mapping(_) | Shape::Scalar(..) => match root.get("dns") {
                Some(list) => responses = decode_list(list, &settings, &mut findings),
                None => findings.report(
                    codes::MISSING_FIELD,
                    root,
                    "expected a list of responses, or `dns:` with one",
                ),
            },
        }
    }
    let diagnostics = findings.into_diagnostics();
    if diagnostics
        .iter()
        .any(|diagnostic| diagnostic.level != Level::Lint)
    {
        return Err(diagnostics);
    }
    Ok(responses)
}

pub(super) fn decode_list(
    node: Node<'_>,
    settings: &SettingsSpec,
    findings: &mut Findings,
) -> Vec<ResponseSpec> {
    let items = findings.list(node).unwrap_or_default();
    items
        .into_iter()
        .filter_map(|item| ResponseSpec::decode(item, settings, findings))
        .collect()
}

impl ResponseSpec {
    fn decode(node: Node<'_>, settings: &SettingsSpec, findings: &mut Findings) -> Option<Self> {
        let mut fields = findings.fields(node)?;
        let query = required(fields.take("query"), "query", node, findings)?;
        let text = findings.string(query)?;
        if let Err(error) = Name::parse(text.value) {
            // Facts about patterns speak of such texts: whatever a pattern says of them, nothing is learned.
            findings.report_help(
                codes::IMPOSSIBLE_NAME,
                query,
                format!("`{}` is no DNS name: {error}", text.value),
                "nobody can have asked it, so nothing is learned from its answers",
            );
            return None;
        }
        let query = decode_name(query, findings);
        let records = fields.take("answers").map_or_else(Vec::new, |node| {
            let items = findings.list(node).unwrap_or_default();
            items
                .into_iter()
                .filter_map(|item| decode_record(item, query.as_ref(), findings))
                .collect()
        });
        let age = fields
            .take("age")
            .map_or(Some(0), |node| decode_seconds(node, findings));
        let trusted = fields
            .take("trusted")
            .map_or(Some(true), |node| findings.boolean(node));
        let server = match fields.take("server") {
            Some(node) => decode_server(node, trusted.unwrap_or(true), settings, findings),
            None => Some(ServerSpec::Cluster),
        };
        let rcode = fields
            .take("rcode")
            .map_or(Some(Rcode::NOERROR), |node| decode_rcode(node, findings));
        fields.finish(findings, codes::UNKNOWN_FIELD);
        Some(Self {
            origin: findings.origin(node),
            query: query?,
            records,
            age: age?,
            server: server?,
            trusted: trusted?,
            rcode: rcode?,
        })
    }
}

fn decode_record(node: Node<'_>, query: Option<&Name>, findings: &mut Findings) -> Option<Record> {
    #[derive(Clone, Copy)]
    enum Kind {
        A,
        Aaaa,
        Cname,
    }
    let mut fields = findings.fields(node)?;
    // The owner is the question where it is left out.
    let owner = match fields.take("name") {
        Some(node) => decode_name(node, findings),
        None => query.cloned(),
    };
    let kind = required(fields.take("type"), "type", node, findings).and_then(|node| {
        findings.word(
            node,
            &[("A", Kind::A), ("AAAA", Kind::Aaaa), ("CNAME", Kind::Cname)],
        )
    });
    let data = required(fields.take("data"), "data", node, findings)
        .and_then(|node| findings.string(node));
    let ttl = required(fields.take("ttl"), "ttl", node, findings)
        .and_then(|node| decode_seconds(node, findings));
    fields.finish(findings, codes::UNKNOWN_FIELD);
    let (kind, data) = (kind?.value, data?);
    let data = match kind {
        Kind::A => data
            .value
            .parse()
            .map(|ip| RecordData::Address(std::net::IpAddr::V4(ip)))
            .ok(),
        Kind::Aaaa => data
            .value
            .parse()
            .map(|ip| RecordData::Address(std::net::IpAddr::V6(ip)))
            .ok(),
        Kind::Cname => Name::parse(data.value).map(RecordData::Alias).ok(),
    }
    .or_else(|| {
        findings.report(
            codes::INVALID_VALUE,
            data.node,
            format!("`{}` is no data of this type", data.value),
        );
        None
    });
    Some(Record {
        owner: owner?,
        ttl: ttl?,
        data: data?,
    })
}

pub(super) fn decode_server(
    node: Node<'_>,
    trusted: bool,
    settings: &SettingsSpec,
    findings: &mut Findings,
) -> Option<ServerSpec> {
    let At { value: text, node } = findings.string(node)?;
    if text == "cluster" {
        return Some(ServerSpec::Cluster);
    }
    let Some(resolver) = ResolverSpec::parse(text) else {
        findings.report(
            codes::INVALID_VALUE,
            node,
            format!("`{text}` is neither `cluster` nor an address nor namespace/name"),
        );
        return None;
    };
    if settings.resolvers.contains(&resolver) {
        return Some(ServerSpec::Known(resolver));
    }
    if trusted {
        findings.report_help(
            codes::INVALID_VALUE,
            node,
            format!("`{text}` is not in settings.resolvers"),
            "list it there, or write `trusted: false` where the answer is of a server nobody configured",
        );
        return None;
    }
    Some(ServerSpec::Unknown(resolver))
}
