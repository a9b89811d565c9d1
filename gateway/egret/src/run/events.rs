//! Carries kernel events to the owner, on a thread of its own: the ring buffer is polled, not awaited.

use std::collections::HashMap;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd as _;
use std::thread::JoinHandle;

use ebpf_abi::{Event, Row as _};
use ebpf_loader::Events;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc;

use crate::run::observation::Times;

/// Events taken out of the ring at once, and those alike made one: a program that tries the same again and again costs
/// little, and leaves the ring to others.
const BATCH: usize = 4_096;

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
    pub(super) fn start(events: Events, owner: mpsc::Sender<(Event, Times)>) -> io::Result<Self> {
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

fn read(mut events: Events, stopped: &PipeReader, owner: &mpsc::Sender<(Event, Times)>) {
    loop {
        let ended = wait(&events, stopped);
        loop {
            let batch = folded(std::iter::from_fn(|| events.take()).take(BATCH));
            if batch.is_empty() {
                break;
            }
            for told in batch {
                if owner.blocking_send(told).is_err() {
                    return;
                }
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

/// Makes one of events that differ in time, process and packet only, in the order of the first.
fn folded(events: impl Iterator<Item = Event>) -> Vec<(Event, Times)> {
    let mut folded: Vec<(Event, Times)> = Vec::new();
    let mut places = HashMap::new();
    for event in events {
        let kind = Event {
            time: 0,
            socket: 0,
            pid: 0,
            length: 0,
            local_port: 0,
            ..event
        };
        let place = *places.entry(kind.to_bytes()).or_insert(folded.len());
        match folded.get_mut(place) {
            Some((_, times)) => {
                times.count += 1;
                times.last = event.time;
            }
            None => folded.push((
                event,
                Times {
                    count: 1,
                    last: event.time,
                },
            )),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_is_one_event_with_its_count() {
        let event = |time, pid, port| Event {
            time,
            pid,
            remote_port: port,
            ..Event::default()
        };
        let told = folded([event(1, 7, 80), event(2, 7, 81), event(3, 8, 80)].into_iter());
        assert_eq!(
            told,
            [
                (event(1, 7, 80), Times { count: 2, last: 3 }),
                (event(2, 7, 81), Times { count: 1, last: 2 }),
            ]
        );
    }
}
