//! Time of one decision: `cargo bench -p fairlead-plan`. Prints nanoseconds per call, the smallest of several rounds.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use fairlead_plan::{CallFacts, Compiled, HealthBook, InputSize, UnixNanos};
use fairlead_wire::internal::{
    Budget, Effect, EngineConfig, Match, Model, PolicyRule, Price, Provider, ProviderKind, RateLimit, Route, Target,
    WindowKind,
};

const ROUNDS: usize = 9;
const CALLS: u32 = 20_000;
const NOW: UnixNanos = UnixNanos(1_700_000_000_000_000_000);

/// `count` policy rules and as many routes, of which a few fit a call: by workload, by label, by a prefix, with and
/// without condition; three budgets and a rate limit.
fn config(count: usize) -> EngineConfig {
    let model = |name: &str| Model {
        name: name.to_owned(),
        provider: "cloud".to_owned(),
        upstream: name.to_owned(),
        price: Some(Price {
            input_pico: 2_500_000,
            output_pico: 10_000_000,
            ..Price::default()
        }),
        context_tokens: 128_000,
        max_output_tokens: 16_000,
        capabilities: vec!["tools".to_owned()],
        ..Model::default()
    };
    let workload = |name: String| Match {
        workloads: vec![name],
        ..Match::default()
    };
    let rule = |at: usize| {
        let conditions = match at % 3 {
            0 => workload(format!("w{at}")),
            1 => Match {
                labels: BTreeMap::from([("team".to_owned(), format!("t{at}"))]),
                ..Match::default()
            },
            _ => Match {
                agents: vec![format!("agent-{at}-*")],
                ..Match::default()
            },
        };
        PolicyRule {
            name: format!("rule-{at}"),
            on: "model.call".to_owned(),
            r#match: Some(conditions),
            when: "request.inputTokens < 100000 && labels.tier != 'blocked'".to_owned(),
            effect: Effect::Allow.into(),
            ..PolicyRule::default()
        }
    };
    let target = |name: &str, weight| Target {
        model: name.to_owned(),
        weight,
    };
    let route = |at: usize| Route {
        name: format!("route-{at}"),
        r#match: Some(workload(format!("w{at}"))),
        targets: vec![target("a", 70), target("b", 30)],
        fallback: Some(fairlead_wire::internal::Fallback {
            chain: vec!["c".to_owned()],
            on: vec!["5xx".to_owned()],
        }),
        ..Route::default()
    };
    let budget = |name: &str, scope: &str| Budget {
        name: name.to_owned(),
        scope: vec![scope.to_owned()],
        limit_tokens: Some(1_000_000),
        window: WindowKind::Day.into(),
        ..Budget::default()
    };
    EngineConfig {
        version: "v".to_owned(),
        providers: vec![Provider {
            name: "cloud".to_owned(),
            kind: ProviderKind::Openai.into(),
            base_url: "https://api.openai.com/v1".to_owned(),
            ..Provider::default()
        }],
        models: vec![model("a"), model("b"), model("c")],
        policies: (0..count).map(rule).collect(),
        routes: (0..count).map(route).collect(),
        budgets: vec![
            budget("tenant", "tenant"),
            budget("run", "run"),
            budget("session", "session"),
        ],
        rate_limits: vec![RateLimit {
            name: "per-agent".to_owned(),
            scope: vec!["agent".to_owned()],
            requests_per_minute: 600,
            ..RateLimit::default()
        }],
        defaults: BTreeMap::from([("model.call".to_owned(), "allow".to_owned())]),
        ..EngineConfig::default()
    }
}

fn nanos_per_call(mut call: impl FnMut()) -> u128 {
    let round = |_| {
        let start = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        start.elapsed().as_nanos() / u128::from(CALLS)
    };
    (0..ROUNDS).map(round).min().unwrap_or_default()
}

fn main() {
    let labels = BTreeMap::from([
        ("team".to_owned(), "t4".to_owned()),
        ("tier".to_owned(), "free".to_owned()),
    ]);
    let capabilities = ["tools".to_owned()];
    let facts = CallFacts {
        tenant: "acme",
        agent: "agent-5-x",
        model: "chat",
        workload: "w6",
        session: "s-1234",
        run: "r-1234",
        root_run: "",
        step: "",
        labels: &labels,
        attributes: None,
        input: InputSize::Bytes(4_000),
        max_output_tokens: 1_000,
        min_output_tokens: 0,
        min_quality: None,
        capabilities: &capabilities,
        stream: false,
        choices: 1,
        session_labels: &[],
        split_key: "request-0123456789",
        dialect: "openai-chat",
        untranslatable: &[],
        pins: fairlead_plan::Pins::None,
    };
    println!("{:>8} {:>12} {:>24}", "rules", "decide ns", "budgets and rates ns");
    for count in [10, 100, 1_000, 10_000] {
        let compiled = Compiled::compile(&config(count)).expect("the configuration is valid");
        let health = HealthBook::new(&compiled);
        assert_eq!(compiled.decide(&facts, &health, NOW).rules.len(), 3);
        let decide = nanos_per_call(|| {
            black_box(compiled.decide(black_box(&facts), &health, NOW));
        });
        let applicable = nanos_per_call(|| {
            black_box(compiled.budgets_for(black_box(&facts)).count());
            black_box(compiled.rate_limits_for(black_box(&facts)).count());
        });
        println!("{count:>8} {decide:>12} {applicable:>24}");
    }
}
