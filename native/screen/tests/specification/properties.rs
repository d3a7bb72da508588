//! INVARIANT (O1), and that nothing from outside makes a rule panic.

use fairlead_dialect::Dialect;
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

fn check() -> fairlead_wire::internal::OutputCheck {
    fairlead_wire::internal::OutputCheck {
        patterns: matching(&["(?i)project\\s+x"]).patterns,
        window_bytes: 64,
        ..detecting(&["pii", "secrets"])
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However a stream is cut, it says the same as the whole answer and finds the same.
    #[test]
    fn a_stream_is_as_the_whole(text in texts(), sizes in prop::collection::vec(1_usize..40, 1..20)) {
        let screen = screen(Effect::Redact, &check());
        let dialect = Dialect::OpenAiChat;
        let Screened::Pass { body: whole, findings } = screen.whole(dialect, body(dialect, &text)) else {
            panic!("rejected");
        };
        let whole = text::whole(dialect, &whole).unwrap().remove(0).text;
        let events: Vec<_> = pieces(&text, &sizes).iter().map(|text| piece(dialect, text)).collect();
        let got = stream(&screen, dialect, events.clone());
        prop_assert_eq!(got.text(dialect), whole.clone());
        prop_assert_eq!(got.events.len(), events.len());
        let sorted = |mut findings: Vec<fairlead_screen::Finding>| {
            findings.sort_by(|a, b| a.detector.cmp(&b.detector));
            findings
        };
        prop_assert_eq!(sorted(got.findings), sorted(findings));
        for secret in ["ann@example.org", "AKIAQYLPMN5HHHFPZAM2 ", "project  x"] {
            prop_assert!(!whole.contains(secret), "{}", whole);
        }
        // Events without a match are the bytes that came.
        if whole == text {
            prop_assert_eq!(got.events, events);
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
                let raw = fairlead_dialect::sse::SseEvent::from_data(&bytes);
                let _ = stream(&screen, dialect, [piece(dialect, &text), raw, event("[DONE]")]);
            }
        }
    }
}
