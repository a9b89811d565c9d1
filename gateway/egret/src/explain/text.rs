//! The answer for people: the verdict, what decided, then tier by tier.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use policy_engine::{
    Explanation, Miss, Reason, RuleReason, RuleTrace, TierOutcome, TierTrace, Verdict,
};
use policy_model::{Level, ObjectRef, Time};

use super::question::To;
use super::{Answer, FlowAnswer, NO_ADDRESS};
use crate::render::{Look, visible};

pub(super) fn answer(answer: &Answer, look: Look) -> String {
    let mut out = String::new();
    let verdict = answer.verdict();
    line(
        &mut out,
        &format!(
            "{}  {}",
            paint_verdict(verdict, look),
            look.paint("1", &heading(answer))
        ),
    );
    if answer.would() != verdict {
        line(
            &mut out,
            &format!(
                "       would be {} with every staged and audit policy in force",
                look.paint(colour(answer.would()), answer.would().as_str())
            ),
        );
    }
    out.push('\n');
    because(&mut out, answer, look);
    if let Some(reason) = answer.would_because() {
        row(&mut out, "would", &visible(&reason.to_string()));
    }
    for flow in &answer.flows {
        out.push('\n');
        out.push_str(&walk(flow, answer, look));
    }
    let counted = |level| {
        answer
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.level == level)
            .count()
    };
    let (refused, closed) = (counted(Level::Refused), counted(Level::Closed));
    if refused + closed > 0 {
        let text =
            format!("{refused} refused and {closed} closed in these policies: see `egret check`");
        line(&mut out, &format!("\n{}", look.paint("33", &text)));
    }
    out
}

/// Who goes where; that it is the command goes without saying.
fn heading(answer: &Answer) -> String {
    let destination = visible(&answer.destination.to_string());
    if answer.from == "command" {
        destination
    } else {
        format!("{} to {destination}", visible(&answer.from))
    }
}

/// The walk of an address, and what would decide of other workloads.
fn walk(flow: &FlowAnswer, answer: &Answer, look: Look) -> String {
    let story = &flow.enforced;
    let named = Named {
        own: flow.object.as_deref(),
        backend: flow.backend.as_deref(),
    };
    let mut out = told(story, named, answer.fresh, answer.now, look);
    for rule in &flow.of_others {
        let text = format!(
            "{} would allow it, and its policy selects other workloads",
            visible(&place(rule))
        );
        step(&mut out, "selector", &text);
    }
    out
}

/// What decided, where it stands, and by which name.
fn because(out: &mut String, answer: &Answer, look: Look) {
    let refused = answer
        .question
        .as_ref()
        .filter(|question| question.verdict == Verdict::Deny);
    if let (Some(question), To::Host(name)) = (refused, &answer.destination.to) {
        let reason = question.by.as_ref().map_or("", |by| by.text.as_str());
        row(
            out,
            "because",
            &format!(
                "{} may not be asked: {}",
                name.without_dot(),
                visible(reason)
            ),
        );
        if let Some(rcode) = question.rcode {
            row(
                out,
                "answer",
                &format!("{rcode}, and nobody upstream is told"),
            );
        }
        return;
    }
    let Some(flow) = answer.deciding() else {
        row(out, "because", NO_ADDRESS);
        look_up(out, answer);
        return;
    };
    let story = &flow.enforced;
    match &story.reason {
        Reason::Rule(rule) => {
            row(out, "because", &rule_text(rule, look));
            row(
                out,
                "at",
                &look.paint("36", &visible(&rule.origin.to_string())),
            );
            if let Some(code) = rule.closed {
                row(
                    out,
                    "closed",
                    &format!(
                        "the rule cannot be enforced as written ({code}), so it denies everything"
                    ),
                );
            }
        }
        Reason::Isolated { by, .. } => {
            row(
                out,
                "because",
                "no rule allows it, and what no rule allows is denied by",
            );
            for object in by {
                let place = answer
                    .places
                    .get(object)
                    .map_or_else(String::new, |origin| {
                        format!("  {}", look.paint("36", &visible(&origin.to_string())))
                    });
                row(out, "", &format!("{}{place}", visible(&object.to_string())));
            }
        }
        reason @ (Reason::TierEnd { .. }
        | Reason::Guard(_)
        | Reason::Service(_)
        | Reason::Default
        | Reason::NoPolicy
        | Reason::OwnAddress
        | Reason::NotNamed { .. }
        | Reason::SearchExpansion
        | Reason::NotFiltered) => row(out, "because", &visible(&reason.to_string())),
    }
    let lease = story
        .decision
        .lease
        .and_then(|index| story.leases.get(index));
    if let Some(lease) = lease
        && story.verdict == Verdict::Allow
    {
        let left = lease.lease.expires_at.saturating_sub(answer.now);
        row(
            out,
            "by name",
            &format!(
                "{} stands for {} for {} more",
                lease.lease.question.without_dot(),
                story.flow.ip,
                seconds(left)
            ),
        );
    }
    if let Some(nearest) = (story.verdict == Verdict::Deny)
        .then(|| nearest_miss(story))
        .flatten()
    {
        row(out, "nearest", &nearest);
    }
    look_up(out, answer);
}

fn look_up(out: &mut String, answer: &Answer) {
    if let Some(question) = &answer.question
        && let Some(by) = &question.by
    {
        let may = if question.verdict == Verdict::Allow {
            "may be asked"
        } else {
            "may not be asked"
        };
        row(out, "look-up", &format!("{may}: {}", visible(&by.text)));
    }
}

/// The Allow rule that came closest.
fn nearest_miss(story: &Explanation) -> Option<String> {
    let rules = story.tiers.iter().flat_map(|tier| &tier.rules);
    let (miss, rule) = rules
        .filter(|rule| rule.rule.action == policy_model::Action::Allow)
        .filter_map(|rule| Some((rule.miss?, rule)))
        .min_by_key(|(miss, _)| *miss)?;
    match miss {
        Miss::Name | Miss::Address => None,
        Miss::Guarded(_)
        | Miss::Expired { .. }
        | Miss::Private { .. }
        | Miss::NameRefused { .. }
        | Miss::Ports
        | Miss::Excepted { .. }
        | Miss::Closed(_) => Some(format!(
            "{}: {}",
            visible(&place(&rule.rule)),
            miss_text(miss, story)
        )),
    }
}

/// The walk of one address, step by step; `made_up` where nobody resolved its name.
pub(crate) fn steps(story: &Explanation, made_up: bool, now: Time, look: Look) -> String {
    told(story, Named::default(), made_up, now, look)
}

/// What addresses are, where a world says so.
#[derive(Default, Clone, Copy)]
struct Named<'a> {
    own: Option<&'a str>,
    backend: Option<&'a str>,
}

fn told(story: &Explanation, named: Named<'_>, made_up: bool, now: Time, look: Look) -> String {
    let with_name = |ip: IpAddr, name: Option<&str>| match name {
        Some(name) => format!("{} ({ip})", visible(name)),
        None => ip.to_string(),
    };
    let mut text = String::new();
    let out = &mut text;
    let made_up = if made_up {
        ", made up: nobody resolved the name"
    } else {
        ""
    };
    line(
        out,
        &look.paint(
            "2",
            &format!(
                "the walk of {}{made_up}",
                with_name(story.flow.ip, named.own)
            ),
        ),
    );
    if let Some(backend) = &story.backend {
        let text = format!(
            "judged as its backends; told of {} port {}",
            with_name(backend.ip, named.backend),
            backend.port
        );
        step(out, "service", &text);
    }
    for trace in &story.leases {
        let name = trace.lease.question.without_dot();
        let state = if trace.live {
            format!(
                "live for {} more",
                seconds(trace.lease.expires_at.saturating_sub(now))
            )
        } else {
            "over".to_owned()
        };
        step(out, "name", &format!("{name}, {state}"));
    }
    if story.guards.is_empty() {
        step(out, "guard", "nothing here is guarded");
    }
    for guard in &story.guards {
        step(
            out,
            "guard",
            guard.to_string().trim_start_matches("guard: "),
        );
    }
    for tier in &story.tiers {
        tier_text(out, tier, story, look);
    }
    let (verdict, reason) = &story.default;
    let reached = story
        .tiers
        .iter()
        .all(|tier| matches!(tier.outcome, TierOutcome::Next | TierOutcome::Passed(_)));
    let closed_by_guard = matches!(story.reason, Reason::Guard(_) | Reason::OwnAddress);
    let default = format!("{}: {}", verdict.as_str(), visible(&reason.to_string()));
    step(
        out,
        "default",
        &if reached && !closed_by_guard {
            default
        } else {
            look.paint("2", "not reached")
        },
    );
    if !story.unselected.is_empty() {
        step(
            out,
            "others",
            &format!(
                "do not select this workload: {}",
                objects(&story.unselected)
            ),
        );
    }
    text
}

fn tier_text(out: &mut String, tier: &TierTrace, story: &Explanation, look: Look) {
    let outcome = match tier.outcome {
        TierOutcome::Decided(_) => "decided".to_owned(),
        TierOutcome::Passed(_) => "passed on".to_owned(),
        TierOutcome::DeniedAtEnd => "no rule decided: denied at its end".to_owned(),
        TierOutcome::Next => "no rule decided: next".to_owned(),
        TierOutcome::NotReached => look.paint("2", "not reached"),
    };
    step(out, &tier.tier.to_string(), &outcome);
    let width = tier
        .rules
        .iter()
        .map(|rule| place(&rule.rule).chars().count())
        .max()
        .unwrap_or(0);
    for (index, rule) in tier.rules.iter().enumerate() {
        let decides = match tier.outcome {
            TierOutcome::Decided(at) | TierOutcome::Passed(at) => at == index,
            TierOutcome::DeniedAtEnd | TierOutcome::Next | TierOutcome::NotReached => false,
        };
        let mark = if decides { "->" } else { "  " };
        let said = rule_trace(rule, story);
        let text = format!(
            "    {mark} {:<5}  {:<width$}  {said}",
            rule.rule.action.as_str(),
            visible(&place(&rule.rule))
        );
        line(
            out,
            &if decides {
                look.paint("1", &text)
            } else {
                look.paint("2", &text)
            },
        );
    }
}

fn rule_trace(rule: &RuleTrace, story: &Explanation) -> String {
    match (
        rule.miss,
        rule.lease.and_then(|lease| story.leases.get(lease)),
    ) {
        (Some(miss), _) => miss_text(miss, story),
        (None, Some(lease)) => format!("matches by {}", lease.lease.question.without_dot()),
        (None, None) => "matches".to_owned(),
    }
}

pub(super) fn miss_text(miss: Miss, story: &Explanation) -> String {
    let name = |lease: usize| {
        story
            .leases
            .get(lease)
            .map_or("a name", |trace| trace.lease.question.without_dot())
    };
    match miss {
        Miss::Guarded(_) => {
            "would match, but the guard asks for a rule that names the address".to_owned()
        }
        Miss::Expired { lease } => format!("would match by {}, which is over", name(lease)),
        Miss::Private { lease } => format!(
            "would match by {}, which may not hold a private address (allowPrivate)",
            name(lease)
        ),
        Miss::NameRefused { lease } => format!(
            "would match by {}, which a Deny before it refuses",
            name(lease)
        ),
        Miss::Ports => "another port or protocol".to_owned(),
        Miss::Excepted { by } => format!("excepted by {by}"),
        Miss::Name => "other names".to_owned(),
        Miss::Address => "other addresses".to_owned(),
        Miss::Closed(code) => format!("cannot be enforced yet ({code}), so it matches nothing"),
    }
}

fn rule_text(rule: &RuleReason, look: Look) -> String {
    let name = rule
        .name
        .as_ref()
        .map_or_else(String::new, |name| format!(" `{}`", visible(name)));
    let action = match rule.action {
        policy_model::Action::Allow => look.paint("32", "allow"),
        policy_model::Action::Deny => look.paint("31", "deny"),
        policy_model::Action::Pass | policy_model::Action::Log => rule.action.as_str().to_owned(),
    };
    format!(
        "{action}, rule {}{name} of {}, tier {}",
        rule.index,
        visible(&rule.policy.to_string()),
        rule.tier
    )
}

/// ``Kind/namespace/name rule 0 `name` at file:line``
pub(crate) fn place(rule: &RuleReason) -> String {
    let name = rule
        .name
        .as_ref()
        .map_or_else(String::new, |name| format!(" `{name}`"));
    format!(
        "{}:{}  {} rule {}{name}",
        rule.origin.source, rule.origin.line, rule.policy, rule.index
    )
}

fn paint_verdict(verdict: Verdict, look: Look) -> String {
    look.paint(colour(verdict), &format!("{:<5}", verdict.as_str()))
}

const fn colour(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "1;32",
        Verdict::Deny => "1;31",
    }
}

fn objects(objects: &[ObjectRef]) -> String {
    visible(
        &objects
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    )
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

fn row(out: &mut String, label: &str, text: &str) {
    line(out, &format!("  {label:<8}  {text}"));
}

fn step(out: &mut String, label: &str, text: &str) {
    line(out, &format!("  {label:<15}  {text}"));
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{}", text.trim_end()).expect("writing to a string cannot fail");
}
