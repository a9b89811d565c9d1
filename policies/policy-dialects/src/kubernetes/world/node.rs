use std::sync::Arc;

use policy_model::Node;

use crate::cidr;
use crate::codes;
use crate::decode::Findings;
use crate::kubernetes::object_labels;
use crate::object::Object;
use crate::surroundings::Surroundings;

use super::{add_once, address, field, items, text};

/// A node: its labels, `status.addresses` that are addresses (the others are names), and the ranges of its pods.
pub(super) fn read(object: &Object<'_>, surroundings: &mut Surroundings, findings: &mut Findings) {
    let mut node = Node {
        labels: object_labels(object.node, findings),
        ..Node::default()
    };
    let status = field(Some(object.node), "status");
    for item in items(status, "addresses", findings) {
        let kind = text(Some(item), "type", findings).map_or("", |kind| kind.value);
        if !matches!(kind, "InternalIP" | "ExternalIP") {
            continue;
        }
        let known = field(Some(item), "address").and_then(|value| address(value, findings));
        add_once(&mut node.addresses, known);
    }
    let spec = field(Some(object.node), "spec");
    let mut ranges = items(spec, "podCIDRs", findings);
    ranges.extend(field(spec, "podCIDR"));
    for range in ranges {
        let net = cidr::decode(range, codes::INVALID_CIDR, findings);
        add_once(&mut node.pod_cidrs, net);
    }
    let name = Arc::clone(&object.id.name);
    surroundings.cluster.nodes.insert(name, node);
}
