//! The text of a scrape: what was recorded, and gauges that mirror the state at this moment.
use std::time::{Duration, Instant};

use fairlead_wire::internal::Snapshot;
use fairlead_wire::v1::BreakerState;
use parking_lot::Mutex;
use prometheus::{Encoder, GaugeVec, IntCounter, IntGaugeVec, Opts, Registry, TextEncoder};

use super::budgets::{Budgets, Totals};
use super::process;
use crate::forward::metrics::Counted;
use crate::front::Front;

/// How often a broken invariant counts again.
const CHECK_EVERY: Duration = Duration::from_secs(60);

/// What has to be remembered between scrapes.
#[derive(Default)]
pub struct Watch {
    checked: Mutex<Checked>,
    budgets: Budgets,
    counted: Counted,
}

#[derive(Default)]
struct Checked {
    at: Option<Instant>,
    violations: u64,
}

/// The page for Prometheus. An encoding error becomes a comment: a scrape must not take the endpoint down.
pub async fn text(front: &Front) -> String {
    let totals = front.watch.budgets.totals(&front.core).await;
    let mut page = Vec::new();
    let outcome = front
        .metrics
        .registry_text(&mut page)
        .and_then(|()| mirror(front, &totals, &mut page));
    let mut page = String::from_utf8(page).unwrap_or_default();
    if let Err(error) = outcome {
        tracing::warn!(%error, "metrics cannot be written");
        page.push_str("# incomplete\n");
    }
    page.push_str(&front.watch.counted.page(&front.forwarder).await);
    page
}

/// Gauges of this moment, in a registry of their own that is thrown away: what is gone from the state is gone from the page.
fn mirror(front: &Front, totals: &Totals, page: &mut Vec<u8>) -> Result<(), prometheus::Error> {
    let registry = Registry::new();
    let snapshot = front.core.snapshot();
    let (waiting, uncommitted, in_line) = front.core.depths();
    let queues = vec(&registry, "queue_depth", "Entries of each queue.", &["queue"])?;
    queues.with_label_values(&["commit"]).set(as_i64(waiting as u64));
    queues.with_label_values(&["uncommitted"]).set(as_i64(uncommitted));
    queues.with_label_values(&["rate_limits"]).set(as_i64(in_line as u64));

    let one = |name: &str, help: &str, value: u64| -> Result<(), prometheus::Error> {
        vec(&registry, name, help, &[])?
            .with_label_values::<&str>(&[])
            .set(as_i64(value));
        Ok(())
    };
    let total = |name: &str, help: &str, value: u64| -> Result<(), prometheus::Error> {
        let counter = IntCounter::with_opts(Opts::new(format!("fairlead_{name}"), help))?;
        counter.inc_by(value);
        registry.register(Box::new(counter))
    };
    one(
        "audit_sequence",
        "Last audit sequence that was handed out.",
        snapshot.sequence,
    )?;
    one("open_reservations", "Holds that are open.", snapshot.open_reservations)?;
    one(
        "open_tool_calls",
        "Tool calls that are granted and not completed.",
        snapshot.open_tool_calls,
    )?;
    one(
        "open_approvals",
        "Approvals that are pending, or approved and not used yet.",
        snapshot.open_approvals,
    )?;
    one("sessions", "Sessions that are remembered.", snapshot.sessions)?;
    one(
        "open_runs",
        "Runs of workflows that have not ended.",
        snapshot.open_runs,
    )?;
    one("ready_steps", "Steps that may be leased.", snapshot.ready_steps)?;
    one("leased_steps", "Steps that are leased.", snapshot.leased_steps)?;
    one(
        "store_available",
        "1 when the store takes writes.",
        u64::from(snapshot.store_available),
    )?;
    one(
        "healthy",
        "1 when it serves, the store takes writes and no task has panicked.",
        u64::from(front.is_healthy()),
    )?;
    total("task_panics_total", "Tasks that panicked.", front.tasks.panics())?;
    total(
        "invariant_violations_total",
        "Invariant checks that failed.",
        violations(front),
    )?;
    if let Some(bytes) = process::resident_bytes() {
        let memory = IntGaugeVec::new(Opts::new("process_resident_memory_bytes", "Resident memory."), &[])?;
        memory.with_label_values::<&str>(&[]).set(as_i64(bytes));
        registry.register(Box::new(memory))?;
    }
    let config = vec(
        &registry,
        "config_info",
        "1 for the configuration in force.",
        &["version"],
    )?;
    config.with_label_values(&[snapshot.config_version.as_str()]).set(1);
    breakers(&registry, &snapshot)?;
    totals.register(&registry)?;
    TextEncoder::new().encode(&registry.gather(), page)
}

fn breakers(registry: &Registry, snapshot: &Snapshot) -> Result<(), prometheus::Error> {
    let states = vec(
        registry,
        "breaker_state",
        "1 for the state each model's breaker is in.",
        &["model", "state"],
    )?;
    let latency = GaugeVec::new(
        Opts::new("fairlead_model_latency_seconds", "Latency of each model."),
        &["model", "quantile"],
    )?;
    for health in &snapshot.health {
        let state = match health.breaker() {
            BreakerState::Unspecified | BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half_open",
            BreakerState::Ramping => "ramping",
        };
        for other in ["closed", "open", "half_open", "ramping"] {
            states
                .with_label_values(&[health.model.as_str(), other])
                .set(i64::from(other == state));
        }
        for (quantile, millis) in [("0.5", health.p50_millis), ("0.99", health.p99_millis)] {
            latency
                .with_label_values(&[health.model.as_str(), quantile])
                .set(millis as f64 / 1e3);
        }
    }
    registry.register(Box::new(latency))
}

fn violations(front: &Front) -> u64 {
    let mut checked = front.watch.checked.lock();
    if checked.at.is_none_or(|at| at.elapsed() >= CHECK_EVERY) {
        checked.at = Some(Instant::now());
        if let Err(broken) = front.core.check_invariants() {
            checked.violations += 1;
            tracing::error!(broken, "an invariant of the engine does not hold");
        }
    }
    checked.violations
}

pub(super) fn vec(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntGaugeVec, prometheus::Error> {
    let gauges = IntGaugeVec::new(Opts::new(format!("fairlead_{name}"), help), labels)?;
    registry.register(Box::new(gauges.clone()))?;
    Ok(gauges)
}

fn as_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
