//! Aliases and merge keys: what is written once and stands in several places.

use std::collections::BTreeSet;

use super::super::error::{LoadError, LoadErrorKind};
use super::super::{EntryData, Place, ValueData};
use super::{Loader, Merge};

impl Loader<'_> {
    pub(super) fn alias(&mut self, anchor: usize, place: Place) -> Result<(), LoadError> {
        let Some(&target) = self.anchors.get(&anchor) else {
            return Err(LoadError {
                kind: LoadErrorKind::Alias,
                place,
            });
        };
        if self.wants_key() {
            let ValueData::Scalar { text, style, tag } = self.tree.data(target).value.clone()
            else {
                return Err(LoadError {
                    kind: LoadErrorKind::Key("a list or a mapping"),
                    place,
                });
            };
            return self.key(&text, style, tag, place);
        }
        if self.open.len() + self.tree.data(target).height > self.limits.depth {
            return Err(LoadError {
                kind: LoadErrorKind::Depth(self.limits.depth),
                place,
            });
        }
        // `<<: *list` is refused by `kubectl`, `<<: [*one, *other]` is not.
        let is_list = matches!(self.tree.data(target).value, ValueData::Sequence(_));
        if is_list && self.merges_here() {
            return Err(LoadError {
                kind: LoadErrorKind::Merge,
                place,
            });
        }
        let copy = self.copy(target, place)?;
        self.attach(copy, place)
    }

    /// A copy of `target` and all below it, since each node has one parent.
    fn copy(&mut self, target: u32, place: Place) -> Result<u32, LoadError> {
        self.alias_nodes += 1;
        if self.alias_nodes > self.limits.alias_nodes {
            return Err(LoadError {
                kind: LoadErrorKind::AliasNodes(self.limits.alias_nodes),
                place,
            });
        }
        let original = self.tree.data(target).clone();
        // Recursion is bounded by the depth limit: no node is higher than it.
        let value = match original.value {
            ValueData::Scalar { .. } => original.value,
            ValueData::Sequence(ids) => ValueData::Sequence(
                ids.into_iter()
                    .map(|id| self.copy(id, place))
                    .collect::<Result<_, _>>()?,
            ),
            ValueData::Mapping(entries) => ValueData::Mapping(
                entries
                    .into_iter()
                    .map(|entry| {
                        Ok(EntryData {
                            value: self.copy(entry.value, place)?,
                            ..entry
                        })
                    })
                    .collect::<Result<_, LoadError>>()?,
            ),
        };
        Ok(self.tree.add_collection(value, original.place))
    }

    /// YAML 1.1's `<<`: the entries of the merged mappings that are not written out; the first of several wins. To `kubectl` what is
    /// written before it does not win.
    pub(super) fn merge(
        &mut self,
        entries: &mut Vec<EntryData>,
        merges: &[Merge],
    ) -> Result<(), LoadError> {
        let mut known: BTreeSet<Box<str>> = entries.iter().map(|entry| entry.key.clone()).collect();
        for Merge { id, place, before } in merges.iter().copied() {
            let sources = match &self.tree.data(id).value {
                ValueData::Mapping(_) => vec![id],
                ValueData::Sequence(ids) => ids.clone(),
                ValueData::Scalar { .. } => {
                    return Err(LoadError {
                        kind: LoadErrorKind::Merge,
                        place,
                    });
                }
            };
            for id in sources {
                let ValueData::Mapping(merged) = self.tree.data(id).value.clone() else {
                    return Err(LoadError {
                        kind: LoadErrorKind::Merge,
                        place,
                    });
                };
                for entry in merged {
                    let written = entries[..before.min(entries.len())]
                        .iter()
                        .find(|written| written.key == entry.key);
                    if let Some(written) = written {
                        let (key, first) = (entry.key.to_string(), written.place.line);
                        return Err(LoadError {
                            kind: LoadErrorKind::MergeAfter { key, first },
                            place,
                        });
                    }
                    if known.insert(entry.key.clone()) {
                        entries.push(entry);
                    }
                }
            }
        }
        Ok(())
    }
}
