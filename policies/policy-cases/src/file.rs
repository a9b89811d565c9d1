//! The file format, key by key.

mod responses;
mod settings;
mod subject;
mod test;
mod values;

use std::sync::Arc;

use policy_dialects::codes;
use policy_dialects::decode::Findings;
use policy_dialects::yaml::{Entry, Node, Shape, Style};
use policy_dialects::{read_document, read_documents};
use policy_model::{Diagnostic, Level, Origin};

pub use responses::{ResponseSpec, ServerSpec, decode_responses};
pub use settings::{Closed, ResolverSpec, SettingsSpec};
pub use subject::{FromSpec, ToSpec};
pub use test::{
    ByRef, Check, DiagnosticTest, Expect, FlowTest, LearnedTest, QueryTest, Test, TestKind,
};

/// The format's version this crate reads.
const VERSION: i64 = 1;

/// A file of tests, as written.
#[derive(Debug, Clone)]
pub struct CaseFile {
    /// Its name in places.
    pub source: Arc<str>,
    /// Files, globs and folders, beside the file.
    pub policies: Vec<SourceRef>,
    pub world: Vec<SourceRef>,
    /// Policies and world objects written in the file.
    pub inline: Option<Inline>,
    pub settings: SettingsSpec,
    pub responses: Vec<ResponseSpec>,
    pub tests: Vec<Test>,
    /// What may surprise in the file itself.
    pub lints: Vec<Diagnostic>,
}

/// A path or pattern, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRef {
    pub text: Arc<str>,
    pub origin: Origin,
}

/// The `inline` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inline {
    /// The block's text behind as many empty lines as stand above it, so that its lines are the file's lines.
    pub text: Arc<str>,
    /// Characters the block is indented by in the file.
    pub indent: u32,
}

impl CaseFile {
    /// Reads a file of tests.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place.
    pub fn parse(source: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut findings = Findings::new(source);
        if report_objects(text, &mut findings) {
            return Err(findings.into_diagnostics());
        }
        let document = read_document(text, &mut findings);
        let file = document
            .as_ref()
            .and_then(|document| decode(source, text, document.root(), &mut findings));
        let diagnostics = findings.into_diagnostics();
        match file {
            // Lints (a number written oddly, an answer to no name) keep no test from running.
            Some(file)
                if diagnostics
                    .iter()
                    .all(|diagnostic| diagnostic.level == Level::Lint) =>
            {
                Ok(Self {
                    lints: diagnostics,
                    ..file
                })
            }
            Some(_) | None => Err(diagnostics),
        }
    }
}

/// Whether a text is a file of objects, such as policies, and not of tests.
#[must_use]
pub fn is_of_objects(text: &str) -> bool {
    report_objects(text, &mut Findings::new(""))
}

/// Says of a file of objects that it is none of tests. One of tests has neither an apiVersion nor a kind of its own.
fn report_objects(text: &str, findings: &mut Findings) -> bool {
    let documents = read_documents(text, &mut Findings::new(""));
    let mut roots = documents.iter().map(|document| document.root());
    let object = roots.find_map(|root| Some((root.get("apiVersion")?, root.get_str("kind")?)));
    if let Some((node, kind)) = object {
        findings.report_help(
            codes::UNKNOWN_FIELD,
            node,
            format!("a file with objects of kind `{kind}` is no test file"),
            "list the file under `policies:` or `world:` of a test file",
        );
    }
    object.is_some()
}

fn decode(source: &str, text: &str, root: Node<'_>, findings: &mut Findings) -> Option<CaseFile> {
    let mut fields = findings.fields(root)?;
    if let Some(version) = fields.take("egretTest") {
        let version = findings.integer(version)?;
        if version.value != VERSION {
            findings.report(
                codes::INVALID_VALUE,
                version.node,
                format!(
                    "format version {} is not known, only {VERSION}",
                    version.value
                ),
            );
        }
    }
    let policies = fields
        .take("policies")
        .map_or_else(Vec::new, |node| source_refs(node, findings));
    let world = fields
        .take("world")
        .map_or_else(Vec::new, |node| source_refs(node, findings));
    let inline = fields
        .take_entry("inline")
        .and_then(|entry| inline(entry, text, findings));
    let settings = match fields.take("settings") {
        Some(node) => SettingsSpec::decode(node, findings),
        None => SettingsSpec::default(),
    };
    let responses = fields.take("dns").map_or_else(Vec::new, |node| {
        responses::decode_list(node, &settings, findings)
    });
    let tests = match fields.take("tests") {
        Some(node) => {
            let items = findings.list(node).unwrap_or_default();
            items
                .into_iter()
                .flat_map(|item| Test::decode(item, &settings, findings))
                .collect()
        }
        None => Vec::new(),
    };
    fields.finish(findings, codes::UNKNOWN_FIELD);
    Some(CaseFile {
        source: source.into(),
        policies,
        world,
        inline,
        settings,
        responses,
        tests,
        lints: Vec::new(),
    })
}

/// A list of patterns, or one alone.
fn source_refs(node: Node<'_>, findings: &mut Findings) -> Vec<SourceRef> {
    let texts = match node.shape() {
        Shape::Scalar(..) => findings.string(node).into_iter().collect(),
        Shape::Sequence(_) | Shape::Mapping(_) => findings.strings(node).unwrap_or_default(),
    };
    texts
        .into_iter()
        .map(|text| SourceRef {
            text: text.value.into(),
            origin: findings.origin(text.node),
        })
        .collect()
}

fn inline(entry: Entry<'_>, text: &str, findings: &mut Findings) -> Option<Inline> {
    let Entry {
        place, value: node, ..
    } = entry;
    let block = findings.string(node)?;
    let is_literal = matches!(node.shape(), Shape::Scalar(_, Style::Block));
    if !is_literal {
        return Some(Inline {
            text: block.value.into(),
            indent: 0,
        });
    }
    // The block begins on the line behind its key.
    let line = usize::try_from(place.line).unwrap_or(usize::MAX);
    let first = text
        .lines()
        .skip(line)
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let indent = first.chars().take_while(|c| *c == ' ').count();
    Some(Inline {
        text: format!("{}{}", "\n".repeat(line), block.value).into(),
        indent: u32::try_from(indent).unwrap_or(0),
    })
}
