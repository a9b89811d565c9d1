//! Carries kernel events to the owner, on a thread of its own: the ring buffer is polled, not awaited.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd as _;
use std::thread::JoinHandle;

use ebpf_loader::Events;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc;

use crate::run::owner::Request;

/// The thread that reads events. Dropping it lets it take what is there and end.
#[derive(Debug)]
pub(super) struct EventReader {
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl EventReader {
    /// Starts reading.
    ///
    /// # Errors
    ///
    /// Where neither a pipe nor a thread can be had.
    pub(super) fn start(events: Events, owner: mpsc::Sender<Request>) -> io::Result<Self> {
        let (stopped, stop) = io::pipe()?;
        let thread = std::thread::Builder::new()
            .name("egret-events".to_owned())
            .spawn(move || read(events, &stopped, &owner))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for EventReader {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Events are for people: a reader that panicked has lost some, and nothing else.
            drop(thread.join());
        }
    }
}

fn read(mut events: Events, stopped: &PipeReader, owner: &mpsc::Sender<Request>) {
    loop {
        let ended = wait(&events, stopped);
        while let Some(event) = events.take() {
            if owner
                .blocking_send(Request::Event(Box::new(event)))
                .is_err()
            {
                return;
            }
        }
        if ended {
            return;
        }
    }
}

/// Waits for events; says whether it is time to end.
fn wait(events: &Events, stopped: &PipeReader) -> bool {
    let mut descriptors = [
        PollFd::new(events.as_fd(), PollFlags::POLLIN),
        PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
    ];
    match poll(&mut descriptors, PollTimeout::NONE) {
        Ok(_) => descriptors[1].any().unwrap_or(true),
        Err(Errno::EINTR) => false,
        Err(_) => true,
    }
}
