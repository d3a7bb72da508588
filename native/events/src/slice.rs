//! A slice of the log, as responses of `WatchEvents`.
use std::collections::BTreeMap;

use fairlead_wire::v1::AuditRecord;
use memchr::memmem::Finder;
use prost::Message;

use crate::filter::Filter;
use crate::message::{Event, Response};

/// Bytes of a hash.
const HASH_BYTES: usize = 32;
/// What a commitment to a value that can be erased begins with.
const COMMITMENT: &[u8] = b"erasable:sha256:";

/// After which record a slice begins; sequence 0 is before the first one.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Sequence of the record.
    pub sequence: u64,
    /// Its hash; empty when it is not known, and then the first event has none before it.
    pub record_hash: &'a [u8],
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Which records.
    pub filter: Filter,
    /// Most events of a response; 0 means one, in the field of one.
    pub max_events: usize,
    /// Most bytes of a response that has more than one event.
    pub max_bytes: usize,
}

/// Messages `ErasableValue` by the sequence of the record that commits to them.
pub type Values<'a> = BTreeMap<u64, Vec<&'a [u8]>>;

/// The responses of a slice, and where it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Messages `WatchEventsResponse`, in order.
    pub responses: Vec<Vec<u8>>,
    /// Sequence of the last record that was looked at, asked for or not; that of the place when there was none.
    pub sequence: u64,
    /// Its hash.
    pub record_hash: Vec<u8>,
    /// Records of the responses that seem to commit to values and for which none were given.
    pub committed: Vec<u64>,
    /// Why the next record cannot be given: what is before it is in the responses.
    pub problem: Option<Problem>,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It is not the next one: that is missing.
    Missing,
    /// It is not what the log stores; the text is for people.
    Entry(String),
}

/// Encodes the entries behind `after`, which have to be in order and without gaps; ends before the first that is not as
/// it has to be.
#[must_use]
pub fn encode<'a>(
    entries: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    after: Place<'a>,
    wish: &Wish,
    values: &Values<'_>,
) -> Encoded {
    let commitment = Finder::new(COMMITMENT);
    let mut encoded = Encoded {
        sequence: after.sequence,
        ..Encoded::default()
    };
    let mut prev_hash = after.record_hash;
    let mut open = Response::default();
    for (key, value) in entries {
        let (record_hash, record_bytes, record) = match read(key, value, encoded.sequence) {
            Ok(read) => read,
            Err(problem) => {
                encoded.problem = Some(problem);
                break;
            }
        };
        encoded.sequence += 1;
        if wish.filter.matches(&record) {
            let kept = values.get(&encoded.sequence).map(Vec::as_slice);
            if kept.is_none() && commitment.find(record_bytes).is_some() {
                encoded.committed.push(encoded.sequence);
            }
            let event = Event {
                record_bytes,
                record_hash,
                prev_hash,
                values: kept.unwrap_or_default(),
            };
            if wish.max_events == 0 {
                encoded.responses.push(Response::single(&event, encoded.sequence));
            } else {
                if open.events() == wish.max_events || open.is_full_for(&event, wish.max_bytes) {
                    encoded.responses.push(std::mem::take(&mut open).finish());
                }
                open.push(&event, encoded.sequence);
            }
        }
        prev_hash = record_hash;
    }
    if open.events() > 0 {
        encoded.responses.push(open.finish());
    }
    encoded.record_hash = prev_hash.to_vec();
    encoded
}

/// Hash, bytes and content of the entry that has to be the one behind `sequence`.
fn read<'a>(key: &[u8], value: &'a [u8], sequence: u64) -> Result<(&'a [u8], &'a [u8], AuditRecord), Problem> {
    let found = <[u8; 8]>::try_from(key).map(u64::from_be_bytes).map_err(|_| {
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        Problem::Entry(format!(
            "key {hex} of the audit log has {} bytes instead of 8",
            key.len()
        ))
    })?;
    if sequence.checked_add(1) != Some(found) {
        return Err(Problem::Missing);
    }
    let (record_hash, record_bytes) = value.split_at_checked(HASH_BYTES).ok_or_else(|| {
        Problem::Entry(format!(
            "an audit value of {} bytes is shorter than its hash",
            value.len()
        ))
    })?;
    let record =
        AuditRecord::decode(record_bytes).map_err(|error| Problem::Entry(format!("not an audit record: {error}")))?;
    Ok((record_hash, record_bytes, record))
}
