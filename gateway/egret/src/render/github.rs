//! Workflow commands of GitHub Actions: one annotation a line.
//! <https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands>

use policy_model::{Diagnostic, Level};

/// How an annotation is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Annotation {
    Error,
    Warning,
    Notice,
}

impl Annotation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

/// A place an annotation stands at; columns need their line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spot<'a> {
    pub file: &'a str,
    /// From 1; 0: only the file is known.
    pub line: u32,
    /// From 1; 0: only the line is known.
    pub column: u32,
    /// Characters from the column on.
    pub width: u32,
}

/// One annotation, with its end of line.
#[must_use]
pub fn annotation(mark: Annotation, spot: Spot<'_>, title: &str, message: &str) -> String {
    let Spot {
        file,
        line,
        column,
        width,
    } = spot;
    let mut properties = vec![format!("file={}", property(file))];
    if line > 0 {
        properties.push(format!("line={line}"));
    }
    if line > 0 && column > 0 {
        properties.push(format!("col={column}"));
        if width > 1 {
            properties.push(format!("endColumn={}", column.saturating_add(width)));
        }
    }
    properties.push(format!("title={}", property(title)));
    format!(
        "::{} {}::{}\n",
        mark.as_str(),
        properties.join(","),
        data(message)
    )
}

/// A diagnostic as an annotation.
#[must_use]
pub fn diagnostic(diagnostic: &Diagnostic) -> String {
    let Diagnostic {
        code,
        level,
        message,
        help,
        origin,
        object,
    } = diagnostic;
    let mark = match level {
        Level::Refused | Level::Closed => Annotation::Error,
        Level::Lint => Annotation::Warning,
    };
    let mut text = message.clone();
    if let Some(object) = object {
        text.push_str(&format!("\nin {object}"));
    }
    if let Some(help) = help {
        text.push_str(&format!("\nhelp: {help}"));
    }
    let spot = Spot {
        file: &origin.source,
        line: origin.line,
        column: origin.column,
        width: origin.width,
    };
    annotation(mark, spot, &format!("{level}[{code}]"), &text)
}

/// The escapes of what stands behind the second `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The escapes of a property, which ends at a comma or colon.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use policy_model::{ObjectRef, Origin};

    use super::*;

    #[test]
    fn a_diagnostic_is_one_line_whatever_it_says() {
        let origin = Origin {
            width: 4,
            ..Origin::new("a,b:c.yaml", 2, 9, "spec.tier")
        };
        let found = Diagnostic::new(Level::Refused, "invalid-value", origin, "`a\nb` is 100% no")
            .with_help("x")
            .about(ObjectRef::new("EgressPolicy", Some("ns"), "p"));
        assert_eq!(
            diagnostic(&found),
            "::error file=a%2Cb%3Ac.yaml,line=2,col=9,endColumn=13,title=refused[invalid-value]::\
             `a%0Ab` is 100%25 no%0Ain EgressPolicy/ns/p%0Ahelp: x\n"
        );
    }

    #[test]
    fn a_place_may_be_a_file_alone() {
        let spot = Spot {
            file: "p.yaml",
            ..Spot::default()
        };
        assert_eq!(
            annotation(Annotation::Notice, spot, "t", "m"),
            "::notice file=p.yaml,title=t::m\n"
        );
    }
}
