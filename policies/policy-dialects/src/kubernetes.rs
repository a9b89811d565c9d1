//! What all dialects that live in Kubernetes share: object metadata and label selectors.

mod metadata;
mod selector;

pub(crate) use metadata::{MetadataSpec, Scope, decode_metadata};
pub(crate) use selector::LabelSelectorSpec;
