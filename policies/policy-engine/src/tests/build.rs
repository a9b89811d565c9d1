//! Policies, worlds and flows in a word.
use std::net::IpAddr;
use std::time::Duration;

use dns_names::{Grammar, Name, NamePattern};
use policy_model::*;

use crate::{
    Age, Compiled, Decision, Flow, LeaseRules, QuestionRuling, Reason, Ruling, Verdict, compile,
};

pub(super) fn origin() -> Origin {
    Origin::new("p.yaml", 1, 1, "spec")
}

pub(super) fn policy(id: &str, tier: TierRef, rules: Vec<Rule>) -> Policy {
    Policy {
        id: ObjectRef::new("EgressPolicy", None, id),
        origin: origin(),
        isolates: tier == TierRef::union(),
        tier,
        order: Order(0.0),
        tie: "".into(),
        subject: Subject::All,
        standing: Standing::Enforced,
        deny_style: None,
        dns: DnsFilter::Untouched,
        rules: (0..)
            .zip(rules)
            .map(|(index, rule)| Rule { index, ..rule })
            .collect(),
    }
}

/// A policy that isolates and filters names.
pub(super) fn filtering(id: &str, rules: Vec<Rule>) -> Policy {
    Policy {
        dns: DnsFilter::Filter,
        ..policy(id, TierRef::union(), rules)
    }
}

pub(super) fn rule(action: Action, peers: Vec<Peer>, ports: Ports) -> Rule {
    Rule {
        peers: Peers::Of(peers),
        ports,
        ..Rule::new(0, action, origin())
    }
}

pub(super) fn allow(peer: Peer) -> Rule {
    rule(Action::Allow, vec![peer], Ports::Any)
}

pub(super) fn deny(peer: Peer) -> Rule {
    rule(Action::Deny, vec![peer], Ports::Any)
}

pub(super) fn pass(peer: Peer) -> Rule {
    rule(Action::Pass, vec![peer], Ports::Any)
}

pub(super) fn on(rule: Rule, port: u16) -> Rule {
    Rule {
        ports: tcp(port),
        ..rule
    }
}

pub(super) fn tcp(port: u16) -> Ports {
    Ports::Only(vec![PortMatch::port(Protocol::TCP, port)])
}

pub(super) fn net(text: &str) -> Peer {
    Peer::Block(Block::new(text.parse().unwrap(), Scope::Any))
}

pub(super) fn outside(text: &str) -> Peer {
    Peer::Block(Block::new(text.parse().unwrap(), Scope::Outside))
}

pub(super) fn fqdn(text: &str) -> Peer {
    let pattern = NamePattern::parse(Grammar::Native, text).unwrap();
    Peer::Fqdn(FqdnPeer {
        pattern,
        by: FqdnBy::Chain,
        scope: Scope::Any,
    })
}

pub(super) fn cilium(text: &str) -> NamePattern {
    NamePattern::parse(Grammar::Cilium, text).unwrap()
}

pub(super) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A machine with an address, a resolver at 10.0.0.53 and `corp.` in its search list.
pub(super) fn machine() -> World {
    World {
        host_addresses: vec![ip("192.0.2.10")],
        resolvers: vec![Resolver {
            address: ip("10.0.0.53"),
            port: 53,
        }],
        search: vec![name("corp.")],
        ..World::default()
    }
}

/// Policies compiled for a command on that machine, with the names its addresses stand for.
pub(super) struct Held {
    pub(super) compiled: Compiled,
    leases: Vec<(IpAddr, LeaseRules)>,
}

impl Held {
    pub(super) fn by(policies: &[Policy]) -> Self {
        Self::with(policies, &Settings::default())
    }

    pub(super) fn with(policies: &[Policy], settings: &Settings) -> Self {
        let compiled = compile(policies, &Workload::command(), &machine(), settings).unwrap();
        Self {
            compiled,
            leases: Vec::new(),
        }
    }

    /// Learns an answer without aliases.
    pub(super) fn learn(mut self, question: &str, address: &str, secs: u64) -> Self {
        let rules = self.compiled.ruleset.name_rules(&name(question), &[]);
        let expires_at = Duration::from_secs(secs);
        self.leases
            .push((ip(address), LeaseRules { rules, expires_at }));
        self
    }

    pub(super) fn decide(&mut self, flow: Flow, secs: u64) -> Decision {
        let leases = self.leases_of(flow.ip);
        let now = Age::New {
            now: Duration::from_secs(secs),
        };
        let Compiled { ruleset, lists, .. } = &mut self.compiled;
        ruleset.decide(lists, &flow, &leases, now).unwrap()
    }

    pub(super) fn leases_of(&self, address: IpAddr) -> Vec<LeaseRules> {
        let of_address = self.leases.iter().filter(|(ip, _)| *ip == address);
        of_address.map(|(_, lease)| lease.clone()).collect()
    }

    /// The verdict on a TCP flow now.
    pub(super) fn tcp(&mut self, address: &str, port: u16) -> Verdict {
        self.decide(Flow::new(ip(address), Protocol::TCP, port), 0)
            .verdict
    }

    /// The code of the reason for a TCP flow now.
    pub(super) fn why(&mut self, address: &str, port: u16) -> &'static str {
        self.reason(address, port).code()
    }

    pub(super) fn reason(&mut self, address: &str, port: u16) -> Reason {
        let reason = self
            .decide(Flow::new(ip(address), Protocol::TCP, port), 0)
            .reason;
        self.compiled.ruleset.reason(reason).clone()
    }

    /// What becomes of a question to the known resolver over UDP, and the reason's code.
    pub(super) fn ask(&self, question: &str) -> (QuestionRuling, &'static str) {
        self.ask_by(Ruling::Enforced, Protocol::UDP, question)
    }

    pub(super) fn ask_by(
        &self,
        ruling: Ruling,
        protocol: Protocol,
        question: &str,
    ) -> (QuestionRuling, &'static str) {
        let ruleset = &self.compiled.ruleset;
        let server = (ip("10.0.0.53"), 53);
        let ruled = ruleset.judge_question_by(ruling, server, protocol, &name(question));
        (ruled, ruleset.reason(ruled.reason()).code())
    }
}
