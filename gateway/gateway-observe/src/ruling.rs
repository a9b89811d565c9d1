use ebpf_abi::Cause;
use policy_engine::Reason;
use schemars::JsonSchema;
use serde::Serialize;

/// Who decided, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct Ruling {
    /// Stable word for programs: `rule`, `isolated`, `not-named`, `guard-metadata`, …
    pub code: String,
    /// One line for people.
    pub reason: String,
    /// `band/tier`, where a tier decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// The policies that decided, or that isolate or filter, as `Kind/namespace/name`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleRef>,
    /// `file:line:column` of the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// A rule of the first policy in `policies`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub struct RuleRef {
    /// From 0, as its author counts.
    pub index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `allow`, `deny`, `pass` or `log`.
    pub action: String,
    /// The diagnostic's code, where the rule is not enforced as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
}

impl Ruling {
    /// A ruling that no policy made.
    pub fn plain(code: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            reason: reason.into(),
            tier: None,
            policies: Vec::new(),
            rule: None,
            place: None,
        }
    }

    /// What the kernel programs decided without asking a policy; `None` for [`Cause::Policy`], whose reason is the
    /// ruleset's.
    pub fn from_cause(cause: Cause) -> Option<Self> {
        let (code, reason) = match cause {
            Cause::Policy => return None,
            Cause::OwnListener => (
                "own-listener",
                "a listener of the same workload, on loopback",
            ),
            Cause::Inbound => ("inbound", "a reply on an inbound connection"),
            Cause::UnknownWorkload => ("unknown-workload", "the cgroup is not known as a workload"),
            Cause::NoRuling => (
                "no-ruling",
                "the kernel's tables have no ruling, which is a fault of Egret",
            ),
            Cause::ForeignSlot => ("foreign-slot", "an interceptor address of another workload"),
            Cause::Unredirected => (
                "dns-not-redirected",
                "a question to a resolver that did not go through the interceptor (raw socket or packet)",
            ),
            Cause::BoundDevice => (
                "dns-bound-device",
                "a question from a socket bound to a device, which cannot reach the interceptor",
            ),
            Cause::SourceRoute => (
                "source-route",
                "source routing: the packet would go elsewhere",
            ),
            Cause::Fragment => ("fragment", "a fragment whose first one was not allowed"),
            Cause::Malformed => ("malformed", "headers that cannot be read"),
            Cause::OwnSlot => ("own-slot", "a question on its way to the interceptor"),
        };
        Some(Self::plain(code, reason))
    }
}

impl From<&Reason> for Ruling {
    fn from(reason: &Reason) -> Self {
        let rule = reason.rule();
        Self {
            code: reason.code().to_owned(),
            reason: reason.to_string(),
            tier: reason.tier().map(ToString::to_string),
            policies: reason
                .policies()
                .into_iter()
                .map(ToString::to_string)
                .collect(),
            rule: rule.map(|rule| RuleRef {
                index: rule.index,
                name: rule.name.as_deref().map(str::to_owned),
                action: rule.action.as_str().to_owned(),
                closed: rule.closed.map(str::to_owned),
            }),
            place: rule.map(|rule| rule.origin.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use policy_engine::{Reason, RuleReason};
    use policy_model::{Action, ObjectRef, Origin, TierRef};

    use super::Ruling;

    #[test]
    fn a_rule_is_named_with_its_place() {
        let reason = Reason::Rule(Arc::new(RuleReason {
            tier: TierRef::union(),
            policy: ObjectRef::new("EgressPolicy", Some("ci"), "runners"),
            index: 2,
            name: Some("mirrors".into()),
            origin: Origin::new("p.yaml", 12, 5, "spec.egress[2]"),
            action: Action::Deny,
            closed: None,
        }));
        let ruling = serde_json::to_value(Ruling::from(&reason)).unwrap();
        assert_eq!(
            ruling,
            serde_json::json!({
                "code": "rule",
                "reason": reason.to_string(),
                "tier": "namespace/union",
                "policies": ["EgressPolicy/ci/runners"],
                "rule": {"index": 2, "name": "mirrors", "action": "deny"},
                "place": "p.yaml:12:5",
            })
        );
    }

    #[test]
    fn what_did_not_decide_is_absent() {
        let ruling = serde_json::to_value(Ruling::from(&Reason::NoPolicy)).unwrap();
        assert_eq!(
            ruling,
            serde_json::json!({"code": "no-policy", "reason": "no policy selects the workload"})
        );
    }
}
