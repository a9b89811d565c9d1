//! Calico's selector language, as `libcalico-go/lib/selector` reads it.

mod expression;
mod parse;
mod print;

use std::sync::Arc;

use policy_model::Expression;

pub(crate) use expression::expression_text;
pub use parse::{SelectorError, SelectorErrorKind, parse_selector};

/// A selector as written, `Display`ed in the one form that selectors of one meaning and order share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// `all()`, and no text at all.
    All,
    /// `global()`: what is in no namespace. Means that only as a rule's `namespaceSelector`.
    Global,
    /// A label and how it is tested.
    Label(Arc<str>, LabelTest),
    Not(Box<Self>),
    /// Two or more.
    And(Vec<Self>),
    /// Two or more.
    Or(Vec<Self>),
}

/// How a label's value is tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelTest {
    Exists,
    Equal(Arc<str>),
    NotEqual(Arc<str>),
    /// Sorted, each once.
    In(Vec<Arc<str>>),
    /// Likewise.
    NotIn(Vec<Arc<str>>),
    Contains(Arc<str>),
    StartsWith(Arc<str>),
    EndsWith(Arc<str>),
}

impl Selector {
    /// What it holds for. `global()` holds for everything here, as in Calico; where it means something, see `scope.rs`.
    pub fn expression(&self) -> Expression {
        self.expression_of("", &Expression::All)
    }

    /// The same with `prefix` before every label, and `all` for `all()`.
    pub(super) fn expression_of(&self, prefix: &str, all: &Expression) -> Expression {
        let each = |parts: &[Self]| {
            parts
                .iter()
                .map(|part| part.expression_of(prefix, all))
                .collect()
        };
        match self {
            Self::All => all.clone(),
            Self::Global => Expression::All,
            Self::Label(name, test) => {
                let key = if prefix.is_empty() {
                    Arc::clone(name)
                } else {
                    format!("{prefix}{name}").into()
                };
                test.expression_of(key)
            }
            Self::Not(inner) => Expression::Not(Box::new(inner.expression_of(prefix, all))),
            Self::And(parts) => Expression::And(each(parts)),
            Self::Or(parts) => Expression::Or(each(parts)),
        }
    }
}

impl LabelTest {
    fn expression_of(&self, key: Arc<str>) -> Expression {
        match self {
            Self::Exists => Expression::Has(key),
            Self::Equal(value) => Expression::Equal(key, Arc::clone(value)),
            Self::NotEqual(value) => Expression::NotEqual(key, Arc::clone(value)),
            Self::In(values) => Expression::In(key, values.clone()),
            Self::NotIn(values) => Expression::NotIn(key, values.clone()),
            Self::Contains(part) => Expression::Contains(key, Arc::clone(part)),
            Self::StartsWith(part) => Expression::StartsWith(key, Arc::clone(part)),
            Self::EndsWith(part) => Expression::EndsWith(key, Arc::clone(part)),
        }
    }
}
