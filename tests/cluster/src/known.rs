//! Why an API server and we may differ about an object.

use policy_model::Diagnostic;

use crate::client::Response;
use crate::definition::Definition;

/// (group, code of ours, why we refuse what the API server takes)
const OURS: &[(&str, &str, &str)] = &[
    (
        NATIVE,
        "invalid-selector",
        "a selector's words and counts, which a schema cannot say but by repeating Kubernetes' own",
    ),
    (
        NATIVE,
        "invalid-cidr",
        "a block that its pattern lets through",
    ),
    (
        NATIVE,
        "invalid-except",
        "an exception outside of its block, which CEL costs too much to say",
    ),
    (
        NATIVE,
        "invalid-pattern",
        "a name that its pattern lets through",
    ),
    (
        NATIVE,
        "calico-selector",
        "an expression of labels, which is a language",
    ),
    (
        NATIVE,
        "calico-global",
        "an expression of labels, which is a language",
    ),
    (NATIVE, "invalid-name", "a name that is none"),
    (NATIVE, "invalid-value", "a name that is none"),
    (NATIVE, "native-subject", "a cgroup that is no path"),
    (
        NATIVE,
        "wrong-type",
        "a key without a value, which the server drops: here nobody knows what was meant",
    ),
    (
        POLICIES,
        "invalid-selector",
        "a selector no pod can be chosen by: the server leaves that to who enforces it",
    ),
    (
        POLICIES,
        "invalid-value",
        "an operator there is none of: likewise",
    ),
    (
        POLICIES,
        "wrong-type",
        "a label that is null, which the server drops",
    ),
    (
        POLICIES,
        "invalid-cidr",
        "a block that is none: its rule in CEL is of newer definitions",
    ),
    (
        POLICIES,
        "invalid-pattern",
        "a name that its pattern lets through",
    ),
    (
        "networking.k8s.io",
        "wrong-type",
        "null in a list: the server makes of it a rule or peer that is empty, and so wide",
    ),
    (
        CALICO,
        "calico-selector",
        "an expression of labels, which is a language",
    ),
    (
        CALICO,
        "calico-tier-missing",
        "a tier that is not there, which the server does not look for",
    ),
    (
        CALICO,
        "calico-nets",
        "blocks that its pattern lets through, or a rule with both families",
    ),
    (
        CALICO,
        "calico-protocol",
        "a protocol that its pattern lets through: any number and any word",
    ),
    (
        CALICO,
        "invalid-value",
        "a word where there is a closed set: protocols, and what a staged NetworkPolicy has of Kubernetes",
    ),
    (
        CALICO,
        "calico-port",
        "a port that is no number, range or name",
    ),
    (
        CALICO,
        "calico-ports-protocol",
        "ports beside a protocol that has none",
    ),
    (
        CALICO,
        "calico-services",
        "a Service beside what it cannot stand beside, or on the side of the workload",
    ),
    (
        CALICO,
        "calico-http",
        "an HTTP match in egress rules or beside another action",
    ),
    (
        CALICO,
        "calico-staged",
        "a deletion that says more than its name",
    ),
    (
        CALICO,
        "calico-host-endpoint",
        "addresses and ports of a host, which its schema does not look at",
    ),
    (
        CALICO,
        "invalid-cidr",
        "a block of a staged NetworkPolicy: Kubernetes' own admission reads it when it is made one",
    ),
    (
        CALICO,
        "invalid-except",
        "an exception of a staged NetworkPolicy: likewise",
    ),
    (
        CALICO,
        "invalid-port",
        "a port of a staged NetworkPolicy: likewise",
    ),
    (
        CALICO,
        "invalid-selector",
        "a selector of a staged NetworkPolicy: likewise",
    ),
    (
        CALICO,
        "network-policy-peer",
        "what Calico's own admission refuses behind the server's",
    ),
    (
        CALICO,
        "missing-field",
        "an object without a spec, or without what Calico's own admission needs",
    ),
    (CALICO, "wrong-type", "a null, which the server drops"),
];

/// (group, part of the server's message, why we take what it refuses)
const THEIRS: &[(&str, &str, &str)] = &[
    (
        "",
        "\"descripton\"",
        "a field beside the spec, which has no effect: a lint",
    ),
    (POLICIES, "spec.ingress", INGRESS),
    (CALICO, "spec.ingress", INGRESS),
    (
        "networking.k8s.io",
        "must not have bits set beyond the prefix length",
        "newer servers alone refuse it: a lint, as it is their warning before",
    ),
    (
        CALICO,
        "Duplicate value",
        "a thing twice in a set, which says it once",
    ),
];

const NATIVE: &str = "egret.dev";
const POLICIES: &str = "policy.networking.k8s.io";
/// Of both groups.
const CALICO: &str = "projectcalico.org";
const INGRESS: &str = "what is wrong with ingress rules, which say nothing of egress: a lint tells that they are not read";

pub(crate) fn refused_by_us(definition: &Definition, ours: &Diagnostic) -> Option<&'static str> {
    OURS.iter()
        .find(|(group, code, _)| of(definition, group) && ours.code == *code)
        .map(|(_, _, reason)| *reason)
}

/// A reason for each thing the server finds wrong, or none.
pub(crate) fn refused_by_them(
    definition: &Definition,
    response: &Response,
) -> Option<&'static str> {
    let reasons: Option<Vec<&str>> = found_wrong(response)
        .iter()
        .map(|wrong| {
            THEIRS
                .iter()
                .find(|(group, part, _)| of(definition, group) && wrong.contains(part))
                .map(|(_, _, reason)| *reason)
        })
        .collect();
    reasons?.into_iter().next()
}

/// What a server finds wrong, one by one.
fn found_wrong(response: &Response) -> Vec<String> {
    let causes: Vec<String> = response.body["details"]["causes"]
        .as_array()
        .into_iter()
        .flatten()
        // It says so where it looks no further.
        .filter(|cause| cause["field"] != "<nil>")
        .map(|cause| {
            format!(
                "{}: {}",
                cause["field"].as_str().unwrap_or_default(),
                cause["message"].as_str().unwrap_or_default()
            )
        })
        .collect();
    let unknown_fields = response
        .message()
        .split("unknown field")
        .skip(1)
        .map(str::to_owned);
    if causes.is_empty() {
        unknown_fields.collect()
    } else {
        causes
    }
}

fn of(definition: &Definition, group: &str) -> bool {
    group.is_empty()
        || definition.group == group
        || (group == CALICO && definition.group.ends_with(CALICO))
}
