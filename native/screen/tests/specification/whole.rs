//! Whole answers.

use bytes::Bytes;
use fairlead_dialect::Dialect;
use fairlead_screen::{Action, Screen, Screened};
use fairlead_wire::internal::{Effect, OutputCheck};

use crate::support::{body, detecting, finding, matching, meeting, rule, screen};

#[test]
fn what_is_found_is_replaced_and_nothing_else_changes() {
    let screen = screen(Effect::Redact, &detecting(&["pii"]));
    for dialect in Dialect::ALL {
        let screened = screen.whole(dialect, body(dialect, "Mail ann@example.org\nor 8.8.8.8."));
        let expected = body(dialect, "Mail [redacted:email]\nor [redacted:ip-address].");
        let findings = vec![
            finding("email", 1, Action::Redacted),
            finding("ip-address", 1, Action::Redacted),
        ];
        assert_eq!(
            screened,
            Screened::Pass {
                body: expected,
                findings
            },
            "{dialect}"
        );
    }
}

#[test]
fn an_answer_with_nothing_in_it_keeps_its_bytes() {
    let screen = screen(Effect::Redact, &detecting(&["secrets", "pii"]));
    for dialect in Dialect::ALL {
        let body = body(dialect, "a\u{1f600} \"quoted\"");
        let Screened::Pass { body: now, findings } = screen.whole(dialect, body.clone()) else {
            panic!("rejected");
        };
        assert_eq!(
            (now.as_ptr(), now.len(), findings.len()),
            (body.as_ptr(), body.len(), 0)
        );
    }
}

#[test]
fn escapes_hide_nothing() {
    let screen = screen(Effect::Redact, &detecting(&["email"]));
    let body = Bytes::from_static(br#"{"content":[{"type":"text","text":"ann\u0040example.\u006frg"}]}"#);
    let Screened::Pass { body, .. } = screen.whole(Dialect::AnthropicMessages, body) else {
        panic!("rejected");
    };
    assert_eq!(body, r#"{"content":[{"type":"text","text":"[redacted:email]"}]}"#);
}

#[test]
fn thinking_and_refusals_are_texts_too() {
    let screen = screen(Effect::Flag, &detecting(&["email"]));
    let body = br#"{"choices":[{"message":{"content":null,"refusal":"a@b.org","reasoning_content":"c@d.org"}}]}"#;
    let Screened::Pass { findings, .. } = screen.whole(Dialect::OpenAiChat, Bytes::from_static(body)) else {
        panic!("rejected");
    };
    assert_eq!(findings, [finding("email", 2, Action::Flagged)]);
}

#[test]
fn a_rejecting_rule_refuses_the_answer_and_keeps_its_content_to_itself() {
    let screen = screen(Effect::Reject, &matching(&["(?i)project\\s+x"]));
    let rejected = screen.whole(Dialect::OpenAiChat, body(Dialect::OpenAiChat, "about Project  X"));
    assert_eq!(
        rejected,
        Screened::Rejected {
            rule: "r".to_owned(),
            findings: vec![finding("pattern", 1, Action::Rejected)]
        }
    );
}

#[test]
fn the_answer_has_to_meet_the_schema() {
    let screen = screen(Effect::Reject, &meeting(r#"{"type":"object","required":["n"]}"#));
    for (text, fits) in [
        (r#"{"n": 1}"#, true),
        (" {\"n\": 1}\n", true),
        (r#"{"m": 1}"#, false),
        ("```json\n{\"n\":1}\n```", false),
        ("", false),
    ] {
        for dialect in Dialect::ALL {
            let passes = matches!(screen.whole(dialect, body(dialect, text)), Screened::Pass { .. });
            assert_eq!(passes, fits, "{dialect} {text}");
        }
    }
    let calls = br#"{"choices":[{"message":{"content":"Let me see","tool_calls":[{"function":{"arguments":"{}"}}]}}]}"#;
    let step = screen.whole(Dialect::OpenAiChat, Bytes::from_static(calls));
    assert!(matches!(step, Screened::Pass { .. }), "a step on the way to the answer");
}

#[test]
fn the_size_is_that_of_one_answer() {
    let check = OutputCheck {
        max_bytes: 4,
        ..OutputCheck::default()
    };
    let screen = screen(Effect::Reject, &check);
    let two = |text: &str| {
        let choice = format!(r#"{{"message":{{"content":"{text}"}}}}"#);
        Bytes::from(format!(r#"{{"choices":[{choice},{choice}]}}"#))
    };
    assert!(matches!(
        screen.whole(Dialect::OpenAiChat, two("1234")),
        Screened::Pass { .. }
    ));
    let Screened::Rejected { findings, .. } = screen.whole(Dialect::OpenAiChat, two("12345")) else {
        panic!("passed");
    };
    assert_eq!(findings, [finding("size", 2, Action::Rejected)]);
}

#[test]
fn what_cannot_be_read_does_not_pass() {
    let redacts = screen(Effect::Redact, &detecting(&["email"]));
    let flags = screen(Effect::Flag, &detecting(&["email"]));
    let body = Bytes::from_static(b"<html>");
    for dialect in Dialect::ALL {
        let rejected = redacts.whole(dialect, body.clone());
        assert!(matches!(rejected, Screened::Rejected { .. }), "{dialect}");
        let passed = flags.whole(dialect, body.clone());
        assert!(matches!(passed, Screened::Pass { .. }), "{dialect}");
    }
}

#[test]
fn all_rules_see_the_same_text() {
    let rules = vec![
        rule(Effect::Redact, &detecting(&["email"])),
        rule(Effect::Redact, &matching(&["[a-z]+@example"])),
        rule(Effect::Flag, &detecting(&["pii"])),
    ];
    let screen = Screen::new(rules).unwrap();
    let dialect = Dialect::OpenAiChat;
    let Screened::Pass { body: now, findings } = screen.whole(dialect, body(dialect, "to ann@example.org!")) else {
        panic!("rejected");
    };
    assert_eq!(now, body(dialect, "to [redacted:email]!"));
    assert_eq!(
        findings,
        [
            finding("email", 1, Action::Redacted),
            finding("pattern", 1, Action::Redacted),
            finding("email", 1, Action::Flagged)
        ]
    );
}

#[test]
fn no_rules_are_no_screen() {
    assert!(Screen::new(Vec::new()).is_none());
}
