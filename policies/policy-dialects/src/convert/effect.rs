use crate::codes;

/// Which way a loss goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Less is allowed.
    Narrower,
    /// More names may be asked, of more servers; no other flow is allowed by it.
    Questions,
    /// More may be allowed.
    Wider,
    /// Both may be.
    Either,
}

/// Which way a loss of that code goes; nothing for a code that changes no verdict of those it is about, or is none of a conversion.
#[must_use]
pub fn effect(code: &str) -> Option<Effect> {
    const EFFECTS: &[(codes::Code, Effect)] = &[
        (codes::CONVERT_CLOSED, Effect::Narrower),
        (codes::CONVERT_PEER, Effect::Narrower),
        (codes::CONVERT_PORTS, Effect::Narrower),
        (codes::CONVERT_NARROWER, Effect::Narrower),
        (codes::CONVERT_ORDER, Effect::Narrower),
        (codes::CONVERT_QUESTIONS, Effect::Questions),
        (codes::CONVERT_WIDER, Effect::Wider),
        (codes::CONVERT_DENY, Effect::Wider),
        (codes::CONVERT_SUBJECT, Effect::Either),
        (codes::CONVERT_STAGED, Effect::Either),
        (codes::CONVERT_TIER, Effect::Either),
        (codes::CONVERT_LEFT_BEHIND, Effect::Either),
    ];
    let found = EFFECTS.iter().find(|(known, _)| known.id == code);
    found.map(|(_, effect)| *effect)
}
