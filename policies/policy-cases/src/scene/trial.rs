use std::net::IpAddr;
use std::time::Duration;

use dns_names::{Name, RecordType};
use policy_engine::NamedLease;
use policy_model::{Protocol, Settings, Time, Workload};

use super::destination::Destination;
use super::resolvers::{of_service, resolver};
use super::{EPOCH, Response, Scene, expiry};
use crate::file::{Check, FromSpec, QueryTest, ResolverSpec, ServerSpec, Test};
use crate::need::Need;

/// One test with all an engine needs to run it.
#[derive(Debug)]
pub struct Trial<'s> {
    pub scene: &'s Scene,
    pub test: &'s Test,
    pub workload: Workload,
    pub settings: Settings,
    pub now: Time,
    pub kind: TrialKind,
    /// An answer beside the scene's: of a host that has none.
    pub fresh: Option<Response>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialKind {
    /// A flow to each address, after the question where there is one; a host whose answers hold no address has none.
    Flow {
        question: Option<Question>,
        addresses: Vec<IpAddr>,
        protocol: Protocol,
        port: u16,
        established: bool,
    },
    Query {
        question: Question,
        server: IpAddr,
        port: u16,
        protocol: Protocol,
    },
    Learned {
        host: Name,
    },
}

/// A DNS question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub name: Name,
    pub record_type: RecordType,
}

impl Scene {
    /// Makes a test ready to run.
    ///
    /// # Errors
    /// What it needs that the world does not have.
    pub fn trial<'s>(&'s self, test: &'s Test) -> Result<Trial<'s>, Need> {
        let now = EPOCH + Duration::from_secs(test.at.into());
        let mut fresh = None;
        let (from, kind) = match &test.check {
            Check::Flow(flow) => {
                let to = self.destination(flow, now)?;
                let Destination {
                    question,
                    addresses,
                    fresh: made_up,
                } = to;
                fresh = made_up;
                let kind = TrialKind::Flow {
                    question,
                    addresses,
                    protocol: flow.protocol,
                    port: flow.port,
                    established: flow.established,
                };
                (&flow.from, kind)
            }
            Check::Query(query) => (&query.from, self.query(query)?),
            Check::Learned(learned) => (
                &learned.from,
                TrialKind::Learned {
                    host: learned.host.clone(),
                },
            ),
            Check::Diagnostic(_) => return Err(Need::NoEngine),
        };
        let workload = self.workload(from)?;
        let pod = matches!(from, FromSpec::Pod { .. } | FromSpec::Described { .. });
        let settings = self.settings_for(pod);
        Ok(Trial {
            scene: self,
            test,
            workload,
            settings,
            now,
            kind,
            fresh,
        })
    }

    fn query(&self, query: &QueryTest) -> Result<TrialKind, Need> {
        let (server, own_port) = match &query.server {
            ServerSpec::Cluster => {
                let resolver = self
                    .world
                    .resolvers
                    .first()
                    .copied()
                    .unwrap_or_else(resolver);
                (resolver.address, resolver.port)
            }
            ServerSpec::Known(ResolverSpec::Address(address))
            | ServerSpec::Unknown(ResolverSpec::Address(address)) => (address.ip(), address.port()),
            ServerSpec::Known(ResolverSpec::Service(service))
            | ServerSpec::Unknown(ResolverSpec::Service(service)) => {
                // The cluster's own is known without the world.
                let stand_in = matches!(query.server, ServerSpec::Known(_)).then(resolver);
                let server = of_service(service, self.cluster()).first().copied();
                let server = server.or(stand_in).ok_or_else(|| Need::Object {
                    what: "Service",
                    name: service.to_string(),
                })?;
                (server.address, server.port)
            }
        };
        Ok(TrialKind::Query {
            question: Question {
                name: query.name.clone(),
                record_type: query.record_type,
            },
            server,
            port: query.port.unwrap_or(own_port),
            protocol: query.protocol,
        })
    }
}

impl Trial<'_> {
    /// Whether it is a flow of a pod to itself, by its own addresses. In the host's network those are the host's, and judged.
    pub fn is_own(&self) -> bool {
        let pod = &self.workload.pod;
        match &self.kind {
            TrialKind::Flow { addresses, .. } => {
                !addresses.is_empty() && addresses.iter().all(|ip| pod.is_own(*ip))
            }
            TrialKind::Query { .. } | TrialKind::Learned { .. } => false,
        }
    }

    /// Whether it is a flow to a host whose answers hold no address.
    pub const fn has_no_address(&self) -> bool {
        match &self.kind {
            TrialKind::Flow { addresses, .. } => addresses.is_empty(),
            TrialKind::Query { .. } | TrialKind::Learned { .. } => false,
        }
    }

    /// What was learned of each address by trusted answers: by address, in the order of the answers.
    pub fn leases(&self) -> Vec<(IpAddr, NamedLease)> {
        let responses = self
            .scene
            .responses
            .iter()
            .chain(&self.fresh)
            .filter(|response| response.trusted);
        responses
            .flat_map(|response| {
                let [question, chain @ ..] = response.resolution.chain.as_slice() else {
                    return Vec::new();
                };
                response
                    .resolution
                    .addresses
                    .iter()
                    .map(|address| {
                        let lease = NamedLease {
                            question: question.clone(),
                            chain: chain.to_vec(),
                            expires_at: expiry(response, address.ttl, &self.settings),
                        };
                        (address.ip.to_canonical(), lease)
                    })
                    .collect()
            })
            .collect()
    }
}

pub(super) fn default_cluster_domain() -> Name {
    Name::parse("cluster.local").expect("`cluster.local` is a name")
}
