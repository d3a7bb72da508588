//! What each kind of step has, what it has when the file does not say, and what it cannot have.

use fairlead_wire::internal::{ModelTask, StepDefinition, StepRetry, WaitTask};
use fairlead_workflow::{OnUnknown, Retry, StepEffect, TaskKind, Timeouts, WaitDef};

use crate::support::{
    agent, approval, child, compile, for_each, model, model_of, prompt, refused, refuses, wait, with, workflow,
};

const SECOND: i64 = 1_000_000_000;

#[test]
fn what_a_file_does_not_say() {
    let definition = compile(&workflow(vec![agent("a", &[], "")]));
    let task = &definition.steps[0].task;
    assert_eq!(
        task.effect,
        StepEffect::SideEffect,
        "what is not known acts on the world"
    );
    assert_eq!((task.on_unknown, &*task.unknown_tier), (OnUnknown::Ask, "high"));
    assert_eq!(
        task.retry,
        Retry {
            attempts: 1,
            initial_nanos: 0,
            max_nanos: 0,
            non_retryable: vec![],
        }
    );
    let timeouts = Timeouts {
        queue_nanos: 0,
        lease_nanos: 30 * SECOND,
        attempt_nanos: 0,
        total_nanos: 0,
    };
    assert_eq!(task.timeouts, timeouts);
    let data = crate::support::Data::new("{}");
    assert_eq!(task.input.render(&definition, &data).unwrap().to_text(), "{}");
}

#[test]
fn a_model_call() {
    let call = ModelTask {
        system: r#""You are ${run.agent}""#.to_owned(),
        max_output_tokens: 500,
        temperature: "0.20".to_owned(),
        json_output: true,
        workload: "scoring".to_owned(),
        ..prompt(r#""Score ${input.x}""#)
    };
    let definition = compile(&workflow(vec![model("m", &[], call.clone())]));
    let compiled = model_of(&definition, 0);
    assert_eq!(
        (&*compiled.model, compiled.max_output_tokens, compiled.json_output),
        ("careful", 500, true)
    );
    assert_eq!(compiled.temperature.as_deref(), Some("0.20"));
    assert_eq!(definition.steps[0].task.effect, StepEffect::Read);
    let data = crate::support::Data::new(r#"{"x": [1]}"#);
    let text = compiled.prompt.as_ref().unwrap().render_text(&definition, &data);
    assert_eq!(text.as_deref(), Ok("Score [1]"));

    let messages = ModelTask {
        prompt: String::new(),
        messages: r#"[{"role": "user", "content": "${input.x}"}]"#.to_owned(),
        ..call.clone()
    };
    compile(&workflow(vec![model("m", &[], messages.clone())]));
    let wrong = ModelTask {
        model: "nope".to_owned(),
        prompt: r#"{"a": 1}"#.to_owned(),
        messages: r#""x""#.to_owned(),
        system: "3".to_owned(),
        max_output_tokens: -1,
        temperature: "2.1".to_owned(),
        workload: "w".repeat(129),
        ..call
    };
    refuses(
        vec![model("m", &[], wrong)],
        &[
            "steps[0].model.route: there is no route or model `nope`",
            "steps[0].model: needs either a prompt or messages",
            "steps[0].model.maxOutputTokens: must not be negative",
            "steps[0].model.workload: must be at most 128 bytes",
            "steps[0].model.temperature: must be a number between 0 and 2",
            "steps[0].model.prompt: must be a text",
            "steps[0].model.messages: must be a list",
            "steps[0].model.system: must be a text",
        ],
    );
    refuses(
        vec![model("m", &[], prompt(""))],
        &["steps[0].model: needs either a prompt or messages"],
    );
}

#[test]
fn an_approval() {
    let step = approval("a", &[], r#"{"score": "${input.score}"}"#);
    let definition = compile(&workflow(vec![step.clone()]));
    assert_eq!(definition.steps[0].task.effect, StepEffect::Pure);
    let mut wrong = with(step, |task| {
        task.input = "{}".to_owned();
        task.idempotency_key = r#""k""#.to_owned();
        task.set_effect(StepEffect::SideEffect);
        task.set_on_unknown(OnUnknown::Retry);
        task.retry = Some(StepRetry {
            attempts: 2,
            ..Default::default()
        });
        if let Some(fairlead_wire::internal::step_task::Kind::Approval(approval)) = &mut task.kind {
            approval.tier = "low".to_owned();
        }
    });
    wrong.compensate = "undo".to_owned();
    refuses(
        vec![wrong],
        &[
            "steps[0].approval.tier: there is no approval tier `low`",
            "steps[0].effect: is for steps of a worker or a model",
            "steps[0].idempotencyKey: is for steps of a worker or a model",
            "steps[0].input: is for steps of a worker or a child run: write approval.show",
            "steps[0].retry: is for steps of a worker, a model or a child run",
            "steps[0].compensate: takes nothing back: an approval or a wait has done nothing",
        ],
    );
}

#[test]
fn a_wait_is_for_exactly_one_thing() {
    let kind = |task: WaitTask| compile(&workflow(vec![wait("w", &[], task)])).steps.remove(0).task.kind;
    let two_hours = WaitTask {
        for_millis: 7_200_000,
        ..Default::default()
    };
    let until = WaitTask {
        until: r#""${input.when}""#.to_owned(),
        ..Default::default()
    };
    let signal = WaitTask {
        signal: "paid".to_owned(),
        timeout_millis: 1000,
        continue_on_timeout: true,
        ..Default::default()
    };
    assert!(matches!(kind(two_hours.clone()), TaskKind::Wait(WaitDef::For(nanos)) if nanos == 7200 * SECOND));
    assert!(matches!(kind(until.clone()), TaskKind::Wait(WaitDef::Until(_))));
    let TaskKind::Wait(WaitDef::Signal {
        name,
        timeout_nanos,
        continue_on_timeout,
    }) = kind(signal.clone())
    else {
        panic!("no signal");
    };
    assert_eq!((&*name, timeout_nanos, continue_on_timeout), ("paid", SECOND, true));

    let exactly = "steps[0].wait: needs exactly one of for, until and signal";
    refuses(vec![wait("w", &[], WaitTask::default())], &[exactly]);
    let both = WaitTask {
        signal: "paid".to_owned(),
        ..two_hours.clone()
    };
    refuses(vec![wait("w", &[], both)], &[exactly]);
    let timed = WaitTask {
        timeout_millis: 1,
        ..two_hours.clone()
    };
    refuses(
        vec![wait("w", &[], timed)],
        &["steps[0].wait: has a timeout, which is for signals"],
    );
    let number = WaitTask {
        until: "3".to_owned(),
        ..Default::default()
    };
    refuses(vec![wait("w", &[], number)], &["steps[0].wait.until: must be a text"]);
    refuses(
        vec![for_each("[1]", wait("w", &[], two_hours.clone()))],
        &["steps[0].forEach: repeats a wait: one wait is enough"],
    );
    let with_input = with(wait("w", &[], two_hours), |task| task.input = "{}".to_owned());
    refuses(
        vec![with_input],
        &["steps[0].input: is for steps of a worker or a child run: leave it out"],
    );
}

#[test]
fn a_child_run() {
    let kind = compile(&workflow(vec![child("c", &[], "other")]))
        .steps
        .remove(0)
        .task
        .kind;
    assert!(matches!(kind, TaskKind::Workflow { workflow } if &*workflow == "other"));
    // A workflow may begin itself: limits.runDepth ends that.
    compile(&workflow(vec![child("c", &[], "loan-approval")]));
    refuses(
        vec![child("c", &[], "nope")],
        &["steps[0].workflow: there is no workflow `nope`"],
    );
}

#[test]
fn a_step_does_something() {
    let nothing = StepDefinition {
        id: "a".to_owned(),
        ..Default::default()
    };
    let found = refused(&workflow(vec![nothing]));
    assert_eq!(
        found,
        ["steps[0]: does nothing: write agent, model, approval, wait or workflow"]
    );
}

#[test]
fn somebody_decides_about_what_nobody_knows() {
    let asks_nobody = "steps[0].onUnknown: asks nobody what became of an interrupted attempt: write unknownTier: TIER, here \
                       {ask: TIER} or fail, or effect: read when running it twice does no harm";
    let may_act_twice = "steps[0].onUnknown: may act twice: retry needs an idempotencyKey";
    let no_way_back = "steps[0].onUnknown: has nothing that takes the step back: write compensate: QUEUE";
    for (effect, on_unknown, key, compensate, expected) in [
        (
            StepEffect::SideEffect,
            OnUnknown::Unspecified,
            "",
            "",
            Some(asks_nobody),
        ),
        (StepEffect::Write, OnUnknown::Ask, "", "", Some(asks_nobody)),
        (StepEffect::Read, OnUnknown::Ask, "", "", None),
        (StepEffect::Pure, OnUnknown::Retry, "", "", None),
        (StepEffect::SideEffect, OnUnknown::Retry, "", "", Some(may_act_twice)),
        (StepEffect::Write, OnUnknown::Retry, "", "", Some(may_act_twice)),
        (StepEffect::SideEffect, OnUnknown::Retry, r#""k/${run.id}""#, "", None),
        (StepEffect::SideEffect, OnUnknown::Compensate, "", "", Some(no_way_back)),
        (StepEffect::SideEffect, OnUnknown::Compensate, "", "undo", None),
        (StepEffect::SideEffect, OnUnknown::Fail, "", "", None),
    ] {
        let mut step = with(agent("a", &[], ""), |task| {
            task.set_effect(effect);
            task.set_on_unknown(on_unknown);
            task.idempotency_key = key.to_owned();
        });
        step.compensate = compensate.to_owned();
        let mut source = workflow(vec![step]);
        source.unknown_tier = String::new();
        assert_eq!(
            refused(&source),
            expected.map_or(vec![], |one| vec![one]),
            "{effect:?} {on_unknown:?}"
        );
    }
}

#[test]
fn the_tier_of_a_step_wins_and_has_to_exist() {
    let step = |tier: &str| with(agent("a", &[], ""), |task| task.unknown_tier = tier.to_owned());
    let definition = compile(&workflow(vec![step("high")]));
    assert_eq!(&*definition.steps[0].task.unknown_tier, "high");
    refuses(
        vec![step("low")],
        &["steps[0].onUnknown: there is no approval tier `low`"],
    );
}
