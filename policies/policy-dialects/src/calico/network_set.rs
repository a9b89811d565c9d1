use policy_model::NetworkSet;

use super::{domains, labels};
use crate::Context;
use crate::cidr;
use crate::codes;
use crate::decode::Findings;
use crate::object::Object;
use crate::surroundings::Surroundings;

/// Reads a `NetworkSet` or `GlobalNetworkSet`.
pub(super) fn read(
    object: &Object<'_>,
    _context: &Context,
    surroundings: &mut Surroundings,
    findings: &mut Findings,
) {
    let mark = findings.mark();
    let labels = labels::of_object(object, findings);
    let Some(mut fields) = object.spec(findings).and_then(|spec| findings.fields(spec)) else {
        return;
    };
    let nets = match fields.take("nets") {
        None => Vec::new(),
        Some(node) => findings
            .list(node)
            .unwrap_or_default()
            .into_iter()
            // Unlike in rules, an address without a length is one here (libcalico-go, `ParseCIDROrIP`).
            .filter_map(|net| cidr::decode_or_address(net, codes::CALICO_NETS, findings))
            .collect(),
    };
    let domains = fields
        .take("allowedEgressDomains")
        .map_or_else(Vec::new, |node| domains::decode(node, findings));
    fields.finish(findings, codes::UNKNOWN_FIELD);
    if findings.refused_since(mark) {
        return;
    }
    if nets.is_empty() && domains.is_empty() {
        findings.report_help(
            codes::CALICO_EMPTY_SET,
            object.node,
            "the set is empty, so a rule that selects it matches nothing",
            "Calico's API server drops `allowedEgressDomains` where it is not Enterprise's: read the set as it was applied",
        );
    }
    let set = NetworkSet {
        labels,
        nets,
        domains,
    };
    let name = (object.id.namespace.clone(), object.id.name.clone());
    surroundings.cluster.network_sets.insert(name, set);
}
