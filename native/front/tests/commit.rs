//! The commit path seen from a client: replies after commits, a failing store, a full queue, repetition, the drain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use fairlead_front::core::Core;
use fairlead_wire::internal::command_result::Result as Outcome;
use fairlead_wire::internal::{Command, ControlWrite, Write, command::Kind};
use fairlead_wire::v1::ReleaseRequest;
use support::{Daemon, admit_request, config, limits, reason, secrets};
use tokio::task::JoinHandle;

fn in_flight(daemon: &Daemon, id: &'static str) -> JoinHandle<Result<String, tonic::Status>> {
    let port = daemon.ports.agent;
    tokio::spawn(async move {
        let client = support::Client::connect(port, Some(support::TOKEN)).await;
        client
            .admit(admit_request(id))
            .await
            .map(|admitted| admitted.invocation)
    })
}

async fn reserved(daemon: &Daemon, holds: u64) {
    let patience = tokio::time::Instant::now() + Duration::from_secs(10);
    while daemon.core.snapshot().open_reservations != holds {
        assert!(
            tokio::time::Instant::now() < patience,
            "there are not {holds} reservations"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reply_leaves_before_the_commit() {
    let daemon = Daemon::start(config());
    daemon.store.hold_back();
    let mut call = in_flight(&daemon, "a-1");
    reserved(&daemon, 1).await;
    assert!(
        tokio::time::timeout(Duration::from_millis(100), &mut call)
            .await
            .is_err(),
        "it was answered"
    );
    daemon.store.go_on();
    call.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_leaves_a_committed_hold() {
    let daemon = Daemon::start(config());
    daemon.store.hold_back();
    let call = in_flight(&daemon, "a-1");
    reserved(&daemon, 1).await;
    call.abort();
    daemon.store.go_on();
    // The next reply comes after the first unit in the one order, so both are committed.
    daemon.client().await.admit(admit_request("a-2")).await.unwrap();
    daemon.core.fail_store("test");
    daemon.store.recover();
    assert_eq!(daemon.core.snapshot().open_reservations, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_store_refuses_and_recovers_to_what_was_committed() {
    let daemon = Daemon::start(config());
    let client = daemon.client().await;
    client.admit(admit_request("a-1")).await.unwrap();
    daemon.store.hold_back();
    let lost = in_flight(&daemon, "a-2");
    reserved(&daemon, 2).await;
    daemon.core.fail_store("no space left");
    assert_eq!(reason(&lost.await.unwrap().unwrap_err()), "STORE_UNAVAILABLE");
    assert_eq!(
        reason(&client.admit(admit_request("a-3")).await.unwrap_err()),
        "STORE_UNAVAILABLE"
    );
    assert!(!*daemon.core.store_available().borrow());
    daemon.store.recover();
    daemon.store.go_on();
    assert_eq!(daemon.core.snapshot().open_reservations, 1);
    client.admit(admit_request("a-4")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_before_anything_is_applied() {
    let mut config = config();
    limits(&mut config).queue_depth = 1;
    let daemon = Daemon::start(config);
    daemon.store.hold_back();
    let first = in_flight(&daemon, "a-1");
    reserved(&daemon, 1).await;
    let refused = daemon.client().await.admit(admit_request("a-2")).await.unwrap_err();
    assert_eq!(reason(&refused), "QUEUE_FULL");
    assert_eq!(daemon.core.snapshot().open_reservations, 1);
    daemon.store.go_on();
    first.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_calls_end_and_takes_no_new_ones() {
    let daemon = Daemon::start(config());
    let client = daemon.client().await;
    let open = client.admit(admit_request("a-0")).await.unwrap().invocation;
    daemon.store.hold_back();
    let call = in_flight(&daemon, "a-1");
    reserved(&daemon, 2).await;
    daemon.runtime.set_serving(false);
    assert_eq!(
        reason(&client.admit(admit_request("a-2")).await.unwrap_err()),
        "DRAINING"
    );
    daemon.store.go_on();
    // What gives something back is still taken.
    let release = ReleaseRequest {
        request_id: "r-1".into(),
        invocation: open,
        reason: String::new(),
    };
    client.release(release).await.unwrap();
    assert!(daemon.shutdown(Duration::from_secs(10)).await, "something was cut");
    call.await.unwrap().unwrap();
    assert!(daemon.shutdown(Duration::ZERO).await, "the second answer is another");
    assert!(
        tokio::net::TcpStream::connect(("127.0.0.1", daemon.ports.agent))
            .await
            .is_err(),
        "it still listens"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_within_the_grace_is_cut() {
    let daemon = Daemon::start(config());
    daemon.store.hold_back();
    let call = in_flight(&daemon, "a-1");
    reserved(&daemon, 1).await;
    assert!(!daemon.shutdown(Duration::from_millis(50)).await);
    call.await.unwrap().unwrap_err();
    daemon.store.go_on();
}

#[tokio::test(flavor = "multi_thread")]
async fn before_it_serves_it_is_not_ready() {
    let daemon = Daemon::start(config());
    let core = Core::new(config(), secrets()).unwrap();
    let request = admit_request("a-1");
    let refused = core
        .admit(
            fairlead_engine::Caller::agent("acme", "bot"),
            &request,
            fairlead_engine::AdmitExtra::default(),
            None,
        )
        .await
        .unwrap_err();
    assert_eq!(refused.reason, fairlead_engine::Reason::NotReady);
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_write_waits_for_its_commit() {
    let daemon = Daemon::start(config());
    let write = Write {
        family: 3,
        key: b"current".to_vec(),
        value: Some(b"v1".to_vec()),
    };
    let command = Command {
        caller: None,
        kind: Some(Kind::ControlWrite(ControlWrite {
            writes: vec![write],
            record: None,
            power: true,
        })),
    };
    let core = daemon.core.clone();
    let result = tokio::task::spawn_blocking(move || core.apply(command, None, None, true))
        .await
        .unwrap();
    assert!(matches!(result.result, Some(Outcome::Done(_))), "{result:?}");
    assert_eq!(daemon.store.get(3, b"current").as_deref(), Some(b"v1".as_slice()));
}
