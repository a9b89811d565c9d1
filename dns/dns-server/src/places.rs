use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A bounded number of places, of which one workload gets no more than half: whoever takes too much is turned away
/// before everybody is.
pub(crate) struct Places {
    total: usize,
    share: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_workload: HashMap<u64, usize>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// All are taken.
    Full,
    /// The workload has its share.
    Share,
}

/// A place, given back when it is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    workload: u64,
}

impl Places {
    pub(crate) fn new(total: usize) -> Arc<Self> {
        Arc::new(Self {
            total,
            share: total.div_ceil(2),
            taken: Mutex::default(),
        })
    }

    pub(crate) fn take(self: &Arc<Self>, workload: u64) -> Result<Place, NoPlace> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.total {
            return Err(NoPlace::Full);
        }
        let own = taken.by_workload.entry(workload).or_default();
        if *own >= self.share {
            return Err(NoPlace::Share);
        }
        *own += 1;
        taken.all += 1;
        Ok(Place {
            places: Arc::clone(self),
            workload,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self
            .places
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        if let Some(own) = taken.by_workload.get_mut(&self.workload) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.by_workload.remove(&self.workload);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_workload_gets_half_and_all_together_get_no_more_than_there_is() {
        let places = Places::new(4);
        let take = |workload| places.take(workload);
        let first = [take(1), take(1)];
        assert!(first.iter().all(Result::is_ok));
        assert_eq!(take(1).err(), Some(NoPlace::Share));
        let others = [take(2), take(3)];
        assert!(others.iter().all(Result::is_ok));
        assert_eq!(take(4).err(), Some(NoPlace::Full));
        drop(first);
        assert!(take(1).is_ok() && take(4).is_ok());
    }

    #[test]
    fn a_workload_without_places_is_forgotten() {
        let places = Places::new(1);
        for workload in 0..100 {
            drop(places.take(workload).ok());
        }
        let taken = places.taken.lock().expect("unpoisoned");
        assert_eq!((taken.all, taken.by_workload.len()), (0, 0));
    }
}
