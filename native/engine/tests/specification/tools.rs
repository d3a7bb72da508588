//! Tool calls: catalogue, policy, idempotency, sessions.
use fairlead_engine::{Caller, Reason, ToolArguments};
use fairlead_wire::internal::{ArgumentConstraint, Effect, argument_constraint::Change};
use fairlead_wire::v1::authorize_tool_response::Outcome;
use fairlead_wire::v1::{AuthorizeToolRequest, EventKind, ToolEffect, ToolOutcome, ToolRisk, audit_record::Body};

use crate::bench::{Bench, HOUR, MINUTE};
use crate::tool_bench::{pay, rule, tool, with_tools};

fn call(name: &str) -> AuthorizeToolRequest {
    AuthorizeToolRequest {
        tool: name.to_owned(),
        ..AuthorizeToolRequest::default()
    }
}

fn replayed(bench: &mut Bench, request: &AuthorizeToolRequest) -> String {
    match bench.authorize(request).unwrap().outcome {
        Some(Outcome::Replayed(replayed)) => String::from_utf8(replayed.result).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_is_granted_once_and_its_result_is_given_again() {
    let mut bench = Bench::given(with_tools());
    let grant = bench.granted(&pay("k", r#"{"amount": 5}"#)).grant;
    let open = bench.authorize(&pay("k", r#"{"amount": 5.0}"#)).unwrap_err();
    assert_eq!(
        (open.reason, open.metadata["state"].as_str()),
        (Reason::InvalidState, "OPEN")
    );
    assert_eq!(open.metadata["grant"], grant);
    let other = bench
        .authorize_as(Caller::agent("acme", "other"), &pay("k", r#"{"amount": 5}"#))
        .unwrap_err();
    assert!(
        !other.metadata.contains_key("grant"),
        "a grant is for the agent that has it"
    );
    bench.complete(&grant, ToolOutcome::Succeeded, r#"{"id": 1}"#).unwrap();
    bench.crash();
    assert_eq!(replayed(&mut bench, &pay("k", r#"{ "amount": 5 }"#)), r#"{"id": 1}"#);
    let differs = bench.authorize(&pay("k", r#"{"amount": 6}"#)).unwrap_err();
    assert_eq!(differs.violations[0].field, "idempotency_key");
    assert!(
        bench
            .authorize_as(Caller::agent("globex", "bot"), &pay("k", "{}"))
            .is_ok(),
        "keys are the tenant's"
    );
    assert!(bench.kinds().contains(&EventKind::ToolReplayed));
}

#[test]
fn a_result_that_is_too_large_is_not_given_again() {
    let mut bench = Bench::given(with_tools());
    let grant = bench.granted(&pay("k", "{}")).grant;
    let large = format!("\"{}\"", "x".repeat(100));
    bench.complete(&grant, ToolOutcome::Succeeded, &large).unwrap();
    assert_eq!(replayed(&mut bench, &pay("k", "{}")), "");
}

#[test]
fn a_failed_call_may_be_made_again() {
    let mut bench = Bench::given(with_tools());
    let first = bench.granted(&pay("k", "{}")).grant;
    bench.complete(&first, ToolOutcome::Failed, "").unwrap();
    let second = bench.granted(&pay("k", "{}")).grant;
    assert_ne!(first, second);
    bench.complete(&second, ToolOutcome::Succeeded, "1").unwrap();
    bench.complete(&first, ToolOutcome::Failed, "").unwrap();
    let twice = bench.complete(&first, ToolOutcome::Succeeded, "").unwrap_err();
    assert_eq!(twice.reason, Reason::InvalidState, "a call ends once");
}

#[test]
fn a_side_effect_whose_outcome_is_unknown_is_not_repeated_until_somebody_knows() {
    let mut bench = Bench::given(with_tools());
    let grant = bench.granted(&pay("k", "{}")).grant;
    bench.after(HOUR);
    let unknown = bench.authorize(&pay("k", "{}")).unwrap_err();
    assert_eq!(unknown.metadata["state"], "UNKNOWN", "though no sweep has come by");
    bench.crash();
    assert_eq!(
        bench.authorize(&pay("k", "{}")).unwrap_err().metadata["state"],
        "UNKNOWN"
    );
    bench.complete(&grant, ToolOutcome::Succeeded, "7").unwrap();
    assert_eq!(replayed(&mut bench, &pay("k", "{}")), "7");
}

#[test]
fn a_read_whose_outcome_is_unknown_may_be_repeated_and_then_the_first_one_is_over() {
    let mut bench = Bench::given(with_tools());
    let search = AuthorizeToolRequest {
        tool: "search".to_owned(),
        ..pay("k", "{}")
    };
    let first = bench.granted(&search).grant;
    bench.complete(&first, ToolOutcome::Unknown, "").unwrap();
    let second = bench.granted(&search).grant;
    let late = bench.complete(&first, ToolOutcome::Succeeded, "").unwrap_err();
    assert_eq!(late.metadata["superseded_by"], second);
}

#[test]
fn what_nobody_completes_becomes_unknown_by_the_sweep() {
    let mut bench = Bench::given(with_tools());
    bench.granted(&pay("k", "{}"));
    bench.after(HOUR);
    assert_eq!((bench.expire(), bench.engine.open_tool_calls()), (1, 0));
    assert_eq!(bench.last().kind(), EventKind::ToolCompleted);
}

#[test]
fn a_repeated_request_gets_the_first_answer() {
    let mut bench = Bench::given(with_tools());
    let request = AuthorizeToolRequest {
        request_id: "same".to_owned(),
        ..call("search")
    };
    let first = bench.authorize(&request).unwrap();
    bench.crash();
    assert_eq!(bench.authorize(&request).unwrap(), first);
    let other = AuthorizeToolRequest {
        tool: "pay".to_owned(),
        ..request
    };
    assert_eq!(bench.authorize(&other).unwrap_err().violations[0].field, "request_id");
}

#[test]
fn the_catalogue_counts_and_not_what_the_caller_says() {
    let mut config = with_tools();
    config.policies.push(rule("careful", &["*"], Effect::Deny));
    config.policies[1].when = "tool.risk == 'destructive' && tool.effect == 'side_effect'".to_owned();
    let mut bench = Bench::given(config);
    bench.granted(&call("search"));
    let claimed = AuthorizeToolRequest {
        effect: ToolEffect::Read as i32,
        ..call("browse")
    };
    let denied = bench.authorize(&claimed).unwrap_err();
    assert_eq!(
        (denied.reason, denied.metadata["rule"].as_str()),
        (Reason::PolicyDenied, "careful")
    );
    let Some(Body::Tool(record)) = bench.last().body else {
        panic!()
    };
    assert_eq!(record.rejection, "POLICY_DENIED");
    assert_eq!(record.inputs.unwrap().claimed_effect(), ToolEffect::Read);
    assert_eq!(bench.authorize(&call("rm")).unwrap_err().metadata["rule"], "careful");
}

#[test]
fn without_a_rule_a_tool_call_is_denied() {
    let mut bench = Bench::given(with_tools());
    let denied = bench.authorize(&call("rm")).unwrap_err();
    assert_eq!(denied.metadata["cause"], "default");
}

#[test]
fn arguments_are_checked_against_the_schema_and_never_repeated_in_the_error() {
    let mut config = with_tools();
    config.tools[1].argument_schema =
        r#"{"properties": {"amount": {"type": "integer"}}, "required": ["to"]}"#.to_owned();
    let mut bench = Bench::given(config);
    let wrong = bench.authorize(&pay("k", r#"{"amount": "secret"}"#)).unwrap_err();
    let fields: Vec<&str> = wrong.violations.iter().map(|one| one.field.as_str()).collect();
    assert!(
        fields.contains(&"arguments/amount") && fields.contains(&"arguments"),
        "{fields:?}"
    );
    assert!(!format!("{wrong:?}").contains("secret"));
    assert!(bench.authorize(&pay("k", r#"{"amount": 1, "to": "x"}"#)).is_ok());
}

#[test]
fn arguments_are_a_bounded_object() {
    let reason = |text: &[u8]| ToolArguments::parse(text).unwrap_err().reason;
    assert_eq!(reason(b"[]"), Reason::InvalidArgument);
    assert_eq!(reason(br#"{"a": 1, "a": 2}"#), Reason::InvalidArgument);
    assert_eq!(reason(&vec![b' '; (256 << 10) + 1]), Reason::PayloadTooLarge);
}

#[test]
fn a_rule_may_cap_redact_and_remove_arguments() {
    let mut config = with_tools();
    let change = |pointer: &str, change| ArgumentConstraint {
        pointer: pointer.to_owned(),
        change: Some(change),
    };
    config.policies.push(rule("small", &["pay"], Effect::Constrain));
    config.policies[1].arguments = vec![
        change("/amount", Change::Maximum(100.0)),
        change("/card", Change::Redact(true)),
        change("/items/*/note", Change::Remove(true)),
    ];
    let mut bench = Bench::given(config);
    let arguments = r#"{"amount": 250, "card": "4111", "items": [{"note": 1, "n": 1.50}]}"#;
    let constraints = bench.granted(&pay("k", arguments)).constraints.unwrap();
    assert_eq!(
        String::from_utf8(constraints.arguments).unwrap(),
        r#"{"amount":100,"card":"[redacted]","items":[{"n":1.50}]}"#
    );
    assert_eq!(constraints.changed, ["/amount", "/card", "/items/0/note"]);
    let unchanged = bench.granted(&pay("k2", r#"{ "amount": 1e1 }"#)).constraints.unwrap();
    assert_eq!(
        unchanged.arguments, br#"{ "amount": 1e1 }"#,
        "as requested, to the byte"
    );
    let text = bench.authorize(&pay("k3", r#"{"amount": "250"}"#)).unwrap_err();
    assert_eq!(
        text.metadata["cause"], "not_a_number",
        "a cap cannot be dodged by another type"
    );
}

fn tainting() -> Bench {
    let mut config = with_tools();
    let labelled = |name: &str, label: &str| {
        let mut tool = tool(name, ToolEffect::Read, ToolRisk::Low);
        tool.session_labels = vec![label.to_owned()];
        tool
    };
    config.tools = vec![
        labelled("browse", "saw_untrusted"),
        labelled("search", "read_private"),
        labelled("mail", "can_egress"),
    ];
    config.policies.push(rule("never-all-three", &["mail"], Effect::Deny));
    config.policies[1].when = "'saw_untrusted' in session.labels && 'read_private' in session.labels".to_owned();
    config.limits.as_mut().unwrap().sessions = 4;
    Bench::given(config)
}

fn in_session(tool: &str, session: &str) -> AuthorizeToolRequest {
    AuthorizeToolRequest {
        session: session.to_owned(),
        ..call(tool)
    }
}

#[test]
fn a_session_that_saw_untrusted_and_private_things_cannot_send() {
    let mut bench = tainting();
    bench.granted(&in_session("browse", "s"));
    bench.granted(&in_session("mail", "s"));
    let grant = bench.granted(&in_session("search", "s")).grant;
    bench.crash();
    assert_eq!(
        bench.authorize(&in_session("mail", "s")).unwrap_err().metadata["rule"],
        "never-all-three"
    );
    assert!(bench.authorize(&in_session("mail", "other")).is_ok());
    let completed = bench.complete(&grant, ToolOutcome::Succeeded, "").unwrap();
    assert_eq!(
        completed.session_labels,
        ["can_egress", "read_private", "saw_untrusted"]
    );
}

#[test]
fn labels_need_a_session_and_room_for_it() {
    let mut bench = tainting();
    assert_eq!(
        bench.authorize(&call("browse")).unwrap_err().violations[0].field,
        "session"
    );
    bench.granted(&in_session("browse", "a"));
    bench.granted(&in_session("browse", "b"));
    let full = bench.authorize(&in_session("browse", "c")).unwrap_err();
    assert_eq!(
        (full.reason, full.metadata["bound"].as_str()),
        (Reason::QueueFull, "limits.sessions")
    );
    bench.after(31 * 24 * HOUR).expire();
    assert_eq!(bench.engine.sessions(), 0);
    bench.granted(&in_session("browse", "c"));
}

#[test]
fn open_calls_are_bounded() {
    let mut config = with_tools();
    config.limits.as_mut().unwrap().open_tool_calls = 1;
    let mut bench = Bench::given(config);
    let grant = bench.granted(&call("search")).grant;
    assert_eq!(
        bench.authorize(&call("search")).unwrap_err().metadata["bound"],
        "limits.openToolCalls"
    );
    bench
        .after(MINUTE)
        .complete(&grant, ToolOutcome::Succeeded, "")
        .unwrap();
    bench.granted(&call("search"));
}
