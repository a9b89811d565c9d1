//! How long lists may be. An API server bounds what checking an object may cost before it accepts the schema of its kind,
//! and multiplies the lengths of nested lists for that; so every list has a length, here and in the schema.

use crate::codes;
use crate::decode::Findings;
use crate::yaml::Node;

/// LIMIT: rules of a policy. Policies add up, so more rules are more policies.
pub(crate) const RULES: usize = 512;
/// LIMIT: entries of `to`. Longer lists are an `EgressSet`.
pub(crate) const PEERS: usize = 128;
/// LIMIT: names of one entry.
pub(crate) const NAMES: usize = 1024;
/// LIMIT: entries of `ports`, `except`, `metadata`, `serviceAccounts`, `http` and the texts in those.
pub(crate) const ENTRIES: usize = 64;
/// LIMIT: entries of `nets` and `notNets`.
pub(crate) const NETS: usize = 256;
/// LIMIT: members of an `EgressSet`.
pub(crate) const MEMBERS: usize = 4096;

/// The items of a list that may not be longer than `most`.
pub(super) fn list<'d>(
    node: Node<'d>,
    most: usize,
    findings: &mut Findings,
) -> Option<Vec<Node<'d>>> {
    let items = findings.list(node)?;
    if items.len() > most {
        findings.report(
            codes::NATIVE_TOO_MANY,
            node,
            format!("{} entries, the most here is {most}", items.len()),
        );
        return None;
    }
    Some(items)
}
