use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use crate::record::Record;

/// LIMIT: lines that wait for the disk. Beyond it they are dropped and counted: a slow disk must not slow a workload.
const WAITING: usize = 16_384;

/// A report file: JSON lines, written by a thread of its own.
#[derive(Debug)]
pub struct Report {
    recorder: Recorder,
    writer: JoinHandle<(u64, Option<io::Error>)>,
    path: PathBuf,
}

/// A handle to write with; cheap to clone, never blocks.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: SyncSender<Line>,
    dropped: Arc<AtomicU64>,
}

/// What came of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub lines: u64,
    /// Lines that did not fit into the queue.
    pub dropped: u64,
}

/// Why there is no report, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("failed to create the report `{path}`")]
    Create {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to write the report `{path}`, {lines} lines are there")]
    Write {
        path: PathBuf,
        lines: u64,
        #[source]
        source: io::Error,
    },
    #[error("the thread that writes the report `{path}` is gone")]
    ThreadGone { path: PathBuf },
}

#[expect(
    clippy::large_enum_variant,
    reason = "all but the last line are records"
)]
enum Line {
    Record(Record),
    End,
}

impl Report {
    /// Creates or empties a file and starts its thread.
    ///
    /// # Errors
    /// When the file cannot be created or a thread not be started.
    pub fn create(path: &Path) -> Result<Self, ReportError> {
        let create = |source| ReportError::Create {
            path: path.to_owned(),
            source,
        };
        let file = File::create(path).map_err(create)?;
        let (queue, lines) = sync_channel(WAITING);
        let writer = thread::Builder::new()
            .name("egret-report".to_owned())
            .spawn(move || write(file, &lines))
            .map_err(create)?;
        Ok(Self {
            recorder: Recorder {
                queue,
                dropped: Arc::default(),
            },
            writer,
            path: path.to_owned(),
        })
    }

    /// A handle to write with.
    pub fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// Lines that did not fit so far.
    pub fn dropped(&self) -> u64 {
        self.recorder.dropped.load(Ordering::Relaxed)
    }

    /// Writes the last line and what waits before it, and closes the file. Blocks until the disk has taken it; whatever
    /// other handles write afterwards is dropped.
    ///
    /// # Errors
    /// When not everything could be written (a full disk): the first error.
    pub fn close(self, last: Record) -> Result<Written, ReportError> {
        let Self {
            recorder,
            writer,
            path,
        } = self;
        // Both wait for room. Where the thread is gone, `join` tells.
        recorder.queue.send(Line::Record(last)).ok();
        recorder.queue.send(Line::End).ok();
        match writer.join() {
            Ok((lines, None)) => Ok(Written {
                lines,
                dropped: recorder.dropped.load(Ordering::Relaxed),
            }),
            Ok((lines, Some(source))) => Err(ReportError::Write {
                path,
                lines,
                source,
            }),
            Err(_panic) => Err(ReportError::ThreadGone { path }),
        }
    }
}

impl Recorder {
    /// Queues a line. Where the queue is full the line is dropped and counted.
    pub fn record(&self, record: Record) {
        match self.queue.try_send(Line::Record(record)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Writes until the end; flushes whenever nothing waits, so that a reader of the file is not kept waiting either.
fn write(file: File, lines: &Receiver<Line>) -> (u64, Option<io::Error>) {
    let mut file = BufWriter::new(file);
    let mut written = 0;
    let mut first_error = None;
    let mut next = lines.recv().ok();
    while let Some(Line::Record(record)) = next {
        match write_line(&mut file, &record) {
            Ok(()) => written += 1,
            Err(error) => first_error = first_error.or(Some(error)),
        }
        next = lines.try_recv().ok();
        if next.is_none() {
            if let Err(error) = file.flush() {
                first_error = first_error.or(Some(error));
            }
            next = lines.recv().ok();
        }
    }
    if let Err(error) = file.flush() {
        first_error = first_error.or(Some(error));
    }
    (written, first_error)
}

/// A line goes to the buffer in one piece, and the buffer to the file in whole lines: what a killed Egret leaves can be read.
fn write_line(file: &mut BufWriter<File>, record: &Record) -> io::Result<()> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    file.write_all(&line)
}

#[cfg(test)]
mod tests;
