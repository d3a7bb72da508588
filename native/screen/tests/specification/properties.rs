//! INVARIANT (O1), and that nothing from outside makes a rule panic.

use fairlead_dialect::Dialect;
use fairlead_dialect::sse::SseEvent;
use fairlead_dialect::text;
use fairlead_screen::Screened;
use fairlead_wire::internal::Effect;
use proptest::prelude::*;

use crate::support::{body, detecting, event, matching, piece, screen, stream};

/// Things that detectors find, shorter than the least window, and what stands around them.
fn texts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just(" ann@example.org ".to_owned()),
        Just("4111 1111 1111 1111".to_owned()),
        Just("+49 30 123456".to_owned()),
        Just("8.8.8.8".to_owned()),
        Just("536-22-8726".to_owned()),
        Just("DE89 3704 0044 0532 0130 00".to_owned()),
        Just(" AKIAQYLPMN5HHHFPZAM2 ".to_owned()),
        Just("ghp_Zc1xQ9vR2mT7kL4pW8sN3bY6dF0hJ5gA1eU2".to_owned()),
        Just(" project  x ".to_owned()),
        "[a-z ,.@\\-0-9]{0,40}",
        "[\\PC]{0,20}",
        Just(" ".to_owned()),
        Just("\n".to_owned()),
    ];
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

/// The text in pieces; every size leads to another character.
fn pieces(text: &str, sizes: &[usize]) -> Vec<String> {
    let mut rest: Vec<char> = text.chars().collect();
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let tail = rest.split_off((*size).min(rest.len()));
        pieces.push(rest.into_iter().collect());
        rest = tail;
    }
    pieces
}

/// A stream with this text in these pieces, as each dialect begins and ends it.
fn told(dialect: Dialect, text: &str, pieces: &[String]) -> Vec<SseEvent> {
    let json = serde_json::to_string(text).unwrap();
    let part = format!(r#"{{"type":"output_text","text":{json}}}"#);
    let item = format!(r#"{{"type":"message","content":[{part}]}}"#);
    let (before, after) = match dialect {
        Dialect::OpenAiChat => (
            vec![r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#.to_owned()],
            vec![
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#.to_owned(),
                "[DONE]".to_owned(),
            ],
        ),
        Dialect::OpenAiResponses => (
            vec![
                r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"message","content":[]}}"#
                    .to_owned(),
            ],
            vec![
                format!(r#"{{"type":"response.output_text.done","output_index":0,"content_index":0,"text":{json}}}"#),
                format!(r#"{{"type":"response.content_part.done","output_index":0,"content_index":0,"part":{part}}}"#),
                format!(r#"{{"type":"response.output_item.done","output_index":0,"item":{item}}}"#),
                format!(r#"{{"type":"response.completed","response":{{"output":[{item}]}}}}"#),
            ],
        ),
        Dialect::AnthropicMessages => (
            vec![r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#.to_owned()],
            vec![
                r#"{"type":"content_block_stop","index":0}"#.to_owned(),
                r#"{"type":"message_stop"}"#.to_owned(),
            ],
        ),
    };
    let framed = |events: Vec<String>| events.into_iter().map(|data| event(&data)).collect::<Vec<_>>();
    let said = pieces.iter().map(|text| piece(dialect, text)).collect();
    [framed(before), said, framed(after)].concat()
}

fn check() -> fairlead_wire::internal::OutputCheck {
    fairlead_wire::internal::OutputCheck {
        patterns: matching(&["(?i)project\\s+x"]).patterns,
        window_bytes: 64,
        ..detecting(&["pii", "secrets"])
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However a stream is cut, it says the same as the whole answer and finds the same, in every dialect.
    #[test]
    fn a_stream_is_as_the_whole(text in texts(), sizes in prop::collection::vec(1_usize..40, 1..20)) {
        let screen = screen(Effect::Redact, &check());
        for dialect in Dialect::ALL {
            let Screened::Pass { body: whole, findings } = screen.whole(dialect, body(dialect, &text)) else {
                panic!("rejected");
            };
            let whole = text::whole(dialect, &whole).unwrap().remove(0).text;
            let events = told(dialect, &text, &pieces(&text, &sizes));
            let got = stream(&screen, dialect, events.clone());
            prop_assert_eq!(got.text(dialect), whole.clone(), "{}", dialect);
            prop_assert_eq!(got.events.len(), events.len());
            // What a dialect says again at the end of a text.
            let repeated = got.events.iter().flat_map(|event| text::event(dialect, event).unwrap());
            for span in repeated.filter(|span| span.repeats) {
                prop_assert_eq!(&span.text, &whole, "{}", dialect);
            }
            let sorted = |mut findings: Vec<fairlead_screen::Finding>| {
                findings.sort_by(|a, b| a.detector.cmp(&b.detector));
                findings
            };
            prop_assert_eq!(sorted(got.findings), sorted(findings), "{}", dialect);
            for secret in ["ann@example.org", "AKIAQYLPMN5HHHFPZAM2 ", "project  x"] {
                prop_assert!(!whole.contains(secret), "{}", whole);
            }
            // Events without a match are the bytes that came.
            if whole == text {
                prop_assert_eq!(got.events, events);
            }
        }
    }

    /// A rule that rejects does so for the same texts, and with a match in the first window before any event.
    #[test]
    fn a_stream_is_refused_like_the_whole(text in texts(), sizes in prop::collection::vec(1_usize..40, 1..20)) {
        let screen = screen(Effect::Reject, &check());
        for dialect in Dialect::ALL {
            let refused = matches!(screen.whole(dialect, body(dialect, &text)), Screened::Rejected { .. });
            let got = stream(&screen, dialect, told(dialect, &text, &pieces(&text, &sizes)));
            prop_assert_eq!(got.rejected.is_some(), refused, "{}", dialect);
            prop_assert!(text.starts_with(&got.text(dialect)), "nothing is changed");
            if refused {
                for secret in ["ann@example.org", "AKIAQYLPMN5HHHFPZAM2 ", "project  x"] {
                    prop_assert!(!got.text(dialect).contains(secret), "{}", dialect);
                }
            }
        }
    }

    /// Nothing that a provider sends makes a rule panic.
    #[test]
    fn arbitrary_bytes_pass_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), text in any::<String>()) {
        for effect in [Effect::Redact, Effect::Reject, Effect::Flag] {
            let screen = screen(effect, &check());
            for dialect in Dialect::ALL {
                let _ = screen.whole(dialect, bytes.clone().into());
                let _ = screen.whole(dialect, body(dialect, &text));
                let raw = SseEvent::from_data(&bytes);
                let _ = stream(&screen, dialect, [piece(dialect, &text), raw, event("[DONE]")]);
            }
        }
    }
}
