//! Responses of slices, decoded with the generated types.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use fairlead_events::{Encoded, Filter, Place, Problem, Values, Wish, encode};
use fairlead_wire::v1::audit_record::Body;
use fairlead_wire::v1::{
    AuditEvent, AuditRecord, ErasableValue, EventFilter, RunEvent, StepEvent, WatchEventsResponse,
};
use proptest::prelude::*;
use prost::Message;

const MIB: usize = 1 << 20;
const GENESIS: [u8; 32] = [0; 32];

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

fn hash(sequence: u64) -> Vec<u8> {
    let mut hash = vec![7; 32];
    hash.splice(..8, sequence.to_le_bytes());
    hash
}

fn record(sequence: u64, bytes: usize) -> AuditRecord {
    AuditRecord {
        sequence,
        tenant: ["acme", "globex"][usize::from(sequence.is_multiple_of(3))].into(),
        agent: "x".repeat(bytes),
        kind: i32::try_from(sequence % 4).unwrap() + 1,
        ..AuditRecord::default()
    }
}

fn stored(record: &AuditRecord) -> (Vec<u8>, Vec<u8>) {
    let value = [hash(record.sequence), record.encode_to_vec()].concat();
    (record.sequence.to_be_bytes().to_vec(), value)
}

fn log(sizes: &[usize]) -> Entries {
    (1..)
        .zip(sizes)
        .map(|(sequence, size)| stored(&record(sequence, *size)))
        .collect()
}

fn slice(entries: &[(Vec<u8>, Vec<u8>)], after: Place<'_>, wish: &Wish) -> Encoded {
    let entries = entries.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
    encode(entries, after, wish, &Values::default())
}

fn from_start(entries: &Entries, wish: &Wish) -> Encoded {
    slice(
        entries,
        Place {
            sequence: 0,
            record_hash: &GENESIS,
        },
        wish,
    )
}

fn decoded(encoded: &Encoded) -> Vec<WatchEventsResponse> {
    let responses = encoded.responses.iter();
    responses
        .map(|one| WatchEventsResponse::decode(one.as_slice()).unwrap())
        .collect()
}

fn sequences(responses: &[WatchEventsResponse]) -> Vec<u64> {
    let events = responses.iter().flat_map(|one| one.event.iter().chain(&one.events));
    events.map(|one| one.record.as_ref().unwrap().sequence).collect()
}

fn wish(max_events: usize, max_bytes: usize) -> Wish {
    Wish {
        filter: Filter::default(),
        max_events,
        max_bytes,
    }
}

#[test]
fn an_event_is_what_was_stored_with_its_place_in_the_chain() {
    let entries = log(&[5, 300]);
    let encoded = from_start(&entries, &wish(0, MIB));
    let events: Vec<AuditEvent> = decoded(&encoded).into_iter().map(|one| one.event.unwrap()).collect();
    for (event, sequence) in events.iter().zip(1..) {
        let prev_hash = if sequence == 1 { GENESIS.to_vec() } else { hash(1) };
        let wanted = AuditEvent {
            record: Some(record(sequence, [5, 300][usize::try_from(sequence).unwrap() - 1])),
            record_hash: hash(sequence),
            prev_hash,
            record_bytes: entries[usize::try_from(sequence).unwrap() - 1].1[32..].to_vec(),
            values: Vec::new(),
        };
        assert_eq!(event, &wanted);
        // Nothing else is in there: the same message of the generated type has as many bytes.
        assert_eq!(event.encoded_len(), wanted.encoded_len());
    }
    assert_eq!((encoded.sequence, encoded.record_hash), (2, hash(2)));
    assert_eq!((encoded.problem, encoded.committed), (None, vec![]));
}

#[test]
fn a_response_has_the_position_after_its_last_event() {
    let entries = log(&[1, 1, 1]);
    let responses = decoded(&from_start(&entries, &wish(2, MIB)));
    let tokens: Vec<&str> = responses.iter().map(|one| one.resume_token.as_str()).collect();
    // 01, the sequence, the first 8 bytes of its hash; in base64 for addresses.
    assert_eq!(tokens, ["AQAAAAAAAAACAgAAAAAAAAA", "AQAAAAAAAAADAwAAAAAAAAA"]);
    assert_eq!(responses.iter().map(|one| one.events.len()).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn a_response_is_not_larger_than_the_bound_unless_one_record_alone_is() {
    let entries = log(&[3000, 10, 10, 400, 400, 400, 3000, 10]);
    let encoded = from_start(&entries, &wish(100, 2000));
    let counts: Vec<usize> = decoded(&encoded).iter().map(|one| one.events.len()).collect();
    assert_eq!(counts, [1, 3, 2, 1, 1]);
    for (response, count) in encoded.responses.iter().zip(counts) {
        assert!(response.len() <= 2000 || count == 1);
    }
}

#[test]
fn filters_leave_out_and_the_chain_goes_on() {
    let mut records: Vec<AuditRecord> = (1..=8).map(|sequence| record(sequence, 3)).collect();
    let about = |run: &str| run.to_owned();
    records[3].body = Some(Body::Run(RunEvent {
        run: about("run_1"),
        ..RunEvent::default()
    }));
    records[5].body = Some(Body::Step(StepEvent {
        run: about("run_1"),
        ..StepEvent::default()
    }));
    records[6].body = Some(Body::Step(StepEvent {
        run: about("run_2"),
        ..StepEvent::default()
    }));
    records[7].invocation = "inv_1".to_owned();
    let entries: Entries = records.iter().map(stored).collect();
    let found = |filter: EventFilter| {
        let wish = Wish {
            filter: Filter::new(filter),
            max_events: 10,
            max_bytes: MIB,
        };
        let encoded = from_start(&entries, &wish);
        assert_eq!((encoded.sequence, &encoded.record_hash), (8, &hash(8)));
        let responses = decoded(&encoded);
        for event in responses.iter().flat_map(|one| &one.events) {
            let before = event.record.as_ref().unwrap().sequence - 1;
            assert_eq!(
                event.prev_hash,
                if before == 0 { GENESIS.to_vec() } else { hash(before) }
            );
        }
        sequences(&responses)
    };
    assert_eq!(
        found(EventFilter {
            tenant: "globex".into(),
            ..EventFilter::default()
        }),
        [3, 6]
    );
    assert_eq!(
        found(EventFilter {
            kinds: vec![1, 3],
            ..EventFilter::default()
        }),
        [2, 4, 6, 8]
    );
    assert_eq!(
        found(EventFilter {
            invocation: "inv_1".into(),
            ..EventFilter::default()
        }),
        [8]
    );
    assert_eq!(
        found(EventFilter {
            run: "runs/run_1".into(),
            ..EventFilter::default()
        }),
        [4, 6]
    );
    assert_eq!(
        found(EventFilter {
            run: "run_1".into(),
            ..EventFilter::default()
        }),
        [0; 0]
    );
    assert_eq!(
        found(EventFilter {
            tenant: "globex".into(),
            run: "runs/run_1".into(),
            ..EventFilter::default()
        }),
        [6]
    );
}

#[test]
fn what_is_before_the_damage_is_given_and_the_problem_named() {
    let broken = |change: fn(&mut Entries), problem: Option<&str>| {
        let mut entries = log(&[1, 1, 1, 1]);
        change(&mut entries);
        for max_events in [0, 10] {
            let encoded = from_start(&entries, &wish(max_events, MIB));
            assert_eq!(sequences(&decoded(&encoded)), [1, 2]);
            assert_eq!((encoded.sequence, encoded.record_hash), (2, hash(2)));
            match (encoded.problem.unwrap(), problem) {
                (Problem::Missing, None) => {}
                (Problem::Entry(found), Some(problem)) => assert!(found.contains(problem), "{found}"),
                (found, problem) => panic!("{found:?} instead of {problem:?}"),
            }
        }
    };
    broken(|entries| drop(entries.remove(2)), None);
    broken(
        |entries| entries[2].0 = vec![0xab; 3],
        Some("key ababab of the audit log has 3 bytes"),
    );
    broken(
        |entries| entries[2].1.truncate(31),
        Some("an audit value of 31 bytes is shorter than its hash"),
    );
    broken(|entries| entries[2].1.push(0xff), Some("not an audit record"));
}

#[test]
fn values_come_with_the_records_that_commit_to_them() {
    let mut record = record(1, 0);
    record.agent = format!("erasable:sha256:{}", "0".repeat(64));
    let entries = [stored(&record), stored(&self::record(2, 4))];
    let value = ErasableValue {
        digest: vec![1; 32],
        salt: vec![2; 16],
        value: "why".into(),
    };
    let bytes = value.encode_to_vec();
    let given = |values: &Values<'_>| {
        let slices = entries.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        let place = Place {
            sequence: 0,
            record_hash: &GENESIS,
        };
        encode(slices, place, &wish(10, MIB), values)
    };
    assert_eq!(given(&Values::default()).committed, [1]);
    let kept = given(&Values::from([(1, vec![bytes.as_slice()])]));
    assert_eq!(kept.committed, [0; 0]);
    let events = &decoded(&kept)[0].events;
    assert_eq!(
        (events[0].values.as_slice(), events[1].values.len()),
        ([value].as_slice(), 0)
    );
    // What was erased is not asked for again.
    assert_eq!(given(&Values::from([(1, vec![])])).committed, [0; 0]);
}

proptest! {
    #[test]
    fn slices_and_bounds_change_nothing_of_what_comes(
        sizes in prop::collection::vec(0_usize..600, 0..40),
        cuts in prop::collection::vec(1_usize..9, 1..40),
        max_events in 0_usize..12,
        max_bytes in 100_usize..4000,
        tenant in prop::sample::select(vec!["", "globex", "nobody"]),
    ) {
        let entries = log(&sizes);
        let filter = || Filter::new(EventFilter { tenant: tenant.into(), ..EventFilter::default() });
        let single = Wish { filter: filter(), max_events: 0, max_bytes };
        let wanted: Vec<AuditEvent> =
            decoded(&from_start(&entries, &single)).into_iter().filter_map(|one| one.event).collect();
        let wish = Wish { filter: filter(), max_events, max_bytes };
        let (mut sequence, mut record_hash, mut rest) = (0, GENESIS.to_vec(), entries.as_slice());
        let mut found = Vec::new();
        for cut in cuts.into_iter().chain(std::iter::repeat(9)) {
            if rest.is_empty() {
                break;
            }
            let (some, others) = rest.split_at(cut.min(rest.len()));
            let encoded = slice(some, Place { sequence, record_hash: &record_hash }, &wish);
            for (response, bytes) in decoded(&encoded).into_iter().zip(&encoded.responses) {
                prop_assert!(response.events.len() <= max_events);
                prop_assert!(response.events.len() <= 1 || bytes.len() <= max_bytes);
                found.extend(response.event);
                found.extend(response.events);
            }
            prop_assert_eq!(encoded.problem, None);
            (sequence, record_hash, rest) = (encoded.sequence, encoded.record_hash, others);
        }
        prop_assert_eq!(found, wanted);
    }
}
