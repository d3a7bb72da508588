//! `limits`, `reservations`, `durability`, `defaults` and `audit`.

use std::collections::BTreeMap;

use fairlead_wire::internal::{EngineConfig, Limits, Reservations};

use super::report::Report;
use crate::compiled::Durability;

const MODEL_CALL: &str = "model.call";
const EVENTS: [&str; 2] = [MODEL_CALL, "tool.call"];
const DURABLE_EVENTS: [&str; 3] = [MODEL_CALL, "tool.call", "workflow.step"];
const DAY_MILLIS: u64 = 24 * 3_600_000;
const MILLION: u64 = 1_000_000;

/// The bounds of a configuration that does not say any.
fn default_limits() -> Limits {
    Limits {
        request_bytes: 8 << 20,
        queue_depth: 4096,
        budget_instances: 100_000,
        streams: 2048,
        open_reservations: 200_000,
        request_ids: 10 * MILLION,
        waiting_calls: 1024,
        kept_answer_bytes: 256 << 10,
        clock_skew_millis: 5_000,
        cache_bytes: 64 << 20,
        sessions: MILLION,
        tool_result_bytes: 256 << 10,
        open_tool_calls: 100_000,
        open_approvals: 100_000,
        open_runs: 100_000,
        run_bytes: 256 << 20,
        payload_bytes: 16 << 20,
        for_each_items: 10_000,
        run_depth: 8,
    }
}

pub(super) fn limits(config: &EngineConfig, report: &mut Report) -> Limits {
    let mut limits = config.limits.unwrap_or_else(default_limits);
    let defaults = default_limits();
    // A configuration of a version without workflows has none of these.
    for (limit, default) in [
        (&mut limits.open_runs, defaults.open_runs),
        (&mut limits.run_bytes, defaults.run_bytes),
        (&mut limits.payload_bytes, defaults.payload_bytes),
        (&mut limits.for_each_items, defaults.for_each_items),
        (&mut limits.run_depth, defaults.run_depth),
    ] {
        if *limit == 0 {
            *limit = default;
        }
    }
    report.range("limits.requestBytes", limits.request_bytes, 1, 256 << 20);
    report.range("limits.queueDepth", limits.queue_depth, 1, MILLION);
    report.range("limits.budgetInstances", limits.budget_instances, 1, 10 * MILLION);
    report.range("limits.streams", limits.streams, 1, MILLION);
    report.range("limits.openReservations", limits.open_reservations, 1, 10 * MILLION);
    report.range("limits.requestIds", limits.request_ids, 1, 100 * MILLION);
    report.range("limits.waitingCalls", limits.waiting_calls, 0, MILLION);
    report.range("limits.keptAnswerBytes", limits.kept_answer_bytes, 0, 16 << 20);
    report.range("limits.clockSkew", limits.clock_skew_millis, 0, 3_600_000);
    report.range("limits.cacheBytes", limits.cache_bytes, 0, 64 << 30);
    report.range("limits.sessions", limits.sessions, 0, 10 * MILLION);
    report.range("limits.toolResultBytes", limits.tool_result_bytes, 0, 16 << 20);
    report.range("limits.openToolCalls", limits.open_tool_calls, 0, MILLION);
    report.range("limits.openApprovals", limits.open_approvals, 0, MILLION);
    report.range("limits.openRuns", limits.open_runs, 1, MILLION);
    report.range("limits.runBytes", limits.run_bytes, 1, 64 << 30);
    report.range("limits.payloadBytes", limits.payload_bytes, 1, 16 << 20);
    report.range("limits.forEachItems", limits.for_each_items, 1, MILLION);
    report.range("limits.runDepth", limits.run_depth, 1, 64);
    limits
}

pub(super) fn reservations(config: &EngineConfig, report: &mut Report) -> Reservations {
    let defaults = Reservations {
        ttl_millis: 600_000,
        charge_on_expiry: true,
        tool_ttl_millis: 3_600_000,
        session_ttl_millis: 30 * DAY_MILLIS,
    };
    let mut reservations = config.reservations.unwrap_or(defaults);
    report.range("reservations.ttl", reservations.ttl_millis, 1, DAY_MILLIS);
    // Nothing lives for no time: a session that is forgotten at once would lose what it must not lose.
    for (path, millis, default) in [
        (
            "reservations.toolTtl",
            &mut reservations.tool_ttl_millis,
            defaults.tool_ttl_millis,
        ),
        (
            "reservations.sessionTtl",
            &mut reservations.session_ttl_millis,
            defaults.session_ttl_millis,
        ),
    ] {
        if *millis == 0 {
            *millis = default;
        }
        report.range(path, *millis, 1, 400 * DAY_MILLIS);
    }
    reservations
}

pub(super) fn durability(config: &EngineConfig, report: &mut Report) -> BTreeMap<String, Durability> {
    let mut classes = BTreeMap::new();
    for (event, class) in &config.durability {
        let path = format!("durability.{event}");
        report.require(
            DURABLE_EVENTS.contains(&event.as_str()),
            &path,
            "is not an event: write model.call, tool.call or workflow.step",
        );
        let class = match class.as_str() {
            "process" => Durability::Process,
            "power" => Durability::Power,
            _ => {
                report.add(&path, "is not a durability class: write process or power");
                continue;
            }
        };
        classes.insert(event.clone(), class);
    }
    classes
}

/// Whether a model call that no rule decides may go out.
pub(super) fn allows_by_default(config: &EngineConfig, report: &mut Report) -> bool {
    for (event, effect) in &config.defaults {
        let path = format!("defaults.{event}");
        report.require(
            EVENTS.contains(&event.as_str()),
            &path,
            "is not an event: write model.call or tool.call",
        );
        report.require(
            matches!(effect.as_str(), "allow" | "deny"),
            &path,
            "is not a default effect: write allow or deny",
        );
    }
    match config.defaults.get(MODEL_CALL) {
        Some(effect) => effect == "allow",
        None => {
            report.add("defaults.model.call", "is missing: write allow or deny");
            false
        }
    }
}

pub(super) fn audit_content(config: &EngineConfig, report: &mut Report) -> String {
    match config.audit_content.as_str() {
        "" => "digest".to_owned(),
        known @ ("digest" | "redacted" | "full") => known.to_owned(),
        _ => {
            report.add("audit.content", "is not known: write digest, redacted or full");
            String::new()
        }
    }
}
