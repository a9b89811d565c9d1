//! The names of questions.
use std::net::IpAddr;

use dns_names::Name;
use policy_model::{
    DnsFilter, METADATA_NAMES, Peer, Policy, PortMatch, Ports, Preset, Protocol, RefusalCode, Rule,
};

use super::{Court, Does, RuledQuestion, reason_of};
use crate::decide::Flow;
use crate::guard::Guard;
use crate::reason::Reason;
use crate::ruleset::Verdict;

enum Asks {
    NotFiltered,
    Named(Reason),
    Denied(Reason),
    NotNamed,
}

impl Court<'_> {
    pub(super) fn judge_question(
        &self,
        (address, port): (IpAddr, u16),
        protocol: Protocol,
        name: &Name,
    ) -> RuledQuestion {
        if !self.world.is_resolver(address, port) {
            return RuledQuestion::NotFiltered;
        }
        let refuse = |reason| RuledQuestion::Refuse {
            code: self.settings.refusal,
            reason,
        };
        let guarded = self.settings.guards && METADATA_NAMES.contains(&name.as_str());
        let opened = self.rules().find(|(policy, rule)| {
            let opens = |preset| self.opens_preset(policy, rule, preset);
            let named = |preset: &Preset| preset.names().contains(&name.as_str());
            guarded && Preset::ALL.into_iter().filter(named).any(opens)
        });
        if guarded && opened.is_none() {
            return refuse(Reason::Guard(Guard::MetadataName));
        }
        let server = Flow::new(address, protocol, port);
        match self.asks(&server, name) {
            Asks::NotFiltered => RuledQuestion::NotFiltered,
            Asks::Named(reason) => RuledQuestion::Forward { reason },
            Asks::Denied(reason) => refuse(reason),
            Asks::NotNamed => {
                if let Some((policy, rule)) = opened {
                    return RuledQuestion::Forward {
                        reason: reason_of(policy, rule, None),
                    };
                }
                for zone in &self.world.search {
                    let below = name.is_below(zone) && !zone.is_root();
                    let short = name.as_str().strip_suffix(zone.as_str()).filter(|_| below);
                    if let Some(Ok(short)) = short.map(Name::parse)
                        && matches!(self.asks(&server, &short), Asks::Named(_))
                    {
                        let code = RefusalCode::NxDomain;
                        return RuledQuestion::Refuse {
                            code,
                            reason: Reason::SearchExpansion,
                        };
                    }
                }
                refuse(Reason::NotNamed {
                    by: self.filtering(),
                })
            }
        }
    }

    fn asks(&self, server: &Flow, name: &Name) -> Asks {
        let mut allowed = None;
        for (policy, rule) in self.rules() {
            let named = rule.questions.is_none()
                && self.any_peer(rule, |peer| match peer {
                    Some(Peer::Fqdn(fqdn)) => fqdn.pattern.matches(name),
                    _ => false,
                });
            match self.does(rule) {
                Does::Deny(None) if named => return Asks::Denied(reason_of(policy, rule, None)),
                Does::Allow if named => {
                    allowed = Some(reason_of(policy, rule, None));
                    break;
                }
                Does::Allow | Does::Deny(_) | Does::Pass | Does::Nothing => {}
            }
        }
        // `rules.dns` of that server, port and protocol; of a Service also those of its backends.
        let cluster = &self.world.cluster;
        let backends = cluster.backends(server.ip, server.protocol, server.port);
        let asked: Vec<Flow> = backends
            .into_iter()
            .flatten()
            .map(|backend| Flow::new(backend.address, server.protocol, backend.port))
            .chain([*server])
            .collect();
        let mut limits = self.rules().filter(|(policy, rule)| {
            let mut asked = asked.iter();
            rule.questions.is_some()
                && self.does(rule) == Does::Allow
                && asked.any(|server| self.matches(policy, rule, server, &[], false))
        });
        let mut limited = false;
        let found = limits.find(|(_, rule)| {
            limited = true;
            rule.questions
                .iter()
                .flatten()
                .any(|pattern| pattern.matches(name))
        });
        if let Some((policy, rule)) = found {
            return Asks::Named(reason_of(policy, rule, None));
        }
        if limited {
            return Asks::NotNamed;
        }
        if !self
            .policies()
            .iter()
            .any(|policy| policy.dns == DnsFilter::Filter)
        {
            return Asks::NotFiltered;
        }
        allowed
            .or_else(|| self.reached_by(name))
            .map_or(Asks::NotNamed, Asks::Named)
    }

    fn reached_by(&self, name: &Name) -> Option<Reason> {
        let zone = self.settings.cluster_domain.as_ref()?;
        let behind = self.world.cluster.objects().behind_name(name, zone);
        let mut ruled = behind.into_iter().map(|(backend, protocol)| {
            self.decide(&Flow::new(backend.address, protocol, backend.port), &[])
        });
        ruled
            .find(|ruled| ruled.verdict == Verdict::Allow)
            .map(|ruled| ruled.reason)
    }

    /// Whether a rule opens an address of the preset, on any port.
    fn opens_preset(&self, policy: &Policy, rule: &Rule, preset: Preset) -> bool {
        // A rule may open the address by another preset that shares it, on a port of that preset's own.
        let of_presets = Preset::ALL.iter().flat_map(|any| any.ports());
        let of_rule = match &rule.ports {
            Ports::Any => [].iter(),
            Ports::Only(list) | Ports::AllBut(list) => list.iter(),
        };
        // Its ends, and the ports beside it, which "all but" means; and a protocol that nobody names.
        let ends = |one: &PortMatch| {
            [
                one.first,
                one.last,
                one.first.saturating_sub(1),
                one.last.saturating_add(1),
            ]
            .map(|port| (one.protocol, port))
        };
        let ports: Vec<(Protocol, u16)> = of_presets
            .chain(of_rule)
            .flat_map(ends)
            .chain([(Protocol(u8::MAX), 0)])
            .collect();
        preset.addresses().iter().any(|address| {
            ports.iter().any(|(protocol, port)| {
                self.opens_metadata(policy, rule, &Flow::new(*address, *protocol, *port))
            })
        })
    }
}
