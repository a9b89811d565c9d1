//! Whether a text is a regular expression, as Go's `regexp` answers it: Cilium compiles with it what stands in `rules.http`,
//! whatever its documentation says of POSIX.
//!
//! An engine of ours would be another judge. It would refuse `a{`, `[[a]` and `\Q.\E`, which Cilium takes, and take `a**`,
//! `a{1001}` and `\u0041`, which it refuses. Nothing is matched here, so only the grammar is kept, and neither what Go knows of
//! Unicode's names nor how large and deep a tree it makes: what is taken here and not there stands in a rule that is closed.

use thiserror::Error;

/// LIMIT: Go's, of one repetition and of repetitions inside of each other.
const MOST_REPETITIONS: u64 = 1000;

/// Names of `[[:name:]]`.
const CLASSES: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// Go's words for what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum RegexError {
    #[error("missing argument to repetition operator")]
    NothingRepeated,
    #[error("invalid nested repetition operator")]
    RepeatedTwice,
    #[error("invalid repeat count")]
    RepeatCount,
    #[error("invalid or unsupported Perl syntax")]
    Perl,
    #[error("invalid named capture")]
    Name,
    #[error("missing closing )")]
    MissingParenthesis,
    #[error("unexpected )")]
    UnexpectedParenthesis,
    #[error("missing closing ]")]
    MissingBracket,
    #[error("invalid character class range")]
    Range,
    #[error("invalid escape sequence")]
    Escape,
    #[error("trailing backslash at end of expression")]
    TrailingBackslash,
}

/// An error where Go's compiler gives one.
pub(super) fn check(text: &str) -> Result<(), RegexError> {
    let mut reader = Reader {
        rest: text,
        level: Level::default(),
        around: Vec::new(),
    };
    let mut repeated = false;
    while let Some(c) = reader.rest.chars().next() {
        repeated = reader.token(c, repeated)?;
    }
    if reader.around.is_empty() {
        Ok(())
    } else {
        Err(RegexError::MissingParenthesis)
    }
}

/// What stands between two parentheses, so far.
#[derive(Debug, Default)]
struct Level {
    /// How often the last thing's inside is repeated; nothing where there is no last thing, behind `(` and `|`.
    last: Option<u64>,
    /// The most of all that is over.
    most: u64,
}

impl Level {
    fn push(&mut self, repetitions: u64) {
        self.last = Some(repetitions);
        self.most = self.most.max(repetitions);
    }
}

struct Reader<'t> {
    rest: &'t str,
    level: Level,
    around: Vec<Level>,
}

impl Reader<'_> {
    /// Reads what begins with a character, and says whether it was a repetition; `repeated`: what came before it was one.
    fn token(&mut self, c: char, repeated: bool) -> Result<bool, RegexError> {
        match c {
            '(' => self.open()?,
            ')' => {
                let inside = std::mem::replace(
                    &mut self.level,
                    self.around.pop().ok_or(RegexError::UnexpectedParenthesis)?,
                );
                self.level.push(inside.most);
                self.skip(1);
            }
            '|' => {
                self.level.last = None;
                self.skip(1);
            }
            '[' => {
                self.class()?;
                self.level.push(0);
            }
            '\\' => self.backslash()?,
            '*' | '+' | '?' => {
                self.skip(1);
                self.repeat(1, repeated)?;
                return Ok(true);
            }
            '{' => {
                if let Some((count, rest)) = repeat_count(self.rest) {
                    self.rest = rest;
                    self.repeat(count.ok_or(RegexError::RepeatCount)?, repeated)?;
                    return Ok(true);
                }
                self.literal();
            }
            _ => self.literal(),
        }
        Ok(false)
    }

    fn literal(&mut self) {
        self.skip(self.rest.chars().next().map_or(0, char::len_utf8));
        self.level.push(0);
    }

    /// At most the length of what is left, and to a boundary: the caller has seen these characters.
    fn skip(&mut self, octets: usize) {
        self.rest = self.rest.get(octets..).unwrap_or_default();
    }

    /// `times` is zero for `{0}`, and one for what has no number.
    fn repeat(&mut self, times: u64, repeated: bool) -> Result<(), RegexError> {
        // Few rather than many; the same texts.
        if self.rest.starts_with('?') {
            self.skip(1);
        }
        if repeated {
            return Err(RegexError::RepeatedTwice);
        }
        let inside = self.level.last.ok_or(RegexError::NothingRepeated)?;
        let all = match times {
            1 => inside,
            times => times.saturating_mul(inside.max(1)),
        };
        if all > MOST_REPETITIONS {
            return Err(RegexError::RepeatCount);
        }
        self.level.push(all);
        Ok(())
    }

    /// `(`, `(?:`, `(?P<name>`, or flags with or without a group.
    fn open(&mut self) -> Result<(), RegexError> {
        let Some(after) = self.rest.strip_prefix("(?") else {
            self.skip(1);
            self.deeper();
            return Ok(());
        };
        let named = after.strip_prefix("P<").or_else(|| after.strip_prefix('<'));
        if let Some(named) = named {
            let (name, rest) = named.split_once('>').ok_or(RegexError::Name)?;
            let is_word = |b: u8| b == b'_' || b.is_ascii_alphanumeric();
            if name.is_empty() || !name.bytes().all(is_word) {
                return Err(RegexError::Name);
            }
            self.rest = rest;
            self.deeper();
            return Ok(());
        }
        let (mut negated, mut seen) = (false, false);
        for (at, c) in after.char_indices() {
            match c {
                'i' | 'm' | 's' | 'U' => seen = true,
                '-' if !negated => (negated, seen) = (true, false),
                ':' | ')' if seen || !negated => {
                    self.rest = after.get(at + 1..).unwrap_or_default();
                    if c == ':' {
                        self.deeper();
                    }
                    return Ok(());
                }
                _ => break,
            }
        }
        Err(RegexError::Perl)
    }

    fn deeper(&mut self) {
        self.around.push(std::mem::take(&mut self.level));
    }

    fn backslash(&mut self) -> Result<(), RegexError> {
        if let Some(quoted) = self.rest.strip_prefix("\\Q") {
            let (text, rest) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            self.rest = rest;
            if !text.is_empty() {
                self.level.push(0);
            }
            return Ok(());
        }
        match self.rest.as_bytes().get(1) {
            Some(b'A' | b'b' | b'B' | b'z') => self.skip(2),
            _ => {
                if !self.escaped_class()? {
                    self.escape()?;
                }
            }
        }
        self.level.push(0);
        Ok(())
    }

    /// `\d` and its like, and Unicode's: whether there was one.
    fn escaped_class(&mut self) -> Result<bool, RegexError> {
        match self.rest.as_bytes() {
            [b'\\', b'd' | b'D' | b's' | b'S' | b'w' | b'W', ..] => self.skip(2),
            [b'\\', b'p' | b'P', ..] => {
                self.skip(2);
                let name = match self.rest.strip_prefix('{') {
                    Some(braced) => {
                        let (name, rest) = braced.split_once('}').ok_or(RegexError::Range)?;
                        self.rest = rest;
                        name.strip_prefix('^').unwrap_or(name)
                    }
                    None => {
                        let name = self.rest;
                        let len = name.chars().next().map_or(0, char::len_utf8);
                        self.skip(len);
                        let name = name.get(..len).unwrap_or_default();
                        if !"CLMNPSZclmnpsz".contains(name) {
                            return Err(RegexError::Range);
                        }
                        name
                    }
                };
                let of_a_name = |b: u8| b.is_ascii_alphabetic() || b"_- ".contains(&b);
                if name.is_empty() || !name.bytes().all(of_a_name) {
                    return Err(RegexError::Range);
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// `\n` and its like: the character meant.
    fn escape(&mut self) -> Result<u32, RegexError> {
        self.skip(1);
        let c = self
            .rest
            .chars()
            .next()
            .ok_or(RegexError::TrailingBackslash)?;
        self.skip(c.len_utf8());
        let meant = match c {
            'a' => 0x07,
            'f' => 0x0c,
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            'v' => 0x0b,
            'x' => return self.hexadecimal(),
            '0'..='7' => {
                let more = self
                    .rest
                    .bytes()
                    .take(2)
                    .take_while(|b| (b'0'..=b'7').contains(b))
                    .count();
                // One digit alone would mean what a group has matched.
                if more == 0 && c != '0' {
                    return Err(RegexError::Escape);
                }
                let digits = self.rest.get(..more).unwrap_or_default();
                self.skip(more);
                return u32::from_str_radix(&format!("{c}{digits}"), 8)
                    .ok()
                    .ok_or(RegexError::Escape);
            }
            _ if c.is_ascii() && !c.is_ascii_alphanumeric() => u32::from(c),
            _ => return Err(RegexError::Escape),
        };
        Ok(meant)
    }

    fn hexadecimal(&mut self) -> Result<u32, RegexError> {
        let (digits, rest) = match self.rest.strip_prefix('{') {
            Some(braced) => braced.split_once('}').ok_or(RegexError::Escape)?,
            None => self.rest.split_at_checked(2).ok_or(RegexError::Escape)?,
        };
        self.rest = rest;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(RegexError::Escape);
        }
        let significant = match digits.trim_start_matches('0') {
            "" => "0",
            digits => digits,
        };
        u32::from_str_radix(significant, 16)
            .ok()
            .filter(|code| *code <= u32::from(char::MAX))
            .ok_or(RegexError::Escape)
    }

    /// `[…]`. A `]` that comes first, and every `[` that begins no name, is a character.
    fn class(&mut self) -> Result<(), RegexError> {
        self.skip(1);
        if self.rest.starts_with('^') {
            self.skip(1);
        }
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            if let Some(named) = self.rest.strip_prefix("[:")
                && let Some((name, rest)) = named.split_once(":]")
            {
                if !CLASSES.contains(&name.strip_prefix('^').unwrap_or(name)) {
                    return Err(RegexError::Range);
                }
                self.rest = rest;
                continue;
            }
            if self.escaped_class()? {
                continue;
            }
            let low = self.character()?;
            if let Some(after) = self.rest.strip_prefix('-')
                && !after.is_empty()
                && !after.starts_with(']')
            {
                self.rest = after;
                if self.character()? < low {
                    return Err(RegexError::Range);
                }
            }
        }
        self.skip(1);
        Ok(())
    }

    /// One of a class.
    fn character(&mut self) -> Result<u32, RegexError> {
        let c = self.rest.chars().next().ok_or(RegexError::MissingBracket)?;
        if c == '\\' {
            return self.escape();
        }
        self.skip(c.len_utf8());
        Ok(u32::from(c))
    }
}

/// `{2}`, `{2,}` or `{2,3}`: what is behind it, and the greatest number, none where Go allows it not. Nothing where it is no
/// repetition, and its brace a character.
fn repeat_count(text: &str) -> Option<(Option<u64>, &str)> {
    let (low, rest) = number(text.strip_prefix('{')?)?;
    let (high, rest) = match rest.strip_prefix(',') {
        None => (Some(low), rest),
        Some(rest) if rest.starts_with('}') => (None, rest),
        Some(rest) => {
            let (high, rest) = number(rest)?;
            (Some(high), rest)
        }
    };
    let rest = rest.strip_prefix('}')?;
    let count = match high {
        Some(high) if high < low || high > MOST_REPETITIONS => None,
        Some(high) => Some(high),
        None if low > MOST_REPETITIONS => None,
        // What may be repeated for ever counts as often as it must.
        None => Some(low.max(1)),
    };
    Some((count, rest))
}

/// Digits without a zero before them; one that is too large is still one.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .bytes()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((digits.parse().unwrap_or(u64::MAX), rest))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(""; "nothing")]
    #[test_case("/v1/.*"; "a path")]
    #[test_case("GET|POST"; "alternatives")]
    #[test_case("(?i:get)|(?P<m>put)|(?<n>x)|(?s-i)y"; "groups and flags")]
    #[test_case("a{"; "a brace")]
    #[test_case("a{,5}"; "a brace without a least")]
    #[test_case("a{01}"; "a brace before a zero")]
    #[test_case("a{2}?b{2,}c{2,3}"; "counts")]
    #[test_case("a{1000}"; "the highest count")]
    #[test_case("(a{100}){10}"; "the highest count of both")]
    #[test_case("(a{1000}b){0}"; "a count of nothing")]
    #[test_case("a*(?i)*"; "a repetition behind flags")]
    #[test_case("()*"; "a group of nothing")]
    #[test_case("^*"; "a place")]
    #[test_case("[]a]"; "a bracket first")]
    #[test_case("[^]a-]"; "a bracket first of others")]
    #[test_case("[[a]"; "a bracket inside")]
    #[test_case("[[:alpha:][:^digit:]\\d\\pL-]"; "classes inside")]
    #[test_case("[a&&b]"; "a char twice")]
    #[test_case("\\Q(*\\E*"; "a quotation")]
    #[test_case("\\Q("; "a quotation to the end")]
    #[test_case("\\x41\\x{1F600}\\012\\0\\_\\/"; "escapes")]
    #[test_case("\\p{Greek}\\P{^Lu}\\pN"; "unicode's classes")]
    fn good(text: &str) {
        assert_eq!(check(text), Ok(()), "{text}");
    }

    #[test_case("*", RegexError::NothingRepeated; "nothing repeated")]
    #[test_case("a|*", RegexError::NothingRepeated; "an empty alternative repeated")]
    #[test_case("(?i)*", RegexError::NothingRepeated; "flags repeated")]
    #[test_case("\\Q\\E*", RegexError::NothingRepeated; "an empty quotation repeated")]
    #[test_case("a**", RegexError::RepeatedTwice; "repeated twice")]
    #[test_case("a{2}{3}", RegexError::RepeatedTwice; "counted twice")]
    #[test_case("a{1001}", RegexError::RepeatCount; "too often")]
    #[test_case("a{3,2}", RegexError::RepeatCount; "the least over the most")]
    #[test_case("a{99999999999999999999}", RegexError::RepeatCount; "a number without end")]
    #[test_case("(a{100}){11}", RegexError::RepeatCount; "too often together")]
    #[test_case("(?:(a{501,})?b){2}", RegexError::RepeatCount; "too often deeper inside")]
    #[test_case("(a", RegexError::MissingParenthesis; "an open group")]
    #[test_case("a)", RegexError::UnexpectedParenthesis; "a closed group")]
    #[test_case("(?=a)", RegexError::Perl; "a look ahead")]
    #[test_case("(?x)a", RegexError::Perl; "a flag of others")]
    #[test_case("(?-)a", RegexError::Perl; "no flag")]
    #[test_case("(?P<a.b>c)", RegexError::Name; "a name with a dot")]
    #[test_case("(?<a", RegexError::Name; "a name without end")]
    #[test_case("[a", RegexError::MissingBracket; "an open class")]
    #[test_case("[]", RegexError::MissingBracket; "a class with its end alone")]
    #[test_case("[b-a]", RegexError::Range; "a range from behind")]
    #[test_case("[[:alpa:]]", RegexError::Range; "a class of no name")]
    #[test_case("\\p{}", RegexError::Range; "a class without a name")]
    #[test_case("\\pX", RegexError::Range; "a class of no letter")]
    #[test_case("\\1", RegexError::Escape; "what a group matched")]
    #[test_case("\\u0041", RegexError::Escape; "an escape of others")]
    #[test_case("\\x{110000}", RegexError::Escape; "no character")]
    #[test_case("\\xg0", RegexError::Escape; "no digit")]
    #[test_case("[a-\\d]", RegexError::Escape; "a range to a class")]
    #[test_case("a\\", RegexError::TrailingBackslash; "a backslash last")]
    fn bad(text: &str, error: RegexError) {
        assert_eq!(check(text), Err(error), "{text}");
    }
}
