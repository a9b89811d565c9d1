//! The answer for programs.

use std::net::IpAddr;
use std::sync::Arc;

use policy_engine::{Change, Destination, Judged, NamedBy, Names, Region, Rulings, What};
use policy_model::{ClusterMap, PortMatch, Ports, Protocol, Resolver};
use serde::Serialize;

use super::sides::Side;
use super::{Comparison, DiffVerbError, Group, widens};
use crate::explain::ReasonJson;
use crate::policy_set::{PolicySetError, object_at};
use crate::render::{self, DiagnosticJson, UnreadableJson};

pub(super) fn comparison(comparison: &Comparison) -> String {
    let (widened, narrowed) = comparison.directions();
    let worlds = Worlds {
        old: &comparison.old.scene.world.cluster,
        new: &comparison.new.scene.world.cluster,
    };
    render::json(&ComparisonJson {
        of: if comparison.of_pods {
            "pods"
        } else {
            "command"
        },
        compared: comparison.compared,
        changed: comparison.changed(),
        widened,
        narrowed,
        groups: comparison
            .groups
            .iter()
            .map(|Group { workloads, changes }| GroupJson {
                workloads: texts(workloads),
                changes: changes
                    .iter()
                    .map(|change| ChangeJson::of(change, worlds))
                    .collect(),
            })
            .collect(),
        only_old: texts(&comparison.only_old),
        only_new: texts(&comparison.only_new),
        old: SideJson::of(&comparison.old),
        new: SideJson::of(&comparison.new),
    })
}

/// That there is no answer, and what stood in its way.
pub(super) fn no_answer(error: &DiffVerbError) -> String {
    let unreadable = match error {
        DiffVerbError::Read(_, PolicySetError::Files(errors)) => errors.as_slice(),
        DiffVerbError::Read(..)
        | DiffVerbError::Refused { .. }
        | DiffVerbError::NoPods
        | DiffVerbError::Compile { .. }
        | DiffVerbError::Compare { .. } => &[],
    };
    render::json(&NoAnswerJson {
        groups: None,
        error: render::chain(error),
        unreadable: unreadable.iter().map(UnreadableJson::from).collect(),
        diagnostics: error
            .findings()
            .into_iter()
            .flat_map(|(diagnostics, _)| diagnostics)
            .map(DiagnosticJson::from)
            .collect(),
    })
}

#[derive(Serialize)]
struct NoAnswerJson<'a> {
    /// Always nothing.
    groups: Option<()>,
    error: String,
    unreadable: Vec<UnreadableJson>,
    diagnostics: Vec<DiagnosticJson<'a>>,
}

#[derive(Serialize)]
struct ComparisonJson<'a> {
    of: &'static str,
    compared: usize,
    changed: usize,
    widened: usize,
    narrowed: usize,
    groups: Vec<GroupJson<'a>>,
    only_old: Vec<&'a str>,
    only_new: Vec<&'a str>,
    old: SideJson<'a>,
    new: SideJson<'a>,
}

#[derive(Serialize)]
struct SideJson<'a> {
    diagnostics: Vec<DiagnosticJson<'a>>,
}

#[derive(Serialize)]
struct GroupJson<'a> {
    workloads: Vec<&'a str>,
    changes: Vec<ChangeJson<'a>>,
}

#[derive(Serialize)]
struct ChangeJson<'a> {
    direction: &'static str,
    ruling: &'static str,
    what: &'static str,
    /// Of flows.
    to: Option<Vec<DestinationJson>>,
    /// Of names and questions.
    names: Option<Vec<NamesJson<'a>>>,
    by: Option<&'static str>,
    with: Option<Vec<NamesJson<'a>>>,
    /// Of names: the addresses on which they open it.
    on: Option<Vec<RegionJson>>,
    /// Of flows and names.
    ports: Option<PortsJson>,
    /// Of questions; nothing: every known resolver.
    servers: Option<Vec<ServerJson>>,
    before: JudgedJson<'a>,
    after: JudgedJson<'a>,
}

#[derive(Serialize)]
struct JudgedJson<'a> {
    verdict: &'static str,
    reason: ReasonJson<'a>,
}

#[derive(Serialize)]
struct DestinationJson {
    #[serde(flatten)]
    region: RegionJson,
    /// What has that one address, as `--to` names it.
    object: Option<String>,
    /// Whether it is judged as a Service's backends.
    service: bool,
}

#[derive(Serialize)]
struct RegionJson {
    net: String,
    except: Vec<String>,
}

#[derive(Serialize)]
struct NamesJson<'a> {
    all_of: Vec<&'a str>,
    except: Vec<&'a str>,
    example: &'a str,
}

#[derive(Serialize)]
struct PortsJson {
    /// Whether every protocol and port is meant but those listed.
    all_but: bool,
    list: Vec<PortJson>,
}

#[derive(Serialize)]
struct PortJson {
    protocol: String,
    /// ICMP: type and code, as `type * 256 + code`.
    first: u16,
    last: u16,
}

#[derive(Serialize)]
struct ServerJson {
    ip: IpAddr,
    port: u16,
    protocol: String,
}

/// Where addresses are looked up: in the new world, else in the old one.
#[derive(Clone, Copy)]
struct Worlds<'a> {
    old: &'a ClusterMap,
    new: &'a ClusterMap,
}

impl Worlds<'_> {
    fn object_at(self, ip: IpAddr) -> Option<String> {
        let mut maps = [self.new, self.old].into_iter();
        maps.find_map(|map| object_at(map, ip))
    }
}

impl<'a> SideJson<'a> {
    fn of(side: &'a Side) -> Self {
        let diagnostics = side.scene.diagnostics.iter();
        Self {
            diagnostics: diagnostics.map(DiagnosticJson::from).collect(),
        }
    }
}

impl<'a> ChangeJson<'a> {
    fn of(change: &'a Change, worlds: Worlds<'_>) -> Self {
        let Change {
            what,
            rulings,
            from,
            to,
        } = change;
        let mut json = Self {
            direction: if widens(change) {
                "widened"
            } else {
                "narrowed"
            },
            ruling: match rulings {
                Rulings::Both => "both",
                Rulings::Enforced => "enforced",
                Rulings::Proposed => "proposed",
            },
            what: "flows",
            to: None,
            names: None,
            by: None,
            with: None,
            on: None,
            ports: None,
            servers: None,
            before: JudgedJson::from(from),
            after: JudgedJson::from(to),
        };
        match what {
            What::Flows { to, ports } => {
                let to = to.iter().map(|to| DestinationJson::of(to, worlds));
                json.to = Some(to.collect());
                json.ports = Some(PortsJson::from(ports));
            }
            What::Names {
                names: all,
                by,
                on,
                ports,
            } => {
                json.what = "names";
                json.names = Some(names(all));
                json.by = Some(match by {
                    NamedBy::Question => "question",
                    NamedBy::Chain => "chain",
                    NamedBy::With(_) => "with",
                });
                json.with = match by {
                    NamedBy::With(others) => Some(names(others)),
                    NamedBy::Question | NamedBy::Chain => None,
                };
                json.on = Some(on.iter().map(RegionJson::from).collect());
                json.ports = Some(PortsJson::from(ports));
            }
            What::Questions {
                names: all,
                servers,
            } => {
                json.what = "questions";
                json.names = Some(names(all));
                json.servers =
                    (!servers.is_empty()).then(|| servers.iter().map(ServerJson::from).collect());
            }
        }
        json
    }
}

fn texts(names: &[Arc<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

fn names(names: &[Names]) -> Vec<NamesJson<'_>> {
    names.iter().map(NamesJson::from).collect()
}

impl<'a> From<&'a Judged> for JudgedJson<'a> {
    fn from(Judged { verdict, reason }: &'a Judged) -> Self {
        Self {
            verdict: verdict.as_str(),
            reason: ReasonJson::from(reason),
        }
    }
}

impl DestinationJson {
    fn of(destination: &Destination, worlds: Worlds<'_>) -> Self {
        match destination {
            Destination::Service((namespace, name), ip) => Self {
                region: RegionJson::from(&Region::from(*ip)),
                object: Some(format!("service/{namespace}/{name}")),
                service: true,
            },
            Destination::Net(region) => Self {
                object: (region.net.prefix_len() == region.net.max_prefix_len())
                    .then(|| worlds.object_at(region.net.addr()))
                    .flatten(),
                region: RegionJson::from(region),
                service: false,
            },
        }
    }
}

impl From<&Region> for RegionJson {
    fn from(Region { net, except }: &Region) -> Self {
        Self {
            net: net.to_string(),
            except: except.iter().map(ToString::to_string).collect(),
        }
    }
}

impl<'a> From<&'a Names> for NamesJson<'a> {
    fn from(
        Names {
            all_of,
            except,
            example,
        }: &'a Names,
    ) -> Self {
        let texts = |of: &'a [dns_names::NamePattern]| {
            let patterns = of.iter();
            patterns.map(|pattern| pattern.as_str()).collect()
        };
        Self {
            all_of: texts(all_of),
            except: texts(except),
            example: example.without_dot(),
        }
    }
}

impl From<&Ports> for PortsJson {
    fn from(ports: &Ports) -> Self {
        let (all_but, list) = match ports {
            Ports::Any => (true, &[][..]),
            Ports::Only(list) => (false, list.as_slice()),
            Ports::AllBut(list) => (true, list.as_slice()),
        };
        Self {
            all_but,
            list: list
                .iter()
                .map(
                    |PortMatch {
                         protocol,
                         first,
                         last,
                     }| PortJson {
                        protocol: protocol.to_string(),
                        first: *first,
                        last: *last,
                    },
                )
                .collect(),
        }
    }
}

impl From<&(Resolver, Protocol)> for ServerJson {
    fn from((Resolver { address, port }, protocol): &(Resolver, Protocol)) -> Self {
        Self {
            ip: *address,
            port: *port,
            protocol: protocol.to_string(),
        }
    }
}
