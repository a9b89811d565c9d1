use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use policy_model::{
    Block, EndpointPeer, EndpointScope, FqdnBy, FqdnPeer, Peer, Peers, Scope, ServicePeer,
    ServiceRef,
};

use super::super::v3::{EntitySpec, IpVersion};
use super::rule::entity;

/// Whom a rule is about: `family` narrows it to the addresses of one.
pub(super) fn lower(
    destination: Option<&EntitySpec<'_>>,
    family: Option<IpVersion>,
    namespace: Option<&Arc<str>>,
) -> Peers {
    let Some(spec) = destination else {
        return family.map_or(Peers::Any, |family| blocks(&[whole(family)], &[]));
    };
    if let Some(service) = &spec.service {
        let other = service.value.namespace.map(Arc::from);
        return Peers::Of(vec![Peer::Service(ServicePeer {
            namespace: other.or_else(|| namespace.cloned()),
            service: ServiceRef::Name(service.value.name.into()),
            with_ports: true,
        })]);
    }
    if let Some(domains) = &spec.domains {
        let names = domains.value.iter().map(|pattern| {
            Peer::Fqdn(FqdnPeer {
                pattern: pattern.clone(),
                by: FqdnBy::Chain,
                scope: Scope::Any,
            })
        });
        return Peers::Of(names.collect());
    }
    let mut nets: Vec<IpNet> = spec.nets.iter().map(|net| net.value).collect();
    let not_nets: Vec<IpNet> = spec.not_nets.iter().map(|net| net.value).collect();
    match family {
        Some(family) if nets.is_empty() => nets.push(whole(family)),
        // A source of one family and a destination of the other: no flow is like that.
        Some(family) => nets.retain(|net| IpVersion::of(*net) == family),
        None => {}
    }
    if family.is_some() && nets.is_empty() {
        return Peers::Of(Vec::new());
    }
    if spec.selects() {
        return Peers::Of(vec![Peer::Endpoints(EndpointPeer {
            selector: entity(spec, namespace),
            not_selector: spec
                .not_selector
                .as_ref()
                .map(|selector| selector.value.expression()),
            scope: EndpointScope::All,
            nets,
            not_nets,
        })]);
    }
    if nets.is_empty() && not_nets.is_empty() {
        return Peers::Any;
    }
    if nets.is_empty() {
        nets = vec![whole(IpVersion::V4), whole(IpVersion::V6)];
    }
    blocks(&nets, &not_nets)
}

/// Ranges without others: plain blocks, so that what is said of blocks holds for them.
fn blocks(nets: &[IpNet], not_nets: &[IpNet]) -> Peers {
    let peers = nets
        .iter()
        .filter(|net| !not_nets.iter().any(|not| not.contains(*net)))
        .map(|net| {
            Peer::Block(Block {
                net: *net,
                except: not_nets
                    .iter()
                    .filter(|not| net.contains(*not))
                    .copied()
                    .collect(),
                scope: Scope::Any,
            })
        });
    Peers::Of(peers.collect())
}

fn whole(family: IpVersion) -> IpNet {
    match family {
        IpVersion::V4 => IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
        IpVersion::V6 => IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
    }
}
