use std::collections::HashMap;
use std::sync::Arc;

use crate::limits::{LimitError, MAX_LISTS, MAX_PORT_ROWS};
use crate::numbering::{index, number};
use crate::port_list::PortList;

/// Number of a [`PortList`] in its ruleset, dense from 0. Equal lists have one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListId(pub u32);

/// The port lists of one ruleset: those of its prefixes, and those the folds of learned addresses add.
///
/// It only grows, up to [`MAX_LISTS`]; it is dropped with its ruleset. Kept beside the [`Ruleset`](crate::Ruleset), which
/// never changes and may be read from many threads, by whoever folds.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    lists: Vec<Arc<PortList>>,
    ids: HashMap<Arc<PortList>, ListId>,
    /// Folds that were made before, as many as lists may be: what matches there, in both rulings, to the list.
    pub(crate) folds: HashMap<FoldKey, ListId>,
}

/// The shape of an address and the name clauses that count on it, enforced and proposed.
pub(crate) type FoldKey = (u32, Vec<u32>, Vec<u32>);

impl Lists {
    /// The list of that number.
    ///
    /// # Panics
    /// With a number that is not from this ruleset's lists.
    pub fn get(&self, id: ListId) -> &PortList {
        &self.lists[index(id.0)]
    }

    /// All lists; the position is the number.
    pub fn all(&self) -> &[Arc<PortList>] {
        &self.lists
    }

    pub(crate) fn intern(&mut self, list: PortList) -> Result<ListId, LimitError> {
        if let Some(id) = self.ids.get(&list) {
            return Ok(*id);
        }
        if self.lists.len() >= MAX_LISTS {
            return Err(LimitError::Lists);
        }
        if list.rows().len() > MAX_PORT_ROWS {
            return Err(LimitError::PortRows {
                got: list.rows().len(),
            });
        }
        let id = ListId(number(self.lists.len()));
        let list = Arc::new(list);
        self.lists.push(Arc::clone(&list));
        self.ids.insert(list, id);
        Ok(id)
    }
}
