//! The queue for rate limits, in paused time: waits end when the limit allows, in order, and never later than allowed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fairlead_engine::{AdmitExtra, Caller, EndExtra, Reason, Rejection};
use fairlead_front::core::{Admitted, Core, Patience};
use fairlead_wire::internal::{Agent, EngineConfig, RateLimit, Tenant};
use fairlead_wire::v1::{ReleaseRequest, SettleRequest};
use support::{admit_request, config, limits, now, secrets};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// One request a second and tenant, or one call at a time; a call may wait for ten seconds.
fn limited(change: impl FnOnce(&mut RateLimit)) -> EngineConfig {
    let mut config = config();
    config.tenants.push(Tenant {
        name: "globex".into(),
        agents: vec![Agent {
            name: "bot".into(),
            ..Agent::default()
        }],
    });
    let mut limit = RateLimit {
        name: "slow".into(),
        scope: vec!["tenant".into()],
        max_wait_millis: 10_000,
        ..RateLimit::default()
    };
    change(&mut limit);
    config.rate_limits.push(limit);
    config
}

fn one_a_second(limit: &mut RateLimit) {
    limit.requests_per_minute = 60;
    limit.burst_requests = 1;
}

/// A core whose store is always quick. The writer is a task, so that paused time can stand still for it.
fn start(config: EngineConfig) -> Core {
    let core = Core::new(config, secrets()).unwrap();
    core.recover(std::iter::empty(), true, now()).unwrap();
    let writer = core.clone();
    tokio::spawn(async move {
        loop {
            if let Some(batch) = writer.next_batch(64, Duration::ZERO) {
                writer.acknowledge(batch.last, batch.last, Duration::ZERO, Duration::ZERO);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    core
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(String, Duration)>>>);

impl Log {
    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(name, _)| name.clone()).collect()
    }
    fn at(&self, index: usize) -> Duration {
        self.0.lock().unwrap()[index].1
    }
}

async fn admit(core: &Core, tenant: &str, id: &str, deadline: Option<Instant>) -> Result<Admitted, Rejection> {
    let request = admit_request(id);
    let extra = AdmitExtra {
        remember: true,
        ..AdmitExtra::default()
    };
    core.admit(Caller::agent(tenant, "bot"), &request, extra, deadline)
        .await
}

/// Starts a call and lets it run until it waits.
async fn call(
    core: &Core,
    log: &Log,
    tenant: &'static str,
    id: &'static str,
) -> JoinHandle<Result<Admitted, Rejection>> {
    let (core, log, began) = (core.clone(), log.clone(), Instant::now());
    let handle = tokio::spawn(async move {
        let outcome = admit(&core, tenant, id, None).await;
        log.0.lock().unwrap().push((id.to_owned(), began.elapsed()));
        outcome
    });
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    handle
}

#[tokio::test(start_paused = true)]
async fn calls_wait_for_their_turn_and_go_in_order() {
    let (core, log) = (start(limited(one_a_second)), Log::default());
    let mut calls = Vec::new();
    for id in ["first", "second", "third", "fourth"] {
        calls.push(call(&core, &log, "acme", id).await);
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(log.names(), ["first", "second", "third", "fourth"]);
    assert!(log.at(0) < Duration::from_millis(100), "{:?}", log.at(0));
    for index in 1..4 {
        let (at, due) = (log.at(index), Duration::from_secs(index as u64));
        assert!(at >= due && at < due + Duration::from_millis(100), "{index}: {at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_line_of_one_tenant_does_not_hold_back_another() {
    let (core, log) = (start(limited(one_a_second)), Log::default());
    let mut calls = Vec::new();
    for id in ["loud-1", "loud-2", "loud-3", "loud-4", "loud-5"] {
        calls.push(call(&core, &log, "acme", id).await);
    }
    for id in ["quiet-1", "quiet-2"] {
        calls.push(call(&core, &log, "globex", id).await);
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let names = log.names();
    let place = |name: &str| names.iter().position(|other| other == name).unwrap();
    assert!(place("quiet-1") < place("loud-2"), "{names:?}");
    assert!(place("quiet-2") < place("loud-3"), "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn who_would_wait_too_long_is_refused() {
    let (core, log) = (
        start(limited(|limit| {
            one_a_second(limit);
            limit.max_wait_millis = 1_500;
        })),
        Log::default(),
    );
    let first = call(&core, &log, "acme", "first").await;
    let second = call(&core, &log, "acme", "second").await;
    let third = call(&core, &log, "acme", "third").await;
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    let refused = third.await.unwrap().unwrap_err();
    assert_eq!(refused.reason, Reason::RateLimited);
    assert!(refused.retry_after.is_some());
    assert!(log.at(2) <= Duration::from_millis(1_600), "{:?}", log.at(2));
}

#[tokio::test(start_paused = true)]
async fn the_callers_deadline_bounds_the_wait() {
    let core = start(limited(one_a_second));
    admit(&core, "acme", "first", None).await.unwrap();
    let began = Instant::now();
    let refused = admit(&core, "acme", "second", Some(began + Duration::from_millis(200)))
        .await
        .unwrap_err();
    assert_eq!(refused.reason, Reason::RateLimited);
    assert!(began.elapsed() < Duration::from_millis(50), "it waited for nothing");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_call_lets_the_next_one_in() {
    let (core, log) = (start(limited(|limit| limit.concurrent = 1)), Log::default());
    let running = admit(&core, "acme", "running", None).await.unwrap().response.invocation;
    let next = call(&core, &log, "acme", "next").await;
    let last = call(&core, &log, "acme", "last").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(log.names().is_empty());
    let release = ReleaseRequest {
        request_id: "r-1".into(),
        invocation: running,
        reason: String::new(),
    };
    core.release(Caller::agent("acme", "bot"), &release, EndExtra::default())
        .await
        .unwrap();
    let invocation = next.await.unwrap().unwrap().response.invocation;
    assert!(
        log.at(0) < Duration::from_millis(1_100),
        "it was not woken: {:?}",
        log.at(0)
    );
    let settle = SettleRequest {
        request_id: "s-1".into(),
        invocation,
        attempts: Vec::new(),
    };
    core.settle(Caller::agent("acme", "bot"), &settle, EndExtra::default())
        .await
        .unwrap();
    last.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_frees_its_place() {
    let (core, log) = (start(limited(one_a_second)), Log::default());
    admit(&core, "acme", "first", None).await.unwrap();
    let gone = call(&core, &log, "acme", "gone").await;
    let next = call(&core, &log, "acme", "next").await;
    gone.abort();
    next.await.unwrap().unwrap();
    assert!(log.at(0) < Duration::from_millis(1_100), "{:?}", log.at(0));
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_and_shared_fairly() {
    let mut config = limited(one_a_second);
    limits(&mut config).waiting_calls = 2;
    let (core, log) = (start(config), Log::default());
    for tenant in ["acme", "globex"] {
        admit(&core, tenant, "first", None).await.unwrap();
    }
    let kept = call(&core, &log, "acme", "kept").await;
    let evicted = call(&core, &log, "acme", "evicted").await;
    let refused = call(&core, &log, "acme", "refused").await;
    assert_eq!(refused.await.unwrap().unwrap_err().reason, Reason::QueueFull);
    let guest = call(&core, &log, "globex", "guest").await;
    assert_eq!(evicted.await.unwrap().unwrap_err().reason, Reason::QueueFull);
    kept.await.unwrap().unwrap();
    guest.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_leaves_its_place_at_once() {
    let (core, log) = (start(limited(one_a_second)), Log::default());
    call(&core, &log, "acme", "first").await.await.unwrap().unwrap();
    let gone = Arc::new(tokio::sync::Notify::new());
    let leaver = {
        let (core, gone) = (core.clone(), Arc::clone(&gone));
        tokio::spawn(async move {
            let patience = Patience {
                deadline: None,
                gone: Some(&gone),
            };
            let request = admit_request("leaver");
            let bot = Caller::agent("acme", "bot");
            core.admit(bot, &request, AdmitExtra::default(), patience).await
        })
    };
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    let next = call(&core, &log, "acme", "next").await;
    let began = Instant::now();
    gone.notify_one();
    assert_eq!(leaver.await.unwrap().unwrap_err().reason, Reason::DeadlineExceeded);
    assert_eq!(began.elapsed(), Duration::ZERO);
    next.await.unwrap().unwrap();
    // The place of the one that left, not the one behind it.
    assert!(log.at(1) < Duration::from_millis(1100), "{:?}", log.at(1));
}

#[tokio::test(start_paused = true)]
async fn a_decision_waits_for_the_configuration_that_it_was_made_with() {
    let core = start(config());
    let (now_running, later) = ("a".repeat(64), "b".repeat(64));
    assert_eq!(
        core.running_as(&now_running).await.unwrap().compiled.version(),
        now_running
    );
    let began = Instant::now();
    assert!(core.running_as(&later).await.is_none());
    assert_eq!(began.elapsed(), Duration::from_secs(5));
}
