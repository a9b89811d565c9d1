//! What the programs decided, as it happens.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use aya::maps::{MapData, RingBuf};
use ebpf_abi::{Event, Row};

/// The ring buffer. Its descriptor is readable when there is something to take.
pub struct Events {
    ring: RingBuf<MapData>,
}

impl Events {
    pub(crate) const fn new(ring: RingBuf<MapData>) -> Self {
        Self { ring }
    }

    /// The oldest event not taken yet; `None` when there is none by now. Never waits.
    pub fn take(&mut self) -> Option<Event> {
        // A record of another length is of another layout, which `Kernel::load` refuses; passed over all the same.
        while let Some(item) = self.ring.next() {
            if let Some(event) = Event::from_bytes(&item) {
                return Some(event);
            }
        }
        None
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

impl AsRawFd for Events {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events")
            .field("fd", &self.as_raw_fd())
            .finish()
    }
}
