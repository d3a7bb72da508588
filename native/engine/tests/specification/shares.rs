//! Bounds that all tenants share: none can take all of one from the others.
use fairlead_engine::{AdmitExtra, Caller, Reason, Rejection};
use fairlead_wire::internal::{EngineConfig, RateLimit, WindowKind};
use fairlead_wire::v1::{AdmitRequest, ToolEffect, ToolOutcome, ToolRisk};

use crate::bench::{Bench, budget, call, config};
use crate::tool_bench::{tool, with_tools};

fn globex() -> Caller<'static> {
    Caller::agent("globex", "bot")
}

/// Two tenants share what is bounded by four.
fn shared() -> EngineConfig {
    let mut config = config();
    let limits = config.limits.as_mut().unwrap();
    (limits.open_reservations, limits.budget_instances) = (4, 4);
    config
}

fn in_run(bench: &mut Bench, caller: Caller<'_>, run: &str) -> Result<String, Rejection> {
    let request = AdmitRequest {
        run: run.to_owned(),
        ..call(&bench.request_id(), 10, 10)
    };
    let reply = bench.admit_as(caller, &request, AdmitExtra::default())?;
    Ok(reply.invocation)
}

fn assert_half(refused: &Rejection, bound: &str) {
    assert_eq!(refused.reason, Reason::QueueFull, "{refused:?}");
    let named = ["bound", "limit", "tenant_limit"].map(|key| refused.metadata[key].as_str());
    assert_eq!(named, [bound, "4", "2"]);
    assert!(
        refused.message.contains("the tenant has its half (2)"),
        "{}",
        refused.message
    );
}

#[test]
fn a_tenant_leaves_half_of_the_open_holds_to_the_others() {
    let acme = Caller::agent("acme", "bot");
    let mut bench = Bench::given(shared());
    let first = in_run(&mut bench, acme, "r").unwrap();
    in_run(&mut bench, Caller::agent("acme", "other"), "r").unwrap();
    assert_half(&in_run(&mut bench, acme, "r").unwrap_err(), "limits.openReservations");
    bench.crash();
    assert_half(&in_run(&mut bench, acme, "r").unwrap_err(), "limits.openReservations");
    for _ in 0..2 {
        in_run(&mut bench, globex(), "r").unwrap();
    }
    bench.release(&first).unwrap();
    in_run(&mut bench, acme, "r").unwrap();
}

#[test]
fn a_tenant_that_is_alone_has_all() {
    let acme = Caller::agent("acme", "bot");
    let mut bench = Bench::given(shared());
    bench.load(|config| config.tenants.truncate(1));
    for _ in 0..4 {
        in_run(&mut bench, acme, "r").unwrap();
    }
    let full = in_run(&mut bench, acme, "r").unwrap_err();
    assert!(
        full.message.starts_with("limits.openReservations is reached (4)"),
        "{}",
        full.message
    );
}

#[test]
fn a_tenant_leaves_half_of_the_instances_of_a_budget_and_a_rate_limit_to_the_others() {
    let acme = Caller::agent("acme", "bot");
    let mut of_run = budget("run", &["run"], WindowKind::Lifetime);
    of_run.limit_nano_usd = Some(1_000_000);
    let mut budgeted = shared();
    budgeted.budgets.push(of_run);
    let mut limited = shared();
    limited.rate_limits.push(RateLimit {
        name: "run".to_owned(),
        scope: vec!["run".to_owned()],
        concurrent: 5,
        ..RateLimit::default()
    });
    for (mut config, named) in [(budgeted, "budget"), (limited, "rate_limit")] {
        config.limits.as_mut().unwrap().open_reservations = 100;
        let mut bench = Bench::given(config);
        let first = in_run(&mut bench, acme, "r-1").unwrap();
        in_run(&mut bench, acme, "r-2").unwrap();
        let refused = in_run(&mut bench, acme, "r-3").unwrap_err();
        assert_half(&refused, "limits.budgetInstances");
        assert_eq!(refused.metadata[named], "run");
        for run in ["r-1", "r-2"] {
            in_run(&mut bench, globex(), run).unwrap();
        }
        // An idle, empty one of its own makes room, and the tenant stays within its half.
        bench.release(&first).unwrap();
        in_run(&mut bench, acme, "r-3").unwrap();
        assert_half(&in_run(&mut bench, acme, "r-4").unwrap_err(), "limits.budgetInstances");
    }
}

#[test]
fn a_tenant_leaves_half_of_the_open_tool_calls_and_sessions_to_the_others() {
    let mut config = with_tools();
    let mut browse = tool("browse", ToolEffect::Read, ToolRisk::Low);
    browse.session_labels = vec!["saw_untrusted".to_owned()];
    config.tools.push(browse);
    let limits = config.limits.as_mut().unwrap();
    (limits.sessions, limits.open_tool_calls) = (4, 4);
    let mut bench = Bench::given(config);
    let browse = |session: &str| fairlead_wire::v1::AuthorizeToolRequest {
        tool: "browse".to_owned(),
        session: session.to_owned(),
        ..Default::default()
    };
    let grants: Vec<String> = ["a", "b"].map(|session| bench.granted(&browse(session)).grant).into();
    assert_half(&bench.authorize(&browse("b")).unwrap_err(), "limits.openToolCalls");
    bench.crash();
    assert_half(&bench.authorize(&browse("b")).unwrap_err(), "limits.openToolCalls");
    for session in ["a", "b"] {
        bench.authorize_as(globex(), &browse(session)).unwrap();
    }
    for grant in &grants {
        bench.complete(grant, ToolOutcome::Succeeded, "").unwrap();
    }
    // The calls are over, the labels of the sessions are not.
    assert_half(&bench.authorize(&browse("c")).unwrap_err(), "limits.sessions");
    bench.granted(&browse("b"));
}
