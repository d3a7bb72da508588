//! Bodies of model calls, their answers and streams, in every dialect and translation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::LazyLock;

use bolero::{TypeGenerator, check};
use bytes::Bytes;
use fairlead_dialect::sse::SseParser;
use fairlead_dialect::{Dialect, Request, Turn, Vendor, Wire, text};
use fairlead_fuzz::Mutation;

const DIALECTS: [Dialect; 3] = [
    Dialect::OpenAiChat,
    Dialect::OpenAiResponses,
    Dialect::AnthropicMessages,
];

static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(fairlead_fuzz::seeds);

/// A seed and what is done to it, drawn by the engine.
#[derive(Clone, Debug, TypeGenerator)]
struct Case {
    seed: u16,
    mutations: Vec<Edit>,
    from: u8,
    to: u8,
    chunk: u8,
}

#[derive(Clone, Debug, TypeGenerator)]
enum Edit {
    Truncate(u16),
    Set(u16, u8),
    Insert(u16, Vec<u8>),
    Repeat(u16, u8, u8),
    Remove(u16, u8),
    Literal(u16, u8),
}

impl From<&Edit> for Mutation {
    fn from(edit: &Edit) -> Self {
        match edit.clone() {
            Edit::Truncate(at) => Self::Truncate(at),
            Edit::Set(at, byte) => Self::Set(at, byte),
            Edit::Insert(at, bytes) => Self::Insert(at, bytes),
            Edit::Repeat(at, size, times) => Self::Repeat(at, size, times),
            Edit::Remove(at, size) => Self::Remove(at, size),
            Edit::Literal(at, which) => Self::Literal(at, which),
        }
    }
}

impl Case {
    fn bytes(&self) -> Vec<u8> {
        let mutations: Vec<Mutation> = self.mutations.iter().take(8).map(Mutation::from).collect();
        fairlead_fuzz::mutated(&SEEDS[usize::from(self.seed) % SEEDS.len()], &mutations)
    }

    fn dialects(&self) -> (Dialect, Dialect) {
        (DIALECTS[usize::from(self.from) % 3], DIALECTS[usize::from(self.to) % 3])
    }
}

fn wire(dialect: Dialect) -> Wire<'static> {
    Wire {
        dialect,
        vendor: Vendor::OpenAiCompatible,
        upstream_model: "upstream",
        max_output_tokens: 64,
        drop_untranslatable: true,
    }
}

/// A plain request, for its reading side.
fn turn(from: Dialect, to: Dialect, stream: bool) -> Turn {
    let body = match from {
        Dialect::OpenAiResponses => format!(r#"{{"model":"m","input":"hi","stream":{stream}}}"#),
        _ => format!(
            r#"{{"model":"m","max_tokens":64,"stream":{stream},"messages":[{{"role":"user","content":"hi"}}]}}"#
        ),
    };
    Request::parse(from, Bytes::from(body))
        .unwrap()
        .turn(&wire(to))
        .unwrap()
}

#[test]
fn there_are_seeds() {
    assert!(SEEDS.len() > 100, "{}", SEEDS.len());
}

#[test]
fn requests() {
    check!().with_type::<Case>().for_each(|case| {
        let (from, to) = case.dialects();
        let Ok(request) = Request::parse(from, Bytes::from(case.bytes())) else {
            return;
        };
        let facts = request.facts();
        assert!(facts.input_bytes >= 0 && facts.choices >= 1);
        if let Ok(turn) = request.turn(&wire(to)) {
            let sent: serde_json::Value = serde_json::from_slice(&turn.body).expect("what is sent is JSON");
            assert_eq!(sent["model"], "upstream");
            Request::parse(to, turn.body.clone()).expect("what is sent can be read again");
        }
    });
}

#[test]
fn whole_answers() {
    check!().with_type::<Case>().for_each(|case| {
        let (from, to) = case.dialects();
        let bytes = case.bytes();
        let turn = turn(from, to, false);
        let _ = turn.read_whole(&bytes);
        let _ = turn.read_error(400, &bytes);
        let _ = turn.refusal(400, Bytes::from(bytes.clone()));
        let spans = text::whole(from, &bytes).unwrap_or_default();
        assert!(spans.iter().all(|span| span.range.end <= bytes.len()));
    });
}

#[test]
fn streams() {
    check!().with_type::<Case>().for_each(|case| {
        let (from, to) = case.dialects();
        let bytes = case.bytes();
        let mut parser = SseParser::new(1 << 20);
        let mut reader = turn(from, to, true).event_reader();
        let mut passed = Vec::new();
        let mut given = 0;
        for chunk in bytes.chunks(usize::from(case.chunk).max(1)) {
            parser.push(chunk);
            while let Ok(Some(event)) = parser.next_event() {
                passed.extend_from_slice(&event.raw);
                let (_, events) = reader.read(event);
                given += events.iter().map(|one| one.raw.len()).sum::<usize>();
            }
        }
        assert!(bytes.starts_with(&passed), "events are the bytes as they came");
        if let Some(event) = parser.finish() {
            reader.read(event);
        }
        let _ = reader.finish();
        assert!(reader.produced() >= 0);
        assert!(given <= 4096 + bytes.len() * 64, "{given} bytes of {}", bytes.len());
    });
}
