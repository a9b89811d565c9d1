//! SARIF 2.1.0 (OASIS), which code hosts and editors read: one run, one rule for each code there is.

use std::collections::BTreeMap;

use policy_dialects::codes;
use policy_model::{Diagnostic, Level};
use serde::Serialize;

use crate::policy_files::PolicyFileError;
use crate::render;

const VERSION: &str = "2.1.0";
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The findings as a SARIF log. What could not be read is a notification of a run that did not succeed.
pub(super) fn log(diagnostics: &[Diagnostic], unreadable: &[PolicyFileError]) -> String {
    let rules = Rules::of(diagnostics);
    render::json(&Log {
        schema: SCHEMA,
        version: VERSION,
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: "egret",
                    semantic_version: env!("CARGO_PKG_VERSION"),
                    rules: rules.rules,
                },
            },
            column_kind: "unicodeCodePoints",
            invocations: [Invocation {
                execution_successful: unreadable.is_empty(),
                tool_execution_notifications: unreadable
                    .iter()
                    .map(|error| Notification {
                        level: "error",
                        message: Text {
                            text: render::chain(error),
                        },
                    })
                    .collect(),
            }],
            results: diagnostics
                .iter()
                .map(|diagnostic| result(diagnostic, &rules.indexes))
                .collect(),
        }],
    })
}

/// The rules, and where each code stands among them.
struct Rules<'a> {
    rules: Vec<Rule<'a>>,
    indexes: BTreeMap<&'a str, usize>,
}

impl<'a> Rules<'a> {
    /// Every code of the table, then those that were found and stand in none.
    fn of(diagnostics: &'a [Diagnostic]) -> Self {
        let mut this = Self {
            rules: Vec::new(),
            indexes: BTreeMap::new(),
        };
        for code in codes::ALL {
            this.push(code.id, code.level, code.meaning);
        }
        for found in diagnostics {
            this.push(found.code, found.level, &found.message);
        }
        this
    }

    fn push(&mut self, id: &'a str, level: Level, meaning: &'a str) {
        if self.indexes.contains_key(id) {
            return;
        }
        self.indexes.insert(id, self.rules.len());
        self.rules.push(Rule {
            id,
            short_description: Text {
                text: sentence(meaning),
            },
            help: Text {
                text: format!("{} {}", sentence(meaning), consequence(level)),
            },
            default_configuration: Configuration { level: word(level) },
            properties: Properties {
                level: level.as_str(),
            },
        });
    }
}

fn result<'a>(diagnostic: &'a Diagnostic, indexes: &BTreeMap<&str, usize>) -> Finding<'a> {
    let Diagnostic {
        code,
        level,
        message,
        help,
        origin,
        object,
    } = diagnostic;
    let mut text = message.clone();
    if let Some(help) = help {
        // One paragraph: viewers show the message on one line.
        text.push_str("; ");
        text.push_str(help);
    }
    Finding {
        rule_id: code,
        rule_index: indexes.get(code).copied(),
        level: word(*level),
        message: Text { text },
        locations: [Location {
            physical_location: PhysicalLocation {
                artifact_location: ArtifactLocation {
                    uri: uri(&origin.source),
                },
                region: Region {
                    start_line: origin.line.max(1),
                    start_column: origin.column.max(1),
                    end_column: origin.column.max(1).saturating_add(origin.width.max(1)),
                },
            },
            logical_locations: object
                .iter()
                .map(|object| LogicalLocation {
                    name: &object.name,
                    kind: "resource",
                    fully_qualified_name: if origin.path.is_empty() {
                        object.to_string()
                    } else {
                        format!("{object}#{}", origin.path)
                    },
                })
                .collect(),
        }],
    }
}

const fn word(level: Level) -> &'static str {
    match level {
        Level::Refused | Level::Closed => "error",
        Level::Lint => "warning",
    }
}

const fn consequence(level: Level) -> &'static str {
    match level {
        Level::Refused => "The object gives no policy until this is mended.",
        Level::Closed => {
            "The rule is not enforced as written: an Allow allows nothing, a Deny or Pass denies all it may have meant."
        }
        Level::Lint => "It holds as written, and may not be what was meant.",
    }
}

/// SARIF's texts are sentences; the house's are not.
fn sentence(meaning: &str) -> String {
    let mut letters = meaning.chars();
    let first = letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>()
    });
    format!("{first}{}.", letters.as_str())
}

/// A path as a relative reference (RFC 3986 §4.2), or as a `file:` one where it begins at the root.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    if path.starts_with('/') {
        uri.push_str("file://");
    }
    let path = path.strip_prefix("./").unwrap_or(path);
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool<'a>,
    column_kind: &'static str,
    invocations: [Invocation; 1],
    results: Vec<Finding<'a>>,
}

#[derive(Serialize)]
struct Tool<'a> {
    driver: Driver<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver<'a> {
    name: &'static str,
    semantic_version: &'static str,
    rules: Vec<Rule<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule<'a> {
    id: &'a str,
    short_description: Text,
    help: Text,
    default_configuration: Configuration,
    properties: Properties,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

/// The house's own level, of which SARIF's knows two.
#[derive(Serialize)]
struct Properties {
    level: &'static str,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Serialize)]
struct Notification {
    level: &'static str,
    message: Text,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding<'a> {
    rule_id: &'a str,
    rule_index: Option<usize>,
    level: &'static str,
    message: Text,
    locations: [Location<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location<'a> {
    physical_location: PhysicalLocation,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logical_locations: Vec<LogicalLocation<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    region: Region,
}

#[derive(Serialize)]
struct ArtifactLocation {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
    start_column: u32,
    end_column: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogicalLocation<'a> {
    name: &'a str,
    kind: &'static str,
    fully_qualified_name: String,
}

#[cfg(test)]
mod tests;
