//! What servers write down, and tests wait for.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A growing list that can be waited on. Clones share it.
#[derive(Debug)]
pub struct Log<T> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    entries: Mutex<Vec<T>>,
    grown: Condvar,
}

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self {
            shared: Arc::new(Shared {
                entries: Mutex::new(Vec::new()),
                grown: Condvar::new(),
            }),
        }
    }
}

impl<T: Clone> Log<T> {
    /// Everything written so far, oldest first.
    #[must_use]
    pub fn entries(&self) -> Vec<T> {
        self.lock().clone()
    }

    /// Everything written after the first `mark` entries.
    #[must_use]
    pub fn since(&self, mark: usize) -> Vec<T> {
        self.lock().get(mark..).unwrap_or_default().to_vec()
    }

    /// How many entries there are: a mark for [`Log::since`].
    #[must_use]
    pub fn mark(&self) -> usize {
        self.lock().len()
    }

    /// Waits until an entry written after `mark` satisfies `wanted`, and gives it; `None` when
    /// `patience` ends first.
    pub fn wait_for(
        &self,
        mark: usize,
        patience: Duration,
        wanted: impl Fn(&T) -> bool,
    ) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut entries = self.lock();
        loop {
            if let Some(entry) = entries.iter().skip(mark).find(|entry| wanted(entry)) {
                return Some(entry.clone());
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            entries = self
                .shared
                .grown
                .wait_timeout(entries, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    pub(crate) fn push(&self, entry: T) {
        self.lock().push(entry);
        self.shared.grown.notify_all();
    }

    /// A list is whole between any two pushes, so that a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.shared
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
