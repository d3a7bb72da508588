//! Time of one decision in process: policy, route, three budgets, a rate limit, hold, decision record, hash. One JSON line
//! per measurement: `rules/N` for N policy rules, routes and budgets' conditions to look through, `instances/N` for N
//! instances of a budget. Standard library only; run by `make bench`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement fails loudly"
)]
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use fairlead_engine::{AdmitExtra, Caller, EndExtra, Engine, Refusal, Salts};
use fairlead_plan::{Compiled, UnixNanos};
use fairlead_wire::internal::{self, EngineConfig, WindowKind};
use fairlead_wire::v1::admit_request::Input;
use fairlead_wire::v1::{AdmitRequest, ReleaseRequest};

/// 2026-03-02 10:00:00 UTC.
const START: i64 = 1_772_445_600_000_000_000;
/// Between two calls: 20,000 a second.
const STEP: i64 = 50_000;
const MEASURED: usize = 20_000;
/// Calls that stay open at once.
const OPEN: usize = 64;

fn main() {
    // `cargo test --benches` only has to see that it runs.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let measured = if arguments.iter().any(|argument| argument == "--bench") {
        MEASURED
    } else {
        100
    };
    let wanted = arguments.iter().find(|argument| argument.contains('/'));
    for (kind, rules, instances) in [
        ("rules", 10, 1_000),
        ("rules", 100, 1_000),
        ("rules", 1_000, 1_000),
        ("rules", 10_000, 1_000),
        ("instances", 100, 10),
        ("instances", 100, 1_000),
        ("instances", 100, 100_000),
    ] {
        let name = format!("{kind}/{}", if kind == "rules" { rules } else { instances });
        if wanted.is_none_or(|wanted| *wanted == name) {
            report(&name, measure(rules, instances, measured));
        }
    }
}

fn report(name: &str, mut nanos: Vec<u64>) {
    nanos.sort_unstable();
    let at = |per_mille: usize| nanos[(nanos.len() - 1) * per_mille / 1_000];
    println!(
        r#"{{"name": "{name}", "p50_ns": {}, "p99_ns": {}, "n": {}}}"#,
        at(500),
        at(990),
        nanos.len()
    );
}

/// Admissions with `rules` rules, over `instances` instances of the budget per run.
fn measure(rules: usize, instances: usize, measured: usize) -> Vec<u64> {
    let compiled = Compiled::compile(&config(rules)).unwrap();
    let mut engine = Engine::new(Arc::new(compiled), Salts::new([7; 32]));
    let caller = Caller::agent("acme", "support-bot");
    let extra = AdmitExtra {
        remember: true,
        ..AdmitExtra::default()
    };
    let mut nanos = Vec::with_capacity(measured);
    let mut open = std::collections::VecDeque::new();
    let warm_up = instances.max(1_000);
    for number in 0..warm_up + measured {
        let now = UnixNanos(START + i64::try_from(number).unwrap() * STEP);
        // A stride that is coprime to the number of instances: neighbours in time are not neighbours in memory.
        let request = request(number, number.wrapping_mul(7_919) % instances);
        let started = Instant::now();
        let applied = black_box(engine.admit(now, caller, black_box(&request), extra));
        let elapsed = started.elapsed();
        if let Err(Refusal::NeedsRecord(_)) = applied.reply {
            // One id in some 50,000 looks as if it had been used; the front would ask the store.
            continue;
        }
        if number >= warm_up {
            nanos.push(u64::try_from(elapsed.as_nanos()).unwrap());
        }
        open.push_back(applied.reply.unwrap().invocation);
        if open.len() > OPEN {
            let request = ReleaseRequest {
                request_id: "x".to_owned(),
                invocation: open.pop_front().unwrap(),
                ..Default::default()
            };
            engine
                .release(now, caller, &request, EndExtra::default())
                .reply
                .unwrap();
        }
    }
    nanos
}

fn request(number: usize, instance: usize) -> AdmitRequest {
    AdmitRequest {
        request_id: format!("request-{number:09}"),
        model: String::new(),
        workload: "chat".to_owned(),
        session: format!("session-{}", number % 100),
        run: format!("run-{instance:06}"),
        step: "answer".to_owned(),
        labels: BTreeMap::from([
            ("tier".to_owned(), "free".to_owned()),
            ("team".to_owned(), "support".to_owned()),
        ]),
        input: Some(Input::InputTokens(1_200)),
        max_output_tokens: 800,
        ..AdmitRequest::default()
    }
}

fn config(rules: usize) -> EngineConfig {
    let matching = |workload: &str| {
        Some(internal::Match {
            workloads: vec![workload.to_owned()],
            ..internal::Match::default()
        })
    };
    let mut config = EngineConfig {
        version: "3f5a".repeat(16),
        tenants: vec![internal::Tenant {
            name: "acme".to_owned(),
            agents: vec![internal::Agent {
                name: "support-bot".to_owned(),
                labels: BTreeMap::new(),
                queues: Vec::new(),
            }],
        }],
        providers: vec![provider()],
        models: vec![
            model("gpt-4o-mini", 150, 600),
            model("gpt-4o", 2_500, 10_000),
            model("llama-local", 0, 0),
        ],
        defaults: BTreeMap::from([("model.call".to_owned(), "allow".to_owned())]),
        limits: Some(internal::Limits {
            request_bytes: 8 << 20,
            queue_depth: 4_096,
            budget_instances: 200_000,
            streams: 2_048,
            open_reservations: 200_000,
            request_ids: 1_000_000,
            waiting_calls: 1_024,
            kept_answer_bytes: 1 << 18,
            clock_skew_millis: 5_000,
            ..Default::default()
        }),
        reservations: Some(internal::Reservations {
            ttl_millis: 600_000,
            charge_on_expiry: true,
            ..Default::default()
        }),
        audit_content: "digest".to_owned(),
        durability: BTreeMap::from([("model.call".to_owned(), "process".to_owned())]),
        ..EngineConfig::default()
    };
    // Most rules are about something else, a few match and are evaluated.
    for number in 0..rules {
        let about_this = number % (rules / 5).max(1) == 0;
        config.policies.push(internal::PolicyRule {
            name: format!("rule-{number}"),
            on: "model.call".to_owned(),
            r#match: matching(&if about_this {
                "chat".to_owned()
            } else {
                format!("workload-{number}")
            }),
            when: "request.inputTokens > 100000 && labels.tier == \"free\"".to_owned(),
            effect: internal::Effect::Deny as i32,
            ..internal::PolicyRule::default()
        });
    }
    for number in 0..rules / 10 {
        config.routes.push(route(
            &format!("route-{number}"),
            matching(&format!("workload-{number}")),
        ));
    }
    config.routes.push(route("chat", matching("chat")));
    config.budgets = vec![
        budget("tenant-month", &["tenant"], WindowKind::Month),
        budget("agent-hour", &["agent"], WindowKind::Rolling),
        budget("run", &["run"], WindowKind::Lifetime),
    ];
    config.rate_limits.push(internal::RateLimit {
        name: "per-agent".to_owned(),
        scope: vec!["agent".to_owned()],
        requests_per_minute: 1_000_000_000,
        tokens_per_minute: 1_000_000_000_000,
        concurrent: 100_000,
        ..internal::RateLimit::default()
    });
    config
}

fn budget(name: &str, scope: &[&str], window: WindowKind) -> internal::Budget {
    internal::Budget {
        name: name.to_owned(),
        scope: scope.iter().map(|one| (*one).to_owned()).collect(),
        limit_nano_usd: Some(1_000_000_000_000_000),
        limit_tokens: Some(1_000_000_000_000),
        window: window as i32,
        rolling_millis: if window == WindowKind::Rolling { 3_600_000 } else { 0 },
        on_exceed: internal::OnExceed::Deny as i32,
        alert_at: vec![50, 80, 95],
        count_cached: true,
        ..internal::Budget::default()
    }
}

fn route(name: &str, matches: Option<internal::Match>) -> internal::Route {
    internal::Route {
        name: name.to_owned(),
        r#match: matches,
        targets: vec![
            internal::Target {
                model: "gpt-4o-mini".to_owned(),
                weight: 70,
            },
            internal::Target {
                model: "llama-local".to_owned(),
                weight: 30,
            },
        ],
        sticky_by: "session".to_owned(),
        fallback: Some(internal::Fallback {
            chain: vec!["gpt-4o".to_owned()],
            on: vec!["429".to_owned()],
        }),
        retry: Some(internal::Retry {
            attempts: 2,
            initial_millis: 200,
            max_millis: 5_000,
            wait_for_retry_after_up_to_millis: 3_000,
        }),
        ..internal::Route::default()
    }
}

fn model(name: &str, input: i64, output: i64) -> internal::Model {
    internal::Model {
        name: name.to_owned(),
        provider: "openai".to_owned(),
        upstream: name.to_owned(),
        price: Some(internal::Price {
            input_pico: input * 1_000,
            cached_input_pico: input * 500,
            cache_write_pico: input * 1_000,
            output_pico: output * 1_000,
            ..Default::default()
        }),
        context_tokens: 128_000,
        max_output_tokens: 16_384,
        quality_per_mille: 700,
        ..internal::Model::default()
    }
}

fn provider() -> internal::Provider {
    internal::Provider {
        name: "openai".to_owned(),
        kind: internal::ProviderKind::Openai as i32,
        base_url: "https://api.openai.com/v1".to_owned(),
        failed_attempts_cost_input: true,
        timeouts: Some(internal::ProviderTimeouts {
            connect_millis: 5_000,
            first_byte_millis: 60_000,
            idle_millis: 60_000,
            attempt_millis: 600_000,
        }),
        breaker: Some(internal::Breaker {
            consecutive_failures: 5,
            failure_rate_per_mille: 500,
            minimum_calls: 20,
            window_millis: 30_000,
            open_millis: 1_000,
            max_open_millis: 30_000,
            ramp_millis: 10_000,
        }),
        max_idle_connections: 32,
        ..internal::Provider::default()
    }
}
