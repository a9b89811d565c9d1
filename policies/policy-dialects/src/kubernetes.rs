//! What every dialect takes from Kubernetes: object metadata and label selectors; and the objects of a cluster.

mod metadata;
mod port_list;
mod port_name;
mod selector;
mod selector_text;
mod world;

pub(crate) use metadata::{
    ALLOW_PRIVATE, MetadataSpec, Scope, decode_metadata, labels_of, object_labels,
};
pub(crate) use port_list::PortList;
pub(crate) use port_name::is_port_name;
pub(crate) use selector::LabelSelectorSpec;
pub(crate) use selector_text::{in_namespace, selector};
pub(crate) use world::{KINDS, Unfinished};
