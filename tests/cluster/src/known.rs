//! Why an API server and we may differ about an object.

use policy_model::Diagnostic;

use crate::definition::Definition;

/// (group, code of ours, why we refuse what the API server takes); every group where it is empty.
const OURS: &[(&str, &str, &str)] = &[];

/// (group, part of the server's message, why we take what it refuses)
const THEIRS: &[(&str, &str, &str)] = &[];

pub(crate) fn refused_by_us(definition: &Definition, ours: &Diagnostic) -> Option<&'static str> {
    OURS.iter()
        .find(|(group, code, _)| of(definition, group) && *code == ours.code)
        .map(|(_, _, reason)| *reason)
}

pub(crate) fn refused_by_them(definition: &Definition, message: &str) -> Option<&'static str> {
    THEIRS
        .iter()
        .find(|(group, part, _)| of(definition, group) && message.contains(part))
        .map(|(_, _, reason)| *reason)
}

fn of(definition: &Definition, group: &str) -> bool {
    group.is_empty() || definition.group == group
}
