//! Model calls that people have to agree to, by a rule or because a budget has no room.
use fairlead_engine::{AdmitExtra, Caller, Reason, Rejection};
use fairlead_plan::UnixNanos;
use fairlead_wire::internal::{DecideApproval, Effect, EngineConfig, PolicyRule, WindowKind};
use fairlead_wire::v1::{
    AdmitRequest, Amount, ApprovalDecision, ApprovalState, ApprovalSubject, EventKind, InvocationState,
};

use crate::bench::{Bench, HOUR, SAID, budget, call, config, money, route, used};
use crate::tool_bench::{tier, with_tools};

const APPROVE: ApprovalDecision = ApprovalDecision::Approve;
const REJECT: ApprovalDecision = ApprovalDecision::Reject;

/// Calls of `large` take one of finance, those with more than 500 tokens two. A run has 10000 nano-USD.
pub fn ruled() -> EngineConfig {
    let people = with_tools();
    let mut config = config();
    config.operators = people.operators;
    config.approval_tiers = people.approval_tiers;
    config.approval_tiers.push(tier("legal", &[("legal", 1)]));
    config.limits.as_mut().unwrap().open_approvals = 10;
    for (name, when, tier) in [("large", "", "one"), ("long", "request.maxOutputTokens > 500", "two")] {
        config.policies.push(PolicyRule {
            name: name.to_owned(),
            on: "model.call".to_owned(),
            r#match: Some(fairlead_wire::internal::Match {
                models: vec!["large".to_owned()],
                ..Default::default()
            }),
            when: when.to_owned(),
            effect: Effect::RequireApproval as i32,
            tier: tier.to_owned(),
            ..PolicyRule::default()
        });
    }
    let mut run = budget("run", &["run"], WindowKind::Lifetime);
    run.limit_nano_usd = Some(10_000);
    config.budgets.push(run);
    config
}

pub fn large(id: &str, output: i64) -> AdmitRequest {
    AdmitRequest {
        model: "large".to_owned(),
        ..call(id, 100, output)
    }
}

pub fn asked(bench: &mut Bench, request: &AdmitRequest) -> Asked {
    let rejection = bench.admit(request).unwrap_err();
    assert_eq!(rejection.reason, Reason::ApprovalPending, "{rejection:?}");
    Asked {
        approval: rejection.metadata["approval"].clone(),
        ticket: rejection.metadata["ticket"].clone(),
        rejection,
    }
}

pub struct Asked {
    pub approval: String,
    pub ticket: String,
    pub rejection: Rejection,
}

pub fn back(asked: &Asked, request: &AdmitRequest) -> AdmitRequest {
    AdmitRequest {
        ticket: asked.ticket.clone(),
        ..request.clone()
    }
}

pub fn held(bench: &Bench) -> i64 {
    money(bench.budget("run", "run=r-1").reserved)
}

#[test]
fn an_approved_call_is_admitted_once_and_holds_its_price_all_the_time() {
    let mut bench = Bench::given(ruled());
    let request = large("a", 100);
    let asked = asked(&mut bench, &request);
    // 100 tokens of input and 100 of output.
    assert_eq!(asked.rejection.metadata["price_nano_usd"], "3000");
    let shown = bench.approval(&asked.approval);
    assert_eq!(
        (shown.subject(), money(shown.price), shown.tool.as_str()),
        (ApprovalSubject::ModelCall, 3_000, "large")
    );
    let document: serde_json::Value = serde_json::from_slice(&shown.arguments).unwrap();
    assert_eq!(
        (&document["models"][0], &document["max_output_tokens"]),
        (&"large".into(), &100.into())
    );
    assert_eq!(held(&bench), 3_000);
    assert_eq!(bench.last().kind(), EventKind::ApprovalOpened);
    bench.crash();
    assert_eq!(held(&bench), 3_000, "it is held while people are asked");
    assert_eq!(bench.engine.open_approvals(), 1);
    let waits = bench.admit(&back(&asked, &request)).unwrap_err();
    assert_eq!(
        (waits.reason, &waits.metadata["ticket"]),
        (Reason::ApprovalPending, &asked.ticket)
    );
    bench.vote(&asked.approval, "asha", APPROVE).unwrap();
    bench.crash();
    let admitted = bench.admit(&back(&asked, &request)).unwrap();
    assert_eq!(
        admitted.invocation, asked.rejection.metadata["invocation"],
        "it is the same invocation"
    );
    assert!(
        admitted
            .decision
            .as_ref()
            .unwrap()
            .reason
            .ends_with("people have agreed to it")
    );
    assert_eq!(
        (held(&bench), bench.engine.open_reservations()),
        (3_000, 1),
        "held once"
    );
    assert_eq!(bench.approval(&asked.approval).state(), ApprovalState::Consumed);
    let again = bench.admit(&back(&asked, &request)).unwrap();
    assert_eq!(again, admitted, "the same request id gets the first answer");
    bench.crash();
    let other = AdmitRequest {
        request_id: "b".to_owned(),
        ..back(&asked, &request)
    };
    let used_up = bench.admit(&other).unwrap_err();
    assert_eq!(
        (used_up.reason, used_up.metadata["state"].as_str()),
        (Reason::InvalidState, "CONSUMED")
    );
    bench
        .settle(&admitted.invocation, vec![used("large", 100, 10)])
        .unwrap();
    let ended = bench.ended(&admitted.invocation);
    let log = bench.log();
    let kinds: Vec<_> = ended
        .sequences
        .iter()
        .map(|at| log[usize::try_from(*at).unwrap() - 1].kind())
        .collect();
    let wanted = [
        EventKind::InvocationPending,
        EventKind::ApprovalOpened,
        EventKind::InvocationAdmitted,
        EventKind::ApprovalEnded,
        EventKind::InvocationSettled,
    ];
    assert_eq!(kinds, wanted);
}

#[test]
fn a_ticket_is_for_exactly_its_call() {
    let mut bench = Bench::given(ruled());
    let request = large("a", 100);
    let asked = asked(&mut bench, &request);
    bench.vote(&asked.approval, "asha", APPROVE).unwrap();
    for other in [
        large("a", 101),
        AdmitRequest {
            step: "s".to_owned(),
            ..large("a", 100)
        },
    ] {
        let differs = bench.admit(&back(&asked, &other)).unwrap_err();
        assert_eq!(differs.violations[0].field, "ticket");
    }
    let extra = AdmitExtra {
        remember: true,
        content_digest: Some([7; 32]),
        ..AdmitExtra::default()
    };
    let bot = Caller::agent("acme", "bot");
    let content = bench.admit_as(bot, &back(&asked, &request), extra).unwrap_err();
    assert_eq!(content.violations[0].field, "ticket", "the content is a part of it");
    for caller in [Caller::agent("acme", "other"), Caller::agent("globex", "bot")] {
        let stranger = bench.admit_as(
            caller,
            &back(&asked, &request),
            AdmitExtra {
                content_digest: None,
                ..extra
            },
        );
        assert_eq!(stranger.unwrap_err().reason, Reason::NotFound);
    }
    let nobodys = AdmitRequest {
        ticket: format!("tkt_{}", "0".repeat(32)),
        ..request.clone()
    };
    assert_eq!(bench.admit(&nobodys).unwrap_err().reason, Reason::NotFound);
    let broken = AdmitRequest {
        ticket: "tkt_1".to_owned(),
        ..request
    };
    assert_eq!(bench.admit(&broken).unwrap_err().violations[0].field, "ticket");
}

#[test]
fn the_same_call_without_its_ticket_is_the_same_question_and_goes_on_when_it_is_answered() {
    let mut config = ruled();
    config.budgets[0].limit_nano_usd = Some(100_000);
    let mut bench = Bench::given(config);
    let extra = AdmitExtra {
        content_digest: Some([7; 32]),
        settled_by_sidecar: true,
        dialect: "openai-chat",
        ..AdmitExtra::default()
    };
    let bot = Caller::agent("acme", "bot");
    let first = bench.admit_as(bot, &large("draw-1", 100), extra).unwrap_err();
    let second = bench.admit_as(bot, &large("draw-2", 100), extra).unwrap_err();
    assert_eq!(first.metadata["ticket"], second.metadata["ticket"]);
    assert_eq!((bench.engine.open_approvals(), held(&bench)), (1, 3_000));
    bench.vote(&first.metadata["approval"], "asha", APPROVE).unwrap();
    bench.admit_as(bot, &large("draw-3", 100), extra).unwrap();
    let anew = bench.admit_as(bot, &large("draw-4", 100), extra).unwrap_err();
    assert_ne!(
        anew.metadata["ticket"], first.metadata["ticket"],
        "one approval, one call"
    );
    // Nobody knows what is in these: they are the same by their id alone.
    let (one, other) = (asked(&mut bench, &large("x", 100)), asked(&mut bench, &large("y", 100)));
    assert_ne!(one.ticket, other.ticket);
    assert_eq!(asked(&mut bench, &large("x", 100)).ticket, one.ticket);
}

#[test]
fn what_is_refused_or_not_decided_holds_nothing_any_more() {
    let mut bench = Bench::given(ruled());
    let (request, later) = (large("a", 100), large("b", 100));
    let refused = asked(&mut bench, &request);
    let forgotten = asked(&mut bench, &later);
    assert_eq!(held(&bench), 6_000);
    bench.vote(&refused.approval, "asha", REJECT).unwrap();
    assert_eq!((held(&bench), bench.engine.open_reservations()), (3_000, 1));
    assert_eq!(
        bench.ended(&refused.rejection.metadata["invocation"]).state(),
        InvocationState::Rejected
    );
    let denied = bench.admit(&back(&refused, &request)).unwrap_err();
    assert_eq!(
        (denied.reason, denied.metadata["state"].as_str()),
        (Reason::PolicyDenied, "REJECTED")
    );
    assert_eq!(denied.metadata["reason"], "said: seen");
    bench.after(HOUR);
    let late = bench.admit(&back(&forgotten, &later)).unwrap_err();
    assert_eq!(late.metadata["state"], "EXPIRED", "also before the sweep");
    bench.expire();
    assert_eq!(
        (
            held(&bench),
            bench.engine.open_reservations(),
            bench.engine.open_approvals()
        ),
        (0, 0, 0)
    );
    bench.crash();
    let late = bench.admit(&back(&forgotten, &later)).unwrap_err();
    assert_eq!(
        (late.reason, late.metadata["state"].as_str()),
        (Reason::PolicyDenied, "EXPIRED")
    );
    for invocation in [&refused, &forgotten].map(|one| &one.rejection.metadata["invocation"]) {
        assert_eq!(bench.release(invocation).unwrap_err().reason, Reason::InvalidState);
    }
}

#[test]
fn a_waiting_call_can_be_neither_settled_nor_released_nor_edited() {
    let mut bench = Bench::given(ruled());
    let asked = asked(&mut bench, &large("a", 100));
    let invocation = asked.rejection.metadata["invocation"].clone();
    for refused in [
        bench.settle(&invocation, vec![]).map(drop),
        bench.release(&invocation).map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(
            (refused.reason, refused.metadata["state"].as_str()),
            (Reason::InvalidState, "PENDING")
        );
    }
    let edit = bench.edit(&asked.approval, "asha", "{}").unwrap_err();
    assert_eq!(edit.violations[0].field, "decision");
}

#[test]
fn the_policy_of_the_moment_counts() {
    let mut bench = Bench::given(ruled());
    let request = large("a", 100);
    let first = asked(&mut bench, &request);
    bench.vote(&first.approval, "asha", APPROVE).unwrap();
    bench.load(|config| config.policies[0].tier = "two".to_owned());
    let stricter = asked(&mut bench, &back(&first, &request));
    assert_ne!(stricter.ticket, first.ticket);
    assert!(
        stricter.rejection.message.contains("more people than have agreed"),
        "{}",
        stricter.rejection.message
    );
    assert_eq!(bench.approval(&first.approval).state(), ApprovalState::Expired);
    assert_eq!(
        (held(&bench), bench.engine.open_reservations()),
        (3_000, 1),
        "the first one's hold is gone"
    );
    for operator in ["asha", "ben"] {
        bench.vote(&stricter.approval, operator, APPROVE).unwrap();
    }
    bench.load(|config| config.policies[0].effect = Effect::Deny as i32);
    let denied = bench.admit(&back(&stricter, &request)).unwrap_err();
    assert_eq!(
        (denied.reason, denied.metadata["rule"].as_str()),
        (Reason::PolicyDenied, "large")
    );
    bench.load(|config| config.policies.clear());
    bench.admit(&back(&stricter, &request)).unwrap();
    assert_eq!(
        bench.approval(&stricter.approval).state(),
        ApprovalState::Withdrawn,
        "nobody had to be asked any more"
    );
}

#[test]
fn what_would_cost_more_or_use_other_models_is_asked_again_and_less_is_not() {
    let mut config = ruled();
    let mut route = route("all", "large", &["small"], 1);
    route.r#match = config.policies[0].r#match.clone();
    config.routes.push(route);
    let mut bench = Bench::given(config);
    let request = large("a", 100);
    let first = asked(&mut bench, &request);
    bench.vote(&first.approval, "asha", APPROVE).unwrap();
    bench.load(|config| config.models[1].price.as_mut().unwrap().output_pico *= 2);
    let dearer = asked(&mut bench, &back(&first, &request));
    assert!(
        dearer
            .rejection
            .message
            .contains("cost more than people have agreed to")
    );
    bench.vote(&dearer.approval, "asha", APPROVE).unwrap();
    bench.load(|config| {
        config.models[1].price.as_mut().unwrap().output_pico /= 4;
        config.routes[0].fallback = None;
    });
    let admitted = bench.admit(&back(&dearer, &request)).unwrap();
    assert_eq!(admitted.plan.len(), 1, "cheaper, and with fewer models");
    let third = asked(&mut bench, &large("c", 100));
    bench.vote(&third.approval, "asha", APPROVE).unwrap();
    bench.load(|config| config.routes[0].targets[0].model = "small".to_owned());
    let other = asked(&mut bench, &back(&third, &large("c", 100)));
    assert!(
        other.rejection.message.contains("none of the models"),
        "{}",
        other.rejection.message
    );
}

#[test]
fn an_approved_call_waits_for_a_rate_limit_with_its_approval() {
    let mut config = ruled();
    config.rate_limits.push(fairlead_wire::internal::RateLimit {
        name: "few".to_owned(),
        scope: vec!["agent".to_owned()],
        concurrent: 1,
        ..Default::default()
    });
    let mut bench = Bench::given(config);
    let first = bench.admit(&call("a", 1, 1)).unwrap();
    let request = large("b", 100);
    let asked = asked(&mut bench, &request);
    bench.vote(&asked.approval, "asha", APPROVE).unwrap();
    assert_eq!(
        bench.admit(&back(&asked, &request)).unwrap_err().reason,
        Reason::RateLimited
    );
    bench.settle(&first.invocation, vec![]).unwrap();
    bench.admit(&back(&asked, &request)).unwrap();
}

#[test]
fn a_call_is_drawn_as_it_was_when_people_were_asked() {
    let mut config = ruled();
    config.budgets.clear();
    config.models.push(crate::bench::model("large-2", 10));
    let mut split = route("split", "large", &[], 1);
    split.r#match = config.policies[0].r#match.clone();
    split.targets.push(fairlead_wire::internal::Target {
        model: "large-2".to_owned(),
        weight: 1,
    });
    config.routes.push(split);
    let mut bench = Bench::given(config);
    let extra = AdmitExtra {
        content_digest: Some([7; 32]),
        ..AdmitExtra::default()
    };
    let bot = Caller::agent("acme", "bot");
    for number in 0..8 {
        let request = large(&format!("draw-{number}"), 100 + number);
        let asked = bench.admit_as(bot, &request, extra).unwrap_err();
        bench.vote(&asked.metadata["approval"], "asha", APPROVE).unwrap();
        let drawn_anew = AdmitRequest {
            request_id: format!("again-{number}"),
            ..request
        };
        bench.admit_as(bot, &drawn_anew, extra).unwrap();
    }
}

#[test]
fn a_cached_answer_does_not_go_around_people() {
    let mut config = ruled();
    let mut cached = route("all", "large", &[], 1);
    cached.r#match = config.policies[0].r#match.clone();
    cached.cache_ttl_millis = 60_000;
    config.routes.push(cached);
    let mut bench = Bench::given(config);
    let extra = AdmitExtra {
        content_digest: Some([7; 32]),
        cached: Some(fairlead_engine::Cached {
            model: "large",
            config_version: "v1",
            invocation: "inv_1",
            ..Default::default()
        }),
        ..AdmitExtra::default()
    };
    let refused = bench
        .admit_as(Caller::agent("acme", "bot"), &large("a", 100), extra)
        .unwrap_err();
    assert_eq!(refused.reason, Reason::ApprovalPending);
}

#[test]
fn a_hold_of_an_earlier_window_is_not_taken_off_the_new_one() {
    let mut config = ruled();
    let mut hour = budget("hour", &["tenant"], WindowKind::Hour);
    hour.limit_nano_usd = Some(4_000);
    config.budgets.push(hour);
    config.approval_tiers[0].expires_after_millis = 24 * 3_600_000;
    let mut bench = Bench::given(config);
    let request = large("a", 100);
    let asked = asked(&mut bench, &request);
    bench.vote(&asked.approval, "asha", APPROVE).unwrap();
    bench.after(HOUR);
    bench.admit(&call("b", 200, 400)).unwrap();
    let admitted = bench.admit(&back(&asked, &request)).unwrap();
    assert_eq!(money(bench.budget("hour", "-").reserved), 4_000);
    bench.settle(&admitted.invocation, vec![]).unwrap();
    assert_eq!(money(bench.budget("hour", "-").reserved), 1_000);
}

#[test]
fn people_are_asked_about_so_many_at_most() {
    let mut config = ruled();
    config.limits.as_mut().unwrap().open_approvals = 1;
    let mut bench = Bench::given(config);
    asked(&mut bench, &large("a", 100));
    let full = bench.admit(&large("b", 100)).unwrap_err();
    assert_eq!(
        (full.reason, full.metadata["bound"].as_str()),
        (Reason::QueueFull, "limits.openApprovals")
    );
    assert_eq!(held(&bench), 3_000);
}

#[test]
fn a_vote_is_on_the_price_that_was_shown() {
    let mut bench = Bench::given(ruled());
    let asked = asked(&mut bench, &large("a", 100));
    let shown = bench.approval(&asked.approval);
    let command = DecideApproval {
        approval: asked.approval.trim_start_matches("approvals/").to_owned(),
        decision: APPROVE as i32,
        reason: format!("{SAID} seen"),
        digest: shown.digest.replace(|digit| digit != '0', "0"),
        ..DecideApproval::default()
    };
    let applied = bench
        .engine
        .decide_approval(UnixNanos(bench.now), Caller::operator("asha"), &command);
    assert_eq!(bench.take(applied).unwrap_err().violations[0].field, "digest");
    assert_ne!(shown.price, Some(Amount::default()));
}
