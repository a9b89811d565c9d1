//! The wire format of DNS, as far as a scripted server and a probe need it (RFC 1035 §4).
//!
//! It is written anew on purpose: see the crate's documentation.

use crate::zone::{Record, SOA, encode_name};

pub(crate) const NOERROR: u8 = 0;
pub(crate) const NXDOMAIN: u8 = 3;

/// The largest UDP answer to a client that said nothing of EDNS (RFC 1035 §2.3.4).
const PLAIN_UDP: u16 = 512;
const OPT: u16 = 41;
const QR_AA_RA: u16 = 0x8480;
const TC: u16 = 0x0200;
const RD: u16 = 0x0100;
const CD: u16 = 0x0010;

/// A question as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) id: u16,
    pub(crate) flags: u16,
    /// As written by the client, without the final dot.
    pub(crate) name: String,
    pub(crate) kind: u16,
    pub(crate) class: u16,
    /// The UDP size and the flags of the client's OPT record.
    pub(crate) edns: Option<(u16, u16)>,
}

impl Asked {
    /// `None` when the message is no single question.
    pub(crate) fn read(message: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(message);
        let (id, flags) = (reader.u16()?, reader.u16()?);
        let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
        if flags & 0x8000 != 0 || counts[0] != 1 {
            return None;
        }
        let name = reader.name()?;
        let (kind, class) = (reader.u16()?, reader.u16()?);
        let mut edns = None;
        for _ in 0..counts[1] + counts[2] + counts[3] {
            let record = reader.record()?;
            if record.kind == OPT {
                // RFC 6891 §6.1.2: the class is the size, the TTL's lower half the flags.
                edns = Some((record.class, u16::try_from(record.ttl & 0xffff).ok()?));
            }
        }
        Some(Self {
            id,
            flags,
            name,
            kind,
            class,
            edns,
        })
    }

    /// The largest answer this client takes over UDP.
    pub(crate) fn udp_size(&self) -> usize {
        usize::from(self.edns.map_or(PLAIN_UDP, |(size, _)| size.max(PLAIN_UDP)))
    }
}

/// An answer in the making.
pub(crate) struct Reply {
    pub(crate) id: u16,
    pub(crate) question: String,
    pub(crate) rcode: u8,
    pub(crate) truncated: bool,
    pub(crate) answers: Vec<Record>,
    /// Bytes after the last record that count as one record.
    pub(crate) garbage: Vec<u8>,
}

impl Reply {
    /// `None` when a name does not fit the format.
    pub(crate) fn write(&self, asked: &Asked) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(512);
        let mut flags = QR_AA_RA | asked.flags & (RD | CD) | u16::from(self.rcode & 0xf);
        if self.truncated {
            flags |= TC;
        }
        let answers = self.answers.len() + usize::from(!self.garbage.is_empty());
        // RFC 2308 §2: a negative answer is cached by the SOA in its authority section.
        let negative = self.answers.is_empty() && !self.truncated && matches!(self.rcode, 0 | 3);
        for half in [
            self.id,
            flags,
            1,
            u16::try_from(answers).ok()?,
            u16::from(negative),
            u16::from(asked.edns.is_some()),
        ] {
            out.extend(half.to_be_bytes());
        }
        out.extend(encode_name(&self.question)?);
        out.extend(asked.kind.to_be_bytes());
        out.extend(asked.class.to_be_bytes());
        for record in &self.answers {
            write_record(&mut out, record)?;
        }
        out.extend(&self.garbage);
        if negative {
            write_record(&mut out, &start_of_authority())?;
        }
        if let Some((_, flags)) = asked.edns {
            out.push(0);
            for half in [OPT, 1232, 0, flags & 0x8000, 0] {
                out.extend(half.to_be_bytes());
            }
        }
        Some(out)
    }
}

/// An answer as a client reads it.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) id: u16,
    pub(crate) rcode: u8,
    pub(crate) truncated: bool,
    pub(crate) question: String,
    pub(crate) records: Vec<AnsweredRecord>,
    /// RFC 8914: code and text of each extended error.
    pub(crate) extended: Vec<(u16, String)>,
}

#[derive(Debug)]
pub(crate) struct AnsweredRecord {
    pub(crate) owner: String,
    pub(crate) kind: u16,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    pub(crate) data: Vec<u8>,
    /// Where a CNAME points.
    pub(crate) target: Option<String>,
}

impl Answered {
    pub(crate) fn read(message: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(message);
        let (id, flags) = (reader.u16()?, reader.u16()?);
        let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
        let mut question = String::new();
        for _ in 0..counts[0] {
            question = reader.name()?;
            reader.u16()?;
            reader.u16()?;
        }
        let mut records = Vec::new();
        for _ in 0..counts[1] {
            records.push(reader.record()?);
        }
        let mut extended = Vec::new();
        for _ in 0..counts[2] + counts[3] {
            let record = reader.record()?;
            if record.kind == OPT {
                extended.extend(extended_errors(&record.data));
            }
        }
        Some(Self {
            id,
            rcode: u8::try_from(flags & 0xf).ok()?,
            truncated: flags & TC != 0,
            question,
            records,
            extended,
        })
    }
}

/// A question for `name`, with EDNS and recursion desired.
pub(crate) fn question(id: u16, name: &str, kind: u16) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(64);
    for half in [id, RD, 1, 0, 0, 1] {
        out.extend(half.to_be_bytes());
    }
    out.extend(encode_name(name)?);
    for half in [kind, 1] {
        out.extend(half.to_be_bytes());
    }
    out.push(0);
    for half in [OPT, 1232, 0, 0, 0] {
        out.extend(half.to_be_bytes());
    }
    Some(out)
}

fn write_record(out: &mut Vec<u8>, record: &Record) -> Option<()> {
    out.extend(encode_name(&record.owner)?);
    out.extend(record.kind.to_be_bytes());
    out.extend(1_u16.to_be_bytes());
    out.extend(record.ttl.to_be_bytes());
    out.extend(u16::try_from(record.data.len()).ok()?.to_be_bytes());
    out.extend(&record.data);
    Some(())
}

/// Negative answers may be kept for a second only, so that a test can change its mind.
fn start_of_authority() -> Record {
    let mut data = vec![0, 0];
    for number in [1_u32, 1, 1, 1, 1] {
        data.extend(number.to_be_bytes());
    }
    Record {
        owner: String::new(),
        kind: SOA,
        ttl: 1,
        data,
        target: String::new(),
    }
}

/// RFC 8914 §2: option 15, a code and a text.
fn extended_errors(mut options: &[u8]) -> Vec<(u16, String)> {
    let mut found = Vec::new();
    while let [c1, c2, l1, l2, rest @ ..] = options {
        let (code, length) = (
            u16::from_be_bytes([*c1, *c2]),
            u16::from_be_bytes([*l1, *l2]),
        );
        let Some((value, after)) = rest.split_at_checked(usize::from(length)) else {
            break;
        };
        if let (15, [i1, i2, text @ ..]) = (code, value) {
            found.push((
                u16::from_be_bytes([*i1, *i2]),
                String::from_utf8_lossy(text).into_owned(),
            ));
        }
        options = after;
    }
    found
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(message: &'a [u8]) -> Self {
        Self { message, at: 0 }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let bytes = self.message.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// A name with the case it was written in; compression is followed, at most 64 jumps.
    fn name(&mut self) -> Option<String> {
        let mut labels: Vec<String> = Vec::new();
        let mut resume = None;
        for _ in 0..192 {
            let length = *self.take(1)?.first()?;
            match length {
                0 => {
                    if let Some(at) = resume {
                        self.at = at;
                    }
                    return Some(labels.join("."));
                }
                1..=63 => {
                    let label = self.take(usize::from(length))?;
                    labels.push(String::from_utf8_lossy(label).into_owned());
                }
                192..=255 => {
                    let low = *self.take(1)?.first()?;
                    resume.get_or_insert(self.at);
                    self.at = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                }
                64..=191 => return None,
            }
        }
        None
    }

    fn record(&mut self) -> Option<AnsweredRecord> {
        let owner = self.name()?;
        let (kind, class, ttl) = (self.u16()?, self.u16()?, self.u32()?);
        let length = usize::from(self.u16()?);
        let start = self.at;
        let data = self.take(length)?.to_vec();
        let target = if kind == crate::zone::CNAME {
            let mut inner = Reader {
                message: self.message,
                at: start,
            };
            Some(inner.name()?)
        } else {
            None
        };
        Some(AnsweredRecord {
            owner,
            kind,
            class,
            ttl,
            data,
            target,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{A, Zone};

    #[test]
    fn a_question_and_its_answer_survive_the_wire() {
        let asked = Asked::read(&question(7, "WwW.example.com", A).expect("a name")).expect("read");
        assert_eq!(
            (asked.id, asked.name.as_str(), asked.kind),
            (7, "WwW.example.com", A)
        );
        assert_eq!(asked.udp_size(), 1232);
        let zone = Zone::parse("www.example.com 60 CNAME a.example\na.example 5 A 192.0.2.1");
        let reply = Reply {
            id: 7,
            question: asked.name.clone(),
            rcode: NOERROR,
            truncated: false,
            answers: zone.expect("a zone").all(),
            garbage: Vec::new(),
        };
        let answered = Answered::read(&reply.write(&asked).expect("fits")).expect("read");
        assert_eq!(answered.question, "WwW.example.com");
        let seen: Vec<_> = answered
            .records
            .iter()
            .map(|r| (r.owner.as_str(), r.kind, r.ttl, r.target.as_deref()))
            .collect();
        assert_eq!(
            seen,
            [
                ("a.example", 1, 5, None),
                ("www.example.com", 5, 60, Some("a.example"))
            ]
        );
    }

    #[test]
    fn what_is_cut_short_is_not_read() {
        let whole = question(7, "www.example.com", A).expect("a name");
        for length in 0..whole.len() {
            assert!(Asked::read(&whole[..length]).is_none(), "{length} bytes");
        }
    }

    #[test]
    fn a_name_that_points_to_itself_ends() {
        let mut message = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        message.extend([0xc0, 12, 0, 1, 0, 1]);
        assert!(Asked::read(&message).is_none());
    }
}
