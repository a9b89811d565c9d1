//! Which tags and words JSON has a value for.

use saphyr_parser::Tag;

use super::super::Style;
use super::super::error::LoadErrorKind;
use super::super::scalar::{CoreTag, Typed, resolve};

/// What no JSON can hold, what is not of the type its tag says, and what versions of YAML read as different things.
pub(super) fn check(text: &str, style: Style, tag: Option<CoreTag>) -> Result<(), LoadErrorKind> {
    let typed = resolve(text, style, tag);
    if let Typed::Float(number) = typed
        && !number.is_finite()
    {
        return Err(LoadErrorKind::Number(text.to_owned()));
    }
    match tag {
        Some(tag) if !tag.fits(typed) => Err(LoadErrorKind::TagMismatch {
            text: text.to_owned(),
            tag: tag.word(),
        }),
        Some(_) | None => Ok(()),
    }
}

/// Words without quotes that versions of YAML cut in different places.
pub(super) fn check_plain(text: &str, in_brackets: bool) -> Result<(), LoadErrorKind> {
    if text.starts_with('?') || (in_brackets && text.contains('?')) {
        return Err(LoadErrorKind::QuestionMark);
    }
    if in_brackets && text.starts_with(':') {
        return Err(LoadErrorKind::LeadingColon(text.to_owned()));
    }
    Ok(())
}

/// The tags JSON's types have; anything else would change a value in a way no reader of the file sees.
pub(super) fn scalar_tag(tag: &Tag) -> Result<CoreTag, LoadErrorKind> {
    if tag.handle == "!" && tag.suffix.is_empty() {
        return Ok(CoreTag::Str);
    }
    match (tag.is_yaml_core_schema(), tag.suffix.as_str()) {
        (true, "str") => Ok(CoreTag::Str),
        (true, "int") => Ok(CoreTag::Int),
        (true, "float") => Ok(CoreTag::Float),
        (true, "bool") => Ok(CoreTag::Bool),
        (true, "null") => Ok(CoreTag::Null),
        _ => Err(LoadErrorKind::Tag(tag.to_string())),
    }
}

/// The same for a list or a mapping.
pub(super) fn collection_tag(tag: &Tag, expected: &str) -> Result<(), LoadErrorKind> {
    if tag.is_yaml_core_schema() && tag.suffix == expected {
        return Ok(());
    }
    Err(LoadErrorKind::Tag(tag.to_string()))
}
