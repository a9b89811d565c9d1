//! Rules about questions, for dialects that know of flows alone.

use dns_names::NamePattern;
use policy_model::{LabelSelector, Labels, NamedPorts, PodPeer, PortMatch, Ports, Protocol, Rule};

const DNS: u16 = 53;

/// The flows to DNS servers by which every name may be asked, and whether the rule has others; nothing where it limits names.
pub(crate) fn dns_flows(rule: &Rule) -> Option<(Rule, bool)> {
    let every = |names: &Vec<NamePattern>| names.iter().any(NamePattern::is_match_all);
    if !rule.questions.as_ref().is_some_and(every) {
        return None;
    }
    let ports = dns_ports(&rule.ports);
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

/// The ports of DNS that are among these.
pub(crate) fn dns_ports(ports: &Ports) -> Vec<PortMatch> {
    let holds = |protocol: Protocol| {
        let holds =
            |one: &PortMatch| one.protocol == protocol && one.first <= DNS && DNS <= one.last;
        match ports {
            Ports::Any => true,
            Ports::Only(list) => list.iter().any(holds),
            Ports::AllBut(list) => !list.iter().any(holds),
        }
    };
    [Protocol::UDP, Protocol::TCP]
        .into_iter()
        .filter(|protocol| holds(*protocol))
        .map(|protocol| PortMatch::port(protocol, DNS))
        .collect()
}

/// The pods that answer for the cluster's DNS.
pub(crate) fn cluster_dns() -> PodPeer {
    PodPeer {
        namespace: Some("kube-system".into()),
        namespaces: None,
        pods: LabelSelector {
            match_labels: Labels::from([("k8s-app".into(), "kube-dns".into())]),
            match_expressions: Vec::new(),
        },
        service_accounts: Vec::new(),
    }
}
