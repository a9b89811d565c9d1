use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use crate::record::Record;
use crate::times::Times;
use crate::timestamp::Timestamp;

/// What is alike within this time is one line: a program that tries again and again writes a line a second, not
/// thousands.
const INTERVAL: Duration = Duration::from_secs(1);

/// LIMIT: different records whose repetitions are counted at a time. More at once (a scan) are lines of their own, until
/// the limit of the report.
const MOST_KINDS: usize = 4_096;

/// Makes one line of what repeats: the first goes through at once, what is like it waits for the end of the interval.
#[derive(Debug, Default)]
pub struct Repeats {
    kinds: HashMap<Record, Option<Record>>,
    /// When each kind's interval ends, in this order.
    ends: VecDeque<(Duration, Record)>,
}

impl Repeats {
    /// Takes a record at a time that never goes back; gives it back where it is to be written now.
    pub fn take(&mut self, record: Record, now: Duration) -> Option<Record> {
        let kind = kind(&record);
        let full = self.kinds.len() >= MOST_KINDS;
        match self.kinds.get_mut(&kind) {
            Some(Some(waiting)) => {
                add(waiting, &record);
                None
            }
            Some(empty @ None) => {
                *empty = Some(record);
                None
            }
            None if full => Some(record),
            None => {
                self.start(kind, now);
                Some(record)
            }
        }
    }

    /// How long until [`Repeats::due`] has something to do; nothing where nothing waits.
    pub fn wait(&self, now: Duration) -> Option<Duration> {
        self.ends.front().map(|(end, _)| end.saturating_sub(now))
    }

    /// What is to be written by now.
    pub fn due(&mut self, now: Duration) -> Vec<Record> {
        let mut lines = Vec::new();
        while let Some((end, kind)) = self.ends.pop_front() {
            if end > now {
                self.ends.push_front((end, kind));
                break;
            }
            if let Some(Some(line)) = self.kinds.remove(&kind) {
                lines.push(line);
                // It may go on: the next line is an interval away.
                self.start(kind, now);
            }
        }
        lines
    }

    /// Everything that waits, at the end.
    pub fn finish(mut self) -> Vec<Record> {
        let ends = std::mem::take(&mut self.ends);
        ends.iter()
            .filter_map(|(_, kind)| self.kinds.remove(kind).flatten())
            .collect()
    }

    fn start(&mut self, kind: Record, now: Duration) {
        self.ends.push_back((now + INTERVAL, kind.clone()));
        self.kinds.insert(kind, None);
    }
}

/// The record without what tells one attempt from the next: times, the process, the port it came from.
fn kind(record: &Record) -> Record {
    const NO_TIME: Timestamp = Timestamp(SystemTime::UNIX_EPOCH);
    let mut kind = record.clone();
    match &mut kind {
        Record::Flow(flow) => {
            flow.ts = NO_TIME;
            flow.times = Times::ONCE;
            flow.pid = None;
        }
        Record::Query(query) => {
            query.ts = NO_TIME;
            query.times = Times::ONCE;
            query.client_port = 0;
        }
        Record::Guard(guard) => {
            guard.ts = NO_TIME;
            guard.times = Times::ONCE;
        }
        Record::Limit(limit) => {
            limit.ts = NO_TIME;
            limit.times = Times::ONCE;
            limit.addresses.clear();
        }
        Record::Cut(_) | Record::Summary(_) => {}
    }
    kind
}

fn add(waiting: &mut Record, more: &Record) {
    let (to, from) = match (waiting, more) {
        (Record::Flow(to), Record::Flow(from)) => (&mut to.times, (from.ts, from.times)),
        (Record::Query(to), Record::Query(from)) => (&mut to.times, (from.ts, from.times)),
        (Record::Guard(to), Record::Guard(from)) => (&mut to.times, (from.ts, from.times)),
        (Record::Limit(to), Record::Limit(from)) => (&mut to.times, (from.ts, from.times)),
        _ => return,
    };
    let (ts, times) = from;
    to.count += times.count;
    to.until = Some(times.until.unwrap_or(ts));
}

#[cfg(test)]
mod tests;
