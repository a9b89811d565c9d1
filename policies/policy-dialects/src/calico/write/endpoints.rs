//! Endpoints as destinations.

use ipnet::IpNet;
use policy_model::{Action, EndpointPeer, EndpointScope, Rule};

use crate::cidr::canonical;
use crate::convert::is_guarded_address;
use crate::yaml::write::Map;

use super::expressions::text;
use super::peers::{MOST, texts};
use super::selectors;

/// A destination for each family of its blocks.
pub(super) fn endpoint_maps(
    peer: &EndpointPeer,
    rule: &Rule,
    own: Option<&str>,
) -> Option<Vec<Map>> {
    let EndpointPeer {
        selector,
        not_selector,
        scope,
        nets,
        not_nets,
    } = peer;
    let mut map = match selector {
        Some(selector) => selectors::endpoints(selector, own)?,
        // A namespaced policy would mean its own namespace.
        None if not_selector.is_some() && own.is_some() => return None,
        None => Map::new(),
    };
    if *scope == EndpointScope::WithoutSets {
        return None;
    }
    if let Some(not) = not_selector {
        map.push("notSelector", text(not)?);
    }
    let nets: Vec<IpNet> = nets.iter().copied().map(canonical).collect();
    let not_nets: Vec<IpNet> = not_nets.iter().copied().map(canonical).collect();
    if nets.len() > MOST || not_nets.len() > MOST {
        return None;
    }
    // A plain block of a guarded address would open it.
    if selector.is_none()
        && not_selector.is_none()
        && rule.action == Action::Allow
        && nets.iter().copied().any(is_guarded_address)
    {
        return None;
    }
    let is_v4 = |net: &&IpNet| matches!(net, IpNet::V4(_));
    let families: Vec<bool> = match (nets.is_empty(), not_nets.is_empty()) {
        (true, true) => return Some(vec![map]),
        // Without blocks both families are meant, and a rule speaks of one.
        (true, false) => {
            if not_nets.iter().any(|net| net.prefix_len() == 0)
                || not_nets.iter().any(|net| is_v4(&net)) != not_nets.iter().all(|net| is_v4(&net))
            {
                return None;
            }
            return Some(vec![map.with("notNets", texts(&not_nets))]);
        }
        (false, _) => vec![true, false],
    };
    let mut maps = Vec::new();
    for v4 in families {
        let of = |list: &[IpNet]| -> Vec<IpNet> {
            list.iter()
                .filter(|net| is_v4(net) == v4)
                .copied()
                .collect()
        };
        let (nets, not_nets) = (of(&nets), of(&not_nets));
        // What holds every address leaves none.
        if nets.is_empty() || not_nets.iter().any(|net| net.prefix_len() == 0) {
            continue;
        }
        let mut map = map.clone().with("nets", texts(&nets));
        if !not_nets.is_empty() {
            map.push("notNets", texts(&not_nets));
        }
        maps.push(map);
    }
    Some(maps)
}
