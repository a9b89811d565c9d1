//! One object of a file: its kind, its name and its text.

use policy_model::ObjectRef;

use crate::catalog::{self, Kind, Role};
use crate::codes;
use crate::decode::{Findings, listed};
use crate::kubernetes::{MetadataSpec, Scope, decode_metadata};
use crate::suggest::nearest;
use crate::yaml::{Node, Shape};
use crate::{Context, Others};

/// An object of a kind that is read, with a usable name.
#[derive(Debug)]
pub(crate) struct Object<'d> {
    pub(crate) node: Node<'d>,
    pub(crate) kind: &'static Kind,
    pub(crate) id: ObjectRef,
    pub(crate) metadata: MetadataSpec<'d>,
    /// Another of that kind and name came before: it is refused, and read for its findings alone.
    pub(crate) is_repeated: bool,
}

impl<'d> Object<'d> {
    /// The objects in `node`: itself, or the items of a list. What is none is reported.
    pub(crate) fn collect(
        node: Node<'d>,
        context: &Context,
        findings: &mut Findings,
        objects: &mut Vec<Self>,
    ) {
        Self::collect_of(node, None, context, findings, objects);
    }

    /// The same; `of_list` is what an item is that does not say it, as an API server writes those of a typed list.
    fn collect_of(
        node: Node<'d>,
        of_list: Option<(&'d str, &'d str)>,
        context: &Context,
        findings: &mut Findings,
        objects: &mut Vec<Self>,
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
        let Some((api_version, kind)) = type_meta(node, of_list, findings) else {
            return;
        };
        if let Some(items) = list_items(node, api_version, kind) {
            if let Some(mut fields) = findings.fields(node) {
                for field in ["apiVersion", "kind", "metadata", "items"] {
                    fields.take(field);
                }
                fields.finish(findings, codes::UNKNOWN_TOP_LEVEL_FIELD);
            }
            let of_list = kind
                .strip_suffix("List")
                .filter(|kind| !kind.is_empty())
                .map(|kind| (api_version, kind));
            for item in findings.list(items).unwrap_or_default() {
                Self::collect_of(item, of_list, context, findings, objects);
            }
            return;
        }
        objects.extend(Self::identify(node, api_version, kind, context, findings));
    }

    /// The `spec`, which must be there.
    pub(crate) fn spec(&self, findings: &mut Findings) -> Option<Node<'d>> {
        let spec = self.node.get("spec").filter(|node| !node.is_null());
        if spec.is_none() {
            findings.report(codes::MISSING_FIELD, self.node, "`spec` is missing");
        }
        spec
    }

    pub(crate) fn scope(&self) -> Scope {
        self.kind.scope
    }

    fn identify(
        node: Node<'d>,
        api_version: &str,
        kind: &str,
        context: &Context,
        findings: &mut Findings,
    ) -> Option<Self> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let known = catalog::find(group, kind).filter(|known| {
            context.others != Others::Refuse || !matches!(known.role, Role::World(_))
        });
        let Some(known) = known else {
            if context.others == Others::Ignore && !catalog::is_for_later(group, kind) {
                return None;
            }
            report_foreign(node, group, api_version, kind, findings);
            return None;
        };
        let name = node
            .get("metadata")
            .and_then(|metadata| metadata.get_str("name"));
        let written = node
            .get("metadata")
            .and_then(|metadata| metadata.get_str("namespace"));
        let namespace = match known.scope {
            Scope::Cluster => None,
            Scope::Namespaced => Some(written.unwrap_or(&context.default_namespace)),
            // On plain Linux a native policy lives in no namespace.
            Scope::Anywhere => written,
        };
        let id = name.map(|name| ObjectRef::new(kind, namespace, name).in_group(group));
        findings.begin_object(id.clone());
        if !known.versions.contains(&version) {
            let newest = known.versions.last().unwrap_or(&"v1");
            findings.report_help(
                codes::UNSUPPORTED_VERSION,
                node.get("apiVersion").unwrap_or(node),
                format!("{kind} is not read in version `{version}`"),
                format!("write `apiVersion: {group}/{newest}`"),
            );
            return None;
        }
        let mark = findings.mark();
        if !matches!(known.role, Role::World(_))
            && let Some(mut fields) = findings.fields(node)
        {
            for field in ["apiVersion", "kind", "metadata"]
                .iter()
                .chain(known.fields)
            {
                fields.take(field);
            }
            fields.finish(findings, codes::UNKNOWN_TOP_LEVEL_FIELD);
        }
        let metadata = decode_metadata(node, known.scope, findings)?;
        let id = id?;
        (!findings.refused_since(mark)).then_some(Self {
            node,
            kind: known,
            id,
            metadata,
            is_repeated: false,
        })
    }
}

fn type_meta<'d>(
    node: Node<'d>,
    of_list: Option<(&'d str, &'d str)>,
    findings: &mut Findings,
) -> Option<(&'d str, &'d str)> {
    let mut text = |key: &str, of_list: Option<&'d str>| match node
        .get(key)
        .filter(|value| !value.is_null())
    {
        Some(value) => findings.string(value).map(|at| at.value),
        None if of_list.is_some() => of_list,
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
    let api_version = text("apiVersion", of_list.map(|(api_version, _)| api_version));
    let kind = text("kind", of_list.map(|(_, kind)| kind));
    Some((api_version?, kind?))
}

/// The items of a `List` or of a typed list such as `CiliumNetworkPolicyList`.
fn list_items<'d>(node: Node<'d>, api_version: &str, kind: &str) -> Option<Node<'d>> {
    let items = node.get("items")?;
    let group = api_version
        .split_once('/')
        .map_or("", |(group, _version)| group);
    let typed = kind
        .strip_suffix("List")
        .is_some_and(|kind| catalog::find(group, kind).is_some());
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
    if catalog::is_for_later(group, kind) {
        findings.report_help(
            codes::UNSUPPORTED_DIALECT,
            kind_node,
            format!("{kind} of `{group}` is not supported yet, so it is not enforced"),
            "leave it out, or write what it allows as an `EgressPolicy` of `egret.dev/v1alpha1`",
        );
        return;
    }
    if catalog::find(group, kind).is_some_and(|known| matches!(known.role, Role::World(_))) {
        findings.report_help(
            codes::WORLD_IN_POLICIES,
            kind_node,
            format!("a {kind} is no policy: it describes a cluster, and here policies are read"),
            "`check`, `explain` and `diff` take it with `--world`, a test file under `world:`; `run` knows no cluster",
        );
        return;
    }
    let policies = catalog::policy_kinds();
    let near = nearest(kind, &policies).and_then(|near| {
        let known = catalog::kinds().find(|known| known.kind == near)?;
        Some((near, known.group, *known.versions.last()?))
    });
    let help = match near {
        Some((near, group, version)) => format!("did you mean `{near}` of `{group}/{version}`?"),
        None => format!("policies are {}", listed(&policies)),
    };
    findings.report_help(
        codes::UNKNOWN_KIND,
        kind_node,
        format!("`{kind}` of `{api_version}` is no policy"),
        help,
    );
}
