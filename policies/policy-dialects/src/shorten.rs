//! What an author wrote, short enough to be told.

use std::sync::Arc;

use policy_model::ObjectRef;

/// LIMIT: characters of one value in a message. Enough to recognise it, and no file can make a message of megabytes.
const LONGEST_VALUE: usize = 120;
/// LIMIT: characters of a message, for values that hold backticks themselves. Lists of all known words stay whole.
const LONGEST: usize = 2_000;

/// One value, where it stands in no backticks.
pub(crate) fn value(text: &str) -> String {
    cut(text, LONGEST_VALUE)
}

/// A message whose values, which stand in backticks, are cut.
pub(crate) fn message(text: String) -> String {
    if text.len() <= LONGEST_VALUE {
        return text;
    }
    let parts = text.split('`').enumerate();
    let parts: Vec<String> = parts
        .map(|(index, part)| match index % 2 {
            1 => cut(part, LONGEST_VALUE),
            _ => part.to_owned(),
        })
        .collect();
    cut(&parts.join("`"), LONGEST)
}

/// A path through an object.
pub(crate) fn path(path: Arc<str>) -> Arc<str> {
    if path.len() <= LONGEST {
        return path;
    }
    cut(&path, LONGEST).into()
}

/// The name of an object that may have none like it.
pub(crate) fn object(object: ObjectRef) -> ObjectRef {
    let ObjectRef {
        group,
        kind,
        namespace,
        name,
    } = object;
    // The longest name that is one has 253 characters.
    let whole = |text: Arc<str>| match text.len() {
        0..=300 => text,
        _ => cut(&text, LONGEST_VALUE).into(),
    };
    ObjectRef {
        group: whole(group),
        kind: whole(kind),
        namespace: namespace.map(whole),
        name: whole(name),
    }
}

fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_cut_and_what_is_said_of_them_stays() {
        let long = "9".repeat(1_000_000);
        let short = message(format!("`{long}` is not a port, and `80` is one"));
        assert_eq!(
            short,
            format!("`{}…` is not a port, and `80` is one", "9".repeat(120))
        );
        assert_eq!(message("`80` is a port".into()), "`80` is a port");
        let ticks = message(format!("`{}` is no name", "a`".repeat(100_000)));
        assert_eq!(ticks.chars().count(), LONGEST + 1);
    }

    #[test]
    fn names_and_paths_are_cut() {
        let long = "ä".repeat(1_000_000);
        let name = object(ObjectRef::new("Policy", Some("shop"), &*long)).name;
        assert_eq!(*name, format!("{}…", "ä".repeat(120)));
        let longest = "a".repeat(253);
        assert_eq!(
            *object(ObjectRef::new("Policy", None, &*longest)).name,
            longest
        );
        assert_eq!(path(long.into()).chars().count(), LONGEST + 1);
        assert_eq!(&*path("spec.egress".into()), "spec.egress");
    }
}
