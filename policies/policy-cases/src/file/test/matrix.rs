//! `matrix`: one test for each pair of pods.

use std::sync::Arc;

use policy_dialects::codes;
use policy_dialects::decode::{Fields, Findings};
use policy_dialects::yaml::{Node, Shape};
use policy_engine::Verdict;
use policy_model::Protocol;

use super::{Check, Expect, FlowTest, Named, decode_port, decode_protocol};
use crate::file::subject::{FromSpec, ToSpec, namespaced};
use crate::file::values::required;

/// A pod of the world: as it is written, its namespace and its name.
struct Pod {
    text: Arc<str>,
    namespace: Arc<str>,
    name: Arc<str>,
}

/// The cells that are judged, row by row.
pub(super) fn decode(
    matrix: Node<'_>,
    node: Node<'_>,
    outer: &mut Fields<'_>,
    findings: &mut Findings,
) -> Option<Vec<Named>> {
    let mut fields = findings.fields(matrix)?;
    let from = pods(fields.take("from"), "from", matrix, findings);
    let to = pods(fields.take("to"), "to", matrix, findings);
    let port = required(fields.take("port"), "port", matrix, findings)
        .and_then(|node| decode_port(node, findings));
    let protocol = fields
        .take("protocol")
        .map_or(Some(Protocol::TCP), |node| decode_protocol(node, findings));
    fields.finish(findings, codes::UNKNOWN_FIELD);
    let expect = required(outer.take("expect"), "expect", node, findings)?;
    let Shape::Mapping(entries) = expect.shape() else {
        findings.wrong_type(expect, "a mapping");
        return None;
    };
    let (from, to, port, protocol) = (from?, to?, port?, protocol?);
    if !protocol.has_ports() {
        findings.report(
            codes::INVALID_VALUE,
            matrix,
            "a matrix is for protocols with ports",
        );
        return None;
    }
    for entry in entries.iter() {
        if !from.iter().any(|pod| *pod.text == *entry.key) {
            let message = format!("`{}` is not in `from`", entry.key);
            findings.report_key(codes::INVALID_VALUE, entry, message, None);
        }
    }
    let mut cells = Vec::new();
    for asks in &from {
        let Some(entry) = entries.iter().find(|entry| *entry.key == *asks.text) else {
            findings.report(
                codes::MISSING_FIELD,
                expect,
                format!("the row of `{}` is missing", asks.text),
            );
            continue;
        };
        let row: Vec<char> = findings.string(entry.value)?.value.chars().collect();
        if row.len() != to.len() || row.iter().any(|c| !".X#?".contains(*c)) {
            findings.report(
                codes::INVALID_VALUE,
                entry.value,
                format!(
                    "a row has one of `.`, `X`, `#`, `?` for each of the {} in `to`",
                    to.len()
                ),
            );
            continue;
        }
        for (cell, asked) in row.into_iter().zip(&to) {
            let verdict = match cell {
                '.' => Verdict::Allow,
                'X' => Verdict::Deny,
                '#' if asks.text == asked.text => Verdict::Allow,
                '#' => {
                    findings.report_help(
                        codes::INVALID_VALUE,
                        entry.value,
                        format!("`#` from `{}` to `{}`", asks.text, asked.text),
                        "`#` is a pod's own address; write `.` or `X`",
                    );
                    continue;
                }
                // `?`: not judged.
                _ => continue,
            };
            cells.push(Named {
                own: Some(format!("{} -> {} {port}/{protocol}", asks.text, asked.text)),
                origin: findings.origin(entry.value),
                check: flow(asks, asked, port, protocol, verdict),
            });
        }
    }
    Some(cells)
}

fn pods(
    node: Option<Node<'_>>,
    key: &str,
    matrix: Node<'_>,
    findings: &mut Findings,
) -> Option<Vec<Pod>> {
    let node = required(node, key, matrix, findings)?;
    let names = findings.strings(node)?;
    names
        .into_iter()
        .map(|text| {
            let (namespace, name) = namespaced(text.value, text.node, findings)?;
            Some(Pod {
                text: text.value.into(),
                namespace,
                name,
            })
        })
        .collect()
}

fn flow(from: &Pod, to: &Pod, port: u16, protocol: Protocol, verdict: Verdict) -> Check {
    Check::Flow(FlowTest {
        from: FromSpec::Pod {
            namespace: Arc::clone(&from.namespace),
            name: Arc::clone(&from.name),
        },
        to: ToSpec::Pod {
            namespace: Arc::clone(&to.namespace),
            name: Arc::clone(&to.name),
        },
        protocol,
        port,
        established: false,
        expect: Expect {
            verdict,
            would: None,
            how: None,
            by: None,
        },
    })
}
