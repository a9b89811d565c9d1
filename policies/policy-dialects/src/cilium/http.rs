//! `rules.http`.

use policy_model::{HeaderMatch, HttpMatch, TextPattern};

use super::regex;
use crate::codes::{self, Code};
use crate::decode::{Findings, Unknown};
use crate::yaml::Node;

/// Reads the list; what would have to be done to a request, beyond looking at it, closes the entry.
pub(super) fn decode(
    node: Node<'_>,
    findings: &mut Findings,
    closed: &mut Vec<Code>,
) -> Vec<HttpMatch> {
    findings
        .list(node)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|item| decode_rule(item, findings, closed))
        .collect()
}

fn decode_rule(
    node: Node<'_>,
    findings: &mut Findings,
    closed: &mut Vec<Code>,
) -> Option<HttpMatch> {
    let mut fields = findings.fields(node)?;
    let mut regex = |key| {
        let text = fields
            .take(key)
            .and_then(|node| findings.string(node))
            .filter(|text| !text.value.is_empty())?;
        if let Err(error) = regex::check(text.value) {
            let message = format!("`{}` is no regular expression: {error}", text.value);
            // Cilium's agent compiles paths and methods, and leaves hosts to its proxy.
            if key == "host" {
                findings.report_help(
                    codes::CILIUM_HTTP_HOST,
                    text.node,
                    message,
                    "Cilium's agent takes it and its proxy does not, so this entry allows nothing",
                );
                closed.push(codes::CILIUM_HTTP_HOST);
            } else {
                findings.report(codes::CILIUM_L7, text.node, message);
            }
        }
        Some(TextPattern::Regex(text.value.into()))
    };
    let (methods, paths, hosts) = (regex("method"), regex("path"), regex("host"));
    let mut headers = Vec::new();
    if let Some(node) = fields.take("headers") {
        for text in findings.strings(node).unwrap_or_default() {
            headers.push(header(text.value));
        }
    }
    if let Some(node) = fields.take("headerMatches") {
        for item in findings.list(node).unwrap_or_default() {
            headers.extend(decode_header_match(item, findings, closed));
        }
    }
    if fields.finish(findings, codes::UNKNOWN_RULE_FIELD) == Unknown::Some {
        closed.push(codes::UNKNOWN_RULE_FIELD);
    }
    Some(HttpMatch {
        methods: methods.into_iter().collect(),
        paths: paths.into_iter().collect(),
        hosts: hosts.into_iter().collect(),
        headers,
    })
}

/// `Name` or `Name: value`.
fn header(text: &str) -> HeaderMatch {
    let (name, value) = match text.split_once(':') {
        Some((name, value)) => (name, Some(TextPattern::Exact(value.trim().into()))),
        None => (text, None),
    };
    HeaderMatch {
        name: name.trim().to_ascii_lowercase().into(),
        value,
    }
}

fn decode_header_match(
    node: Node<'_>,
    findings: &mut Findings,
    closed: &mut Vec<Code>,
) -> Option<HeaderMatch> {
    let mut fields = findings.fields(node)?;
    let name = fields.take("name");
    let value = fields.take("value").and_then(|node| findings.string(node));
    let other = [fields.take("secret"), fields.take("mismatch")];
    if fields.finish(findings, codes::UNKNOWN_RULE_FIELD) == Unknown::Some {
        closed.push(codes::UNKNOWN_RULE_FIELD);
    }
    for node in other.into_iter().flatten() {
        findings.report(
            codes::CILIUM_L7_OTHER,
            node,
            "headers are neither taken from secrets nor changed on the way, so this entry allows nothing",
        );
        closed.push(codes::CILIUM_L7_OTHER);
    }
    let Some(name) = name else {
        findings.report(codes::MISSING_FIELD, node, "`name` is missing");
        return None;
    };
    let name = findings.string(name)?;
    if name.value.is_empty() {
        findings.report(codes::CILIUM_L7, name.node, "Header name missing");
    }
    Some(HeaderMatch {
        name: name.value.to_ascii_lowercase().into(),
        value: value.map(|text| TextPattern::Exact(text.value.into())),
    })
}
