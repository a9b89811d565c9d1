use std::sync::Arc;

use ipnet::IpNet;

use crate::endpoint::Endpoint;
use crate::expression::Expression;
use crate::selector::{LabelSelector, Labels};
use crate::workload::{PodIdentity, Workload};

/// Which workloads a policy selects.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Subject {
    #[default]
    All,
    Kubernetes(KubernetesSubject),
    Plain(PlainSubject),
    /// Pods and host endpoints for whose labels an expression holds (Calico).
    Endpoints(Expression),
    /// Those of them that have certain addresses: a rule of Calico's with `source.nets`.
    Addressed(AddressedSubject),
    /// One of Calico's host endpoints.
    HostEndpoint(Arc<str>),
    /// What runs in the network of these nodes, pods that share it among it (Cilium's host policies); never a pod with a
    /// network of its own.
    Nodes(LabelSelector),
}

/// Endpoints by labels and by their own addresses; all given parts must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressedSubject {
    pub endpoints: Expression,
    /// It has an address in one of these; empty is no condition.
    pub nets: Vec<IpNet>,
    /// It has no address in any of these.
    pub not_nets: Vec<IpNet>,
}

/// A subject by what Kubernetes knows; all given parts must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KubernetesSubject {
    /// The namespace of a namespaced policy. A command whose namespace nobody gave is taken to be in it.
    pub namespace: Option<Arc<str>>,
    pub namespaces: Option<LabelSelector>,
    pub pods: Option<LabelSelector>,
    /// Any of these; empty is no condition.
    pub service_accounts: Vec<Arc<str>>,
    pub nodes: Option<LabelSelector>,
    /// Whether pods in the host's network are selected too. The upstream kinds never select those, because their data
    /// planes cannot tell them from the node.
    pub host_network: bool,
}

/// A subject by what plain Linux knows; all given parts must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlainSubject {
    /// Systemd unit, with `*` for any run of characters.
    pub unit: Option<Arc<str>>,
    pub user: Option<Arc<str>>,
    /// Cgroup path, with `*` likewise; its children are selected too.
    pub cgroup: Option<Arc<str>>,
    pub container: Option<ContainerSubject>,
    /// Only (true) or never (false) the command of `egret run`.
    pub command: Option<bool>,
}

/// A container by name (with `*`) and labels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerSubject {
    pub name: Option<Arc<str>>,
    pub labels: LabelSelector,
}

/// Whether a subject selects a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selects {
    Yes,
    No,
    /// It asks for something that is not known of the workload. Never to be taken for No: that would silently free it.
    Unknown,
}

impl Selects {
    pub(crate) const fn from_bool(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    fn of_known<T>(known: Option<T>, holds: impl FnOnce(T) -> bool) -> Self {
        known.map_or(Self::Unknown, |value| Self::from_bool(holds(value)))
    }

    /// Both must hold: one No is No, whatever is unknown.
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }

    /// One of them must hold: one Yes is Yes, whatever is unknown.
    pub const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::No, Self::No) => Self::No,
        }
    }

    pub const fn negated(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
        }
    }
}

impl Subject {
    pub fn selects(&self, workload: &Workload) -> Selects {
        if workload.no_identity {
            return Selects::from_bool(*self == Self::All);
        }
        match self {
            Self::All => Selects::Yes,
            Self::Kubernetes(subject) => subject.selects(&workload.pod, workload.command),
            Self::Plain(subject) => subject.selects(workload),
            Self::Nodes(_) if !workload.pod.host_network && workload.host_endpoint.is_none() => {
                Selects::No
            }
            Self::Nodes(nodes) => select_labels(Some(nodes), workload.pod.node_labels.as_ref()),
            Self::Endpoints(expression) => select_endpoint(expression, workload),
            Self::Addressed(subject) => subject.selects(workload),
            Self::HostEndpoint(name) => Selects::from_bool(
                workload.host_endpoint.as_ref().map(|host| &host.name) == Some(name),
            ),
        }
    }
}

impl AddressedSubject {
    fn selects(&self, workload: &Workload) -> Selects {
        let Self {
            endpoints,
            nets,
            not_nets,
        } = self;
        let addresses = &workload.pod.addresses;
        let known = (!addresses.is_empty()).then_some(addresses);
        let any_in = |nets: &[IpNet]| {
            Selects::of_known(known, |addresses| {
                addresses
                    .iter()
                    .any(|ip| nets.iter().any(|net| net.contains(&ip.to_canonical())))
            })
        };
        let mut selects = select_endpoint(endpoints, workload);
        if !nets.is_empty() {
            selects = selects.and(any_in(nets));
        }
        if !not_nets.is_empty() {
            selects = selects.and(any_in(not_nets).negated());
        }
        selects
    }
}

impl KubernetesSubject {
    fn selects(&self, pod: &PodIdentity, command: bool) -> Selects {
        let Self {
            namespace,
            namespaces,
            pods,
            service_accounts,
            nodes,
            host_network,
        } = self;
        if pod.host_network && !host_network {
            return Selects::No;
        }
        let own_namespace = match (namespace, &pod.namespace) {
            (None, _) => Selects::Yes,
            (Some(_), None) if command => Selects::Yes,
            (Some(wanted), known) => Selects::of_known(known.as_ref(), |known| known == wanted),
        };
        let account = if service_accounts.is_empty() {
            Selects::Yes
        } else {
            Selects::of_known(pod.service_account.as_ref(), |known| {
                service_accounts.contains(known)
            })
        };
        own_namespace
            .and(account)
            .and(select_labels(
                namespaces.as_ref(),
                pod.namespace_labels.as_ref(),
            ))
            .and(select_labels(pods.as_ref(), pod.labels.as_ref()))
            .and(select_labels(nodes.as_ref(), pod.node_labels.as_ref()))
    }
}

impl PlainSubject {
    fn selects(&self, workload: &Workload) -> Selects {
        let Self {
            unit,
            user,
            cgroup,
            container,
            command,
        } = self;
        // A part of plain Linux that is not known does not hold: the kernel says all of them of every process.
        let mut holds = command.is_none_or(|wanted| wanted == workload.command);
        if let Some(pattern) = unit {
            holds &= workload
                .unit
                .as_ref()
                .is_some_and(|unit| glob_matches(pattern, unit));
        }
        if let Some(wanted) = user {
            holds &= workload.user.as_ref() == Some(wanted);
        }
        if let Some(pattern) = cgroup {
            holds &= workload.cgroup.as_ref().is_some_and(|path| {
                let pattern = pattern.trim_end_matches('/');
                glob_matches(pattern, path) || glob_matches(&format!("{pattern}/*"), path)
            });
        }
        if let Some(ContainerSubject { name, labels }) = container {
            holds &= workload.container.as_ref().is_some_and(|container| {
                name.as_ref()
                    .is_none_or(|pattern| glob_matches(pattern, &container.name))
                    && labels.matches(&container.labels)
            });
        }
        Selects::from_bool(holds)
    }
}

/// A pod in the host's network is no endpoint of Calico's: the host's own endpoints stand for it.
fn select_endpoint(expression: &Expression, workload: &Workload) -> Selects {
    if workload.pod.host_network && workload.host_endpoint.is_none() {
        return Selects::No;
    }
    Endpoint::of_workload(workload).selects(expression)
}

/// An empty selector selects whatever there is, labels known or not.
fn select_labels(selector: Option<&LabelSelector>, labels: Option<&Labels>) -> Selects {
    match selector {
        None => Selects::Yes,
        Some(selector) if selector.is_empty() => Selects::Yes,
        Some(selector) => Selects::of_known(labels, |labels| selector.matches(labels)),
    }
}

/// Whether `text` is like `pattern`, where `*` stands for any run of characters.
fn glob_matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::workload::HostIdentity;

    #[test_case("build@*.service", "build@1.service", true; "star in the middle")]
    #[test_case("build@*.service", "build.service", false; "prefix must fit")]
    #[test_case("a*a", "a", false; "ends do not overlap")]
    #[test_case("*", "", true; "star alone")]
    #[test_case("a", "ab", false; "no star is the whole text")]
    #[test_case("a*b*c", "axbxbxc", true; "several stars")]
    fn globs(pattern: &str, text: &str, expected: bool) {
        assert_eq!(glob_matches(pattern, text), expected);
    }

    fn pods(selector: LabelSelector) -> Subject {
        Subject::Kubernetes(KubernetesSubject {
            namespace: Some("prod".into()),
            pods: Some(selector),
            ..KubernetesSubject::default()
        })
    }

    #[test]
    fn a_command_is_selected_by_an_empty_selector() {
        let subject = pods(LabelSelector::default());
        assert_eq!(subject.selects(&Workload::command()), Selects::Yes);
    }

    #[test]
    fn who_has_no_identity_is_selected_by_what_selects_everybody() {
        let nobody = Workload::without_identity();
        assert_eq!(Subject::All.selects(&nobody), Selects::Yes);
        let labelled = LabelSelector {
            match_labels: Labels::from([("app".into(), "web".into())]),
            ..LabelSelector::default()
        };
        for subject in [
            pods(LabelSelector::default()),
            pods(labelled),
            Subject::Kubernetes(KubernetesSubject {
                namespaces: Some(LabelSelector::default()),
                ..KubernetesSubject::default()
            }),
            Subject::Endpoints(Expression::All),
            Subject::Nodes(LabelSelector::default()),
            Subject::HostEndpoint("n1-eth0".into()),
            Subject::Plain(PlainSubject {
                command: Some(false),
                ..PlainSubject::default()
            }),
        ] {
            assert_eq!(subject.selects(&nobody), Selects::No, "{subject:?}");
        }
    }

    #[test]
    fn a_selector_needs_labels() {
        let subject = pods(LabelSelector {
            match_labels: Labels::from([("app".into(), "web".into())]),
            ..LabelSelector::default()
        });
        let mut workload = Workload::command();
        assert_eq!(subject.selects(&workload), Selects::Unknown);
        workload.pod.labels = Some(Labels::from([("app".into(), "web".into())]));
        assert_eq!(subject.selects(&workload), Selects::Yes);
        workload.pod.namespace = Some("test".into());
        assert_eq!(subject.selects(&workload), Selects::No);
    }

    #[test]
    fn an_addressed_subject_needs_addresses() {
        let mut workload = Workload::default();
        workload.pod.labels = Some(Labels::new());
        let select = |workload: &Workload, nets: &[&str], not_nets: &[&str]| {
            let parse = |nets: &[&str]| nets.iter().map(|net| net.parse().unwrap()).collect();
            Subject::Addressed(AddressedSubject {
                endpoints: Expression::All,
                nets: parse(nets),
                not_nets: parse(not_nets),
            })
            .selects(workload)
        };
        assert_eq!(select(&workload, &["10.0.0.0/8"], &[]), Selects::Unknown);
        assert_eq!(select(&workload, &[], &[]), Selects::Yes);
        workload.pod.addresses = vec!["10.1.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        assert_eq!(select(&workload, &["10.0.0.0/8"], &[]), Selects::Yes);
        assert_eq!(select(&workload, &["10.2.0.0/16"], &[]), Selects::No);
        assert_eq!(
            select(&workload, &["10.0.0.0/8"], &["10.1.0.1/32"]),
            Selects::No
        );
        assert_eq!(
            select(&workload, &["fd00::/8"], &["10.2.0.0/16"]),
            Selects::Yes
        );
    }

    #[test]
    fn a_pod_in_the_hosts_network_is_no_endpoint() {
        let subject = Subject::Endpoints(Expression::All);
        let mut workload = Workload::default();
        assert_eq!(subject.selects(&workload), Selects::Yes);
        workload.pod.host_network = true;
        assert_eq!(subject.selects(&workload), Selects::No);
        workload.host_endpoint = Some(HostIdentity::default());
        assert_eq!(subject.selects(&workload), Selects::Yes);
    }

    #[test]
    fn a_host_endpoint_is_selected_by_its_name() {
        let subject = Subject::HostEndpoint("n1-eth0".into());
        let mut workload = Workload::default();
        assert_eq!(subject.selects(&workload), Selects::No);
        workload.host_endpoint = Some(HostIdentity {
            name: "n1-eth0".into(),
            ..HostIdentity::default()
        });
        assert_eq!(subject.selects(&workload), Selects::Yes);
    }

    #[test]
    fn another_unit_is_not_the_command() {
        let subject = Subject::Plain(PlainSubject {
            unit: Some("build@*.service".into()),
            ..PlainSubject::default()
        });
        assert_eq!(subject.selects(&Workload::command()), Selects::No);
    }

    #[test]
    fn a_cgroup_selects_its_children() {
        let subject = Subject::Plain(PlainSubject {
            cgroup: Some("/machine.slice/".into()),
            ..PlainSubject::default()
        });
        for (path, expected) in [
            ("/machine.slice", Selects::Yes),
            ("/machine.slice/a", Selects::Yes),
            ("/machine.slice2", Selects::No),
        ] {
            let workload = Workload {
                cgroup: Some(path.into()),
                ..Workload::default()
            };
            assert_eq!(subject.selects(&workload), expected, "{path}");
        }
    }

    #[test_case(false, Some("a"), Selects::No; "a pod with a network of its own")]
    #[test_case(true, Some("a"), Selects::Yes; "a pod in the network of the node")]
    #[test_case(true, Some("b"), Selects::No; "of another node")]
    #[test_case(true, None, Selects::Unknown; "of a node nobody described")]
    fn a_policy_for_nodes_is_not_for_the_pods_on_them(
        host_network: bool,
        zone: Option<&str>,
        expected: Selects,
    ) {
        let zone_is = |zone: &str| Labels::from([("zone".into(), zone.into())]);
        let subject = Subject::Nodes(LabelSelector {
            match_labels: zone_is("a"),
            ..LabelSelector::default()
        });
        let mut workload = Workload::default();
        workload.pod.host_network = host_network;
        workload.pod.node_labels = zone.map(zone_is);
        assert_eq!(subject.selects(&workload), expected);
        assert_eq!(subject.selects(&Workload::command()), Selects::No);
    }
}
