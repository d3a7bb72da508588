//! Tool calls over loopback: the grant, the refusals, and what survives a drain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use fairlead_wire::internal::{ApprovalTier, Effect, EngineConfig, Operator, PolicyRule, Quorum};
use fairlead_wire::v1::authorize_tool_response::Outcome;
use fairlead_wire::v1::{AuthorizeToolRequest, CompleteToolRequest, ToolOutcome};
use support::{Daemon, config, reason};
use tonic::Code;

fn with_rules() -> EngineConfig {
    let rule = |name: &str, effect: Effect| PolicyRule {
        name: name.to_owned(),
        on: "tool.call".to_owned(),
        effect: effect as i32,
        ..PolicyRule::default()
    };
    let mut asks = rule("ask", Effect::RequireApproval);
    (asks.when, asks.tier) = ("has(args.amount) && args.amount > 10".to_owned(), "finance".to_owned());
    let mut denies = rule("deny", Effect::Deny);
    denies.when = "tool.name == 'rm'".to_owned();
    let mut config = config();
    config.policies.extend([rule("all", Effect::Allow), denies, asks]);
    config.approval_tiers = vec![ApprovalTier {
        name: "finance".to_owned(),
        require: vec![Quorum {
            role: "finance".to_owned(),
            count: 1,
        }],
        expires_after_millis: 60_000,
        ..Default::default()
    }];
    config.operators = vec![Operator {
        name: "asha".to_owned(),
        roles: vec!["finance".to_owned()],
    }];
    if let Some(limits) = config.limits.as_mut() {
        (limits.sessions, limits.open_tool_calls, limits.tool_result_bytes) = (10, 10, 1024);
        limits.open_approvals = 10;
    }
    config
}

fn call(id: &str, tool: &str, arguments: &str) -> AuthorizeToolRequest {
    AuthorizeToolRequest {
        request_id: id.to_owned(),
        tool: tool.to_owned(),
        arguments: arguments.as_bytes().to_vec(),
        ..AuthorizeToolRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_call_is_granted_and_completed() {
    let daemon = Daemon::start(with_rules());
    let client = daemon.client().await;
    let answer = client.authorize_tool(call("a-1", "search", "{}")).await.unwrap();
    assert_eq!(answer.decision.unwrap().deciding_rule, "all");
    let Some(Outcome::Granted(granted)) = answer.outcome else {
        panic!()
    };
    let completed = client
        .complete_tool(CompleteToolRequest {
            request_id: "c-1".to_owned(),
            grant: granted.grant,
            outcome: ToolOutcome::Succeeded as i32,
            result: b"1".to_vec(),
        })
        .await
        .unwrap();
    assert!(completed.session_labels.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_their_code_and_reason() {
    let daemon = Daemon::start(with_rules());
    let client = daemon.client().await;
    let refused = |status: tonic::Status| (status.code(), reason(&status));
    let denied = client.authorize_tool(call("a-1", "rm", "{}")).await.unwrap_err();
    assert_eq!(refused(denied), (Code::PermissionDenied, "POLICY_DENIED".to_owned()));
    let broken = client.authorize_tool(call("a-2", "search", "[1")).await.unwrap_err();
    assert_eq!(refused(broken), (Code::InvalidArgument, "INVALID_ARGUMENT".to_owned()));
    let large = " ".repeat((256 << 10) + 1);
    let large = client.authorize_tool(call("a-3", "search", &large)).await.unwrap_err();
    assert_eq!(refused(large), (Code::InvalidArgument, "PAYLOAD_TOO_LARGE".to_owned()));
    // A key is looked up in the store, and nobody answers there in this test: without an answer nothing is granted.
    let keyed = AuthorizeToolRequest {
        idempotency_key: "k".to_owned(),
        ..call("a-4", "search", "{}")
    };
    let unknown = client.authorize_tool(keyed).await.unwrap_err();
    assert_eq!(refused(unknown), (Code::Unavailable, "STORE_UNAVAILABLE".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_needs_people_gets_a_ticket() {
    let daemon = Daemon::start(with_rules());
    let client = daemon.client().await;
    let answer = client
        .authorize_tool(call("a-1", "pay", r#"{"amount": 50}"#))
        .await
        .unwrap();
    let Some(Outcome::Pending(pending)) = answer.outcome else {
        panic!()
    };
    assert!(pending.ticket.starts_with("tkt_") && pending.approval.starts_with("approvals/apr_"));
    assert!(pending.expires_at.is_some() && pending.poll_after.is_some());
}
