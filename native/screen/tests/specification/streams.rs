//! Streams: what is held back, for how long, and how it ends.

use fairlead_dialect::Dialect;
use fairlead_screen::{Action, MOST_WAITING_BYTES};
use fairlead_wire::internal::{Effect, OutputCheck};

use crate::support::{detecting, event, finding, matching, meeting, piece, screen, stream};

#[test]
fn what_spans_several_events_is_found() {
    let screen = screen(Effect::Redact, &detecting(&["email"]));
    for dialect in Dialect::ALL {
        let pieces = ["to an", "n@exa", "mple.o", "rg now"].map(|text| piece(dialect, text));
        let got = stream(&screen, dialect, pieces);
        let expected = ["to [redacted:email]", "", "", " now"].map(|text| piece(dialect, text));
        assert_eq!(got.events, expected, "{dialect}");
        assert_eq!(got.findings, [finding("email", 1, Action::Redacted)]);
    }
}

#[test]
fn text_is_passed_on_as_soon_as_the_window_is_behind_it() {
    let screen = screen(Effect::Redact, &detecting(&["email"]));
    let mut stream = screen.stream(Dialect::OpenAiChat);
    let hundred = "ten bytes ".repeat(10);
    let mut passed = Vec::new();
    for _ in 0..6 {
        passed.push(stream.event(piece(Dialect::OpenAiChat, &hundred)).events.len());
    }
    assert_eq!(passed, [0, 0, 0, 1, 1, 1]);
    assert_eq!(stream.end().events.len(), 3);
}

#[test]
fn rules_that_only_take_note_hold_nothing_back() {
    let screen = screen(Effect::Flag, &detecting(&["email"]));
    let mut stream = screen.stream(Dialect::OpenAiChat);
    for text in ["ann@exam", "ple.org"] {
        let event = piece(Dialect::OpenAiChat, text);
        assert_eq!(stream.event(event.clone()).events, [event]);
    }
    assert_eq!(stream.end().findings, [finding("email", 1, Action::Flagged)]);
}

#[test]
fn a_rejection_in_the_first_window_comes_before_any_event() {
    let screen = screen(Effect::Reject, &matching(&["forbidden"]));
    let mut stream = screen.stream(Dialect::AnthropicMessages);
    let start = r#"{"type":"message_start","message":{"id":"m","content":[]}}"#;
    assert_eq!(stream.event(event(start)).rejected, None);
    assert_eq!(
        stream.event(piece(Dialect::AnthropicMessages, "this is forbid")).events,
        []
    );
    stream.event(piece(Dialect::AnthropicMessages, "den, of course"));
    let end = stream.end();
    assert_eq!((end.events.len(), end.rejected.as_deref()), (0, Some("r")));
    assert_eq!(stream.event(piece(Dialect::AnthropicMessages, "more")).events, []);
}

#[test]
fn a_secret_that_is_longer_than_the_window_is_held_while_it_grows() {
    let screen = screen(Effect::Redact, &detecting(&["secrets"]));
    let dialect = Dialect::OpenAiChat;
    let claims = "eyJzdWIiOiIxMjM0NTY3ODkwIn".repeat(40);
    let token = format!("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{claims}.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P");
    let key = format!(
        "-----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----",
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n".repeat(30)
    );
    for secret in [token, key] {
        let text = format!("Here: {secret} and more");
        let pieces = text
            .as_bytes()
            .chunks(7)
            .map(|part| piece(dialect, std::str::from_utf8(part).unwrap()));
        let got = stream(&screen, dialect, pieces).text(dialect);
        assert!(
            got.starts_with("Here: [redacted:") && got.ends_with("] and more"),
            "{got}"
        );
    }
}

#[test]
fn a_schema_holds_the_stream_until_its_end() {
    let screen = screen(Effect::Reject, &meeting(r#"{"type":"object"}"#));
    for (texts, fits) in [(["{\"a\":", "1}"], true), (["{\"a\":", "1"], false)] {
        let mut stream = screen.stream(Dialect::OpenAiChat);
        for text in texts {
            assert_eq!(stream.event(piece(Dialect::OpenAiChat, text)).events, []);
        }
        let end = stream.end();
        assert_eq!(
            (end.events.len(), end.rejected.is_none()),
            (if fits { 2 } else { 0 }, fits)
        );
    }
}

#[test]
fn a_stream_that_is_too_long_to_wait_for_is_rejected() {
    let screen = screen(Effect::Reject, &meeting(r#"{"type":"string"}"#));
    let mut stream = screen.stream(Dialect::OpenAiChat);
    let large = piece(Dialect::OpenAiChat, &"x".repeat(1 << 20));
    let events = MOST_WAITING_BYTES / (1 << 20) + 1;
    let rejected = (0..events).find_map(|_| stream.event(large.clone()).rejected);
    assert_eq!(rejected.as_deref(), Some("r"));
}

#[test]
fn a_size_is_checked_while_the_text_comes() {
    let check = OutputCheck {
        max_bytes: 6,
        ..OutputCheck::default()
    };
    let screen = screen(Effect::Reject, &check);
    let mut stream = screen.stream(Dialect::OpenAiChat);
    assert_eq!(stream.event(piece(Dialect::OpenAiChat, "1234")).events.len(), 1);
    let over = stream.event(piece(Dialect::OpenAiChat, "567"));
    assert_eq!((over.events.len(), over.rejected.as_deref()), (0, Some("r")));
}

#[test]
fn responses_that_repeat_the_text_repeat_what_became_of_it() {
    let screen = screen(Effect::Redact, &detecting(&["email"]));
    let told = |text: &str| {
        [
            r#"{"type":"response.content_part.added","output_index":0,"content_index":0,"part":{"type":"output_text","text":""}}"#.to_owned(),
            format!(r#"{{"type":"response.output_text.done","output_index":0,"content_index":0,"text":"{text}"}}"#),
            format!(r#"{{"type":"response.output_item.done","output_index":0,"item":{{"type":"message","content":[{{"type":"output_text","text":"{text}"}}]}}}}"#),
            format!(r#"{{"type":"response.completed","response":{{"output":[{{"type":"message","content":[{{"type":"output_text","text":"{text}"}}]}}]}}}}"#),
        ]
    };
    let with = |pieces: [&str; 2], text: &str| {
        let [added, done, item, completed] = told(text).map(|data| event(&data));
        let [first, second] = pieces.map(|text| piece(Dialect::OpenAiResponses, text));
        vec![added, first, second, done, item, completed]
    };
    let got = stream(
        &screen,
        Dialect::OpenAiResponses,
        with(["hi a@b", ".org!"], "hi a@b.org!"),
    );
    assert_eq!(got.events, with(["hi [redacted:email]", "!"], "hi [redacted:email]!"));
    assert_eq!(got.findings, [finding("email", 1, Action::Redacted)]);
}

#[test]
fn the_end_of_a_block_ends_its_text() {
    let screen = screen(Effect::Redact, &detecting(&["email"]));
    let mut stream = screen.stream(Dialect::AnthropicMessages);
    assert_eq!(stream.event(piece(Dialect::AnthropicMessages, "short")).events, []);
    let stop = event(r#"{"type":"content_block_stop","index":0}"#);
    assert_eq!(
        stream.event(stop.clone()).events,
        [piece(Dialect::AnthropicMessages, "short"), stop]
    );
}

#[test]
fn a_text_that_falls_silent_does_not_hold_the_others() {
    let screen = screen(Effect::Redact, &detecting(&["email"]));
    let mut stream = screen.stream(Dialect::OpenAiChat);
    let thinking = event(r#"{"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}"#);
    assert_eq!(stream.event(thinking.clone()).events, []);
    let long = piece(Dialect::OpenAiChat, &"word ".repeat(60));
    assert_eq!(stream.event(long).events, [thinking]);
}

#[test]
fn an_event_that_cannot_be_read_does_not_pass() {
    let screen = screen(Effect::Redact, &detecting(&["email"]));
    let mut stream = screen.stream(Dialect::OpenAiChat);
    assert_eq!(stream.event(event("{\"choices\":")).rejected.as_deref(), Some("r"));
}
