//! `EgressSet`: a named list of blocks and names. It lives in no namespace, because `set: partners` says none and policies of
//! the whole cluster name it too.

use std::sync::Arc;

use policy_model::Peer;

use super::v1alpha1::{PeerKindSpec, decode_members};
use crate::Context;
use crate::codes;
use crate::decode::Findings;
use crate::object::Object;
use crate::surroundings::Surroundings;

use super::lower::lower_names_and_blocks;

/// A set that was read.
#[derive(Debug, Clone)]
pub(crate) struct EgressSet {
    pub(crate) peers: Vec<Peer>,
}

/// Reads one object; a refused one is no set.
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
    let mut peers = Vec::new();
    for member in decode_members(spec, findings) {
        match member.kind {
            kind @ (PeerKindSpec::Fqdn { .. } | PeerKindSpec::Cidr { .. }) => {
                peers.extend(lower_names_and_blocks(kind));
            }
            PeerKindSpec::Pods(_)
            | PeerKindSpec::Nodes { .. }
            | PeerKindSpec::Service(_)
            | PeerKindSpec::Entity(_)
            | PeerKindSpec::Endpoints(_)
            | PeerKindSpec::Set(_) => findings.report(
                codes::NATIVE_PEER,
                member.node,
                "a set has members by `fqdn` and by `cidr` only",
            ),
        }
    }
    if !findings.refused_since(mark) {
        crate::nulls::refuse(spec, findings);
    }
    if !findings.refused_since(mark) {
        surroundings
            .egress_sets
            .insert(Arc::clone(&object.id.name), EgressSet { peers });
    }
}
