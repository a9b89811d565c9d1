//! The nodes of the document that is being read.

use super::super::{NodeData, Place, Step, ValueData};

#[derive(Default)]
pub(super) struct Tree {
    pub(super) nodes: Vec<NodeData>,
}

impl Tree {
    pub(super) fn add_collection(&mut self, value: ValueData, place: Place) -> u32 {
        let children = children(&value);
        let id = self.add(value, place);
        let mut height = 0;
        for (child, step) in children {
            let data = self.data_mut(child);
            data.parent = Some(id);
            data.step = step;
            height = height.max(data.height);
        }
        self.data_mut(id).height = height + 1;
        id
    }

    pub(super) fn add(&mut self, value: ValueData, place: Place) -> u32 {
        // Each node needs at least one byte of text or one of the counted copies, so the numbers stay far below 2^32.
        let id = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.push(NodeData {
            value,
            place,
            parent: None,
            step: Step::Root,
            height: 0,
        });
        id
    }

    pub(super) fn data(&self, id: u32) -> &NodeData {
        &self.nodes[usize::try_from(id).expect("a node number fits a machine word")]
    }

    fn data_mut(&mut self, id: u32) -> &mut NodeData {
        &mut self.nodes[usize::try_from(id).expect("a node number fits a machine word")]
    }
}

fn children(value: &ValueData) -> Vec<(u32, Step)> {
    match value {
        ValueData::Scalar { .. } => Vec::new(),
        ValueData::Sequence(ids) => ids
            .iter()
            .enumerate()
            .map(|(index, id)| (*id, Step::Index(index)))
            .collect(),
        ValueData::Mapping(entries) => entries
            .iter()
            .map(|entry| (entry.value, Step::Key(entry.key.clone())))
            .collect(),
    }
}
