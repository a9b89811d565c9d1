use policy_model::*;

use super::build::*;
use crate::{
    CompileError, LimitError, MAX_PATTERNS, MAX_POLICIES, MAX_PREFIXES, MAX_RULES, compile,
};

fn error(policies: &[Policy]) -> CompileError {
    compile(
        policies,
        &Workload::command(),
        &machine(),
        &Settings::default(),
    )
    .unwrap_err()
}

#[test]
fn too_many_policies() {
    let policies = vec![policy("u", TierRef::union(), Vec::new()); MAX_POLICIES + 1];
    let got = policies.len();
    assert_eq!(error(&policies), LimitError::Policies { got }.into());
}

#[test]
fn too_many_rules() {
    let rules = vec![allow(Peer::Entity(Entity::World)); MAX_RULES + 1];
    let got = rules.len();
    assert_eq!(
        error(&[policy("u", TierRef::union(), rules)]),
        LimitError::Rules { got }.into()
    );
}

#[test]
fn too_many_patterns() {
    let got = MAX_PATTERNS + 1;
    let many = rule(Action::Allow, vec![fqdn("a.example"); got], Ports::Any);
    assert_eq!(
        error(&[policy("u", TierRef::union(), vec![many])]),
        LimitError::Patterns { got }.into()
    );
}

#[test]
fn too_many_port_rows() {
    let every_other = (0..u16::MAX)
        .step_by(2)
        .map(|port| PortMatch::port(Protocol::TCP, port))
        .collect();
    let rule = rule(
        Action::Allow,
        vec![net("203.0.113.0/24")],
        Ports::Only(every_other),
    );
    let found = error(&[policy("u", TierRef::union(), vec![rule])]);
    assert!(
        matches!(found, CompileError::Limit(LimitError::PortRows { .. })),
        "{found:?}"
    );
}

#[test]
fn too_many_prefixes() {
    let nets = (0..=u32::try_from(MAX_PREFIXES).unwrap()).map(|number| {
        let net = ipnet::Ipv4Net::new(std::net::Ipv4Addr::from_bits(number << 8), 24).unwrap();
        Peer::Block(Block::new(net.into(), Scope::Any))
    });
    let many = rule(Action::Allow, nets.collect(), Ports::Any);
    let found = error(&[policy("u", TierRef::union(), vec![many])]);
    assert!(
        matches!(found, CompileError::Limit(LimitError::Prefixes { .. })),
        "{found:?}"
    );
}

#[test]
fn too_many_blocks_over_one_another() {
    let wide = rule(Action::Allow, vec![net("0.0.0.0/0"); 20_000], Ports::Any);
    let narrow = (0..1_000_u32).map(|number| {
        let net = ipnet::Ipv4Net::new(std::net::Ipv4Addr::from_bits(number << 16), 24).unwrap();
        Peer::Block(Block::new(net.into(), Scope::Any))
    });
    let narrow = rule(Action::Allow, narrow.collect(), Ports::Any);
    let found = error(&[policy("u", TierRef::union(), vec![wide, narrow])]);
    assert_eq!(found, LimitError::Overlaps.into());
}
