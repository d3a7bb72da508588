//! `GateService` over loopback: happy paths, and every documented error with its reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use fairlead_wire::internal::{ApprovalTier, Budget, Effect, OnExceed, PolicyRule, Quorum, RateLimit, WindowKind};
use fairlead_wire::v1::{
    AdmitRequest, AdmitResponse, Attempt, AttemptOutcome, ReleaseRequest, SettleRequest, SettleResponse, Usage,
};
use support::{Daemon, TOKEN, admit_request, config, limits, reason};
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;

fn settle_request(id: &str, invocation: &str) -> SettleRequest {
    SettleRequest {
        request_id: id.into(),
        invocation: invocation.into(),
        attempts: vec![Attempt {
            model: "small".into(),
            outcome: AttemptOutcome::Succeeded as i32,
            status_code: 200,
            usage: Some(Usage {
                input: 90,
                output: 10,
                ..Usage::default()
            }),
            ..Attempt::default()
        }],
    }
}

fn release_request(id: &str, invocation: &str) -> ReleaseRequest {
    ReleaseRequest {
        request_id: id.into(),
        invocation: invocation.into(),
        reason: "not needed".into(),
    }
}

fn with_reason(status: &Status, code: Code, expected: &str) {
    assert_eq!(
        (status.code(), reason(status).as_str()),
        (code, expected),
        "{}",
        status.message()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_admitted_and_settled() {
    let daemon = Daemon::start(config());
    let client = daemon.client().await;
    let admitted = client.admit(admit_request("a-1")).await.unwrap();
    assert_eq!(admitted.plan[0].model, "small");
    assert_eq!(admitted.max_output_tokens, 100);
    let settled = client
        .settle(settle_request("s-1", &admitted.invocation))
        .await
        .unwrap();
    let charged = settled.charged.unwrap();
    assert_eq!((charged.tokens, charged.requests, charged.nano_usd), (100, 1, 110_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_admitted_and_released() {
    let daemon = Daemon::start(config());
    let client = daemon.client().await;
    let admitted = client.admit(admit_request("a-1")).await.unwrap();
    let held = admitted.reservation.unwrap().amount;
    let released = client
        .release(release_request("r-1", &admitted.invocation))
        .await
        .unwrap();
    assert_eq!(released.released, held);
    let again = client
        .settle(settle_request("s-1", &admitted.invocation))
        .await
        .unwrap_err();
    // A finished invocation is looked up in the store, and nobody answers there in this test.
    with_reason(&again, Code::Unavailable, "STORE_UNAVAILABLE");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_required_and_checked() {
    let daemon = Daemon::start(config());
    let missing = daemon
        .stranger(None)
        .await
        .admit(admit_request("a-1"))
        .await
        .unwrap_err();
    with_reason(&missing, Code::Unauthenticated, "CREDENTIAL_MISSING");
    let wrong = daemon
        .stranger(Some("wrong-token"))
        .await
        .admit(admit_request("a-1"))
        .await
        .unwrap_err();
    with_reason(&wrong, Code::Unauthenticated, "CREDENTIAL_INVALID");
    assert!(!format!("{wrong:?}").contains("wrong-token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_fields_are_all_named() {
    let daemon = Daemon::start(config());
    let bad = AdmitRequest {
        request_id: String::new(),
        max_output_tokens: -5,
        ..admit_request("")
    };
    let status = daemon.client().await.admit(bad).await.unwrap_err();
    with_reason(&status, Code::InvalidArgument, "INVALID_ARGUMENT");
    let fields: Vec<String> = status
        .get_details_bad_request()
        .unwrap()
        .field_violations
        .into_iter()
        .map(|one| one.field)
        .collect();
    assert!(
        fields.contains(&"request_id".to_owned()) && fields.contains(&"max_output_tokens".to_owned()),
        "{fields:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_model_has_no_route() {
    let daemon = Daemon::start(config());
    let unknown = AdmitRequest {
        model: "nothing".into(),
        ..admit_request("a-1")
    };
    let status = daemon.client().await.admit(unknown).await.unwrap_err();
    with_reason(&status, Code::FailedPrecondition, "NO_ROUTE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_denies() {
    let mut config = config();
    config.policies.push(PolicyRule {
        name: "no-batch".into(),
        on: "model.call".into(),
        when: "request.workload == 'batch'".into(),
        effect: Effect::Deny as i32,
        ..PolicyRule::default()
    });
    let daemon = Daemon::start(config);
    let batch = AdmitRequest {
        workload: "batch".into(),
        ..admit_request("a-1")
    };
    let status = daemon.client().await.admit(batch).await.unwrap_err();
    with_reason(&status, Code::PermissionDenied, "POLICY_DENIED");
    assert_eq!(status.get_details_error_info().unwrap().metadata["rule"], "no-batch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_hard_and_says_what_is_left() {
    let mut config = config();
    config.budgets.push(Budget {
        name: "run".into(),
        scope: vec!["run".into()],
        limit_requests: Some(1),
        window: WindowKind::Lifetime as i32,
        on_exceed: OnExceed::Deny as i32,
        ..Budget::default()
    });
    let daemon = Daemon::start(config);
    let client = daemon.client().await;
    let in_run = |id: &str| AdmitRequest {
        run: "r-1".into(),
        ..admit_request(id)
    };
    client.admit(in_run("a-1")).await.unwrap();
    let status = client.admit(in_run("a-2")).await.unwrap_err();
    with_reason(&status, Code::ResourceExhausted, "BUDGET_EXHAUSTED");
    assert_eq!(status.get_details_error_info().unwrap().metadata["budget"], "run");
    let subject = &status.get_details_quota_failure().unwrap().violations[0].subject;
    assert!(subject.starts_with("budgets/run"), "{subject}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_says_when_to_come_back() {
    let mut config = config();
    config.rate_limits.push(RateLimit {
        name: "slow".into(),
        scope: vec!["agent".into()],
        requests_per_minute: 1,
        burst_requests: 1,
        ..RateLimit::default()
    });
    let daemon = Daemon::start(config);
    let client = daemon.client().await;
    client.admit(admit_request("a-1")).await.unwrap();
    let status = client.admit(admit_request("a-2")).await.unwrap_err();
    with_reason(&status, Code::ResourceExhausted, "RATE_LIMITED");
    let delay = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(
        delay > Duration::from_secs(50) && delay <= Duration::from_secs(60),
        "{delay:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_invocation_is_not_found() {
    let daemon = Daemon::start(config());
    let client = daemon.client().await;
    let status = client.settle(settle_request("s-1", "inv_nonsense")).await.unwrap_err();
    assert!(
        matches!(reason(&status).as_str(), "NOT_FOUND" | "INVALID_ARGUMENT"),
        "{status:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_too_large_or_garbage_is_refused_with_details() {
    let daemon = Daemon::start(config());
    let client = daemon.client().await;
    let large = AdmitRequest {
        labels: BTreeMap::from([("x".into(), "y".repeat(100 << 10))]),
        ..admit_request("a-1")
    };
    let status = client.admit(large).await.unwrap_err();
    with_reason(&status, Code::InvalidArgument, "PAYLOAD_TOO_LARGE");
    // A SettleResponse's first field has another wire type than AdmitRequest's.
    let garbage = SettleResponse {
        charged: Some(Default::default()),
        late: true,
        ..SettleResponse::default()
    };
    let outcome: Result<Response<AdmitResponse>, Status> = client.call("/fairlead.v1.GateService/Admit", garbage).await;
    with_reason(&outcome.unwrap_err(), Code::InvalidArgument, "INVALID_ARGUMENT");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_methods_and_internal_services_are_not_there() {
    let daemon = Daemon::start(config());
    let client = daemon.client().await;
    for path in [
        "/fairlead.v1.GateService/Nothing",
        "/fairlead.internal.v1.StoreService/Read",
    ] {
        let outcome: Result<Response<AdmitResponse>, Status> = client.call(path, admit_request("a-1")).await;
        with_reason(&outcome.unwrap_err(), Code::Unimplemented, "UNIMPLEMENTED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_deadline_is_honoured() {
    let daemon = Daemon::start(config());
    let client = daemon.client().await;
    daemon.store.hold_back();
    let mut request = Request::new(admit_request("a-1"));
    request.set_timeout(Duration::from_millis(50));
    let outcome: Result<Response<AdmitResponse>, Status> =
        client.call_with("/fairlead.v1.GateService/Admit", request).await;
    let status = outcome.unwrap_err();
    // tonic's client has a timer of its own, which may win; then the status is made on this side.
    assert!(
        matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{status:?}"
    );
    if status.code() == Code::DeadlineExceeded {
        assert_eq!(reason(&status), "DEADLINE_EXCEEDED");
    }
    daemon.store.go_on();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_calls_at_a_time_than_configured() {
    let mut config = config();
    limits(&mut config).streams = 1;
    let daemon = Daemon::start(config);
    // The bound on connections is the same number, so both calls use one.
    let client = daemon.client().await;
    daemon.store.hold_back();
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.admit(admit_request("a-1")).await }
    });
    wait_until(|| daemon.core.snapshot().open_reservations == 1).await;
    // HTTP/2 tells the client about the bound: the second call waits there and goes out when the first has ended.
    daemon.store.go_on();
    first.await.unwrap().unwrap();
    client.admit(admit_request("a-2")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_takes_effect_and_the_old_one_ends() {
    use fairlead_wire::internal::{Command, LoadConfig, Secrets, command::Kind};
    let daemon = Daemon::start(config());
    let secrets = Secrets {
        values: BTreeMap::from([("tenants/acme/agents/bot".into(), "rotated".into())]),
    };
    let load = LoadConfig {
        secrets: Some(secrets),
        secrets_only: true,
        ..LoadConfig::default()
    };
    daemon.core.apply(
        Command {
            caller: None,
            kind: Some(Kind::LoadConfig(load)),
        },
        None,
        None,
        false,
    );
    let old = daemon
        .stranger(Some(TOKEN))
        .await
        .admit(admit_request("a-1"))
        .await
        .unwrap_err();
    with_reason(&old, Code::Unauthenticated, "CREDENTIAL_INVALID");
    daemon
        .stranger(Some("rotated"))
        .await
        .admit(admit_request("a-2"))
        .await
        .unwrap();
}

async fn wait_until(condition: impl Fn() -> bool) {
    let patience = tokio::time::Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(tokio::time::Instant::now() < patience, "it did not happen");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_needs_people_gets_a_ticket_and_waits_with_it() {
    let mut config = config();
    config.approval_tiers = vec![ApprovalTier {
        name: "one".into(),
        require: vec![Quorum {
            role: "finance".into(),
            count: 1,
        }],
        expires_after_millis: 60_000,
        ..ApprovalTier::default()
    }];
    config.policies.push(PolicyRule {
        name: "ask".into(),
        on: "model.call".into(),
        effect: Effect::RequireApproval as i32,
        tier: "one".into(),
        ..PolicyRule::default()
    });
    limits(&mut config).open_approvals = 10;
    let daemon = Daemon::start(config);
    let client = daemon.client().await;
    let asked = client.admit(admit_request("a-1")).await.unwrap_err();
    with_reason(&asked, Code::FailedPrecondition, "APPROVAL_PENDING");
    let facts = asked.get_details_error_info().unwrap().metadata;
    for fact in [
        "approval",
        "expires_at",
        "poll_after",
        "price_nano_usd",
        "tier",
        "invocation",
    ] {
        assert!(facts.contains_key(fact), "{fact} of {facts:?}");
    }
    let again = AdmitRequest {
        ticket: facts["ticket"].clone(),
        ..admit_request("a-1")
    };
    let waits = client.admit(again).await.unwrap_err();
    with_reason(&waits, Code::FailedPrecondition, "APPROVAL_PENDING");
    assert_eq!(
        waits.get_details_error_info().unwrap().metadata["ticket"],
        facts["ticket"]
    );
}
