//! A test file joined with the policies and the world it names, and each of its tests made ready to run.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use dns_names::{Name, Rcode, RecordType, Resolution};
use policy_dialects::decode::Findings;
use policy_dialects::{Context, Others, Reading, read_set};
use policy_engine::NamedLease;
use policy_model::{
    DefaultVerdict, Diagnostic, Level, Peer, Peers, Policy, Protocol, Resolver, Settings, Time,
    Workload, World,
};

use crate::cluster::Cluster;
use crate::file::{
    CaseFile, Check, Closed, FlowTest, FromSpec, QueryTest, ResolverSpec, ServerSpec, Test, ToSpec,
};
use crate::need::Need;

/// "Now" of every test file, since boot: late enough for any age.
pub const EPOCH: Time = Duration::from_secs(1_000_000_000);

/// How long the one address of a host without a response lives.
const FRESH_TTL: u32 = 60;

/// The resolver of a test file that names none.
#[must_use]
pub const fn resolver() -> Resolver {
    Resolver {
        address: IpAddr::V4(Ipv4Addr::new(10, 96, 0, 10)),
        port: 53,
    }
}

/// A file's name and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileText {
    pub name: String,
    pub text: String,
}

/// Everything the tests of one file share.
#[derive(Debug)]
pub struct Scene {
    pub file: CaseFile,
    pub policies: Vec<Policy>,
    /// Of the policies.
    pub diagnostics: Vec<Diagnostic>,
    pub cluster: Cluster,
    /// Without the parts that depend on who asks; see [`Trial::settings`].
    pub settings: Settings,
    pub world: World,
    pub responses: Vec<Response>,
}

/// A response that was seen.
#[derive(Debug, Clone)]
pub struct Response {
    pub resolution: Resolution,
    /// When it was seen.
    pub at: Time,
    /// Whether anything is learned from it.
    pub trusted: bool,
}

/// Why a file's tests cannot be run at all.
#[derive(Debug, thiserror::Error)]
pub enum SceneError {
    /// The world could not be read.
    #[error("the world could not be read")]
    World(Vec<Diagnostic>),
    #[error("the answers to `{question}` form no chain")]
    Chain {
        question: Name,
        #[source]
        source: dns_names::ChainError,
    },
    #[error(
        "settings.resolvers: `{service}` is a Service, and services are not known by this version"
    )]
    ResolverService { service: Arc<str> },
}

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
    /// A flow to each address, after the question where there is one.
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
    /// Joins a file with the texts of its `policies` and its `world`.
    ///
    /// # Errors
    /// The world or the responses make no sense. What is wrong with policies is in [`Scene::diagnostics`].
    pub fn prepare(
        file: CaseFile,
        policies: &[FileText],
        world: &[FileText],
    ) -> Result<Self, SceneError> {
        let context = Context {
            others: Others::World,
            ..Context::default()
        };
        let inline = file
            .inline
            .as_ref()
            .map(|inline| (&*file.source, &*inline.text));
        let texts = policies
            .iter()
            .map(|file| (file.name.as_str(), file.text.as_str()))
            .chain(inline);
        let Reading {
            policies,
            mut diagnostics,
            ..
        } = read_set(texts, &context);
        if let Some(inline) = &file.inline {
            for diagnostic in diagnostics
                .iter_mut()
                .filter(|diagnostic| *diagnostic.origin.source == *file.source)
            {
                diagnostic.origin.column += inline.indent;
            }
        }
        let mut cluster = Cluster::default();
        let mut findings = Findings::new("world");
        for file in world {
            findings = Findings::new(&file.name);
            cluster.add(&file.text, &mut findings);
            if findings.mark() > 0 {
                return Err(SceneError::World(findings.into_diagnostics()));
            }
        }
        if let Some(inline) = &file.inline {
            // What is wrong with the text of `inline` is said of the policies in it.
            cluster.add(&inline.text, &mut findings);
        }
        let settings = Settings {
            guards: file.settings.guards,
            cluster_domain: file.settings.cluster_domain.clone(),
            network_policy_cidr: file.settings.network_policy_cidr,
            grace: Duration::from_secs(file.settings.grace.into()),
            ..Settings::default()
        };
        let world = World {
            resolvers: resolvers(&file)?,
            ..World::default()
        };
        let responses =
            file.responses
                .iter()
                .filter(|response| response.rcode == Rcode::NOERROR)
                .map(|response| {
                    let resolution = Resolution::follow(&response.query, &response.records)
                        .map_err(|source| SceneError::Chain {
                            question: response.query.clone(),
                            source,
                        })?;
                    let at = EPOCH.saturating_sub(Duration::from_secs(response.age.into()));
                    Ok(Response {
                        resolution,
                        at,
                        trusted: response.trusted,
                    })
                })
                .collect::<Result<_, SceneError>>()?;
        Ok(Self {
            file,
            policies,
            diagnostics,
            cluster,
            settings,
            world,
            responses,
        })
    }

    /// The diagnostics that fail the file: refused and closed ones that no test expects.
    pub fn unexpected(&self) -> Vec<&Diagnostic> {
        let accepted = |diagnostic: &Diagnostic| match diagnostic.level {
            Level::Lint => true,
            Level::Closed if self.file.settings.closed == Closed::Accept => true,
            Level::Closed | Level::Refused => {
                self.file.tests.iter().any(|test| match &test.check {
                    Check::Diagnostic(expected) => expected.expects(diagnostic),
                    Check::Flow(_) | Check::Query(_) | Check::Learned(_) | Check::Matrix(_) => {
                        false
                    }
                })
            }
        };
        self.diagnostics
            .iter()
            .filter(|diagnostic| !accepted(diagnostic))
            .collect()
    }

    /// Makes a test ready to run.
    ///
    /// # Errors
    /// What it needs that this version does not have.
    pub fn trial<'s>(&'s self, test: &'s Test) -> Result<Trial<'s>, Need> {
        let now = EPOCH + Duration::from_secs(test.at.into());
        let mut fresh = None;
        let (from, kind) = match &test.check {
            Check::Flow(flow) => (&flow.from, self.flow(flow, now, &mut fresh)?),
            Check::Query(query) => (&query.from, self.query(query)?),
            Check::Learned(learned) => (
                &learned.from,
                TrialKind::Learned {
                    host: learned.host.clone(),
                },
            ),
            Check::Diagnostic(_) => return Err(Need::NoEngine),
            Check::Matrix(_) => return Err(Need::Cluster("a matrix of pods")),
        };
        let workload = self.workload(from)?;
        let pod = matches!(from, FromSpec::Pod { .. } | FromSpec::Described { .. });
        let settings = Settings {
            default: if pod {
                DefaultVerdict::Allow
            } else {
                DefaultVerdict::DenyOnceSelected
            },
            cluster_domain: self
                .settings
                .cluster_domain
                .clone()
                .or_else(|| pod.then(default_cluster_domain)),
            ..self.settings.clone()
        };
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

    fn flow(
        &self,
        flow: &FlowTest,
        now: Time,
        fresh: &mut Option<Response>,
    ) -> Result<TrialKind, Need> {
        let (question, addresses) = match &flow.to {
            ToSpec::Ip(ip) => {
                if self.cluster.pod_at(*ip).is_some() {
                    return Err(Need::Cluster("a pod as destination"));
                }
                (None, vec![*ip])
            }
            ToSpec::Host { name, ip } => {
                let (asked, mut addresses) = self.addresses_of(name, now, flow.established, fresh);
                if let Some(ip) = ip {
                    addresses = vec![*ip];
                }
                let record_type = match addresses.first() {
                    Some(IpAddr::V6(_)) => RecordType::AAAA,
                    Some(IpAddr::V4(_)) | None => RecordType::A,
                };
                (
                    asked.then(|| Question {
                        name: name.clone(),
                        record_type,
                    }),
                    addresses,
                )
            }
            ToSpec::Pod { .. } => return Err(Need::Cluster("a pod as destination")),
            ToSpec::Service { .. } => return Err(Need::Cluster("a service as destination")),
            ToSpec::Node(_) => return Err(Need::Cluster("a node as destination")),
        };
        Ok(TrialKind::Flow {
            question,
            addresses,
            protocol: flow.protocol,
            port: flow.port,
            established: flow.established,
        })
    }

    /// The addresses a program would use for a host, and whether it asks a known resolver for them.
    fn addresses_of(
        &self,
        host: &Name,
        now: Time,
        established: bool,
        fresh: &mut Option<Response>,
    ) -> (bool, Vec<IpAddr>) {
        let seen: Vec<&Response> = self
            .responses
            .iter()
            .filter(|response| response.resolution.chain.first() == Some(host))
            .collect();
        if seen
            .iter()
            .all(|response| response.resolution.addresses.is_empty())
        {
            let ip = self.unused_address(host);
            *fresh = Some(Response {
                resolution: Resolution {
                    chain: vec![host.clone()],
                    addresses: vec![dns_names::Address { ip, ttl: FRESH_TTL }],
                    strays: Vec::new(),
                    ttl: Some(FRESH_TTL),
                },
                at: now,
                trusted: true,
            });
            return (true, vec![ip]);
        }
        let mut live: Vec<IpAddr> = Vec::new();
        let mut all: Vec<IpAddr> = Vec::new();
        for response in &seen {
            for address in &response.resolution.addresses {
                all.push(address.ip);
                if established || now <= expiry(response, address.ttl, &self.settings) {
                    live.push(address.ip);
                }
            }
        }
        // Where every lease is over, a program that kept an address still tries it.
        let mut addresses = if live.is_empty() { all } else { live };
        addresses.sort_unstable();
        addresses.dedup();
        (seen.iter().any(|response| response.trusted), addresses)
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
        let in_rule = |peer: &Peer| match peer {
            Peer::Block(block) => block.net.prefix_len() > 0 && block.net.contains(&ip),
            Peer::Fqdn(_)
            | Peer::Entity(_)
            | Peer::Metadata(_)
            | Peer::Pods(_)
            | Peer::Nodes(_)
            | Peer::Service(_)
            | Peer::Set(_)
            | Peer::Endpoints(_) => false,
        };
        let rules = self.policies.iter().flat_map(|policy| &policy.rules);
        rules
            .into_iter()
            .any(|rule| matches!(&rule.peers, Peers::Of(peers) if peers.iter().any(in_rule)))
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
            ServerSpec::Known(ResolverSpec::Service(_))
            | ServerSpec::Unknown(ResolverSpec::Service(_)) => {
                return Err(Need::Cluster("a service as DNS server"));
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

    fn workload(&self, from: &FromSpec) -> Result<Workload, Need> {
        let plain = |set: fn(&mut Workload, Arc<str>), text: &Arc<str>| {
            let mut workload = Workload::default();
            set(&mut workload, Arc::clone(text));
            workload
        };
        Ok(match from {
            FromSpec::Command => Workload::command(),
            FromSpec::Pod { namespace, name } => self
                .cluster
                .workload(namespace, name)
                .ok_or_else(|| Need::Pod {
                    namespace: Arc::clone(namespace),
                    name: Arc::clone(name),
                })?,
            FromSpec::Described {
                namespace,
                labels,
                namespace_labels,
                service_account,
                host_network: _,
                node: _,
            } => self.cluster.described(
                namespace,
                labels.clone(),
                namespace_labels,
                Arc::clone(service_account),
            ),
            FromSpec::Unit(unit) => plain(|workload, text| workload.unit = Some(text), unit),
            FromSpec::User(user) => plain(|workload, text| workload.user = Some(text), user),
            FromSpec::Cgroup(cgroup) => {
                plain(|workload, text| workload.cgroup = Some(text), cgroup)
            }
            FromSpec::Ip(_) => Workload::default(),
        })
    }
}

impl Trial<'_> {
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

/// The last instant at which an address of a response holds.
fn expiry(response: &Response, ttl: u32, settings: &Settings) -> Time {
    response.at + settings.min_ttl.max(Duration::from_secs(ttl.into())) + settings.grace
}

fn resolvers(file: &CaseFile) -> Result<Vec<Resolver>, SceneError> {
    if file.settings.resolvers.is_empty() {
        return Ok(vec![resolver()]);
    }
    file.settings
        .resolvers
        .iter()
        .map(|known| match known {
            ResolverSpec::Address(address) => Ok(Resolver {
                address: address.ip(),
                port: address.port(),
            }),
            ResolverSpec::Service(service) if &**service == "kube-system/kube-dns" => {
                Ok(resolver())
            }
            ResolverSpec::Service(service) => Err(SceneError::ResolverService {
                service: Arc::clone(service),
            }),
        })
        .collect()
}

fn default_cluster_domain() -> Name {
    Name::parse("cluster.local").expect("`cluster.local` is a name")
}
