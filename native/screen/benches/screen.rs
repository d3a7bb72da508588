//! Time to look through text, per KiB: whole, and as a stream of small events. One JSON line per measurement. Standard
//! library only; run by `make bench`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement fails loudly"
)]
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use fairlead_dialect::Dialect;
use fairlead_dialect::sse::SseEvent;
use fairlead_screen::{Rule, Screen};
use fairlead_wire::internal::{Effect, OutputCheck};

/// Bytes of one text.
const TEXT: usize = 16 << 10;
/// Bytes of one event's text: about a token.
const PIECE: usize = 5;

fn main() {
    // `cargo test --benches` only has to see that it runs.
    let measured = if std::env::args().any(|argument| argument == "--bench") {
        200
    } else {
        1
    };
    let prose = "The order 4711 of 2026-11-21 goes to Anna; write to sales or call on Monday, please. ";
    let text: String = prose.chars().cycle().take(TEXT).collect();
    let body = Bytes::from(format!(r#"{{"choices":[{{"message":{{"content":"{text}"}}}}]}}"#));
    let events: Vec<SseEvent> = text
        .as_bytes()
        .chunks(PIECE)
        .map(|piece| {
            let piece = std::str::from_utf8(piece).unwrap();
            SseEvent::from_data(format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{piece}"}}}}]}}"#).as_bytes())
        })
        .collect();
    for detectors in [&["secrets"][..], &["pii"], &["secrets", "pii"]] {
        let check = OutputCheck {
            detectors: detectors.iter().map(|name| (*name).to_owned()).collect(),
            ..OutputCheck::default()
        };
        let rule = Rule::compile("r", Effect::Redact, &check).unwrap();
        let screen = Arc::new(Screen::new(vec![Arc::new(rule)]).unwrap());
        let name = detectors.join("+");
        report(&format!("whole/{name}"), measured, || {
            black_box(screen.whole(Dialect::OpenAiChat, body.clone()));
        });
        report(&format!("stream/{name}"), measured, || {
            let mut stream = screen.stream(Dialect::OpenAiChat);
            for event in &events {
                black_box(stream.event(event.clone()));
            }
            black_box(stream.end());
        });
    }
}

fn report(name: &str, times: u32, mut run: impl FnMut()) {
    run();
    let start = Instant::now();
    (0..times).for_each(|_| run());
    let nanos = start.elapsed().as_nanos() / u128::from(times);
    let per_kib = nanos / (TEXT as u128 >> 10);
    println!(r#"{{"bench":"screen","case":"{name}","nanos_per_kib":{per_kib}}}"#);
}
