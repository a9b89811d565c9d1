//! Ingress rules. They are not enforced; what would make Cilium refuse the object is still looked for.

use super::peers::{decode_cidr_set, selectors};
use super::{filled, report_icmps_beside, report_second};
use crate::cilium::ports::{PortRuleSpec, Position};
use crate::cilium::{entity, icmp};
use crate::yaml::Node;
use crate::{Context, cidr, codes, decode::Findings};

/// Looks at one entry of `ingress` or `ingressDeny`. Of what is found only refusals count: nothing else has an effect here.
pub(super) fn check(
    node: Node<'_>,
    position: Position,
    context: &Context,
    findings: &mut Findings,
) {
    let Some(mut fields) = findings.fields(node) else {
        return;
    };
    let given: Vec<(&'static str, Node<'_>)> = [
        ("FromEndpoints", fields.take("fromEndpoints")),
        ("FromCIDR", fields.take("fromCIDR")),
        ("FromCIDRSet", fields.take("fromCIDRSet")),
        ("FromEntities", fields.take("fromEntities")),
        ("FromNodes", fields.take("fromNodes")),
        ("FromGroups", fields.take("fromGroups")),
    ]
    .into_iter()
    .filter_map(|(name, node)| Some((name, node?)))
    .collect();
    report_second(&filled(&given), findings);
    for (name, node) in given {
        let items = findings.list(node).unwrap_or_default();
        match name {
            "FromCIDR" => {
                for item in items {
                    cidr::decode(item, codes::CILIUM_CIDR, findings);
                }
            }
            "FromCIDRSet" => {
                for item in items {
                    decode_cidr_set(item, findings);
                }
            }
            "FromEntities" => {
                for item in items {
                    entity::decode(item, position.deny, findings);
                }
            }
            "FromNodes" if !items.is_empty() && !context.cilium.node_selector_labels => findings
                .report(
                    codes::CILIUM_NODES_FLAG,
                    node,
                    "FromNodes/ToNodes rules can only be applied when the enable-node-selector-labels flag is set",
                ),
            "FromEndpoints" | "FromNodes" => {
                selectors(items, findings);
            }
            // What a provider of clouds calls a group is for Cilium to ask.
            _ => {}
        }
    }
    let (ports, icmps) = (fields.take("toPorts"), fields.take("icmps"));
    report_icmps_beside(ports, icmps, findings);
    for item in ports
        .and_then(|ports| findings.list(ports))
        .unwrap_or_default()
    {
        PortRuleSpec::decode(item, position, context, findings);
    }
    if let Some(icmps) = icmps {
        icmp::decode(icmps, findings);
    }
}
