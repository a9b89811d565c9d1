//! Names of the cluster's own zone, by the specification of DNS in Kubernetes (1.1.0, sections 2.3 to 2.5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use dns_names::Name;

use crate::cluster::{Backend, Cluster};
use crate::ports::Protocol;

/// Labels before a Service's own: `_http._tcp` of a port, or the name of an endpoint.
const MOST_BEFORE_SERVICE: usize = 2;

impl Cluster {
    /// Where flows to what a name of `zone` stands for end: the backends of a Service, of one of its ports or of one of its
    /// endpoints, and the named ports of the pod of `10-0-0-1.prod.pod`, and those behind a Service.
    ///
    /// Nothing for every other name. A pod without either stands for nothing.
    pub fn behind_name(&self, name: &Name, zone: &Name) -> Vec<(Backend, Protocol)> {
        if !name.is_below(zone) {
            return Vec::new();
        }
        let Some(below) = name.as_str().strip_suffix(zone.as_str()) else {
            return Vec::new();
        };
        let labels: Vec<&str> = below.trim_end_matches('.').split('.').collect();
        match labels.as_slice() {
            [before @ .., service, namespace, "svc"] if before.len() <= MOST_BEFORE_SERVICE => {
                self.behind_service(namespace, service)
            }
            [address, namespace, "pod"] => self.behind_pod(namespace, address),
            _ => Vec::new(),
        }
    }

    fn behind_service(&self, namespace: &str, service: &str) -> Vec<(Backend, Protocol)> {
        let name = (Arc::from(namespace), Arc::from(service));
        let ports = self.services.get(&name).into_iter();
        ports
            .flat_map(|service| &service.ports)
            .flat_map(|port| {
                port.backends
                    .iter()
                    .map(|backend| (*backend, port.protocol))
            })
            .collect()
    }

    fn behind_pod(&self, namespace: &str, dashed: &str) -> Vec<(Backend, Protocol)> {
        let Some(address) = undashed(dashed) else {
            return Vec::new();
        };
        let Some(((of, _), pod)) = self.pod_at(address) else {
            return Vec::new();
        };
        if **of != *namespace {
            return Vec::new();
        }
        let own = pod.ports.iter().map(|own| {
            let port = own.port;
            (Backend { address, port }, own.protocol)
        });
        let ports = self.services.values().flat_map(|service| &service.ports);
        let behind = ports.flat_map(|port| {
            let here = port.backends.iter();
            here.filter(|backend| backend.address == address)
                .map(|backend| (*backend, port.protocol))
        });
        own.chain(behind).collect()
    }
}

/// `10-0-0-1` and `2001-db8--1`.
fn undashed(text: &str) -> Option<IpAddr> {
    let four = text.replace('-', ".").parse::<Ipv4Addr>().map(IpAddr::V4);
    let six = || text.replace('-', ":").parse::<Ipv6Addr>().map(IpAddr::V6);
    four.or_else(|_| six()).ok()
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::cluster::{ContainerPort, Pod, Service, ServicePort};

    fn cluster() -> Cluster {
        let mut cluster = Cluster::default();
        let backend = |address: &str, port| Backend {
            address: address.parse().unwrap(),
            port,
        };
        cluster.services.insert(
            ("prod".into(), "api".into()),
            Service {
                ports: vec![ServicePort {
                    name: Some("http".into()),
                    protocol: Protocol::TCP,
                    port: 80,
                    node_port: None,
                    idle: Vec::new(),
                    backends: vec![backend("10.0.0.1", 8080), backend("10.0.0.2", 8080)],
                }],
                ..Service::default()
            },
        );
        for (name, address) in [("web-0", "10.0.0.1"), ("web-1", "2001:db8::1")] {
            cluster.pods.insert(
                ("prod".into(), name.into()),
                Pod {
                    addresses: vec![address.parse().unwrap()],
                    ports: vec![ContainerPort {
                        name: "syslog".into(),
                        protocol: Protocol::UDP,
                        port: 514,
                    }],
                    ..Pod::default()
                }
                .into(),
            );
        }
        cluster
    }

    #[test_case("api.prod.svc.cluster.local.", &["10.0.0.1:8080", "10.0.0.2:8080"]; "a service")]
    #[test_case("_http._tcp.api.prod.svc.cluster.local.", &["10.0.0.1:8080", "10.0.0.2:8080"]; "a port")]
    #[test_case("web-0.api.prod.svc.cluster.local.", &["10.0.0.1:8080", "10.0.0.2:8080"]; "an endpoint")]
    #[test_case("10-0-0-1.prod.pod.cluster.local.", &["10.0.0.1:514", "10.0.0.1:8080"]; "a pod")]
    #[test_case("2001-db8--1.prod.pod.cluster.local.", &["[2001:db8::1]:514"]; "a pod of the other family")]
    #[test_case("10-0-0-1.test.pod.cluster.local.", &[]; "a pod of another namespace")]
    #[test_case("10-0-0-9.prod.pod.cluster.local.", &[]; "an address nobody has")]
    #[test_case("x-y.prod.pod.cluster.local.", &[]; "no address")]
    #[test_case("db.prod.svc.cluster.local.", &[]; "a service nobody knows")]
    #[test_case("a.b.c.api.prod.svc.cluster.local.", &[]; "too much before it")]
    #[test_case("api.prod.svc.", &[]; "another zone")]
    #[test_case("prod.svc.cluster.local.", &[]; "a namespace")]
    #[test_case("cluster.local.", &[]; "the zone")]
    fn what_a_name_stands_for(name: &str, expected: &[&str]) {
        let zone = Name::parse("cluster.local.").unwrap();
        let behind = cluster().behind_name(&Name::parse(name).unwrap(), &zone);
        let texts: Vec<String> = behind
            .iter()
            .map(|(backend, _)| {
                std::net::SocketAddr::new(backend.address, backend.port).to_string()
            })
            .collect();
        assert_eq!(texts, expected);
    }
}
