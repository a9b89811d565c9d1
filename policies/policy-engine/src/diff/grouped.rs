use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// Values by key, the keys in the order in which they came.
#[derive(Debug)]
pub(super) struct Grouped<K, V> {
    positions: HashMap<K, usize>,
    items: Vec<(K, BTreeSet<V>)>,
}

impl<K, V> Default for Grouped<K, V> {
    fn default() -> Self {
        Self {
            positions: HashMap::new(),
            items: Vec::new(),
        }
    }
}

impl<K: Clone + Eq + Hash, V: Ord> Grouped<K, V> {
    pub(super) fn add(&mut self, key: K, value: V) {
        self.values(key).insert(value);
    }

    /// Makes a place for a key that has no value yet.
    pub(super) fn add_none(&mut self, key: K) {
        self.values(key);
    }

    pub(super) fn of(&self, key: &K) -> Option<&BTreeSet<V>> {
        let position = self.positions.get(key)?;
        self.items.get(*position).map(|(_, values)| values)
    }

    pub(super) fn into_items(self) -> Vec<(K, BTreeSet<V>)> {
        self.items
    }

    fn values(&mut self, key: K) -> &mut BTreeSet<V> {
        let position = *self.positions.entry(key.clone()).or_insert_with(|| {
            self.items.push((key, BTreeSet::new()));
            self.items.len() - 1
        });
        &mut self.items[position].1
    }
}
