//! What is not governed: health, reflection, metrics, and paths where nothing is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use fairlead_wire::internal::{Budget, OnExceed, Snapshot, SnapshotQuery, WindowKind};
use support::{Daemon, admit_request, config, get};
use tonic::{Code, Response, Status};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

async fn health(port: u16, service: &str) -> Result<i32, Status> {
    let client = support::Client::connect(port, None).await;
    let request = HealthCheckRequest {
        service: service.into(),
    };
    let response: Response<HealthCheckResponse> = client.call("/grpc.health.v1.Health/Check", request).await?;
    Ok(response.into_inner().status)
}

async fn becomes(port: u16, expected: i32) {
    let patience = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while health(port, "").await.unwrap() != expected {
        assert!(
            tokio::time::Instant::now() < patience,
            "health did not become {expected}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_follows_serving_and_the_store_on_both_ports() {
    let daemon = Daemon::start(config());
    for port in [daemon.ports.agent, daemon.ports.health] {
        becomes(port, 1).await;
        assert_eq!(health(port, "fairlead.v1.GateService").await.unwrap(), 1);
        assert_eq!(
            health(port, "fairlead.v1.Nothing").await.unwrap_err().code(),
            Code::NotFound
        );
    }
    assert_eq!(get(daemon.ports.health, "/readyz").await.0, 200);
    daemon.core.fail_store("test");
    becomes(daemon.ports.agent, 2).await;
    let (code, body) = get(daemon.ports.health, "/readyz").await;
    assert_eq!(code, 503);
    assert!(body.contains(r#""store_available":false"#), "{body}");
    assert_eq!(get(daemon.ports.health, "/healthz").await.0, 200);
    daemon.store.recover();
    becomes(daemon.ports.agent, 1).await;
    daemon.runtime.set_serving(false);
    becomes(daemon.ports.health, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_what_happened() {
    let daemon = Daemon::start(config());
    let client = daemon.client().await;
    client.admit(admit_request("a-1")).await.unwrap();
    client.admit(admit_request("")).await.unwrap_err();
    let (code, page) = get(daemon.ports.health, "/metrics").await;
    assert_eq!(code, 200);
    for line in [
        r#"fairlead_decisions_total{outcome="admitted",reason=""} 1"#,
        r#"fairlead_decisions_total{outcome="rejected",reason="INVALID_ARGUMENT"} 1"#,
        r#"fairlead_refusals_total{reason="INVALID_ARGUMENT"} 1"#,
        r#"fairlead_stage_seconds_count{stage="commit"} 1"#,
        "fairlead_open_reservations 1",
        "fairlead_invariant_violations_total 0",
        "fairlead_store_available 1",
        r#"fairlead_breaker_state{model="small",state="closed"} 1"#,
        r#"fairlead_queue_depth{queue="commit"} 0"#,
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
    assert!(page.contains("process_resident_memory_bytes "));
    assert!(page.contains("fairlead_commit_batch_units_count "));
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_are_told_in_pages_and_in_sums() {
    const RUNS: u32 = 250;
    let mut config = config();
    config.budgets.push(Budget {
        name: "run".into(),
        scope: vec!["run".into()],
        limit_nano_usd: Some(1_000_000_000),
        window: WindowKind::Lifetime as i32,
        on_exceed: OnExceed::Deny as i32,
        ..Budget::default()
    });
    let daemon = Daemon::start(config);
    assert_eq!(daemon.core.query(&SnapshotQuery::default()), daemon.core.snapshot());
    let client = daemon.client().await;
    for run in 0..RUNS {
        let mut request = admit_request(&format!("a-{run}"));
        request.run = format!("r-{run:03}");
        client.admit(request).await.unwrap();
    }
    let page = |limit, after| {
        daemon.core.query(&SnapshotQuery {
            limit,
            after,
            ..SnapshotQuery::default()
        })
    };
    let instances = |from: &Snapshot| -> Vec<String> { from.budgets.iter().map(|one| one.instance.clone()).collect() };
    let whole = page(1_000, None);
    let expected: Vec<String> = (0..RUNS).map(|run| format!("run=r-{run:03}")).collect();
    assert_eq!((instances(&whole), whole.next), (expected.clone(), None));
    let first = page(130, None);
    assert_eq!(instances(&first), expected[..130]);
    let second = page(130, first.next);
    assert_eq!((instances(&second), second.next), (expected[130..].to_vec(), None));
    let one = daemon.core.query(&SnapshotQuery {
        tenant: "acme".into(),
        budget: "run".into(),
        instance: "run=r-007".into(),
        ..SnapshotQuery::default()
    });
    assert_eq!(instances(&one), ["run=r-007"]);

    let (_, text) = get(daemon.ports.health, "/metrics").await;
    let line = format!(r#"fairlead_budget_instances{{budget="run",tenant="acme"}} {RUNS}"#);
    assert!(text.contains(&line), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_and_http_2_share_the_port_and_unknown_paths_are_404() {
    let daemon = Daemon::start(config());
    daemon.client().await.admit(admit_request("a-1")).await.unwrap();
    let (code, body) = get(daemon.ports.agent, "/nothing").await;
    assert_eq!(code, 404);
    assert!(serde_json::from_str::<serde_json::Value>(&body).unwrap()["error"]["message"].is_string());
    assert_eq!(get(daemon.ports.health, "/v1/models").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_lists_what_agents_may_call() {
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
    let daemon = Daemon::start(config());
    let channel = tonic::transport::Endpoint::from_shared(format!("http://127.0.0.1:{}", daemon.ports.agent))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let path = tonic::codegen::http::uri::PathAndQuery::from_static(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    );
    let mut answers: tonic::Streaming<ServerReflectionResponse> = grpc
        .streaming(
            tonic::Request::new(tokio_stream::once(request)),
            path,
            tonic_prost::ProstCodec::default(),
        )
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else {
        panic!("{answer:?}")
    };
    let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    assert!(names.contains(&"fairlead.v1.GateService".to_owned()), "{names:?}");
    assert!(names.contains(&"grpc.health.v1.Health".to_owned()), "{names:?}");
    assert!(
        !names
            .iter()
            .any(|name| name.contains("internal") || name.contains("ConfigService")),
        "{names:?}"
    );
}
