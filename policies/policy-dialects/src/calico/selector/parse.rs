use std::sync::Arc;

use super::{LabelTest, Selector};

/// LIMIT: `maxLength` of every selector in Calico's CRDs, in characters.
const MAX_LENGTH: usize = 1024;
/// LIMIT: Calico's longest label name.
const MAX_NAME: usize = 512;
/// LIMIT: parentheses in parentheses. Calico has no limit but the length; nobody writes a tenth of this, and the parser
/// must not use up the stack.
const MAX_DEPTH: u32 = 64;

/// Why a text is no selector, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct SelectorError {
    pub kind: SelectorErrorKind,
    /// Characters before the place.
    pub offset: usize,
}

/// What is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorErrorKind {
    #[error("a selector has at most {MAX_LENGTH} characters, this one has {0}")]
    Long(usize),
    #[error("a label's name has at most {MAX_NAME} characters, this one has {0}")]
    LongName(usize),
    #[error("more than {MAX_DEPTH} parentheses in one another")]
    Deep,
    #[error("a literal without its closing quote")]
    Unterminated,
    #[error("expected {expected}, found {found}")]
    Expected {
        expected: &'static str,
        found: String,
    },
}

/// Reads a selector; a blank one selects everything.
///
/// # Errors
/// What Calico's own parser refuses, and what is over a limit.
pub fn parse_selector(text: &str) -> Result<Selector, SelectorError> {
    let length = text.chars().count();
    if length > MAX_LENGTH {
        return Err(SelectorError {
            kind: SelectorErrorKind::Long(length),
            offset: 0,
        });
    }
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
    };
    parser.skip_blanks();
    if parser.rest().is_empty() {
        return Ok(Selector::All);
    }
    let selector = parser.any()?;
    parser.skip_blanks();
    if parser.rest().is_empty() {
        Ok(selector)
    } else {
        Err(parser.expected("`&&`, `||` or the end"))
    }
}

struct Parser<'t> {
    text: &'t str,
    /// Octets read.
    at: usize,
    depth: u32,
}

impl<'t> Parser<'t> {
    /// `a || b`
    fn any(&mut self) -> Result<Selector, SelectorError> {
        let first = self.every()?;
        let mut parts = vec![first];
        while self.take_operator("||") {
            parts.push(self.every()?);
        }
        Ok(single_or(parts, Selector::Or))
    }

    /// `a && b`
    fn every(&mut self) -> Result<Selector, SelectorError> {
        let first = self.operation()?;
        let mut parts = vec![first];
        while self.take_operator("&&") {
            parts.push(self.operation()?);
        }
        Ok(single_or(parts, Selector::And))
    }

    /// One test, with any number of `!` before it.
    fn operation(&mut self) -> Result<Selector, SelectorError> {
        let mut negated = false;
        self.skip_blanks();
        // `!=` is an operator of its own, and never the beginning.
        while !self.rest().starts_with("!=") && self.take("!") {
            negated = !negated;
            self.skip_blanks();
        }
        let inner = self.term()?;
        Ok(if negated {
            Selector::Not(Box::new(inner))
        } else {
            inner
        })
    }

    fn term(&mut self) -> Result<Selector, SelectorError> {
        const EXPECTED: &str = "a label, `has(`, `all()` or `(`";
        if self.take("(") {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return Err(self.error(SelectorErrorKind::Deep));
            }
            let inner = self.any()?;
            self.depth -= 1;
            self.close()?;
            return Ok(inner);
        }
        // Between these words and their parenthesis no blank may stand.
        if self.take("all(") {
            self.close()?;
            return Ok(Selector::All);
        }
        if self.take("global(") {
            self.close()?;
            return Ok(Selector::Global);
        }
        if self.take("has(") {
            self.skip_blanks();
            let name = self.name("a label's name")?;
            self.close()?;
            return Ok(Selector::Label(name, LabelTest::Exists));
        }
        let name = self.name(EXPECTED)?;
        let test = self.test()?;
        Ok(Selector::Label(name, test))
    }

    /// What stands behind a label: words are operators only here, so labels may be called as they are.
    fn test(&mut self) -> Result<LabelTest, SelectorError> {
        self.skip_blanks();
        if self.take("==") {
            return Ok(LabelTest::Equal(self.literal()?));
        }
        if self.take("!=") {
            return Ok(LabelTest::NotEqual(self.literal()?));
        }
        if self.take("contains") {
            return Ok(LabelTest::Contains(self.literal()?));
        }
        if self.take_words("starts", "with") {
            return Ok(LabelTest::StartsWith(self.literal()?));
        }
        if self.take_words("ends", "with") {
            return Ok(LabelTest::EndsWith(self.literal()?));
        }
        if self.take_words("not", "in") {
            return Ok(LabelTest::NotIn(self.set()?));
        }
        if self.take("in") {
            return Ok(LabelTest::In(self.set()?));
        }
        Err(self.expected(
            "`==`, `!=`, `in`, `not in`, `contains`, `starts with` or `ends with` behind the label",
        ))
    }

    fn literal(&mut self) -> Result<Arc<str>, SelectorError> {
        self.skip_blanks();
        let Some(quote @ ('"' | '\'')) = self.rest().chars().next() else {
            return Err(self.expected("a literal in quotes"));
        };
        let inside = &self.rest()[1..];
        let Some(end) = inside.find(quote) else {
            return Err(self.error(SelectorErrorKind::Unterminated));
        };
        self.at += end + 2;
        Ok(inside[..end].into())
    }

    /// `{"a", "b"}`; a comma may stand behind the last.
    fn set(&mut self) -> Result<Vec<Arc<str>>, SelectorError> {
        self.skip_blanks();
        if !self.take("{") {
            return Err(self.expected("a set of literals in braces"));
        }
        let mut values = Vec::new();
        loop {
            self.skip_blanks();
            if self.take("}") {
                break;
            }
            values.push(self.literal()?);
            self.skip_blanks();
            if self.take("}") {
                break;
            }
            if !self.take(",") {
                return Err(self.expected("`,` or `}`"));
            }
        }
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }

    fn name(&mut self, expected: &'static str) -> Result<Arc<str>, SelectorError> {
        let rest = self.rest();
        let end = rest
            .bytes()
            .position(|octet| !(octet.is_ascii_alphanumeric() || b"_./-".contains(&octet)))
            .unwrap_or(rest.len());
        match end {
            0 => Err(self.expected(expected)),
            1..=MAX_NAME => {
                self.at += end;
                Ok(rest[..end].into())
            }
            _ => Err(self.error(SelectorErrorKind::LongName(end))),
        }
    }

    fn close(&mut self) -> Result<(), SelectorError> {
        self.skip_blanks();
        if self.take(")") {
            Ok(())
        } else {
            Err(self.expected("`)`"))
        }
    }

    /// Two words with or without blanks between.
    fn take_words(&mut self, first: &str, second: &str) -> bool {
        let before = self.at;
        if self.take(first) {
            self.skip_blanks();
            if self.take(second) {
                return true;
            }
        }
        self.at = before;
        false
    }

    fn take_operator(&mut self, operator: &str) -> bool {
        self.skip_blanks();
        self.take(operator)
    }

    fn take(&mut self, token: &str) -> bool {
        let taken = self.rest().starts_with(token);
        if taken {
            self.at += token.len();
        }
        taken
    }

    /// Only blanks and tabs: a new line is an error.
    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn expected(&self, expected: &'static str) -> SelectorError {
        let found = match self.rest().chars().next() {
            None => "the end".to_owned(),
            Some('\n') => "a new line".to_owned(),
            Some(character) => format!("`{character}`"),
        };
        self.error(SelectorErrorKind::Expected { expected, found })
    }

    fn error(&self, kind: SelectorErrorKind) -> SelectorError {
        SelectorError {
            kind,
            offset: self.text[..self.at].chars().count(),
        }
    }
}

fn single_or(mut parts: Vec<Selector>, several: fn(Vec<Selector>) -> Selector) -> Selector {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            several(parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("has (a)", 4; "no blank before the parenthesis")]
    #[test_case("a == b", 5; "a value without quotes")]
    #[test_case("a == 'é' x", 9; "counted in characters")]
    #[test_case("a == \"b\"\n", 8; "a new line")]
    #[test_case("a starts 'b'", 2; "half an operator")]
    #[test_case("a in {'b' 'c'}", 10; "no comma")]
    #[test_case("a in {,}", 6; "a lone comma")]
    #[test_case("(a == 'b'", 9; "not closed")]
    #[test_case("!= 'b'", 0; "an operator first")]
    fn errors_point_into_the_text(text: &str, offset: usize) {
        let error = parse_selector(text).unwrap_err();
        assert_eq!(error.offset, offset, "{error}");
    }

    #[test]
    fn limits() {
        let long = |names: usize| "a".repeat(names);
        assert!(parse_selector(&format!("has({})", long(512))).is_ok());
        assert!(parse_selector(&format!("has({})", long(513))).is_err());
        let fits = format!("a == '{}'", "é".repeat(1017));
        assert_eq!(fits.chars().count(), 1024);
        assert!(parse_selector(&fits).is_ok());
        assert!(parse_selector(&format!("{fits} ")).is_err());
        let nested = |depth| format!("{}has(a){}", "(".repeat(depth), ")".repeat(depth));
        assert!(parse_selector(&nested(64)).is_ok());
        let deep = parse_selector(&nested(65)).unwrap_err();
        assert_eq!(deep.kind, SelectorErrorKind::Deep);
    }

    #[test_case("a in {'c','b','c',}", "a in {\"b\", \"c\"}"; "sets are sorted")]
    #[test_case("global( )", "global()"; "global")]
    #[test_case("a notin {}", "a not in {}"; "one word")]
    #[test_case("a == '\"'", "a == '\"'"; "quotes in quotes")]
    #[test_case("a != 'b'&&!(c endswith 'd'||all())", "(a != \"b\" && !(c ends with \"d\" || all()))"; "no blanks")]
    fn canonical_forms(text: &str, canonical: &str) {
        let selector = parse_selector(text).unwrap();
        assert_eq!(selector.to_string(), canonical);
        assert_eq!(parse_selector(canonical), Ok(selector));
    }
}
