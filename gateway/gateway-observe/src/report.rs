mod target;

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use crate::record::{CutRecord, Record};

/// LIMIT: lines that wait for the disk. Beyond it they are dropped and counted: a slow disk must not slow a workload.
const WAITING: usize = 16_384;

/// A report file: JSON lines, written by a thread of its own.
#[derive(Debug)]
pub struct Report {
    recorder: Recorder,
    writer: JoinHandle<Writer>,
    path: PathBuf,
}

/// A handle to write with; cheap to clone, never blocks.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: SyncSender<Line>,
    dropped: Arc<AtomicU64>,
}

/// A report with everything in it but the last line.
#[derive(Debug)]
pub struct Drained {
    writer: Writer,
    dropped: u64,
    path: PathBuf,
}

/// What came of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub lines: u64,
    /// What was recorded and is not in the file.
    pub unwritten: u64,
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
    #[error("the report `{path}` is a pipe that nobody reads")]
    NoReader { path: PathBuf },
    #[error("the report `{path}` is written by another run")]
    InUse { path: PathBuf },
    #[error("the report `{path}` is neither a file nor a pipe nor a terminal")]
    NotAFile { path: PathBuf },
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
    /// Creates or empties a file and starts its thread. The records of a report have `limit` bytes at most, the last two
    /// lines not counted; without a limit as many as come.
    ///
    /// # Errors
    /// When the file cannot be created, or is another run's report; when it is a pipe without a reader, a disk or a
    /// folder; when a thread cannot be started.
    pub fn create(path: &Path, limit: Option<u64>) -> Result<Self, ReportError> {
        let create = |source| ReportError::Create {
            path: path.to_owned(),
            source,
        };
        let writer = Writer::new(target::open(path)?, limit);
        let (queue, lines) = sync_channel(WAITING);
        let writer = thread::Builder::new()
            .name("egret-report".to_owned())
            .spawn(move || writer.write_all(&lines))
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

    /// Writes what waits. Blocks until the disk has taken it; whatever other handles write afterwards is dropped.
    ///
    /// # Errors
    /// When the thread is gone.
    pub fn drain(self) -> Result<Drained, ReportError> {
        let Self {
            recorder,
            writer,
            path,
        } = self;
        // Waits for room. Where the thread is gone, `join` tells.
        recorder.queue.send(Line::End).ok();
        match writer.join() {
            Ok(writer) => Ok(Drained {
                writer,
                dropped: recorder.dropped.load(Ordering::Relaxed),
                path,
            }),
            Err(_panic) => Err(ReportError::ThreadGone { path }),
        }
    }
}

impl Drained {
    /// What was recorded and is not in the file, because its limit was reached or the disk was too slow.
    pub fn unwritten(&self) -> u64 {
        self.writer.cut + self.dropped
    }

    /// Writes the last line, and closes the file.
    ///
    /// # Errors
    /// When not everything could be written (a full disk): the first error.
    pub fn close(mut self, last: &Record) -> Result<Written, ReportError> {
        let unwritten = self.unwritten();
        self.writer.put(last);
        self.writer.flush();
        let Writer { lines, error, .. } = self.writer;
        match error {
            None => Ok(Written { lines, unwritten }),
            Some(source) => Err(ReportError::Write {
                path: self.path,
                lines,
                source,
            }),
        }
    }
}

impl Recorder {
    /// Queues a line. Where the queue is full the line is dropped and counted.
    pub fn record(&self, record: Record) {
        let count = record.count();
        match self.queue.try_send(Line::Record(record)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(count, Ordering::Relaxed);
            }
        }
    }
}

/// The file, and what became of the lines.
#[derive(Debug)]
struct Writer {
    file: BufWriter<File>,
    limit: Option<u64>,
    lines: u64,
    bytes: u64,
    /// The limit is reached.
    full: bool,
    /// What was not written because of it.
    cut: u64,
    /// The first one.
    error: Option<io::Error>,
}

impl Writer {
    fn new(file: File, limit: Option<u64>) -> Self {
        Self {
            file: BufWriter::new(file),
            limit,
            lines: 0,
            bytes: 0,
            full: false,
            cut: 0,
            error: None,
        }
    }

    /// Writes until the end; flushes whenever nothing waits, so that a reader of the file is not kept waiting either.
    fn write_all(mut self, lines: &Receiver<Line>) -> Self {
        let mut next = lines.recv().ok();
        while let Some(Line::Record(record)) = next {
            self.write(&record);
            next = lines.try_recv().ok();
            if next.is_none() {
                self.flush();
                next = lines.recv().ok();
            }
        }
        self.flush();
        self
    }

    /// Writes a record that the limit leaves room for. Beyond it nothing is written, short records neither: what is
    /// missing is missing from one place on.
    fn write(&mut self, record: &Record) {
        if self.full {
            self.cut += record.count();
            return;
        }
        let Some(line) = self.line(record) else {
            return;
        };
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        match self.limit {
            Some(limit) if self.bytes.saturating_add(length) > limit => {
                self.full = true;
                self.cut += record.count();
                self.put(&Record::Cut(CutRecord {
                    ts: record.ts(),
                    limit,
                }));
            }
            _ => self.append(&line),
        }
    }

    /// Writes a record, whatever the limit.
    fn put(&mut self, record: &Record) {
        if let Some(line) = self.line(record) {
            self.append(&line);
        }
    }

    fn line(&mut self, record: &Record) -> Option<Vec<u8>> {
        match serde_json::to_vec(record) {
            Ok(mut line) => {
                line.push(b'\n');
                Some(line)
            }
            Err(error) => {
                self.note(error.into());
                None
            }
        }
    }

    /// A line goes to the buffer in one piece, and the buffer to the file in whole lines: what a killed Egret leaves can
    /// be read.
    fn append(&mut self, line: &[u8]) {
        match self.file.write_all(line) {
            Ok(()) => {
                self.lines += 1;
                self.bytes += u64::try_from(line.len()).unwrap_or(u64::MAX);
            }
            Err(error) => self.note(error),
        }
    }

    fn flush(&mut self) {
        if let Err(error) = self.file.flush() {
            self.note(error);
        }
    }

    fn note(&mut self, error: io::Error) {
        self.error.get_or_insert(error);
    }
}

#[cfg(test)]
mod tests;
