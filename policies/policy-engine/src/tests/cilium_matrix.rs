//! Cilium's own table of who may ask which server which name (`dns_proxy_matrix` of the shared facts).
use std::net::{IpAddr, Ipv4Addr};

use policy_model::*;
use serde_json::Value;

use super::build::{cilium, name, policy, rule};
use crate::{Age, Compiled, Flow, Verdict, compile};

fn matrix() -> Option<Value> {
    let text = facts::text("cases/cilium.json")?;
    Some(serde_json::from_str::<Value>(&text).unwrap()["dns_proxy_matrix"].take())
}

/// `D1` is 198.51.100.1, and so on.
fn server(id: &str) -> IpAddr {
    let number = id.strip_prefix('D').unwrap().parse().unwrap();
    Ipv4Addr::new(198, 51, 100, number).into()
}

fn port(row: &Value) -> PortMatch {
    let protocol = Protocol::parse(row[3].as_str().unwrap()).unwrap();
    PortMatch::port(protocol, u16::try_from(row[2].as_u64().unwrap()).unwrap())
}

/// `[endpoint, server, port, protocol, names or null]`
fn allow(row: &Value) -> Rule {
    let peer = match row[1].as_str().unwrap() {
        "*" => Peer::Entity(Entity::World),
        id => Peer::Block(Block::new(server(id).into(), Scope::Outside)),
    };
    let patterns = row[4].as_array().map(|names| {
        names
            .iter()
            .map(|text| cilium(text.as_str().unwrap()))
            .collect()
    });
    let ports = Ports::Only(vec![port(row)]);
    Rule {
        questions: patterns,
        ..rule(Action::Allow, vec![peer], ports)
    }
}

#[test]
fn names_per_endpoint_server_port_and_protocol() {
    let Some(matrix) = matrix() else { return };
    let rows = |key: &str| matrix[key].as_array().unwrap().clone();
    let world = World {
        resolvers: (1..=4)
            .flat_map(|number| [53, 54].map(|port| (server(&format!("D{number}")), port)))
            .map(|(address, port)| Resolver { address, port })
            .collect(),
        ..World::default()
    };
    let cases = rows("cases");
    assert!(cases.len() >= 18);
    for case in cases {
        let rules = rows("rules")
            .iter()
            .filter(|row| row[0] == case[0])
            .map(allow)
            .collect();
        let policies = [policy("ep", TierRef::union(), rules)];
        let Compiled {
            ruleset, mut lists, ..
        } = compile(
            &policies,
            &Workload::command(),
            &world,
            &Settings::default(),
        )
        .unwrap();
        let (
            PortMatch {
                protocol, first, ..
            },
            address,
        ) = (port(&case), server(case[1].as_str().unwrap()));
        let age = Age::New { now: Time::ZERO };
        let flow = Flow::new(address, protocol, first);
        let reached = ruleset.decide(&mut lists, &flow, &[], age).unwrap().verdict;
        let question = name(case[4].as_str().unwrap());
        let asked = ruleset
            .judge_question((address, first), protocol, &question)
            .verdict();
        let both = reached == Verdict::Allow && asked == Verdict::Allow;
        assert_eq!(
            both,
            case[5].as_bool().unwrap(),
            "{case}: {reached:?} {asked:?}"
        );
    }
}
