//! The type of a scalar, as the Kubernetes API server reads it.
//!
//! Source: go-yaml v2 `resolve.go`, which `sigs.k8s.io/yaml` wraps: the YAML 1.1 words for truth values, integers with
//! Go's prefixes (`0x`, `0b`, `0o` and a bare leading zero for octal) and underscores, floats by one regular
//! expression. Timestamps stay strings, and numbers in base 60 do not exist there.

use super::Style;

/// A scalar's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Typed<'d> {
    /// Nothing, `~`, `null`.
    Null,
    /// `true`, `yes`, `on`, `y` and their opposites.
    Bool(bool),
    /// A whole number; beyond 64 bits it is a float.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Everything else, and everything in quotes.
    Str(&'d str),
}

/// An explicit `!!type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CoreTag {
    Str,
    Int,
    Float,
    Bool,
    Null,
}

impl CoreTag {
    /// Whether a value is of this type, as go-yaml sees it.
    pub(crate) const fn fits(self, typed: Typed<'_>) -> bool {
        matches!(
            (self, typed),
            (Self::Str, Typed::Str(_))
                | (Self::Int, Typed::Int(_))
                | (Self::Float, Typed::Float(_))
                | (Self::Bool, Typed::Bool(_))
                | (Self::Null, Typed::Null)
        )
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Str => "str",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Null => "null",
        }
    }
}

pub(crate) fn resolve(text: &str, style: Style, tag: Option<CoreTag>) -> Typed<'_> {
    if tag == Some(CoreTag::Str) || (style != Style::Plain && tag.is_none()) {
        return Typed::Str(text);
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Typed::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Typed::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Typed::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Typed::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Typed::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Typed::Float(f64::NEG_INFINITY),
        _ => {}
    }
    // go-yaml looks for a number only behind these first characters.
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Typed::Str(text);
    }
    // Behind a dot it takes underscores between digits only.
    if text.starts_with('.') && !is_well_separated(text) {
        return Typed::Str(text);
    }
    let digits = text.replace('_', "");
    match parse_int(&digits) {
        #[expect(clippy::cast_precision_loss, reason = "its author calls it a float")]
        Some(Whole::Signed(number)) if tag == Some(CoreTag::Float) => {
            return Typed::Float(number as f64);
        }
        Some(Whole::Signed(number)) => return Typed::Int(number),
        Some(Whole::Beyond(number)) => return Typed::Float(number),
        None => {}
    }
    if is_float(&digits)
        && let Ok(number) = digits.parse::<f64>()
    {
        return Typed::Float(number);
    }
    Typed::Str(text)
}

/// Whether a number is written so that a reader may take it for another one: octal, hexadecimal, binary, underscores.
pub(crate) fn is_surprising_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    (digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.")) || text.contains('_')
}

/// A whole number.
enum Whole {
    Signed(i64),
    /// It needs all 64 bits, and JSON's readers make a float of it.
    Beyond(f64),
}

fn parse_int(text: &str) -> Option<Whole> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    // It takes a sign here, and here only.
    if let Some(signed) = text.strip_prefix("0b").filter(|_| base == 2)
        && signed.starts_with(['+', '-'])
    {
        return i64::from_str_radix(signed, 2).ok().map(Whole::Signed);
    }
    // `from_str_radix` takes a sign of its own, which would read `0x-5`.
    if digits.is_empty() || digits.starts_with(['+', '-']) {
        return None;
    }
    let number = i128::from_str_radix(digits, base).ok()?;
    let number = if negative { -number } else { number };
    if let Ok(number) = i64::try_from(number) {
        return Some(Whole::Signed(number));
    }
    #[expect(clippy::cast_precision_loss, reason = "as a reader of JSON has it")]
    u64::try_from(number)
        .ok()
        .map(|number| Whole::Beyond(number as f64))
}

fn is_well_separated(text: &str) -> bool {
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = text.as_bytes();
    (0..bytes.len()).all(|at| {
        bytes[at] != b'_' || at > 0 && digit(bytes.get(at - 1)) && digit(bytes.get(at + 1))
    })
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    mantissa
        && exponent
            .is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("on", Typed::Bool(true); "on is a truth value")]
    #[test_case("y", Typed::Bool(true); "y is a truth value")]
    #[test_case("NO", Typed::Bool(false); "the country code of Norway is not a string")]
    #[test_case("yEs", Typed::Str("yEs"); "mixed case is a string")]
    #[test_case("010", Typed::Int(8); "a leading zero is octal")]
    #[test_case("08", Typed::Float(8.0); "an impossible octal is read as a float")]
    #[test_case("0o17", Typed::Int(15); "octal of YAML 1.2")]
    #[test_case("0x1F", Typed::Int(31); "hexadecimal")]
    #[test_case("0x-5", Typed::Str("0x-5"); "a sign inside is a string")]
    #[test_case("0b101", Typed::Int(5); "binary")]
    #[test_case("1_000", Typed::Int(1000); "underscores")]
    #[test_case("+443", Typed::Int(443); "a plus sign")]
    #[test_case("1:30", Typed::Str("1:30"); "no numbers in base 60")]
    #[test_case("1.5", Typed::Float(1.5); "a float")]
    #[test_case("1e3", Typed::Float(1000.0); "an exponent")]
    #[test_case("1.2.3.4", Typed::Str("1.2.3.4"); "an address")]
    #[test_case("10.0.0.0/8", Typed::Str("10.0.0.0/8"); "a prefix")]
    #[test_case("2001:db8::1", Typed::Str("2001:db8::1"); "an IPv6 address")]
    #[test_case("2001-12-14", Typed::Str("2001-12-14"); "a date stays a string")]
    #[test_case("99999999999999999999", Typed::Float(1e20); "beyond 64 bits")]
    #[test_case("18446744073709551615", Typed::Float(18_446_744_073_709_551_615.0); "all of 64 bits")]
    #[test_case("0xFFFFFFFFFFFFFFFF", Typed::Float(18_446_744_073_709_551_615.0); "all of 64 bits in hexadecimal")]
    #[test_case("0xFFFFFFFFFFFFFFFFF", Typed::Str("0xFFFFFFFFFFFFFFFFF"); "hexadecimal beyond 64 bits")]
    #[test_case(".8_9", Typed::Float(0.89); "an underscore between digits behind a dot")]
    #[test_case(".89_", Typed::Str(".89_"); "an underscore at the end behind a dot")]
    #[test_case("0b-11", Typed::Int(-3); "a sign inside of a binary number")]
    #[test_case("-0b-11", Typed::Str("-0b-11"); "two signs")]
    #[test_case("0.8_9", Typed::Float(0.89); "an underscore behind a digit")]
    #[test_case("~", Typed::Null; "tilde")]
    #[test_case("", Typed::Null; "nothing")]
    #[test_case("-", Typed::Str("-"); "a lone sign")]
    #[test_case(".", Typed::Str("."); "a lone dot")]
    fn plain_scalars_are_typed_as_the_api_server_types_them(text: &str, expected: Typed<'_>) {
        assert_eq!(resolve(text, Style::Plain, None), expected);
    }

    #[test]
    fn quotes_and_the_string_tag_make_strings() {
        assert_eq!(resolve("on", Style::Quoted, None), Typed::Str("on"));
        assert_eq!(resolve("", Style::Quoted, None), Typed::Str(""));
        assert_eq!(
            resolve("443", Style::Plain, Some(CoreTag::Str)),
            Typed::Str("443")
        );
        assert_eq!(
            resolve("443", Style::Quoted, Some(CoreTag::Int)),
            Typed::Int(443)
        );
    }

    #[test_case("010", true; "octal")]
    #[test_case("0443", true; "a padded port")]
    #[test_case("1_000", true; "underscore")]
    #[test_case("0", false; "zero")]
    #[test_case("0.5", false; "a fraction")]
    #[test_case("-8", false; "negative")]
    #[test_case("443", false; "plain")]
    fn surprising_numbers(text: &str, expected: bool) {
        assert_eq!(is_surprising_number(text), expected);
    }
}
