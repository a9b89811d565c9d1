use crate::codes;
use crate::decode::{At, Findings};
use crate::yaml::{Node, Place, Shape, Style};

use super::super::selector::{Selector, SelectorError, parse_selector};

/// The word Calico looks for in the text of a selector, in literals too.
const GLOBAL: &str = "global(";

/// Reads a selector where `global()` may not stand; an empty one is none.
pub(crate) fn decode<'d>(node: Node<'d>, findings: &mut Findings) -> Option<At<'d, Selector>> {
    let (text, selector) = parse(node, findings)?;
    if text.contains(GLOBAL) {
        findings.report_help(
            codes::CALICO_GLOBAL,
            node,
            "global() can only be used in the `namespaceSelector` of a source or destination",
            "endpoints in no namespace are those for which `!has(projectcalico.org/namespace)` holds",
        );
        return None;
    }
    Some(selector)
}

/// Reads the `namespaceSelector` of a source or destination, where `global()` may stand alone.
pub(super) fn decode_namespaces<'d>(
    node: Node<'d>,
    findings: &mut Findings,
) -> Option<At<'d, Selector>> {
    let (text, selector) = parse(node, findings)?;
    if text.contains(GLOBAL) && selector.value != Selector::Global {
        findings.report_help(
            codes::CALICO_GLOBAL,
            node,
            "global() cannot be combined with any other selector",
            "write two rules, one with `global()` alone",
        );
        return None;
    }
    Some(selector)
}

fn parse<'d>(node: Node<'d>, findings: &mut Findings) -> Option<(&'d str, At<'d, Selector>)> {
    let text = findings.string(node)?.value;
    if text.is_empty() {
        return None;
    }
    match parse_selector(text) {
        Ok(value) => Some((text, At { value, node })),
        Err(error) => {
            let help = help(text).map(str::to_owned);
            findings.report_at(
                codes::CALICO_SELECTOR,
                place(node, text, &error),
                node.path(),
                error.to_string(),
                help,
            );
            None
        }
    }
}

fn help(text: &str) -> Option<&'static str> {
    if text.ends_with('\n') {
        Some(
            "a `|` block ends with a new line, which Calico refuses: write the selector on one line, or use `|-`",
        )
    } else if text.contains(" and ") || text.contains(" or ") {
        Some("write `&&` for and, `||` for or")
    } else if text.contains('(') && text.contains(" in") {
        Some("a set stands in braces: role in {\"a\", \"b\"}")
    } else {
        None
    }
}

/// Where in the file the error is; the whole value where the text does not stand there letter by letter.
fn place(node: Node<'_>, text: &str, error: &SelectorError) -> Place {
    let whole = node.place();
    let Shape::Scalar(_, style) = node.shape() else {
        return whole;
    };
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let offset = narrow(error.offset);
    let length = narrow(text.chars().count());
    let before = match style {
        // Of several lines, the first is still as written.
        Style::Plain if offset < whole.width => 0,
        Style::Plain if length == whole.width => 0,
        Style::Quoted if length.saturating_add(2) == whole.width => 1,
        Style::Plain | Style::Quoted | Style::Block => return whole,
    };
    Place {
        column: whole.column.saturating_add(before).saturating_add(offset),
        width: 1,
        ..whole
    }
}
