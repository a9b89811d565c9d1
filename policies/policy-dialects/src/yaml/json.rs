//! What JSON has and YAML has not, and `kubectl` takes: characters beyond 16 bits written as two escapes.
//!
//! LIMIT: of several values one after the other, which it takes too, none is read: the text is refused as YAML.

/// One value of a JSON text, as YAML.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) text: String,
    /// Lines of the JSON text before it.
    pub(super) lines_before: u32,
    pub(super) shifts: Shifts,
}

/// Where a text became shorter than what was written.
#[derive(Debug, Default)]
pub(super) struct Shifts(Vec<Shift>);

/// From this place on, which counts from 1 and from 0, `by` characters of the line are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shift {
    line: usize,
    column: usize,
    by: usize,
}

impl Shifts {
    /// The column that was written, of one of the text.
    pub(super) fn written(&self, line: usize, column: usize) -> usize {
        let before = self
            .0
            .partition_point(|shift| (shift.line, shift.column) <= (line, column));
        let last = before.checked_sub(1).and_then(|last| self.0.get(last));
        let by = last.filter(|shift| shift.line == line);
        column + by.map_or(0, |shift| shift.by)
    }
}

/// The value of a JSON text; nothing where it is no JSON, or is read as YAML just as well.
pub(super) fn value(text: &str) -> Option<Value> {
    if !["\\ud", "\\uD"].iter().any(|escape| text.contains(escape)) {
        return None;
    }
    let [(start, end)] = *ranges(text)? else {
        return None;
    };
    let before = &text[..start];
    let line = before.rsplit_once('\n').map_or(before, |(_, line)| line);
    let mut value = Value {
        text: " ".repeat(line.chars().count()),
        lines_before: u32::try_from(before.matches('\n').count()).unwrap_or(u32::MAX),
        shifts: Shifts::default(),
    };
    value.add(&text[start..end]);
    Some(value)
}

/// The bytes of each value; nothing where the text is not made of the words of JSON. Whether they stand in order is for the
/// reader of YAML to say.
fn ranges(text: &str) -> Option<Vec<(usize, usize)>> {
    let mut ranges = Vec::new();
    let (mut depth, mut first) = (0_usize, 0);
    let mut at = 0;
    while let Some(octet) = text.as_bytes().get(at) {
        let mut length = 1;
        match octet {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'{' if depth == 0 => (depth, first) = (1, at),
            _ if depth == 0 => return None,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    ranges.push((first, at + 1));
                }
            }
            b',' | b':' => {}
            b'"' => length = string(&text.as_bytes()[at..])?,
            _ => length = word(&text[at..])?,
        }
        at += length;
    }
    (depth == 0).then_some(ranges)
}

/// The length of a string, which ends on its line.
fn string(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            0..=0x1f => return None,
            _ => at += 1,
        }
    }
}

/// The length of a number, a truth value or null.
fn word(text: &str) -> Option<usize> {
    let plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"+-.".contains(octet);
    let length = text.bytes().take_while(|octet| plain(octet)).count();
    let word = &text[..length];
    let number = word.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && word
            .bytes()
            .all(|octet| octet.is_ascii_digit() || b"+-.eE".contains(&octet));
    (number || matches!(word, "true" | "false" | "null")).then_some(length)
}

impl Value {
    /// Adds a value with its pairs of escapes as YAML's one.
    fn add(&mut self, json: &str) {
        let mut rest = json;
        let (mut line, mut column) = (1, self.text.chars().count());
        let mut missing = 0;
        while let Some(at) = rest.find(['\\', '\n']) {
            let (plain, escape) = rest.split_at(at);
            self.text.push_str(plain);
            column += plain.chars().count();
            if let Some(after) = escape.strip_prefix('\n') {
                self.text.push('\n');
                (line, column, missing) = (line + 1, 0, 0);
                rest = after;
                continue;
            }
            let unit = utf16(escape);
            let second = unit.and_then(|_| utf16(escape.get(6..)?));
            let (text, length) = match (unit, second) {
                (Some(high @ 0xd800..=0xdbff), Some(low @ 0xdc00..=0xdfff)) => {
                    let code =
                        0x1_0000 + ((u32::from(high) - 0xd800) << 10) + u32::from(low) - 0xdc00;
                    (format!("\\U{code:08x}"), 12)
                }
                // Half of a character is none, for Go too.
                (Some(0xd800..=0xdfff), _) => ("\\ufffd".to_owned(), 6),
                _ => {
                    let length = escape
                        .char_indices()
                        .nth(2)
                        .map_or(escape.len(), |(at, _)| at);
                    (escape[..length].to_owned(), length)
                }
            };
            column += text.chars().count();
            if text.len() < length {
                missing += length - text.len();
                self.shifts.0.push(Shift {
                    line,
                    column,
                    by: missing,
                });
            }
            self.text.push_str(&text);
            rest = &escape[length..];
        }
        self.text.push_str(rest);
    }
}

/// The number of an escape `\uXXXX` at the start.
fn utf16(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let plain = digits.bytes().all(|octet| octet.is_ascii_hexdigit());
    plain
        .then(|| u16::from_str_radix(digits, 16).ok())
        .flatten()
}
