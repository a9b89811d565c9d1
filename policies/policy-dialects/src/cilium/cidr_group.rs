//! `CiliumCIDRGroup`: a named list of blocks, and what `toCIDRSet` makes of it.

use std::sync::Arc;

use ipnet::IpNet;
use policy_model::{Block, LabelSelector, Labels, Scope};

use super::v2::closed_text;
use crate::codes;
use crate::decode::Findings;
use crate::object::Object;
use crate::surroundings::Surroundings;
use crate::yaml::{Node, Shape};
use crate::{Context, cidr};

/// A group that was read.
#[derive(Debug, Clone)]
pub(crate) struct CidrGroup {
    labels: Labels,
    nets: Vec<IpNet>,
}

/// An entry of `toCIDRSet`.
#[derive(Debug)]
pub(crate) enum CidrSetSpec<'d> {
    Block(Block),
    Group {
        node: Node<'d>,
        which: GroupSpec<'d>,
        except: Vec<IpNet>,
    },
}

#[derive(Debug)]
pub(crate) enum GroupSpec<'d> {
    Name(&'d str),
    Selector(LabelSelector),
}

/// Reads one object; a refused one is no group.
pub(super) fn read(
    object: &Object<'_>,
    _context: &Context,
    surroundings: &mut Surroundings,
    findings: &mut Findings,
) {
    let mark = findings.mark();
    let Some(spec) = object.spec(findings) else {
        return;
    };
    let Some(mut fields) = findings.fields(spec) else {
        return;
    };
    let items = match fields.take("externalCIDRs") {
        Some(node) => findings.list(node).unwrap_or_default(),
        None => {
            findings.report(codes::MISSING_FIELD, spec, "`externalCIDRs` is missing");
            Vec::new()
        }
    };
    fields.finish(findings, codes::UNKNOWN_FIELD);
    let nets = items
        .into_iter()
        .filter_map(|item| cidr::decode(item, codes::CILIUM_CIDR, findings))
        .collect();
    let labels = labels(object, findings);
    if !findings.refused_since(mark) {
        let group = CidrGroup { labels, nets };
        surroundings
            .cidr_groups
            .insert(Arc::clone(&object.id.name), group);
    }
}

fn labels(object: &Object<'_>, findings: &mut Findings) -> Labels {
    let labels = object
        .node
        .get("metadata")
        .and_then(|metadata| metadata.get("labels"))
        .filter(|labels| !labels.is_null());
    let mut read = Labels::new();
    if let Some(labels) = labels {
        let Shape::Mapping(entries) = labels.shape() else {
            findings.wrong_type(labels, "a mapping");
            return read;
        };
        for entry in entries.iter() {
            if let Some(value) = findings.string(entry.value) {
                read.insert(entry.key.into(), value.value.into());
            }
        }
    }
    read
}

impl CidrSetSpec<'_> {
    /// The blocks that are meant; nothing where no group was found, which is reported.
    pub(super) fn lower(
        self,
        deny: bool,
        surroundings: &Surroundings,
        findings: &mut Findings,
    ) -> Option<Vec<Block>> {
        let (node, which, except) = match self {
            Self::Block(block) => return Some(vec![block]),
            Self::Group {
                node,
                which,
                except,
            } => (node, which, except),
        };
        let found: Vec<&CidrGroup> = match &which {
            GroupSpec::Name(name) => surroundings.cidr_groups.get(*name).into_iter().collect(),
            GroupSpec::Selector(selector) => surroundings
                .cidr_groups
                .values()
                .filter(|group| selector.matches(&group.labels))
                .collect(),
        };
        if found.is_empty() {
            let what = match which {
                GroupSpec::Name(name) => {
                    format!("the CiliumCIDRGroup `{name}`, which is not among the objects given,")
                }
                GroupSpec::Selector(_) => {
                    "a group whose labels no CiliumCIDRGroup among the objects given has".to_owned()
                }
            };
            findings.report_help(
                codes::CILIUM_CIDR_GROUP,
                node,
                closed_text(&what, deny),
                "give the group's own file too, or write its blocks out as `cidr`",
            );
            return None;
        }
        let nets = found.into_iter().flat_map(|group| &group.nets);
        let blocks = nets.filter_map(|net| {
            // The exceptions belong to the group as a whole: those outside of one block have no effect on it.
            if except.iter().any(|except| except.contains(net)) {
                return None;
            }
            let mut block = Block::new(*net, Scope::Outside);
            block.except = except
                .iter()
                .filter(|except| net.contains(*except))
                .copied()
                .collect();
            Some(block)
        });
        Some(blocks.collect())
    }
}
