#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bounds;
mod golden;
mod properties;

use super::*;
use crate::sse::SseParser;

/// What the client of a translated stream gets.
struct Told {
    events: Vec<SseEvent>,
    facts: Vec<EventFacts>,
    complete: bool,
    usage: Option<Usage>,
}

fn manner() -> Manner {
    Manner {
        usage_asked: true,
        created: 1_700_000_000,
        salt: 7,
        ..Manner::default()
    }
}

/// Translates a stream of bytes, given in pieces.
fn translate<'a>(from: Dialect, to: Dialect, pieces: impl IntoIterator<Item = &'a [u8]>) -> Told {
    let mut translation = Translation::new(from, to, manner());
    let mut parser = SseParser::new(1 << 24);
    let (mut events, mut facts) = (Vec::new(), Vec::new());
    for piece in pieces {
        parser.push(piece);
        while let Some(event) = parser.next_event().unwrap() {
            let (fact, more) = translation.read(event);
            facts.push(fact);
            events.extend(more);
        }
    }
    events.extend(translation.finish());
    Told {
        events,
        facts,
        complete: translation.complete(),
        usage: translation.usage(),
    }
}

fn bytes(events: &[SseEvent]) -> Vec<u8> {
    events.iter().flat_map(|event| event.raw.to_vec()).collect()
}

/// The answer that a stream makes up.
fn folded(dialect: Dialect, stream: &[u8]) -> Answer {
    let mut reader = reader(dialect);
    let mut parser = SseParser::new(1 << 24);
    parser.push(stream);
    let mut fold = Fold::default();
    let mut ends = 0;
    while let Some(event) = parser.next_event().unwrap() {
        let mut deltas = Vec::new();
        let data = event.data.unwrap_or_default();
        assert!(
            reader.read(&data, &mut deltas).is_ok(),
            "{}",
            String::from_utf8_lossy(&data)
        );
        for delta in &deltas {
            fold.add(delta).unwrap();
            ends += usize::from(*delta == Delta::End);
        }
    }
    assert_eq!(ends, 1, "{}", String::from_utf8_lossy(stream));
    fold.into_answer()
}
