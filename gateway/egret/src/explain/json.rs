//! The answer for programs.

use policy_cases::Who;
use policy_engine::{Explanation, Miss, Reason, RuleReason, TierOutcome, Verdict};
use policy_model::DenyStyle;
use serde::Serialize;

use super::{Answer, ExplainError, FlowAnswer, NO_ADDRESS, text};
use crate::render::{self, DiagnosticJson, ObjectJson, UnreadableJson};

pub(super) fn answer(answer: &Answer) -> String {
    let deciding = answer.deciding().map(|flow| &flow.enforced);
    let refused = answer
        .question
        .as_ref()
        .filter(|question| question.verdict == Verdict::Deny);
    render::json(&AnswerJson {
        verdict: answer.verdict().as_str(),
        would: answer.would().as_str(),
        how: (answer.verdict() == Verdict::Deny).then(|| {
            match (refused, deciding.map(|story| story.decision.style)) {
                (Some(_), _) | (None, None | Some(DenyStyle::Reject)) => "reject",
                (None, Some(DenyStyle::Drop)) => "drop",
            }
        }),
        from: &answer.from,
        to: answer.destination.to.to_string(),
        protocol: answer.destination.protocol.to_string(),
        port: answer.destination.port,
        made_up: answer.fresh,
        reason: match (refused, deciding) {
            (None, Some(story)) => Some(ReasonJson::from(&story.reason)),
            (None, None) => Some(ReasonJson {
                code: "no-address",
                text: NO_ADDRESS.to_owned(),
                tier: None,
                rule: None,
                policies: Vec::new(),
            }),
            (Some(_), _) => None,
        },
        question: answer.question.as_ref().map(|question| QuestionJson {
            verdict: question.verdict.as_str(),
            would: question.would.map(Verdict::as_str),
            rcode: question.rcode.map(|rcode| rcode.to_string()),
            text: question.by.as_ref().map_or("", |by| by.text.as_str()),
            policies: match question.by.as_ref().map(|by| &by.who) {
                Some(Who::Policies(policies)) => policies.iter().map(ObjectJson::from).collect(),
                Some(Who::Guard | Who::Default) | None => Vec::new(),
            },
        }),
        addresses: answer
            .flows
            .iter()
            .map(|flow| AddressJson::of(flow, answer))
            .collect(),
        diagnostics: answer
            .diagnostics
            .iter()
            .map(DiagnosticJson::from)
            .collect(),
    })
}

/// That there is no answer, and what stood in its way.
pub(super) fn no_answer(error: &ExplainError) -> String {
    let (unreadable, diagnostics) = match error {
        ExplainError::Files(errors) => (errors.as_slice(), &[][..]),
        ExplainError::Refused(diagnostics)
        | ExplainError::World(diagnostics)
        | ExplainError::Answers(diagnostics) => (&[][..], diagnostics.as_slice()),
        ExplainError::Destination(_)
        | ExplainError::Source(_)
        | ExplainError::Host(_)
        | ExplainError::ReadAnswers { .. }
        | ExplainError::Scene(_)
        | ExplainError::Need(..)
        | ExplainError::Compile(_)
        | ExplainError::Limit(_)
        | ExplainError::Engine(_) => (&[][..], &[][..]),
    };
    render::json(&NoAnswerJson {
        verdict: None,
        error: render::chain(error),
        unreadable: unreadable.iter().map(UnreadableJson::from).collect(),
        diagnostics: diagnostics.iter().map(DiagnosticJson::from).collect(),
    })
}

#[derive(Serialize)]
struct NoAnswerJson<'a> {
    /// Always nothing.
    verdict: Option<&'static str>,
    error: String,
    unreadable: Vec<UnreadableJson>,
    diagnostics: Vec<DiagnosticJson<'a>>,
}

#[derive(Serialize)]
struct AnswerJson<'a> {
    verdict: &'static str,
    would: &'static str,
    how: Option<&'static str>,
    /// Who asks, as `--from` names him.
    from: &'a str,
    to: String,
    protocol: String,
    /// ICMP: type and code, as `type * 256 + code`.
    port: u16,
    /// Whether the address of the host is made up, because nobody resolved it.
    made_up: bool,
    /// What decided; nothing where the question did.
    reason: Option<ReasonJson<'a>>,
    /// The look-up, where names are filtered.
    question: Option<QuestionJson<'a>>,
    addresses: Vec<AddressJson<'a>>,
    diagnostics: Vec<DiagnosticJson<'a>>,
}

/// Who decided, as every verb's `-o json` prints it.
#[derive(Serialize)]
pub(crate) struct ReasonJson<'a> {
    code: &'static str,
    text: String,
    tier: Option<String>,
    rule: Option<RuleJson<'a>>,
    policies: Vec<ObjectJson<'a>>,
}

#[derive(Serialize)]
struct RuleJson<'a> {
    policy: ObjectJson<'a>,
    index: u32,
    name: Option<&'a str>,
    action: &'static str,
    file: &'a str,
    line: u32,
    column: u32,
    path: &'a str,
    closed: Option<&'static str>,
}

#[derive(Serialize)]
struct QuestionJson<'a> {
    verdict: &'static str,
    would: Option<&'static str>,
    rcode: Option<String>,
    text: &'a str,
    policies: Vec<ObjectJson<'a>>,
}

#[derive(Serialize)]
struct AddressJson<'a> {
    ip: String,
    /// What has the address.
    object: Option<&'a str>,
    /// Of a Service: the backend whose walk is told.
    backend: Option<BackendJson<'a>>,
    verdict: &'static str,
    would: &'static str,
    reason: ReasonJson<'a>,
    /// Of `would`.
    would_reason: ReasonJson<'a>,
    names: Vec<LeaseJson<'a>>,
    guards: Vec<&'static str>,
    tiers: Vec<TierJson<'a>>,
    default: DefaultJson<'a>,
    unselected: Vec<ObjectJson<'a>>,
    /// Of a deny: the rules that would allow it, of policies that select others.
    of_others: Vec<RuleJson<'a>>,
}

#[derive(Serialize)]
struct BackendJson<'a> {
    ip: String,
    port: u16,
    object: Option<&'a str>,
}

#[derive(Serialize)]
struct LeaseJson<'a> {
    name: &'a str,
    live: bool,
    /// Seconds; 0 where it is over.
    left: u64,
}

#[derive(Serialize)]
struct TierJson<'a> {
    tier: String,
    outcome: &'static str,
    rules: Vec<TraceJson<'a>>,
}

#[derive(Serialize)]
struct TraceJson<'a> {
    #[serde(flatten)]
    rule: RuleJson<'a>,
    matches: bool,
    decides: bool,
    /// Why it does not match.
    miss: Option<&'static str>,
    text: String,
}

#[derive(Serialize)]
struct DefaultJson<'a> {
    verdict: &'static str,
    reason: ReasonJson<'a>,
}

impl<'a> From<&'a Reason> for ReasonJson<'a> {
    fn from(reason: &'a Reason) -> Self {
        Self {
            code: reason.code(),
            text: reason.to_string(),
            tier: reason.tier().map(ToString::to_string),
            rule: reason.rule().map(RuleJson::from),
            policies: reason
                .policies()
                .into_iter()
                .map(ObjectJson::from)
                .collect(),
        }
    }
}

impl<'a> From<&'a RuleReason> for RuleJson<'a> {
    fn from(rule: &'a RuleReason) -> Self {
        Self {
            policy: ObjectJson::from(&rule.policy),
            index: rule.index,
            name: rule.name.as_deref(),
            action: rule.action.as_str(),
            file: &rule.origin.source,
            line: rule.origin.line,
            column: rule.origin.column,
            path: &rule.origin.path,
            closed: rule.closed,
        }
    }
}

impl<'a> AddressJson<'a> {
    fn of(flow: &'a FlowAnswer, answer: &Answer) -> Self {
        let FlowAnswer {
            enforced: story,
            proposed,
            object,
            backend,
            of_others,
        } = flow;
        let would = proposed.verdict;
        let (default, reason) = &story.default;
        Self {
            ip: story.flow.ip.to_string(),
            object: object.as_deref(),
            backend: story.backend.map(|flow| BackendJson {
                ip: flow.ip.to_string(),
                port: flow.port,
                object: backend.as_deref(),
            }),
            of_others: of_others.iter().map(RuleJson::from).collect(),
            verdict: story.verdict.as_str(),
            would: would.as_str(),
            reason: ReasonJson::from(&story.reason),
            would_reason: ReasonJson::from(&proposed.reason),
            names: story
                .leases
                .iter()
                .map(|trace| LeaseJson {
                    name: trace.lease.question.without_dot(),
                    live: trace.live,
                    left: trace.lease.expires_at.saturating_sub(answer.now).as_secs(),
                })
                .collect(),
            guards: story.guards.iter().map(|guard| guard.code()).collect(),
            tiers: story
                .tiers
                .iter()
                .map(|tier| TierJson::of(tier, story))
                .collect(),
            default: DefaultJson {
                verdict: default.as_str(),
                reason: ReasonJson::from(reason),
            },
            unselected: story.unselected.iter().map(ObjectJson::from).collect(),
        }
    }
}

impl<'a> TierJson<'a> {
    fn of(tier: &'a policy_engine::TierTrace, story: &Explanation) -> Self {
        let deciding = match tier.outcome {
            TierOutcome::Decided(at) | TierOutcome::Passed(at) => Some(at),
            TierOutcome::DeniedAtEnd | TierOutcome::Next | TierOutcome::NotReached => None,
        };
        Self {
            tier: tier.tier.to_string(),
            outcome: match tier.outcome {
                TierOutcome::Decided(_) => "decided",
                TierOutcome::Passed(_) => "passed",
                TierOutcome::DeniedAtEnd => "denied-at-end",
                TierOutcome::Next => "next",
                TierOutcome::NotReached => "not-reached",
            },
            rules: tier
                .rules
                .iter()
                .enumerate()
                .map(|(index, trace)| TraceJson {
                    rule: RuleJson::from(&trace.rule),
                    matches: trace.miss.is_none(),
                    decides: deciding == Some(index),
                    miss: trace.miss.map(miss_code),
                    text: trace
                        .miss
                        .map_or_else(|| "matches".to_owned(), |miss| text::miss_text(miss, story)),
                })
                .collect(),
        }
    }
}

const fn miss_code(miss: Miss) -> &'static str {
    match miss {
        Miss::Guarded(_) => "guarded",
        Miss::Expired { .. } => "expired",
        Miss::Private { .. } => "private",
        Miss::NameRefused { .. } => "name-refused",
        Miss::Ports => "ports",
        Miss::Excepted { .. } => "except",
        Miss::Name => "name",
        Miss::Address => "address",
        Miss::Closed(_) => "closed",
    }
}
