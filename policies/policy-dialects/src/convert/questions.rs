//! Rules about questions, for dialects that know of flows alone.

use dns_names::NamePattern;
use policy_model::{NamedPorts, PortMatch, Ports, Protocol, Rule};

const DNS: u16 = 53;

/// The flows to DNS servers by which every name may be asked, and whether the rule has others; nothing where it limits names.
pub(crate) fn dns_flows(rule: &Rule) -> Option<(Rule, bool)> {
    let every = |names: &Vec<NamePattern>| names.iter().any(NamePattern::is_match_all);
    if !rule.questions.as_ref().is_some_and(every) {
        return None;
    }
    let holds = |protocol: Protocol| {
        let holds =
            |one: &PortMatch| one.protocol == protocol && one.first <= DNS && DNS <= one.last;
        match &rule.ports {
            Ports::Any => true,
            Ports::Only(list) => list.iter().any(holds),
            Ports::AllBut(list) => !list.iter().any(holds),
        }
    };
    let ports: Vec<PortMatch> = [Protocol::UDP, Protocol::TCP]
        .into_iter()
        .filter(|protocol| holds(*protocol))
        .map(|protocol| PortMatch::port(protocol, DNS))
        .collect();
    let is_dns = |one: &PortMatch| (one.first, one.last) == (DNS, DNS);
    let others = match &rule.ports {
        Ports::Any | Ports::AllBut(_) => true,
        Ports::Only(list) => !list.iter().all(is_dns),
    };
    let flows = Rule {
        ports: Ports::Only(ports),
        named_ports: NamedPorts::default(),
        questions: None,
        ..rule.clone()
    };
    Some((flows, others))
}
