//! From the texts of files to objects, and from each object to its dialect.

use std::collections::BTreeMap;

use policy_model::{Cluster, Diagnostic, ObjectRef, Origin, Policy};

use crate::catalog::Role;
use crate::codes;
use crate::decode::Findings;
use crate::object::Object;
use crate::surroundings::Surroundings;
use crate::yaml::{self, Document, LoadErrorKind};
use crate::{Context, Others, calico, lints, nulls};

/// What files say together.
#[derive(Debug, Default)]
pub struct Reading {
    /// In the order of the text.
    pub policies: Vec<Policy>,
    /// What policies select and speak of: network sets and host endpoints, and, with
    /// [`Others::World`], namespaces, pods, nodes and services.
    pub cluster: Cluster,
    /// File by file, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
    /// Those of the files that describe a cluster.
    pub world_diagnostics: Vec<Diagnostic>,
}

/// Reads every object of a file; `source` is the file's name in places.
///
/// An object with a `refused` diagnostic gives no policy.
#[must_use]
pub fn read(source: &str, text: &str, context: &Context) -> Reading {
    read_set([(source, text)], context)
}

/// Reads several files, `(name, text)` each, as one set: an object may stand in it once, and may speak of objects in other
/// files.
#[must_use]
pub fn read_set<'t>(
    files: impl IntoIterator<Item = (&'t str, &'t str)>,
    context: &Context,
) -> Reading {
    read_with_world(files, [], context)
}

/// Reads files of policies, and with them files that describe the cluster around those policies. In the latter a policy is
/// refused, because it would not be in force; kinds that say nothing of who may reach whom are left alone.
#[must_use]
pub fn read_with_world<'t>(
    policies: impl IntoIterator<Item = (&'t str, &'t str)>,
    world: impl IntoIterator<Item = (&'t str, &'t str)>,
    context: &Context,
) -> Reading {
    let world_context = Context {
        others: Others::Ignore,
        ..context.clone()
    };
    let mut files: Vec<File> = world
        .into_iter()
        .map(|(source, text)| File::load(Part::World, source, text))
        .collect();
    files.extend(
        policies
            .into_iter()
            .map(|(source, text)| File::load(Part::Policies, source, text)),
    );
    let mut seen = BTreeMap::new();
    let mut surroundings = Surroundings::default();
    let mut found: Vec<(Part, Vec<Object<'_>>)> = Vec::new();
    let mut all_findings = Vec::new();
    for File {
        part,
        documents,
        findings,
    } in &mut files
    {
        let context = match part {
            Part::World => &world_context,
            Part::Policies => context,
        };
        let mut findings = std::mem::replace(findings, Findings::new(""));
        let mut objects = Vec::new();
        for document in &*documents {
            Object::collect(document.root(), context, &mut findings, &mut objects);
        }
        for object in &mut objects {
            findings.begin_object(Some(object.id.clone()));
            object.is_repeated = is_repeated(object, &mut seen, &mut findings);
            // Of one that is refused as a repetition only the findings are wanted.
            let mut aside = Surroundings::default();
            let surroundings = if object.is_repeated {
                &mut aside
            } else {
                &mut surroundings
            };
            if let (Some(identity), false) = (calico::identity_of(object), object.is_repeated) {
                surroundings.calico.remember(identity, &object.id.name);
            }
            match object.kind.role {
                Role::Policy(_) => {
                    if *part == Part::World {
                        findings.report_help(
                            codes::POLICY_IN_WORLD,
                            object.node,
                            format!(
                                "`{}` is a policy, and this file describes a cluster",
                                object.id
                            ),
                            "list the file, or one with this object, among the policies",
                        );
                    }
                }
                Role::Fact(read) | Role::FactAndPolicy { fact: read, .. } => {
                    let mark = findings.mark();
                    read(object, context, surroundings, &mut findings);
                    nulls::tell(object, mark, &mut findings);
                }
                Role::World(read) => read(object, surroundings, &mut findings),
            }
        }
        found.push((*part, objects));
        all_findings.push(findings);
    }
    surroundings.finish();
    let mut reading = Reading::default();
    for ((part, objects), findings) in found.iter().zip(&mut all_findings) {
        for object in objects {
            let read = match (object.kind.role, part) {
                (Role::Policy(read), Part::Policies)
                | (Role::FactAndPolicy { policy: read, .. }, _) => read,
                (Role::Policy(_), Part::World) | (Role::Fact(_) | Role::World(_), _) => continue,
            };
            findings.begin_object(Some(object.id.clone()));
            let mark = findings.mark();
            let mut policies = read(object, &surroundings, context, findings);
            if matches!(object.kind.role, Role::Policy(_)) {
                nulls::tell(object, mark, findings);
            }
            if !object.is_repeated && !findings.refused_since(mark) {
                lints::lint(&policies, findings);
                reading.policies.append(&mut policies);
            }
        }
    }
    let mut of_the_set = lints::lint_set(&reading.policies, &surroundings.cluster);
    for ((part, _), findings) in found.iter().zip(all_findings) {
        let source = findings.source();
        let (own, others) = of_the_set
            .into_iter()
            .partition(|diagnostic| diagnostic.origin.source == source);
        of_the_set = others;
        let mut findings = findings;
        findings.extend(own);
        let mut diagnostics = findings.into_diagnostics();
        diagnostics.sort_by_key(|diagnostic| (diagnostic.origin.line, diagnostic.origin.column));
        match part {
            Part::Policies => reading.diagnostics.append(&mut diagnostics),
            Part::World => reading.world_diagnostics.append(&mut diagnostics),
        }
    }
    reading.cluster = surroundings.cluster;
    reading
}

/// Reads the one document of a file that is no policy, such as a file of tests; nothing where it cannot be read.
pub fn read_document(text: &str, findings: &mut Findings) -> Option<Document> {
    let (mut documents, errors) = yaml::load(text, &yaml::Limits::default());
    let broken = !errors.is_empty();
    for error in errors {
        report_unreadable(error.place, &error.kind, findings);
    }
    if let Some(second) = documents.get(1) {
        findings.report(
            codes::NOT_AN_OBJECT,
            second.root(),
            "a second document, where one is expected",
        );
        return None;
    }
    if documents.is_empty() && !broken {
        findings.report_at(
            codes::NOT_AN_OBJECT,
            START,
            String::new(),
            "the file is empty",
            None,
        );
    }
    documents.pop().filter(|_| !broken)
}

/// Reads every document of a file, for who knows what to make of the objects.
pub fn read_documents(text: &str, findings: &mut Findings) -> Vec<Document> {
    let (documents, errors) = yaml::load(text, &yaml::Limits::default());
    for error in errors {
        report_unreadable(error.place, &error.kind, findings);
    }
    documents
}

const START: yaml::Place = yaml::Place {
    line: 1,
    column: 1,
    width: 1,
};

/// The documents of one file, and what was found in it so far.
struct File {
    part: Part,
    documents: Vec<Document>,
    findings: Findings,
}

/// What a file is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Policies,
    World,
}

impl File {
    fn load(part: Part, source: &str, text: &str) -> Self {
        let mut findings = Findings::new(source);
        let documents = read_documents(text, &mut findings);
        if documents.is_empty() && findings.mark() == 0 {
            // An editor that truncates before it writes must not look like somebody who took every policy away.
            findings.report_at(
                codes::NO_OBJECT,
                START,
                String::new(),
                "the file holds no object",
                None,
            );
        }
        Self {
            part,
            documents,
            findings,
        }
    }
}

/// Whether an object of that kind and name came before; of two the second is refused.
fn is_repeated(
    object: &Object<'_>,
    seen: &mut BTreeMap<ObjectRef, Origin>,
    findings: &mut Findings,
) -> bool {
    let name = object.metadata.name.node;
    let key = calico::identity_of(object).unwrap_or_else(|| object.id.clone());
    let before = seen.insert(key, findings.origin(name));
    if let Some(first) = &before {
        findings.report_help(
            codes::DUPLICATE_OBJECT,
            name,
            format!("`{}` stands at {first} already", object.id),
            "give one of them another name",
        );
    }
    before.is_some()
}

fn report_unreadable(place: yaml::Place, kind: &LoadErrorKind, findings: &mut Findings) {
    let (code, help) = match kind {
        LoadErrorKind::DuplicateKey { .. } => (
            codes::YAML_DUPLICATE_KEY,
            Some("remove one of them".to_owned()),
        ),
        LoadErrorKind::Depth(_) | LoadErrorKind::AliasNodes(_) | LoadErrorKind::Bytes { .. } => {
            (codes::YAML_LIMIT, None)
        }
        LoadErrorKind::Syntax(_)
        | LoadErrorKind::Key(_)
        | LoadErrorKind::Alias
        | LoadErrorKind::Merge
        | LoadErrorKind::MergeAfter { .. }
        | LoadErrorKind::QuestionMark
        | LoadErrorKind::LeadingColon(_)
        | LoadErrorKind::TightColon(_)
        | LoadErrorKind::Tag(_)
        | LoadErrorKind::TagMismatch { .. }
        | LoadErrorKind::Number(_)
        | LoadErrorKind::Character(_)
        | LoadErrorKind::Blank(_)
        | LoadErrorKind::Separator
        | LoadErrorKind::AfterEnd
        | LoadErrorKind::AnchorName(_)
        | LoadErrorKind::EndWithoutStart => (codes::YAML_SYNTAX, None),
    };
    findings.report_at(code, place, String::new(), kind.to_string(), help);
}
