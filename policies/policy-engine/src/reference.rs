//! The walk of design section 2, as it is written there: policies, rules, peers and leases, one after the other, for one
//! flow. Slow and obvious on purpose. Every other engine is held against it; it shares no fold, prefix, port or name index
//! with them, only the words (model, flows, reasons) and the lists of guarded addresses.
use std::net::IpAddr;
use std::sync::Arc;

use dns_names::Name;
use ipnet::IpNet;
use policy_model::{
    Action, Band, Block, DefaultVerdict, DenyStyle, DestinationClass, DnsFilter, Entity, FqdnBy,
    FqdnPeer, METADATA_ADDRESSES, METADATA_NAMES, ObjectRef, OpenedBy, Order, Peer, Peers, Policy,
    PortMatch, Ports, Preset, Protocol, RefusalCode, Rule, Scope, Selects, Settings, StagedChange,
    Standing, TierEnd, TierRef, Workload, World,
};

use crate::decide::{Age, Flow};
use crate::explain::NamedLease;
use crate::guard::{DOH_ADDRESSES, Guard};
use crate::reason::{Reason, RuleReason};
use crate::ruleset::{Ruling, Verdict};

/// Everything a decision depends on, apart from the flow and what its address stands for.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// All of them; those that do not select the workload, or that nobody can say of, are left out.
    pub policies: &'a [Policy],
    pub workload: &'a Workload,
    pub world: &'a World,
    pub settings: &'a Settings,
}

/// One ruling on a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruled {
    pub verdict: Verdict,
    /// Of no meaning with an allow.
    pub style: DenyStyle,
    pub reason: Reason,
}

/// One ruling on the name of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuledQuestion {
    NotFiltered,
    Forward { reason: Reason },
    Refuse { code: RefusalCode, reason: Reason },
}

/// Decides a flow in one ruling. `leases` are those of the flow's address.
pub fn decide(
    setting: Setting<'_>,
    ruling: Ruling,
    flow: &Flow,
    leases: &[NamedLease],
    age: Age,
) -> Ruled {
    let live: Vec<&NamedLease> = leases
        .iter()
        .filter(|lease| match age {
            Age::New { now } => now <= lease.expires_at,
            Age::Established => true,
        })
        .collect();
    Court::new(setting, ruling).decide(flow, &live)
}

/// Judges the name of a question in one ruling, as [`Ruleset::judge_question`](crate::Ruleset::judge_question) does.
pub fn judge_question(
    setting: Setting<'_>,
    ruling: Ruling,
    server: (IpAddr, u16),
    protocol: Protocol,
    name: &Name,
) -> RuledQuestion {
    Court::new(setting, ruling).judge_question(server, protocol, name)
}

/// The policies of a ruling in the order of the walk.
struct Court<'a> {
    world: &'a World,
    settings: &'a Settings,
    tiers: Vec<(TierRef, Vec<&'a Policy>)>,
    isolating_namespace: Vec<&'a Policy>,
    isolating_baseline: Vec<&'a Policy>,
}

/// What a rule does, once closed rules are taken for what they are.
#[derive(PartialEq, Eq)]
enum Does {
    Allow,
    Deny(Option<&'static str>),
    Pass,
    Nothing,
}

impl<'a> Court<'a> {
    fn new(setting: Setting<'a>, ruling: Ruling) -> Self {
        let Setting {
            policies,
            workload,
            world,
            settings,
        } = setting;
        let counts = |policy: &&Policy| {
            let changed = policies.iter().any(|other| {
                other.id == policy.id && matches!(other.standing, Standing::Staged(_))
            });
            match ruling {
                Ruling::Enforced => policy.standing == Standing::Enforced,
                Ruling::Proposed => match policy.standing {
                    Standing::Enforced => !changed,
                    Standing::Audit | Standing::Staged(StagedChange::Set) => true,
                    Standing::Staged(StagedChange::Delete) => false,
                },
            }
        };
        let mut selected: Vec<&Policy> = policies
            .iter()
            .filter(|policy| policy.subject.selects(workload) == Selects::Yes)
            .filter(counts)
            .collect();
        selected.sort_by(|a, b| (a.order, &a.id).cmp(&(b.order, &b.id)));

        let mut tiers: Vec<(TierRef, Vec<&Policy>)> = Vec::new();
        for policy in &selected {
            match tiers
                .iter_mut()
                .find(|(tier, _)| tier.is_same_tier(&policy.tier))
            {
                Some((tier, members)) => {
                    let worst = [
                        TierEnd::Deny,
                        TierEnd::DenyUnlessIsolatedElsewhere,
                        TierEnd::DenyIfIsolated,
                        TierEnd::Next,
                    ];
                    let ends = [tier.end, policy.tier.end];
                    tier.end = worst
                        .into_iter()
                        .find(|end| ends.contains(end))
                        .unwrap_or(tier.end);
                    members.push(*policy);
                }
                None => tiers.push((policy.tier.clone(), vec![*policy])),
            }
        }
        selected.sort_by(|a, b| {
            let place = |p: &Policy| (p.tier.band, p.tier.order, p.tier.name.clone());
            place(a).cmp(&place(b))
        });
        let isolating = |from: Band, to: Band| -> Vec<&Policy> {
            selected
                .iter()
                .copied()
                .filter(|p| p.isolates && from <= p.tier.band && p.tier.band <= to)
                .filter(|p| matches!(p.tier.end, TierEnd::Next | TierEnd::DenyIfIsolated))
                .collect()
        };
        let isolating_namespace = isolating(Band::Guard, Band::Namespace);
        let isolating_baseline = isolating(Band::Baseline, Band::Default);
        let has_end = |tiers: &[(TierRef, Vec<&Policy>)], bands: [Band; 2]| {
            tiers
                .iter()
                .any(|(tier, _)| tier.end == TierEnd::DenyIfIsolated && bands.contains(&tier.band))
        };
        if !isolating_namespace.is_empty() && !has_end(&tiers, [Band::Namespace; 2]) {
            tiers.push((TierRef::union(), Vec::new()));
        }
        if !isolating_baseline.is_empty() && !has_end(&tiers, [Band::Baseline, Band::Default]) {
            tiers.push((
                TierRef {
                    order: Order::LAST,
                    ..TierRef::kube_baseline()
                },
                Vec::new(),
            ));
        }
        tiers.sort_by(|(a, _), (b, _)| (a.band, a.order, &a.name).cmp(&(b.band, b.order, &b.name)));
        Self {
            world,
            settings,
            tiers,
            isolating_namespace,
            isolating_baseline,
        }
    }

    fn rules(&self) -> impl Iterator<Item = (&'a Policy, &'a Rule)> {
        self.tiers
            .iter()
            .flat_map(|(_, policies)| policies)
            .flat_map(|policy| policy.rules.iter().map(move |rule| (*policy, rule)))
    }

    fn policies(&self) -> Vec<&'a Policy> {
        self.tiers
            .iter()
            .flat_map(|(_, policies)| policies)
            .copied()
            .collect()
    }

    fn decide(&self, flow: &Flow, live: &[&NamedLease]) -> Ruled {
        if self.settings.guards && is_metadata(flow) {
            let opened = self
                .rules()
                .any(|(policy, rule)| self.opens_metadata(policy, rule, flow));
            if !opened {
                return self.deny(Reason::Guard(Guard::Metadata), self.settings.deny_style);
            }
        }
        let bypass = self.settings.guards && self.filters_names() && self.goes_around(flow);
        let mut skipped = false;
        let ruled = self.walk(flow, live, bypass, &mut skipped);
        let by_default = matches!(ruled.reason, Reason::Default | Reason::NoPolicy);
        if (ruled.verdict == Verdict::Deny && skipped)
            || (ruled.verdict == Verdict::Allow && bypass && by_default)
        {
            return self.deny(Reason::Guard(Guard::DnsBypass), self.settings.deny_style);
        }
        ruled
    }

    fn walk(&self, flow: &Flow, live: &[&NamedLease], bypass: bool, skipped: &mut bool) -> Ruled {
        'tiers: for (tier, policies) in &self.tiers {
            for policy in policies {
                for rule in &policy.rules {
                    let does = self.does(rule);
                    let matches = match does {
                        Does::Nothing => false,
                        Does::Deny(Some(_)) => true,
                        Does::Allow | Does::Deny(None) | Does::Pass => {
                            self.matches(policy, rule, flow, live, false)
                        }
                    };
                    if !matches {
                        continue;
                    }
                    match does {
                        Does::Allow if bypass && !self.matches(policy, rule, flow, live, true) => {
                            *skipped = true;
                        }
                        Does::Allow => {
                            return Ruled {
                                verdict: Verdict::Allow,
                                style: DenyStyle::Reject,
                                reason: reason_of(policy, rule, None),
                            };
                        }
                        Does::Deny(closed) => {
                            let style = policy.deny_style.unwrap_or(self.settings.deny_style);
                            return self.deny(reason_of(policy, rule, closed), style);
                        }
                        Does::Pass => {
                            if tier.end == TierEnd::DenyIfIsolated {
                                let others: Vec<&Policy> = self
                                    .isolating(tier)
                                    .iter()
                                    .copied()
                                    .filter(|other| other.id != policy.id)
                                    .collect();
                                if !others.is_empty() {
                                    return self.isolated(tier, &others);
                                }
                            }
                            continue 'tiers;
                        }
                        Does::Nothing => {}
                    }
                }
            }
            match tier.end {
                TierEnd::Next => {}
                TierEnd::Deny => return self.tier_end(tier),
                TierEnd::DenyUnlessIsolatedElsewhere if self.isolating(tier).is_empty() => {
                    return self.tier_end(tier);
                }
                TierEnd::DenyUnlessIsolatedElsewhere => {}
                TierEnd::DenyIfIsolated if self.isolating(tier).is_empty() => {}
                TierEnd::DenyIfIsolated => return self.isolated(tier, self.isolating(tier)),
            }
        }
        self.by_default()
    }

    fn by_default(&self) -> Ruled {
        let policies = self.policies();
        let reason = if policies.is_empty() {
            Reason::NoPolicy
        } else {
            Reason::Default
        };
        if self.settings.default == DefaultVerdict::DenyOnceSelected && !policies.is_empty() {
            return self.deny(reason, self.first_style(&policies));
        }
        Ruled {
            verdict: Verdict::Allow,
            style: DenyStyle::Reject,
            reason,
        }
    }

    fn isolating(&self, tier: &TierRef) -> &[&'a Policy] {
        match tier.band {
            Band::Guard | Band::Admin | Band::Namespace => &self.isolating_namespace,
            Band::Baseline | Band::Default => &self.isolating_baseline,
        }
    }

    fn isolated(&self, tier: &TierRef, by: &[&Policy]) -> Ruled {
        let mut objects: Vec<ObjectRef> = by.iter().map(|policy| policy.id.clone()).collect();
        objects.sort();
        objects.dedup();
        self.deny(
            Reason::Isolated {
                tier: tier.clone(),
                by: objects,
            },
            self.first_style(by),
        )
    }

    fn tier_end(&self, tier: &TierRef) -> Ruled {
        self.deny(
            Reason::TierEnd { tier: tier.clone() },
            self.settings.deny_style,
        )
    }

    fn first_style(&self, policies: &[&Policy]) -> DenyStyle {
        for policy in policies {
            if let Some(style) = policy.deny_style {
                return style;
            }
        }
        self.settings.deny_style
    }

    #[expect(clippy::unused_self, reason = "reads as the court's word")]
    fn deny(&self, reason: Reason, style: DenyStyle) -> Ruled {
        Ruled {
            verdict: Verdict::Deny,
            style,
            reason,
        }
    }

    fn does(&self, rule: &Rule) -> Does {
        let peers: &[Peer] = match &rule.peers {
            Peers::Any => &[],
            Peers::Of(peers) => peers,
        };
        let unknown = peers.iter().any(|peer| {
            matches!(
                peer,
                Peer::Pods(_) | Peer::Nodes(_) | Peer::Service(_) | Peer::Set(_)
            )
        });
        let names = peers.iter().any(|peer| matches!(peer, Peer::Fqdn(_)));
        let closed = if rule.closed.is_some() {
            rule.closed
        } else if rule.sni.is_some() || !rule.http.is_empty() {
            Some("condition-not-enforced")
        } else {
            None
        };
        match rule.action {
            Action::Allow if closed.is_some() => Does::Nothing,
            Action::Allow => Does::Allow,
            Action::Log => Does::Nothing,
            Action::Deny | Action::Pass if closed.is_some() => Does::Deny(closed),
            Action::Deny | Action::Pass if unknown => Does::Deny(Some("peer-not-here")),
            Action::Pass if names => Does::Deny(Some("pass-by-name")),
            Action::Deny => Does::Deny(None),
            Action::Pass => Does::Pass,
        }
    }

    /// Whether a rule that is in force matches; with `naming`, by a peer that names the address.
    fn matches(
        &self,
        policy: &Policy,
        rule: &Rule,
        flow: &Flow,
        live: &[&NamedLease],
        naming: bool,
    ) -> bool {
        let to_resolver = tcp_or_udp(flow) && self.world.is_resolver(flow.ip, flow.port);
        let on_port = port_holds(&rule.ports, flow);
        if rule.questions.is_some() {
            // Every peer but a name and a preset can mean a server.
            return to_resolver && on_port && self.any_peer(rule, |peer| self.means(peer, flow));
        }
        let by_address = on_port
            && self.any_peer(rule, |peer| {
                let metadata = match peer {
                    Some(Peer::Metadata(preset)) => is_of_preset(*preset, flow),
                    _ => false,
                };
                (metadata || self.means(peer, flow)) && (!naming || names_address(peer))
            });
        let by_name = on_port
            && rule.action == Action::Allow
            && live.iter().any(|lease| {
                self.any_peer(rule, |peer| match peer {
                    Some(Peer::Fqdn(fqdn)) => {
                        self.holds_by_name(policy, rule, fqdn, flow, lease)
                            && (!naming || !fqdn.pattern.is_match_all())
                    }
                    _ => false,
                })
            });
        let implied = rule.action == Action::Allow
            && policy.dns != DnsFilter::Untouched
            && self.any_peer(rule, |peer| matches!(peer, Some(Peer::Fqdn(_))))
            && to_resolver;
        by_address || by_name || implied
    }

    /// Whether it holds for any peer; for `Peers::Any`, for "no peer".
    #[expect(clippy::unused_self, reason = "reads as the court's word")]
    fn any_peer(&self, rule: &Rule, holds: impl Fn(Option<&Peer>) -> bool) -> bool {
        match &rule.peers {
            Peers::Any => holds(None),
            Peers::Of(peers) => peers.iter().any(|peer| holds(Some(peer))),
        }
    }

    /// Whether a peer means the flow's address by itself.
    fn means(&self, peer: Option<&Peer>, flow: &Flow) -> bool {
        let class = self.world.class_of(flow.ip);
        match peer {
            None | Some(Peer::Entity(Entity::All)) => true,
            Some(Peer::Block(Block { net, except, scope })) => {
                (*scope == Scope::Any || class == DestinationClass::Outside)
                    && is_in(flow.ip, *net)
                    && !except.iter().any(|except| is_in(flow.ip, *except))
            }
            Some(Peer::Entity(Entity::World)) => class == DestinationClass::Outside,
            Some(Peer::Entity(Entity::Host)) => class == DestinationClass::Host,
            Some(Peer::Entity(Entity::Loopback)) => class == DestinationClass::Loopback,
            Some(Peer::Entity(Entity::Dns)) => {
                tcp_or_udp(flow) && self.world.is_resolver(flow.ip, flow.port)
            }
            Some(
                Peer::Entity(Entity::Cluster | Entity::KubeApiserver)
                | Peer::Fqdn(_)
                | Peer::Metadata(_)
                | Peer::Pods(_)
                | Peer::Nodes(_)
                | Peer::Service(_)
                | Peer::Set(_),
            ) => false,
        }
    }

    fn holds_by_name(
        &self,
        policy: &Policy,
        rule: &Rule,
        fqdn: &FqdnPeer,
        flow: &Flow,
        lease: &NamedLease,
    ) -> bool {
        let private_zone = self
            .settings
            .private_zones
            .iter()
            .any(|zone| lease.question.is_under(zone));
        let in_scope =
            fqdn.scope == Scope::Any || self.world.class_of(flow.ip) == DestinationClass::Outside;
        let may_be_private = !self.settings.guards
            || rule.allow_private
            || private_zone
            || !self.world.is_private(flow.ip);
        fqdn_matches(fqdn, &lease.question, &lease.chain)
            && in_scope
            && may_be_private
            && !self.refused_before(policy, rule, lease)
    }

    /// Whether a Deny by name of the lease's names stands before the rule.
    fn refused_before(&self, policy: &Policy, rule: &Rule, lease: &NamedLease) -> bool {
        for (other_policy, other) in self.rules() {
            if std::ptr::eq(other, rule) && std::ptr::eq(other_policy, policy) {
                return false;
            }
            if self.does(other) == Does::Deny(None)
                && other.questions.is_none()
                && self.any_peer(other, |peer| match peer {
                    Some(Peer::Fqdn(fqdn)) => fqdn_matches(fqdn, &lease.question, &lease.chain),
                    _ => false,
                })
            {
                return true;
            }
        }
        false
    }

    fn opens_metadata(&self, policy: &Policy, rule: &Rule, flow: &Flow) -> bool {
        let full_address_opens = match self.settings.opened_by {
            OpenedBy::Preset => false,
            OpenedBy::Admin => policy.tier.band == Band::Admin,
            OpenedBy::Any => true,
        };
        self.does(rule) == Does::Allow
            && rule.questions.is_none()
            && port_holds(&rule.ports, flow)
            && self.any_peer(rule, |peer| match peer {
                Some(Peer::Metadata(preset)) => is_of_preset(*preset, flow),
                Some(Peer::Block(block)) => {
                    let full = block.net.prefix_len() == block.net.max_prefix_len();
                    full_address_opens && full && self.means(peer, flow)
                }
                _ => false,
            })
    }

    /// Whether the ruling filters names.
    fn filters_names(&self) -> bool {
        !self.filtering().is_empty()
    }

    fn filtering(&self) -> Vec<ObjectRef> {
        let mut objects: Vec<ObjectRef> = self
            .policies()
            .into_iter()
            .filter(|policy| {
                let questions = policy
                    .rules
                    .iter()
                    .any(|rule| rule.questions.is_some() && self.does(rule) == Does::Allow);
                policy.dns == DnsFilter::Filter || questions
            })
            .map(|policy| policy.id.clone())
            .collect();
        objects.sort();
        objects.dedup();
        objects
    }

    fn goes_around(&self, flow: &Flow) -> bool {
        let doh = DOH_ADDRESSES.contains(&flow.ip.to_canonical());
        tcp_or_udp(flow)
            && !self.world.is_resolver(flow.ip, flow.port)
            && (flow.port == 53 || flow.port == 853 || (flow.port == 443 && doh))
    }

    fn judge_question(
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
        // `rules.dns` of that server, port and protocol.
        let mut limits = self.rules().filter(|(policy, rule)| {
            rule.questions.is_some()
                && self.does(rule) == Does::Allow
                && self.matches(policy, rule, server, &[], false)
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
        allowed.map_or(Asks::NotNamed, Asks::Named)
    }

    /// Whether a rule opens an address of the preset, on any port.
    fn opens_preset(&self, policy: &Policy, rule: &Rule, preset: Preset) -> bool {
        let mut ports: Vec<(Protocol, u16)> = preset
            .ports()
            .iter()
            .map(|one| (one.protocol, one.first))
            .collect();
        if let Ports::Only(list) = &rule.ports {
            ports.extend(list.iter().map(|one| (one.protocol, one.first)));
        }
        preset.addresses().iter().any(|address| {
            ports.iter().any(|(protocol, port)| {
                self.opens_metadata(policy, rule, &Flow::new(*address, *protocol, *port))
            })
        })
    }
}

enum Asks {
    NotFiltered,
    Named(Reason),
    Denied(Reason),
    NotNamed,
}

fn reason_of(policy: &Policy, rule: &Rule, closed: Option<&'static str>) -> Reason {
    Reason::Rule(Arc::new(RuleReason {
        tier: policy.tier.clone(),
        policy: policy.id.clone(),
        index: rule.index,
        name: rule.name.clone(),
        origin: rule.origin.clone(),
        action: rule.action,
        closed,
    }))
}

fn fqdn_matches(fqdn: &FqdnPeer, question: &Name, chain: &[Name]) -> bool {
    fqdn.pattern.matches(question)
        || (fqdn.by == FqdnBy::Chain && chain.iter().any(|name| fqdn.pattern.matches(name)))
}

fn names_address(peer: Option<&Peer>) -> bool {
    match peer {
        None => false,
        Some(Peer::Block(block)) => !is_everything(block.net),
        Some(Peer::Entity(entity)) => {
            matches!(entity, Entity::Host | Entity::Loopback | Entity::Dns)
        }
        Some(_) => true,
    }
}

fn is_metadata(flow: &Flow) -> bool {
    let dns = flow.port == 53 && tcp_or_udp(flow);
    let ip = bits(flow.ip);
    // 64:ff9b::/96, RFC 6052.
    let translated = |address: &IpAddr| match address {
        IpAddr::V4(v4) => (0x64_ff9b << 96) | u128::from(v4.to_bits()),
        IpAddr::V6(_) => bits(*address),
    };
    let guarded = METADATA_ADDRESSES
        .iter()
        .any(|address| bits(*address) == ip || translated(address) == ip);
    guarded && !dns
}

fn is_of_preset(preset: Preset, flow: &Flow) -> bool {
    preset
        .addresses()
        .iter()
        .any(|address| bits(*address) == bits(flow.ip))
        && preset.ports().iter().any(|port| in_range(port, flow))
}

fn tcp_or_udp(flow: &Flow) -> bool {
    flow.protocol == Protocol::TCP || flow.protocol == Protocol::UDP
}

fn port_holds(ports: &Ports, flow: &Flow) -> bool {
    match ports {
        Ports::Any => true,
        Ports::Only(list) => list.iter().any(|one| in_range(one, flow)),
    }
}

fn in_range(one: &PortMatch, flow: &Flow) -> bool {
    one.protocol == flow.protocol && (one.first..=one.last).contains(&flow.port)
}

/// Every address as IPv6, IPv4 as `::ffff:a.b.c.d`.
fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// All of IPv4 or all of IPv6.
fn is_everything(net: IpNet) -> bool {
    let mapped = bits(net.addr()) >> 32 == 0xffff && net.max_prefix_len() == 128;
    net.prefix_len() == if mapped { 96 } else { 0 }
}

/// Whether an address lies in a prefix. A short IPv6 prefix around `::ffff:0:0/96` does not mean IPv4.
fn is_in(ip: IpAddr, net: IpNet) -> bool {
    let length = match net {
        IpNet::V4(net) => u32::from(net.prefix_len()) + 96,
        IpNet::V6(net) => u32::from(net.prefix_len()),
    };
    let is_v4 = bits(ip) >> 32 == 0xffff;
    let is_v4_net = length >= 96 && bits(net.addr()) >> 32 == 0xffff;
    is_v4 == is_v4_net
        && (bits(ip) ^ bits(net.addr()))
            .checked_shr(128 - length)
            .unwrap_or(0)
            == 0
}
