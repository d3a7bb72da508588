//! Requests that not every provider can be asked.
use fairlead_engine::{AdmitExtra, Caller, Reason};
use fairlead_wire::v1::{Dialect, DropReason, Untranslatable, audit_record::Body};

use crate::bench::{Bench, call, config, model, route};

/// A route to `claude`, whose provider speaks Messages, then to `small`, whose provider speaks Chat Completions.
fn bench(drop_untranslatable: bool) -> Bench {
    let mut config = config();
    let mut other = config.providers[0].clone();
    other.name = "other".to_owned();
    other.dialects = vec![Dialect::AnthropicMessages as i32];
    config.providers.push(other);
    let mut claude = model("claude", 3);
    claude.provider = "other".to_owned();
    config.models.push(claude);
    let mut all = route("all", "claude", &["small"], 1);
    all.drop_untranslatable = drop_untranslatable;
    config.routes.push(all);
    Bench::given(config)
}

fn cannot(dialect: &str, field: &str, essential: bool) -> Untranslatable {
    Untranslatable {
        dialect: dialect.to_owned(),
        field: field.to_owned(),
        essential,
    }
}

fn asked<'a>(dialect: &'a str, untranslatable: &'a [Untranslatable]) -> AdmitExtra<'a> {
    AdmitExtra {
        dialect,
        untranslatable,
        settled_by_sidecar: true,
        ..AdmitExtra::default()
    }
}

const BOT: Caller<'static> = Caller::agent("acme", "bot");

#[test]
fn the_record_says_what_could_not_be_said_and_who_was_left_out_for_it() {
    let mut bench = bench(false);
    let fields = [cannot("anthropic-messages", "seed", false)];
    let reply = bench
        .admit_as(BOT, &call("", 100, 10), asked("openai-chat", &fields))
        .unwrap();
    assert_eq!((reply.plan.len(), reply.plan[0].model.as_str()), (1, "small"));
    assert_eq!(reply.dropped[0].reason(), DropReason::Untranslatable);
    let Some(Body::Decision(decision)) = bench.last().body else {
        panic!("a decision")
    };
    let inputs = decision.inputs.unwrap();
    assert_eq!(
        (inputs.dialect.as_str(), inputs.untranslatable.as_slice()),
        ("openai-chat", &fields[..])
    );
}

#[test]
fn a_route_that_drops_fields_keeps_the_model() {
    let mut bench = bench(true);
    let fields = [cannot("anthropic-messages", "seed", false)];
    let reply = bench
        .admit_as(BOT, &call("", 100, 10), asked("openai-chat", &fields))
        .unwrap();
    assert_eq!(reply.plan[0].model, "claude");
}

#[test]
fn a_request_that_no_model_can_be_told_is_refused_with_its_fields_and_recorded() {
    let mut bench = bench(true);
    let fields = [
        cannot("anthropic-messages", "previous_response_id", true),
        cannot("openai-chat", "previous_response_id", true),
    ];
    let refused = bench
        .admit_as(BOT, &call("", 100, 10), asked("openai-responses", &fields))
        .unwrap_err();
    assert_eq!(refused.reason, Reason::InvalidArgument);
    assert_eq!(refused.metadata["cause"], "untranslatable");
    let named: Vec<&str> = refused.violations.iter().map(|one| one.field.as_str()).collect();
    assert_eq!(named, ["previous_response_id", "previous_response_id"]);
    let Some(Body::Decision(decision)) = bench.last().body else {
        panic!("a decision")
    };
    assert_eq!(decision.rejection, "INVALID_ARGUMENT");
    assert_eq!(decision.dropped.len(), 2);
}

/// A thousand parts that a dialect does not have are one reason, not a thousand lines of the log.
#[test]
fn a_record_keeps_few_fields_and_those_that_decide() {
    let mut bench = bench(true);
    let mut fields: Vec<Untranslatable> = (0..1000)
        .map(|at| cannot("anthropic-messages", &format!("messages[{at}].name"), false))
        .collect();
    fields.push(cannot("anthropic-messages", &"x".repeat(1000), true));
    let reply = bench
        .admit_as(BOT, &call("", 100, 10), asked("openai-chat", &fields))
        .unwrap();
    assert_eq!(reply.plan[0].model, "small", "the one essential field decides");
    let Some(Body::Decision(decision)) = bench.last().body else {
        panic!("a decision")
    };
    let kept = decision.inputs.unwrap().untranslatable;
    assert_eq!(kept.len(), 32);
    assert!(kept[0].essential && kept[0].field.len() == 128);
}
