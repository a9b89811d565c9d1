use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use dns_names::{Name, RecordType, Resolution};
use policy_model::{DestinationClass, Peer, Service, Time};

use super::trial::{Question, default_cluster_domain};
use super::{Response, Scene, expiry};
use crate::file::{FlowTest, ToSpec};
use crate::need::Need;

/// How long the one address of a host without a response lives.
const FRESH_TTL: u32 = 60;

/// Where a flow goes.
pub(super) struct Destination {
    /// The look-up, where a program makes one.
    pub(super) question: Option<Question>,
    /// None of a host whose answers hold none.
    pub(super) addresses: Vec<IpAddr>,
    /// An answer beside the scene's: of a host that has none.
    pub(super) fresh: Option<Response>,
}

impl Destination {
    const fn of_addresses(addresses: Vec<IpAddr>) -> Self {
        Self {
            question: None,
            addresses,
            fresh: None,
        }
    }
}

impl Scene {
    /// What a test calls its destination, as addresses; every one of them must agree.
    pub(super) fn destination(&self, flow: &FlowTest, now: Time) -> Result<Destination, Need> {
        let cluster = self.cluster();
        let known = |what: &'static str, name: String, addresses: Vec<IpAddr>| {
            if addresses.is_empty() {
                return Err(Need::Address { what, name });
            }
            Ok(Destination::of_addresses(addresses))
        };
        match &flow.to {
            // The address of a pod, node or Service is that object, because the engine judges addresses.
            ToSpec::Ip(ip) => Ok(Destination::of_addresses(vec![*ip])),
            ToSpec::Host { name, ip } => self.host(name, *ip, now, flow.established),
            ToSpec::Pod { namespace, name } => {
                let id = (Arc::clone(namespace), Arc::clone(name));
                let pod = cluster.pods.get(&id).ok_or(Need::Pod {
                    namespace: id.0,
                    name: id.1,
                })?;
                known("pod", format!("{namespace}/{name}"), pod.addresses.clone())
            }
            ToSpec::Node(name) => {
                let node = cluster.nodes.get(name).ok_or_else(|| Need::Object {
                    what: "node",
                    name: name.to_string(),
                })?;
                known("node", name.to_string(), node.addresses.clone())
            }
            ToSpec::Service { namespace, name } => {
                let id = (Arc::clone(namespace), Arc::clone(name));
                let name = format!("{namespace}/{name}");
                let Some(service) = cluster.services.get(&id) else {
                    return Err(Need::Object {
                        what: "Service",
                        name,
                    });
                };
                if !service.addresses.is_empty()
                    && !service
                        .ports
                        .iter()
                        .any(|port| (port.port, port.protocol) == (flow.port, flow.protocol))
                {
                    return Err(Need::ServicePort {
                        name,
                        port: flow.port,
                        protocol: flow.protocol,
                    });
                }
                known("Service", name, addresses_of_service(service))
            }
        }
    }

    /// A host: what a program sees that looks it up; with `ip`, at that one of its addresses.
    fn host(
        &self,
        name: &Name,
        ip: Option<IpAddr>,
        now: Time,
        established: bool,
    ) -> Result<Destination, Need> {
        // One that says there is no address is an answer: nothing is made up beside it.
        let answers = self.file.responses.iter();
        let answers = answers.filter(|answer| answer.query == *name);
        let trusted: Vec<bool> = answers.map(|answer| answer.trusted).collect();
        let fresh = trusted
            .is_empty()
            .then(|| self.fresh_response(name, ip, now));
        let seen = self
            .responses
            .iter()
            .chain(&fresh)
            .filter(|response| response.resolution.chain.first() == Some(name));
        let (mut live, mut all) = (Vec::new(), Vec::new());
        for response in seen {
            for address in &response.resolution.addresses {
                all.push(address.ip);
                if established || now <= expiry(response, address.ttl, &self.settings) {
                    live.push(address.ip);
                }
            }
        }
        // Where every lease is over, a program that kept an address still tries it.
        let mut addresses = if live.is_empty() { all.clone() } else { live };
        addresses.sort_unstable();
        addresses.dedup();
        if let Some(ip) = ip {
            if !all.iter().any(|of| of.to_canonical() == ip.to_canonical()) {
                return Err(Need::HostAddress {
                    name: name.without_dot().to_owned(),
                    ip,
                });
            }
            addresses = vec![ip];
        }
        let record_type = match addresses.first() {
            Some(IpAddr::V6(_)) => RecordType::AAAA,
            Some(IpAddr::V4(_)) | None => RecordType::A,
        };
        // What a server answered that nobody configured, no known resolver was asked.
        let asked = fresh.is_some() || trusted.contains(&true);
        Ok(Destination {
            question: asked.then(|| Question {
                name: name.clone(),
                record_type,
            }),
            addresses,
            fresh,
        })
    }

    /// The answer to a host that has none: the addresses of the Service it names, else the one that is asked for, else an
    /// unused one.
    fn fresh_response(&self, host: &Name, ip: Option<IpAddr>, now: Time) -> Response {
        let addresses = match self.service_named(host) {
            Some(service) => addresses_of_service(service),
            None => vec![ip.unwrap_or_else(|| self.unused_address(host))],
        };
        let addresses = addresses
            .into_iter()
            .map(|ip| dns_names::Address { ip, ttl: FRESH_TTL });
        Response {
            resolution: Resolution {
                chain: vec![host.clone()],
                addresses: addresses.collect(),
                strays: Vec::new(),
                ttl: Some(FRESH_TTL),
            },
            at: now,
            trusted: true,
        }
    }

    /// The Service of the world whose name in the cluster's own zone a host is: the cluster's DNS answers that.
    fn service_named(&self, host: &Name) -> Option<&Service> {
        let zone = self.settings.cluster_domain.clone();
        let zone = zone.unwrap_or_else(default_cluster_domain);
        let below = host.as_str().strip_suffix(zone.as_str())?;
        let (name, namespace) = below.strip_suffix(".svc.")?.split_once('.')?;
        self.cluster()
            .services
            .get(&(Arc::from(namespace), Arc::from(name)))
    }

    /// An address no response, test or address rule names: of the range for benchmarks (RFC 2544), chosen by the name.
    fn unused_address(&self, host: &Name) -> IpAddr {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64; // FNV-1a
        for byte in host.as_str().bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let mut candidate = u16::try_from(hash & 0xffff).unwrap_or(0);
        for _ in 0..u16::MAX {
            let [high, low] = candidate.to_be_bytes();
            let ip = IpAddr::V4(Ipv4Addr::new(198, 18, high, low));
            if low != 0 && low != 255 && !self.names_address(ip) {
                return ip;
            }
            candidate = candidate.wrapping_add(1);
        }
        IpAddr::V4(Ipv4Addr::new(198, 19, 0, 1))
    }

    fn names_address(&self, ip: IpAddr) -> bool {
        let in_rule = |peer: &Peer| {
            peer.as_block()
                .is_some_and(|block| block.net.prefix_len() > 0 && block.net.contains(&ip))
        };
        let rules = self.policies.iter().flat_map(|policy| &policy.rules);
        rules
            .into_iter()
            .any(|rule| rule.peers.given().iter().any(in_rule))
            || self.responses.iter().any(|response| {
                response
                    .resolution
                    .addresses
                    .iter()
                    .any(|address| address.ip == ip)
            })
            || self
                .world
                .resolvers
                .iter()
                .any(|resolver| resolver.address == ip)
            || self.world.class_of(ip) != DestinationClass::Outside
    }
}

/// Where the name of a Service leads: to its own addresses, or, of a headless one, to its backends.
fn addresses_of_service(service: &Service) -> Vec<IpAddr> {
    if !service.addresses.is_empty() {
        return service.addresses.clone();
    }
    let backends = service.ports.iter().flat_map(|port| &port.backends);
    let mut addresses: Vec<IpAddr> = backends.map(|backend| backend.address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}
