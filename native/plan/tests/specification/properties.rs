//! Properties of every decision, over random configurations and calls.

use std::collections::BTreeSet;

use fairlead_plan::{AttemptReport, CallFacts, Compiled, HealthBook, InputSize, ModelId, PlanDecision, Verdict};
use fairlead_wire::internal::{Effect, EngineConfig, PolicyRule, Route, Selection};
use fairlead_wire::v1::{AttemptOutcome, DropReason};
use proptest::prelude::*;

use crate::world::*;

const NAMES: [&str; 5] = ["m0", "m1", "m2", "m3", "m4"];

#[derive(Clone, Debug)]
struct Scene {
    config: EngineConfig,
    open: Vec<usize>,
    slow: Vec<usize>,
    ramping: Vec<usize>,
}

fn scene() -> impl Strategy<Value = Scene> {
    let one_model = (
        1i64..20,
        1i64..50,
        0i32..=1000,
        1_000i64..50_000,
        prop::collection::vec(any::<bool>(), 3),
    );
    let indices = || prop::sample::subsequence((0..NAMES.len()).collect::<Vec<_>>(), 0..3);
    let one_route = (
        0..4i32,
        prop::sample::subsequence(NAMES.to_vec(), 1..4),
        prop::sample::subsequence(NAMES.to_vec(), 0..4),
        prop::collection::vec(1u32..100, 4),
        any::<bool>(),
    );
    (
        prop::collection::vec(one_model, NAMES.len()),
        one_route,
        indices(),
        indices(),
        indices(),
    )
        .prop_map(
            |(models, (select, firsts, chain, weights, in_eu), open, slow, ramping)| {
                let models = NAMES
                    .iter()
                    .zip(models)
                    .map(|(name, (input, output, quality, context, flags))| {
                        let mut made = model(name, input, output, quality);
                        made.context_tokens = context;
                        made.max_output_tokens = context / 2;
                        made.capabilities = if flags[0] { strings(&["tools"]) } else { Vec::new() };
                        made.labels = if flags[1] {
                            labels(&[("residency", "eu")])
                        } else {
                            labels(&[])
                        };
                        made
                    });
                let targets: Vec<(&str, u32)> = firsts.iter().copied().zip(weights).collect();
                let picks = select != Selection::Unspecified as i32;
                let route = Route {
                    select,
                    candidates: if picks { strings(&firsts) } else { Vec::new() },
                    require_labels: if in_eu {
                        labels(&[("residency", "eu")])
                    } else {
                        labels(&[])
                    },
                    max_p99_millis: 2_000,
                    ..route("r", if picks { &[][..] } else { &targets }, &chain)
                };
                let config = EngineConfig {
                    models: models.collect(),
                    routes: vec![route],
                    ..config()
                };
                Scene {
                    config,
                    open,
                    slow,
                    ramping,
                }
            },
        )
}

fn health(scene: &Scene, compiled: &Compiled) -> HealthBook {
    let mut health = HealthBook::new(compiled);
    let report = |outcome, millis: i64| AttemptReport {
        outcome,
        status: 200,
        retry_after_nanos: None,
        latency_nanos: millis * 1_000_000,
        input_bytes: None,
        usage: None,
    };
    for at in &scene.slow {
        for _ in 0..20 {
            health.report(ModelId::at(*at), &report(AttemptOutcome::Succeeded, 4_000), NOW);
        }
    }
    let before = NOW.plus_nanos(-10 * SECOND);
    for at in &scene.ramping {
        for _ in 0..5 {
            health.report(ModelId::at(*at), &report(AttemptOutcome::TimedOut, 0), before);
        }
        assert!(health.may_try(ModelId::at(*at), NOW));
        health.report(ModelId::at(*at), &report(AttemptOutcome::Succeeded, 10), NOW);
    }
    for at in &scene.open {
        for _ in 0..20 {
            health.report(ModelId::at(*at), &report(AttemptOutcome::Cut, 0), NOW);
        }
    }
    health
}

fn input() -> impl Strategy<Value = InputSize> {
    prop_oneof![
        (0i64..60_000).prop_map(InputSize::Tokens),
        (0i64..200_000).prop_map(InputSize::Bytes)
    ]
}

/// Models that could take the call: planned, or not selected.
fn eligible(decision: &PlanDecision) -> BTreeSet<ModelId> {
    let left = decision
        .dropped
        .iter()
        .filter(|dropped| dropped.reason == DropReason::NotSelected);
    decision
        .plan
        .iter()
        .map(|planned| planned.model)
        .chain(left.map(|dropped| dropped.model))
        .collect()
}

proptest! {
    #[test]
    fn a_decision_is_deterministic_and_accounts_for_every_candidate(
        scene in scene(), input in input(), max in 0i64..30_000, key in "[a-z]{0,8}",
    ) {
        let facts = CallFacts { input, max_output_tokens: max, split_key: &key, ..call() };
        let decide = || {
            let compiled = Compiled::compile(&scene.config).unwrap();
            compiled.decide(&facts, &health(&scene, &compiled), NOW)
        };
        let decision = decide();
        prop_assert_eq!(&decision, &decide(), "two compilations, two books, one answer");
        prop_assert_eq!(decision.plan.is_empty(), decision.verdict != Verdict::Allowed);
        let considered: BTreeSet<ModelId> = decision.estimates.iter().map(|(id, _)| *id).collect();
        let planned = decision.plan.iter().map(|planned| planned.model);
        let named: Vec<ModelId> = planned.chain(decision.dropped.iter().map(|dropped| dropped.model)).collect();
        prop_assert_eq!(named.len(), considered.len(), "each once");
        prop_assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), considered);
        for planned in &decision.plan {
            prop_assert!(planned.max_output.0 >= 1);
            prop_assert!(max == 0 || planned.max_output.0 <= max);
        }
        prop_assert!(decision.min_output_tokens <= decision.max_output_tokens);
    }

    /// Whatever is asked for in addition, no model becomes possible that was not.
    #[test]
    fn tighter_constraints_never_widen_the_plan(
        scene in scene(),
        input in input(),
        max in 0i64..30_000,
        min_quality in prop::option::of(0.0f64..1.0),
        wants_tools: bool,
        more_input in 0i64..50_000,
        insists in 0i64..3_000,
        limit in prop::option::of(1i64..20_000),
        allowed in prop::option::of(prop::sample::subsequence(NAMES.to_vec(), 1..5)),
        in_eu: bool,
        more_open in 0..NAMES.len(),
    ) {
        let loose = CallFacts { input, max_output_tokens: max, ..call() };
        let before = {
            let compiled = Compiled::compile(&scene.config).unwrap();
            compiled.decide(&loose, &health(&scene, &compiled), NOW)
        };
        let tools = strings(if wants_tools { &["tools"] } else { &[] });
        let tight = CallFacts {
            input: match input {
                InputSize::Tokens(tokens) => InputSize::Tokens(tokens + more_input),
                InputSize::Bytes(bytes) => InputSize::Bytes(bytes + more_input),
                InputSize::Stored(bytes) => InputSize::Stored(bytes + more_input),
            },
            min_quality,
            capabilities: &tools,
            min_output_tokens: insists,
            ..loose
        };
        let mut scene = scene;
        scene.open.push(more_open);
        if in_eu {
            scene.config.routes[0].require_labels = labels(&[("residency", "eu")]);
        }
        if let Some(max_output_tokens) = limit {
            let effect = Effect::Constrain.into();
            scene.config.policies.push(PolicyRule { effect, max_output_tokens, ..rule("short") });
        }
        if let Some(allowed) = allowed {
            let effect = Effect::Constrain.into();
            scene.config.policies.push(PolicyRule { effect, allowed_models: strings(&allowed), ..rule("only") });
        }
        let compiled = Compiled::compile(&scene.config).unwrap();
        let after = compiled.decide(&tight, &health(&scene, &compiled), NOW);
        prop_assert!(eligible(&after).is_subset(&eligible(&before)), "{:?} ⊄ {:?}", eligible(&after), eligible(&before));
    }

    /// A smaller limit of a policy never lets a longer answer through.
    #[test]
    fn a_tighter_output_limit_never_lengthens_an_answer(scene in scene(), max in 0i64..30_000, limit in 1i64..30_000, less in 0i64..30_000) {
        let longest = |limit: i64| {
            let mut config = scene.config.clone();
            config.policies = vec![PolicyRule { effect: Effect::Constrain.into(), max_output_tokens: limit, ..rule("short") }];
            let compiled = Compiled::compile(&config).unwrap();
            let decision = compiled.decide(&CallFacts { max_output_tokens: max, ..call() }, &health(&scene, &compiled), NOW);
            decision.plan.iter().map(|planned| planned.max_output.0).max().unwrap_or(0)
        };
        let tight = (limit - less).max(1);
        prop_assert!(longest(tight) <= longest(limit));
        prop_assert!(longest(tight) <= tight);
    }
}
