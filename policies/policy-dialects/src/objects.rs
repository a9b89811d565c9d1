//! From the text of a file to objects, and from each object to its dialect.

use std::collections::BTreeMap;

use policy_model::{Diagnostic, ObjectRef, Origin, Policy};

use crate::codes;
use crate::decode::Findings;
use crate::kubernetes::{Scope, decode_metadata};
use crate::suggest::nearest;
use crate::yaml::{self, Document, LoadErrorKind, Node, Shape};
use crate::{Context, Others, cilium, lints, native};

/// Reads every object of a file; `source` is the file's name in places.
///
/// The diagnostics stand in the order of the text. An object with a `refused` one gives no policy.
#[must_use]
pub fn read(source: &str, text: &str, context: &Context) -> (Vec<Policy>, Vec<Diagnostic>) {
    read_set([(source, text)], context)
}

/// Reads several files, `(name, text)` each, as one set: an object may stand in it once.
#[must_use]
pub fn read_set<'t>(
    files: impl IntoIterator<Item = (&'t str, &'t str)>,
    context: &Context,
) -> (Vec<Policy>, Vec<Diagnostic>) {
    let mut policies = Vec::new();
    let mut diagnostics = Vec::new();
    let mut seen = BTreeMap::new();
    for (source, text) in files {
        let mut findings = Findings::new(source);
        let (documents, errors) = yaml::load(text, &yaml::Limits::default());
        for error in errors {
            report_unreadable(error.place, &error.kind, &mut findings);
        }
        if documents.is_empty() && findings.mark() == 0 {
            // An editor that truncates before it writes must not look like somebody who took every policy away.
            let place = yaml::Place {
                line: 1,
                column: 1,
                width: 1,
            };
            findings.report_at(
                codes::NO_OBJECT,
                place,
                String::new(),
                "the file holds no object",
                None,
            );
        }
        for document in &documents {
            read_object(
                document.root(),
                context,
                &mut findings,
                &mut policies,
                &mut seen,
            );
        }
        let mut found = findings.into_diagnostics();
        found.sort_by_key(|diagnostic| (diagnostic.origin.line, diagnostic.origin.column));
        diagnostics.append(&mut found);
    }
    (policies, diagnostics)
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
        let place = yaml::Place {
            line: 1,
            column: 1,
            width: 1,
        };
        findings.report_at(
            codes::NOT_AN_OBJECT,
            place,
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
        | LoadErrorKind::Tag(_) => (codes::YAML_SYNTAX, None),
    };
    findings.report_at(code, place, String::new(), kind.to_string(), help);
}

/// The dialects, by API group, with the kinds that are policies.
const NATIVE_GROUP: &str = "egret.dev";
const CILIUM_GROUP: &str = "cilium.io";

/// Policies of dialects this version does not lower: (group, kinds).
const LATER: &[(&str, &[&str])] = &[
    ("networking.k8s.io", &["NetworkPolicy"]),
    (
        "policy.networking.k8s.io",
        &[
            "ClusterNetworkPolicy",
            "AdminNetworkPolicy",
            "BaselineAdminNetworkPolicy",
        ],
    ),
    ("projectcalico.org", CALICO),
    ("crd.projectcalico.org", CALICO),
    ("security.istio.io", &["AuthorizationPolicy"]),
    ("networking.istio.io", &["ServiceEntry", "Sidecar"]),
    (
        "crd.antrea.io",
        &[
            "ClusterNetworkPolicy",
            "NetworkPolicy",
            "Tier",
            "ClusterGroup",
            "Group",
        ],
    ),
    (
        "networking.k8s.aws",
        &["ApplicationNetworkPolicy", "ClusterNetworkPolicy"],
    ),
    ("networking.gke.io", &["FQDNNetworkPolicy"]),
    ("k8s.ovn.org", &["EgressFirewall"]),
    (
        CILIUM_GROUP,
        &[
            "CiliumCIDRGroup",
            "CiliumEgressGatewayPolicy",
            "CiliumLocalRedirectPolicy",
        ],
    ),
    (NATIVE_GROUP, &["EgressSet"]),
];

const CALICO: &[&str] = &[
    "NetworkPolicy",
    "GlobalNetworkPolicy",
    "NetworkSet",
    "GlobalNetworkSet",
    "Tier",
    "HostEndpoint",
    "Profile",
    "StagedNetworkPolicy",
    "StagedGlobalNetworkPolicy",
    "StagedKubernetesNetworkPolicy",
];

/// Objects that describe a cluster, not a policy.
const WORLD: &[(&str, &str)] = &[
    ("v1", "Namespace"),
    ("v1", "Pod"),
    ("v1", "Node"),
    ("v1", "Service"),
    ("v1", "Endpoints"),
    ("v1", "ServiceAccount"),
    ("discovery.k8s.io/v1", "EndpointSlice"),
];

const KINDS: &[&str] = &[
    "EgressPolicy",
    "ClusterEgressPolicy",
    "CiliumNetworkPolicy",
    "CiliumClusterwideNetworkPolicy",
];

fn read_object(
    node: Node<'_>,
    context: &Context,
    findings: &mut Findings,
    policies: &mut Vec<Policy>,
    seen: &mut BTreeMap<ObjectRef, Origin>,
) {
    findings.begin_object(None);
    if !matches!(node.shape(), Shape::Mapping(_)) {
        findings.report_help(
            codes::NOT_AN_OBJECT,
            node,
            format!("expected an object, found {}", node.describe()),
            "a policy begins with `apiVersion`, `kind` and `metadata`",
        );
        return;
    }
    let Some((api_version, kind)) = type_meta(node, findings) else {
        return;
    };
    if let Some(items) = list_items(node, api_version, kind) {
        for item in findings.list(items).unwrap_or_default() {
            read_object(item, context, findings, policies, seen);
        }
        return;
    }
    if context.others == Others::World && WORLD.contains(&(api_version, kind)) {
        return;
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let (scope, expected) = match (group, kind) {
        (NATIVE_GROUP, "EgressPolicy") => (Scope::Namespaced, "v1alpha1"),
        (NATIVE_GROUP, "ClusterEgressPolicy") => (Scope::Cluster, "v1alpha1"),
        (CILIUM_GROUP, "CiliumNetworkPolicy") => (Scope::Namespaced, "v2"),
        (CILIUM_GROUP, "CiliumClusterwideNetworkPolicy") => (Scope::Cluster, "v2"),
        (_, _) => {
            report_foreign(node, group, api_version, kind, findings);
            return;
        }
    };
    let name = node
        .get("metadata")
        .and_then(|metadata| metadata.get_str("name"));
    let written = node
        .get("metadata")
        .and_then(|metadata| metadata.get_str("namespace"));
    let namespace = match (scope, group) {
        (Scope::Cluster, _) => None,
        // On plain Linux a native policy lives in no namespace.
        (Scope::Namespaced, NATIVE_GROUP) => written,
        (Scope::Namespaced, _) => Some(written.unwrap_or(&context.default_namespace)),
    };
    let id = name.map(|name| ObjectRef::new(kind, namespace, name));
    findings.begin_object(id.clone());
    if version != expected {
        findings.report_help(
            codes::UNSUPPORTED_VERSION,
            node.get("apiVersion").unwrap_or(node),
            format!("{kind} is not read in version `{version}`"),
            format!("write `apiVersion: {group}/{expected}`"),
        );
        return;
    }
    let mark = findings.mark();
    if let Some(mut fields) = findings.fields(node) {
        for known in ["apiVersion", "kind", "metadata", "spec", "status"] {
            fields.take(known);
        }
        if group == CILIUM_GROUP {
            fields.take("specs");
        }
        fields.finish(findings, codes::UNKNOWN_TOP_LEVEL_FIELD);
    }
    let metadata = decode_metadata(node, scope, findings);
    let (Some(metadata), Some(id)) = (metadata, id) else {
        return;
    };
    if let Some(first) = seen.insert(id.clone(), findings.origin(metadata.name.node)) {
        findings.report_help(
            codes::DUPLICATE_OBJECT,
            metadata.name.node,
            format!("`{id}` stands at {first} already"),
            "give one of them another name",
        );
    }
    let mut read = match group {
        NATIVE_GROUP => native::read(node, scope, &id, &metadata, context, findings),
        _ => cilium::read(node, scope, &id, &metadata, context, findings),
    };
    if !findings.refused_since(mark) {
        for policy in &read {
            lints::guards(policy, findings);
        }
        policies.append(&mut read);
    }
}

fn type_meta<'d>(node: Node<'d>, findings: &mut Findings) -> Option<(&'d str, &'d str)> {
    let mut text = |key: &str| match node.get(key).filter(|value| !value.is_null()) {
        Some(value) => findings.string(value).map(|at| at.value),
        None => {
            findings.report_help(
                codes::NOT_AN_OBJECT,
                node,
                format!("`{key}` is missing"),
                "a policy begins with `apiVersion`, `kind` and `metadata`",
            );
            None
        }
    };
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    Some((api_version?, kind?))
}

/// The items of a `List` or of a typed list such as `CiliumNetworkPolicyList`.
fn list_items<'d>(node: Node<'d>, api_version: &str, kind: &str) -> Option<Node<'d>> {
    let items = node.get("items")?;
    let typed = kind
        .strip_suffix("List")
        .is_some_and(|kind| KINDS.contains(&kind));
    ((api_version == "v1" && kind == "List") || typed).then_some(items)
}

fn report_foreign(
    node: Node<'_>,
    group: &str,
    api_version: &str,
    kind: &str,
    findings: &mut Findings,
) {
    let kind_node = node.get("kind").unwrap_or(node);
    let name = node
        .get("metadata")
        .and_then(|metadata| metadata.get_str("name"));
    let namespace = node
        .get("metadata")
        .and_then(|metadata| metadata.get_str("namespace"));
    findings.begin_object(name.map(|name| ObjectRef::new(kind, namespace, name)));
    if LATER
        .iter()
        .any(|(later, kinds)| *later == group && kinds.contains(&kind))
    {
        findings.report_help(
            codes::UNSUPPORTED_DIALECT,
            kind_node,
            format!("{kind} of `{group}` is not supported yet, so it is not enforced"),
            format!("supported now: {}", crate::decode::listed(KINDS)),
        );
        return;
    }
    let help = match nearest(kind, KINDS) {
        Some(near) => format!(
            "did you mean `{near}` of `{}`?",
            if near.starts_with("Cilium") {
                "cilium.io/v2"
            } else {
                "egret.dev/v1alpha1"
            }
        ),
        None => format!("policies are {}", crate::decode::listed(KINDS)),
    };
    findings.report_help(
        codes::UNKNOWN_KIND,
        kind_node,
        format!("`{kind}` of `{api_version}` is no policy"),
        help,
    );
}
