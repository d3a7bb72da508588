//! What a configuration may say.

use fairlead_screen::{Rule, detector_names};
use fairlead_wire::internal::{Effect, OutputCheck};

use crate::support::{detecting, matching, meeting};

fn faults(effect: Effect, check: &OutputCheck) -> Vec<String> {
    Rule::compile("r", effect, check)
        .unwrap_err()
        .into_iter()
        .map(|fault| fault.path)
        .collect()
}

#[test]
fn everything_that_is_wrong_is_named_with_its_path() {
    let check = OutputCheck {
        json_schema: r#"{"type": "strange"}"#.to_owned(),
        patterns: vec![
            "(".to_owned(),
            "a*".to_owned(),
            "(?:a{1000}){1000}".to_owned(),
            "fine".to_owned(),
        ],
        detectors: vec!["email".to_owned(), "mail".to_owned()],
        max_bytes: 0,
        window_bytes: 1,
    };
    assert_eq!(
        faults(Effect::Allow, &check),
        [
            "effect",
            "check.patterns[0]",
            "check.patterns[1]",
            "check.patterns[2]",
            "check.detect[1]",
            "check.schema",
            "check.window"
        ]
    );
}

#[test]
fn a_rule_looks_for_something() {
    assert_eq!(faults(Effect::Flag, &OutputCheck::default()), ["check"]);
}

#[test]
fn no_part_of_a_whole_can_be_redacted() {
    let mut check = meeting(r#"{"type":"object"}"#);
    check.max_bytes = 1;
    assert_eq!(faults(Effect::Redact, &check), ["check.schema", "check.maxBytes"]);
    assert!(Rule::compile("r", Effect::Reject, &check).is_ok());
}

#[test]
fn a_schema_reads_nothing_from_outside() {
    for schema in [
        r#"{"$ref": "https://example.com/schema.json"}"#,
        r#"{"$ref": "file:///etc/passwd"}"#,
        r#"{"pattern": "(?=a)b"}"#,
        "{",
    ] {
        assert_eq!(faults(Effect::Reject, &meeting(schema)), ["check.schema"], "{schema}");
    }
    let own = r##"{"$defs": {"n": {"type": "number"}}, "$ref": "#/$defs/n"}"##;
    assert!(Rule::compile("r", Effect::Reject, &meeting(own)).is_ok());
}

#[test]
fn look_around_and_back_references_are_no_patterns() {
    for pattern in ["(?=a)", r"(a)\1", "(?<!x)y"] {
        assert_eq!(
            faults(Effect::Flag, &matching(&[pattern])),
            ["check.patterns[0]"],
            "{pattern}"
        );
    }
}

#[test]
fn every_detector_and_group_can_be_named() {
    for (name, group) in detector_names() {
        assert!(Rule::compile("r", Effect::Flag, &detecting(&[name])).is_ok(), "{name}");
        assert!(Rule::compile("r", Effect::Flag, &detecting(&[group.name()])).is_ok());
    }
}
