//! What every dialect takes from Kubernetes: object metadata and label selectors; and the objects of a cluster.

mod metadata;
mod selector;
mod world;

pub(crate) use metadata::{MetadataSpec, Scope, decode_metadata};
pub(crate) use selector::LabelSelectorSpec;
pub(crate) use world::KINDS;
