use std::fmt;

use super::{LabelTest, Selector};

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all()"),
            Self::Global => f.write_str("global()"),
            Self::Label(name, LabelTest::Exists) => write!(f, "has({name})"),
            Self::Label(name, test) => write!(f, "{name} {test}"),
            Self::Not(inner) => write!(f, "!{inner}"),
            Self::And(parts) => joined(f, parts, " && "),
            Self::Or(parts) => joined(f, parts, " || "),
        }
    }
}

impl fmt::Display for LabelTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("exists"),
            Self::Equal(value) => write!(f, "== {}", Quoted(value)),
            Self::NotEqual(value) => write!(f, "!= {}", Quoted(value)),
            Self::In(values) => write!(f, "in {}", Set(values)),
            Self::NotIn(values) => write!(f, "not in {}", Set(values)),
            Self::Contains(part) => write!(f, "contains {}", Quoted(part)),
            Self::StartsWith(part) => write!(f, "starts with {}", Quoted(part)),
            Self::EndsWith(part) => write!(f, "ends with {}", Quoted(part)),
        }
    }
}

/// A literal in the quotes that do not stand in it; none can hold both.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = if self.0.contains('"') { '\'' } else { '"' };
        write!(f, "{quote}{}{quote}", self.0)
    }
}

struct Set<'a>(&'a [std::sync::Arc<str>]);

impl fmt::Display for Set<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, value) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{}", Quoted(value))?;
        }
        f.write_str("}")
    }
}

fn joined(f: &mut fmt::Formatter<'_>, parts: &[Selector], operator: &str) -> fmt::Result {
    f.write_str("(")?;
    for (index, part) in parts.iter().enumerate() {
        let operator = if index == 0 { "" } else { operator };
        write!(f, "{operator}{part}")?;
    }
    f.write_str(")")
}
