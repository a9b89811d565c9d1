//! Objects as YAML text: one way to write each value, in the order given, so that equal objects are equal text.

use super::Style;
use super::scalar::{self, Typed};
use super::split::is_odd;

/// Longest run of characters that a list or mapping is kept on one line for.
const INLINE: usize = 72;

/// A value to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Number(i64),
    Flag(bool),
    List(Vec<Self>),
    Map(Map),
}

/// Keys and values, in the order in which they are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Map(Vec<(String, Value)>);

impl Map {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.push(key, value);
        self
    }

    /// The same, where there is something.
    #[must_use]
    pub(crate) fn with_some(self, key: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    pub(crate) fn push(&mut self, key: &str, value: impl Into<Value>) {
        self.0.push((key.to_owned(), value.into()));
    }

    /// The other's entries behind its own.
    pub(crate) fn append(&mut self, Self(mut other): Self) {
        self.0.append(&mut other);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<u8> for Value {
    fn from(number: u8) -> Self {
        Self::Number(number.into())
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

/// An object of a file, with lines for people before it.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) comments: Vec<String>,
    pub(crate) object: Map,
}

/// The text of a file that holds those objects.
pub(crate) fn text(objects: &[Written]) -> String {
    let mut out = String::new();
    for (at, Written { comments, object }) in objects.iter().enumerate() {
        if at > 0 {
            out.push_str("---\n");
        }
        for comment in comments {
            out.push_str("# ");
            // A comment ends at its line, whatever a name in it holds.
            out.extend(comment.chars().map(|c| if is_odd(c) { ' ' } else { c }));
            out.push('\n');
        }
        write_map(object, 0, &mut out);
    }
    out
}

fn write_map(Map(entries): &Map, indent: usize, out: &mut String) {
    for (at, (key, value)) in entries.iter().enumerate() {
        if at > 0 {
            pad(indent, out);
        }
        out.push_str(&scalar_text(key));
        out.push(':');
        write_under(value, indent, out);
    }
}

/// A value behind its key: on the same line where it fits.
fn write_under(value: &Value, indent: usize, out: &mut String) {
    if let Some(inline) = inline(value, INLINE.saturating_sub(indent)) {
        out.push(' ');
        out.push_str(&inline);
        out.push('\n');
        return;
    }
    out.push('\n');
    match value {
        // As kubectl prints it: the items of a list stand below their key.
        Value::List(items) => write_list(items, indent, out),
        Value::Map(map) => {
            pad(indent + 2, out);
            write_map(map, indent + 2, out);
        }
        Value::Text(_) | Value::Number(_) | Value::Flag(_) => {}
    }
}

fn write_list(items: &[Value], indent: usize, out: &mut String) {
    for item in items {
        pad(indent, out);
        out.push_str("- ");
        match (inline(item, INLINE.saturating_sub(indent + 2)), item) {
            (Some(inline), _) => {
                out.push_str(&inline);
                out.push('\n');
            }
            (None, Value::Map(map)) => write_map(map, indent + 2, out),
            (None, Value::List(items)) => {
                out.push('\n');
                write_list(items, indent + 2, out);
            }
            (None, Value::Text(_) | Value::Number(_) | Value::Flag(_)) => out.push('\n'),
        }
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// The value on one line; nothing where it is longer than `room` or nests too deep to be read so.
fn inline(value: &Value, room: usize) -> Option<String> {
    let text = match value {
        Value::Text(text) => return Some(scalar_text(text)),
        Value::Number(number) => return Some(number.to_string()),
        Value::Flag(flag) => return Some(flag.to_string()),
        Value::List(items) if items.is_empty() => return Some("[]".to_owned()),
        Value::Map(map) if map.is_empty() => return Some("{}".to_owned()),
        Value::List(items) => {
            let items: Option<Vec<String>> = items.iter().map(|item| inline(item, room)).collect();
            format!("[{}]", items?.join(", "))
        }
        Value::Map(Map(entries)) => {
            let entries: Option<Vec<String>> = entries
                .iter()
                .map(|(key, value)| Some(format!("{}: {}", scalar_text(key), inline(value, room)?)))
                .collect();
            format!("{{{}}}", entries?.join(", "))
        }
    };
    (text.chars().count() <= room).then_some(text)
}

/// A string, in quotes unless every reader takes it for one without.
fn scalar_text(text: &str) -> String {
    let plain = !text.is_empty()
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || b"-._/".contains(&octet))
        && matches!(scalar::resolve(text, Style::Plain, None), Typed::Str(_))
        // Readers of other versions of YAML take these for numbers or times.
        && !text.starts_with(|c: char| c.is_ascii_digit())
        || is_dotted(text);
    if plain {
        return text.to_owned();
    }
    let mut out = String::from('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            character if is_odd(character) => {
                out.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            character => out.push(character),
        }
    }
    out.push('"');
    out
}

/// An IPv4 address or prefix, which no reader takes for a number.
fn is_dotted(text: &str) -> bool {
    text.bytes().filter(|octet| *octet == b'.').count() == 3
        && text
            .bytes()
            .all(|octet| octet.is_ascii_digit() || b"./".contains(&octet))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::yaml::{Limits, Shape, load};

    #[test_case("api.example.com", "api.example.com"; "a name")]
    #[test_case("on", "\"on\""; "a truth value")]
    #[test_case("8080", "\"8080\""; "a number")]
    #[test_case("1e3", "\"1e3\""; "a float")]
    #[test_case("2001-01-01", "\"2001-01-01\""; "a day")]
    #[test_case("192.0.2.0/24", "192.0.2.0/24"; "a block")]
    #[test_case("2001:db8::/32", "\"2001:db8::/32\""; "a block with colons")]
    #[test_case("*.example.com", "\"*.example.com\""; "an alias for others")]
    #[test_case("", "\"\""; "nothing")]
    #[test_case("a\"b\\c\nd\u{1}", "\"a\\\"b\\\\c\\nd\\u0001\""; "escapes")]
    fn strings(text: &str, expected: &str) {
        assert_eq!(scalar_text(text), expected);
    }

    #[test]
    fn what_fits_stands_on_one_line() {
        let long: Vec<String> = (0..9).map(|n| format!("name-{n}.example.com")).collect();
        let object = Map::new()
            .with("kind", "X")
            .with("empty", Map::new())
            .with("short", vec!["a", "b"])
            .with("long", long[..4].to_vec())
            .with(
                "rules",
                vec![
                    Map::new()
                        .with("action", "Allow")
                        .with("to", long[..5].to_vec()),
                ],
            );
        assert_eq!(
            text(&[Written {
                comments: vec!["from a\nb".to_owned()],
                object
            }]),
            "\
# from a b
kind: X
empty: {}
short: [a, b]
long:
- name-0.example.com
- name-1.example.com
- name-2.example.com
- name-3.example.com
rules:
- action: Allow
  to:
  - name-0.example.com
  - name-1.example.com
  - name-2.example.com
  - name-3.example.com
  - name-4.example.com
"
        );
    }

    #[test]
    fn every_string_is_read_back_as_itself() {
        let strings = [
            "y",
            "~",
            "null",
            "0x1f",
            "012",
            ".5",
            "-",
            "- a",
            "a: b",
            "#",
            "a #b",
            "!t",
            "&a",
            "%",
            "@",
            "`",
            "\u{e9}",
            "\r\n",
            "'",
            "[",
            "{",
            ",",
            "?",
            "=",
            "<<",
            "1_000",
            "12:30:45",
            "a b ",
            "\u{85}",
            "\u{feff}",
            "a\u{2028}b",
            "\u{ffff}",
        ];
        let object = strings
            .iter()
            .fold(Map::new().with("list", strings.to_vec()), |map, text| {
                map.with(&format!("k{text}"), *text)
            });
        let written = text(&[Written {
            comments: Vec::new(),
            object,
        }]);
        let (documents, errors) = load(&written, &Limits::default());
        assert!(errors.is_empty(), "{errors:?}\n{written}");
        let root = documents[0].root();
        for text in strings {
            assert_eq!(root.get_str(&format!("k{text}")), Some(text), "{written}");
        }
        let Some(Shape::Sequence(items)) = root.get("list").map(|node| node.shape()) else {
            panic!("no list in {written}");
        };
        let read: Vec<&str> = items
            .iter()
            .map(|item| match item.shape() {
                Shape::Scalar(text, _) => text,
                Shape::Sequence(_) | Shape::Mapping(_) => panic!("no scalar in {written}"),
            })
            .collect();
        assert_eq!(read, strings);
    }
}
