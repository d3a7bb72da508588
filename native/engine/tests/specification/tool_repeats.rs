//! Tool calls that come again: under the same request id, with the same key, and while the store is being read.
use fairlead_engine::{Caller, Reason};
use fairlead_wire::v1::authorize_tool_response::Outcome;
use fairlead_wire::v1::{AuthorizeToolRequest, ToolEffect, ToolOutcome, ToolRisk, audit_record::Body};

use crate::bench::{Bench, HOUR};
use crate::tool_bench::{pay, rule, tool, with_tools};

fn as_bot() -> Caller<'static> {
    Caller::agent("acme", "bot")
}

fn with_id(id: &str, request: &AuthorizeToolRequest) -> AuthorizeToolRequest {
    AuthorizeToolRequest {
        request_id: id.to_owned(),
        ..request.clone()
    }
}

#[test]
fn a_call_that_ends_while_the_store_is_read_does_not_free_its_key() {
    let endings: [fn(&mut Bench, &str); 2] = [
        |bench, grant| drop(bench.complete(grant, ToolOutcome::Succeeded, "7").unwrap()),
        |bench, _| assert_eq!(bench.after(HOUR).expire(), 2),
    ];
    for (at, ends) in endings.into_iter().enumerate() {
        let mut bench = Bench::given(with_tools());
        // The index of ids may be wrong about a new one; here it says "perhaps" because another call had the id.
        bench.granted(&with_id("used", &pay("other", "{}")));
        let grant = bench.granted(&pay("k", "{}")).grant;
        let again = with_id("used", &pay("k", "{}"));
        let needs = bench.decide(as_bot(), &again, None).unwrap().unwrap_err();
        assert!(
            !needs.request_keys.is_empty() && !needs.tool_key.is_empty(),
            "everything is asked for at once"
        );
        let mut known = bench.read(&needs);
        ends(&mut bench, &grant);
        // The store does not have the id.
        (known.request, known.request_found) = (None, false);
        let mut answer = bench.decide(as_bot(), &again, Some(&known));
        if let Ok(Err(needs)) = &answer {
            let mut known = bench.read(needs);
            (known.request, known.request_found) = (None, false);
            answer = bench.decide(as_bot(), &again, Some(&known));
        }
        match at {
            0 => assert!(matches!(answer.unwrap().unwrap().outcome, Some(Outcome::Replayed(_)))),
            _ => assert_eq!(answer.unwrap_err().metadata["state"], "UNKNOWN"),
        }
    }
}

#[test]
fn a_ticket_that_is_used_while_the_store_is_read_is_not_used_twice() {
    let mut config = with_tools();
    let mut asks = rule("ask", &["pay"], fairlead_wire::internal::Effect::RequireApproval);
    asks.tier = "one".to_owned();
    config.policies.push(asks);
    let mut bench = Bench::given(config);
    let pending = bench.pending(&pay("k", "{}"));
    bench
        .vote(&pending.approval, "asha", fairlead_wire::v1::ApprovalDecision::Approve)
        .unwrap();
    let back = AuthorizeToolRequest {
        ticket: pending.ticket,
        ..pay("k", "{}")
    };
    let needs = fairlead_wire::internal::NeedsRecord {
        approval_key: approval_key(&pending.approval),
        ..Default::default()
    };
    let known = bench.read(&needs);
    let grant = bench.granted(&back).grant;
    bench.complete(&grant, ToolOutcome::Failed, "").unwrap();
    let late = bench.decide(as_bot(), &with_id("late", &back), Some(&known)).unwrap();
    assert!(late.is_err(), "what was read is older than memory: it is read again");
    let refused = bench.authorize(&with_id("later", &back)).unwrap_err();
    assert_eq!(refused.reason, Reason::InvalidState);
}

/// Key of an approval in its family: the 16 bytes of its id.
fn approval_key(approval: &str) -> Vec<u8> {
    let digits = approval.trim_start_matches("approvals/apr_");
    (0..16)
        .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

#[test]
fn a_repeated_request_gets_its_grant_again_only_while_that_is_open() {
    for keyed in [true, false] {
        let mut bench = Bench::given(with_tools());
        let request = with_id("same", &pay(if keyed { "k" } else { "" }, "{}"));
        let grant = bench.granted(&request).grant;
        assert_eq!(bench.granted(&request).grant, grant, "nothing was made yet");
        bench.complete(&grant, ToolOutcome::Succeeded, "7").unwrap();
        bench.crash();
        let Some(Outcome::Replayed(replayed)) = bench.authorize(&request).unwrap().outcome else {
            panic!("it was made already")
        };
        assert_eq!((replayed.grant, replayed.result), (grant, b"7".to_vec()));
    }
}

#[test]
fn a_repeated_request_of_which_nobody_knows_the_outcome_is_refused() {
    for keyed in [true, false] {
        let mut bench = Bench::given(with_tools());
        let request = with_id("same", &pay(if keyed { "k" } else { "" }, "{}"));
        bench.granted(&request);
        bench.after(HOUR);
        assert_eq!(bench.authorize(&request).unwrap_err().metadata["state"], "UNKNOWN");
        bench.expire();
        assert_eq!(bench.authorize(&request).unwrap_err().metadata["state"], "UNKNOWN");
    }
}

#[test]
fn a_repeated_request_whose_call_failed_may_be_made_again_under_the_same_key() {
    let mut bench = Bench::given(with_tools());
    let request = with_id("same", &pay("", "{}"));
    let first = bench.granted(&request);
    bench.complete(&first.grant, ToolOutcome::Failed, "").unwrap();
    let second = bench.granted(&request);
    assert_ne!(first.grant, second.grant);
    assert_eq!(first.idempotency_key, second.idempotency_key);
    assert_eq!(bench.granted(&request).grant, second.grant, "the last answer counts");
}

#[test]
fn rules_never_see_a_key_that_was_made() {
    let mut config = with_tools();
    config.policies[0].when = "request.idempotencyKey == ''".to_owned();
    let mut asks = rule("ask", &["pay"], fairlead_wire::internal::Effect::RequireApproval);
    (asks.tier, asks.when) = ("one".to_owned(), "request.idempotencyKey == ''".to_owned());
    config.policies.push(asks);
    let mut bench = Bench::given(config);
    let pending = bench.pending(&pay("", "{}"));
    bench
        .vote(&pending.approval, "asha", fairlead_wire::v1::ApprovalDecision::Approve)
        .unwrap();
    let granted = bench.granted(&AuthorizeToolRequest {
        ticket: pending.ticket,
        ..pay("", "{}")
    });
    let posing = bench.authorize(&pay(&granted.grant, "{}")).unwrap_err();
    assert_eq!(posing.violations[0].field, "idempotency_key");
}

fn labelling() -> Bench {
    let mut config = with_tools();
    let mut browse = tool("browse", ToolEffect::Read, ToolRisk::Low);
    browse.session_labels = vec!["saw_untrusted".to_owned()];
    config.tools = vec![browse];
    config.limits.as_mut().unwrap().sessions = 4;
    Bench::given(config)
}

fn browse(session: &str) -> AuthorizeToolRequest {
    AuthorizeToolRequest {
        tool: "browse".to_owned(),
        session: session.to_owned(),
        ..pay("k", "{}")
    }
}

#[test]
fn a_result_that_is_given_again_taints_the_session_that_gets_it() {
    let mut bench = labelling();
    let grant = bench.granted(&browse("first")).grant;
    bench.complete(&grant, ToolOutcome::Succeeded, "1").unwrap();
    bench.authorize(&browse("second")).unwrap();
    let Some(Body::Tool(record)) = bench.last().body else {
        panic!()
    };
    assert_eq!(record.added_labels, ["saw_untrusted"]);
    assert_eq!(bench.engine.sessions(), 2);
    let full = bench.authorize(&browse("third")).unwrap_err();
    assert_eq!(
        full.metadata["bound"], "limits.sessions",
        "no room for the label, no result"
    );
}

#[test]
fn a_completion_labels_a_session_that_was_forgotten_meanwhile() {
    let mut bench = labelling();
    bench.load(|config| {
        let reservations = config.reservations.as_mut().unwrap();
        (reservations.tool_ttl_millis, reservations.session_ttl_millis) = (7_200_000, 1_800_000);
    });
    let grant = bench.granted(&browse("s")).grant;
    bench.after(HOUR).expire();
    assert_eq!(bench.engine.sessions(), 0);
    let completed = bench.complete(&grant, ToolOutcome::Succeeded, "1").unwrap();
    assert_eq!(completed.session_labels, ["saw_untrusted"]);
    bench.crash();
    assert_eq!(bench.engine.sessions(), 1);
}
