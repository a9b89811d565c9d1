//! Endpoints by an expression over their labels, in the selector language Calico has.

use ipnet::IpNet;
use policy_model::{AddressedSubject, EndpointPeer, EndpointScope, Expression, Subject};

use super::{limits, non_empty};
use crate::calico::decode_selector;
use crate::codes;
use crate::decode::Findings;
use crate::yaml::Node;

/// `endpoints` of a rule: `{selector, notSelector, nets, notNets, networkSets}`; all that is given must hold.
pub(super) fn decode(node: Node<'_>, findings: &mut Findings) -> Option<EndpointPeer> {
    let mut fields = findings.fields(node)?;
    let selector = fields.take("selector");
    let not_selector = fields.take("notSelector");
    let nets = fields.take("nets");
    let not_nets = fields.take("notNets");
    let sets = fields.take("networkSets");
    fields.finish(findings, codes::UNKNOWN_FIELD);
    let given = [selector, not_selector, nets, not_nets];
    if given.iter().all(Option::is_none) {
        findings.report_help(
            codes::NATIVE_PEER,
            node,
            "`endpoints` says nothing of them",
            "write `selector: all()` for every endpoint, or `entity: all` for every destination",
        );
        return None;
    }
    Some(EndpointPeer {
        selector: expression(selector, findings)?,
        not_selector: expression(not_selector, findings)?,
        scope: match sets {
            Some(node) if !findings.boolean(node)? => EndpointScope::WithoutSets,
            Some(_) | None => EndpointScope::All,
        },
        nets: blocks(nets, findings)?,
        not_nets: blocks(not_nets, findings)?,
    })
}

/// `endpoints` of a subject: `{selector, nets, notNets}`.
pub(super) fn decode_subject(node: Node<'_>, findings: &mut Findings) -> Option<Subject> {
    let mut fields = findings.fields(node)?;
    let selector = fields.take("selector");
    let nets = fields.take("nets");
    let not_nets = fields.take("notNets");
    fields.finish(findings, codes::UNKNOWN_FIELD);
    let Some(selector) = selector else {
        findings.report_help(
            codes::MISSING_FIELD,
            node,
            "`selector` is missing",
            "write `selector: all()` for every endpoint",
        );
        return None;
    };
    let endpoints = expression(Some(selector), findings)??;
    let (nets, not_nets) = (blocks(nets, findings)?, blocks(not_nets, findings)?);
    Some(if nets.is_empty() && not_nets.is_empty() {
        Subject::Endpoints(endpoints)
    } else {
        Subject::Addressed(AddressedSubject {
            endpoints,
            nets,
            not_nets,
        })
    })
}

/// Nothing inside where no text is given; nothing at all where it cannot be read.
fn expression(node: Option<Node<'_>>, findings: &mut Findings) -> Option<Option<Expression>> {
    let Some(node) = node else { return Some(None) };
    non_empty(node, findings)?;
    Some(Some(decode_selector(node, findings)?.value.expression()))
}

fn blocks(node: Option<Node<'_>>, findings: &mut Findings) -> Option<Vec<IpNet>> {
    let Some(node) = node else {
        return Some(Vec::new());
    };
    let items = limits::list(node, limits::NETS, findings)?;
    if items.is_empty() {
        findings.report_help(
            codes::EMPTY_LIST,
            node,
            "an empty list of blocks could mean every address or none",
            "leave it out for every address",
        );
        return None;
    }
    let mark = findings.mark();
    let nets: Vec<IpNet> = items
        .into_iter()
        .filter_map(|item| crate::cidr::decode(item, codes::INVALID_CIDR, findings))
        .collect();
    (!findings.refused_since(mark)).then_some(nets)
}
