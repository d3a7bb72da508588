//! The text of a scrape: what was recorded, and gauges that mirror the state at this moment.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fairlead_wire::internal::{BudgetView, Snapshot};
use fairlead_wire::v1::{Amount, BreakerState};
use parking_lot::Mutex;
use prometheus::{Encoder, GaugeVec, IntCounter, IntGaugeVec, Opts, Registry, TextEncoder};

use super::process;
use crate::front::Front;

/// How often the invariants are recomputed: the check walks the whole state under the engine's lock.
const CHECK_EVERY: Duration = Duration::from_secs(60);
/// Most pairs of tenant and budget that get their own series; the rest is summed up under tenant `other`.
const MOST_BUDGETS: usize = 500;
const NANO: f64 = 1e-9;

/// What has to be remembered between scrapes.
#[derive(Default)]
pub struct Watch {
    checked: Mutex<Checked>,
}

#[derive(Default)]
struct Checked {
    at: Option<Instant>,
    violations: u64,
}

/// The page for Prometheus. An encoding error becomes a comment: a scrape must not take the endpoint down.
pub fn text(front: &Front) -> String {
    let mut page = Vec::new();
    let outcome = front
        .metrics
        .registry_text(&mut page)
        .and_then(|()| mirror(front, &mut page));
    let mut page = String::from_utf8(page).unwrap_or_default();
    if let Err(error) = outcome {
        tracing::warn!(%error, "metrics cannot be written");
        page.push_str("# incomplete\n");
    }
    page
}

/// Gauges of this moment, in a registry of their own that is thrown away: what is gone from the state is gone from the page.
fn mirror(front: &Front, page: &mut Vec<u8>) -> Result<(), prometheus::Error> {
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
    budgets(&registry, &snapshot.budgets)?;
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

/// Sums over the instances of one budget of one tenant.
#[derive(Default)]
struct Sums {
    instances: i64,
    limit: Amount,
    spent: Amount,
    reserved: Amount,
    fullest: f64,
}

fn budgets(registry: &Registry, views: &[BudgetView]) -> Result<(), prometheus::Error> {
    let mut sums: BTreeMap<(&str, &str), Sums> = BTreeMap::new();
    for view in views {
        let key = (view.tenant.as_str(), view.budget.as_str());
        let key = if sums.len() < MOST_BUDGETS || sums.contains_key(&key) {
            key
        } else {
            ("other", key.1)
        };
        sums.entry(key).or_default().add(view);
    }
    let labels = ["tenant", "budget", "unit"];
    let gauges = |name: &str, help: &str| -> Result<GaugeVec, prometheus::Error> {
        let gauges = GaugeVec::new(Opts::new(format!("fairlead_budget_{name}"), help), &labels)?;
        registry.register(Box::new(gauges.clone()))?;
        Ok(gauges)
    };
    let limit = gauges(
        "limit",
        "Limit of one instance; unit usd, tokens or requests; absent when not limited.",
    )?;
    let spent = gauges("spent", "Settled in the window, summed over instances.")?;
    let reserved = gauges("reserved", "Held by open reservations, summed over instances.")?;
    let instances = vec(
        registry,
        "budget_instances",
        "Instances of a budget.",
        &["tenant", "budget"],
    )?;
    let fullest = GaugeVec::new(
        Opts::new(
            "fairlead_budget_fullest_ratio",
            "Spent and reserved over the limit, in the fullest instance.",
        ),
        &["tenant", "budget"],
    )?;
    for ((tenant, budget), sum) in &sums {
        instances.with_label_values(&[tenant, budget]).set(sum.instances);
        fullest.with_label_values(&[tenant, budget]).set(sum.fullest);
        for (unit, read) in UNITS {
            if read(&sum.limit) > 0.0 {
                limit.with_label_values(&[tenant, budget, unit]).set(read(&sum.limit));
            }
            spent.with_label_values(&[tenant, budget, unit]).set(read(&sum.spent));
            reserved
                .with_label_values(&[tenant, budget, unit])
                .set(read(&sum.reserved));
        }
    }
    registry.register(Box::new(fullest))
}

type Read = fn(&Amount) -> f64;

/// The units of an amount, in Prometheus' base units.
const UNITS: [(&str, Read); 3] = [
    ("usd", |amount| amount.nano_usd as f64 * NANO),
    ("tokens", |amount| amount.tokens as f64),
    ("requests", |amount| amount.requests as f64),
];

impl Sums {
    fn add(&mut self, view: &BudgetView) {
        let zero = Amount::default();
        let (limit, spent, reserved) = (
            view.limit.as_ref().unwrap_or(&zero),
            view.spent.as_ref().unwrap_or(&zero),
            view.reserved.as_ref().unwrap_or(&zero),
        );
        self.instances += 1;
        self.limit = *limit;
        for (sum, part) in [(&mut self.spent, spent), (&mut self.reserved, reserved)] {
            sum.nano_usd = sum.nano_usd.saturating_add(part.nano_usd);
            sum.tokens = sum.tokens.saturating_add(part.tokens);
            sum.requests = sum.requests.saturating_add(part.requests);
        }
        for (_, read) in UNITS {
            if read(limit) > 0.0 {
                self.fullest = self.fullest.max((read(spent) + read(reserved)) / read(limit));
            }
        }
    }
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

fn vec(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
    let gauges = IntGaugeVec::new(Opts::new(format!("fairlead_{name}"), help), labels)?;
    registry.register(Box::new(gauges.clone()))?;
    Ok(gauges)
}

fn as_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn view(tenant: &str, budget: &str, instance: &str, spent: i64) -> BudgetView {
        BudgetView {
            tenant: tenant.into(),
            budget: budget.into(),
            instance: instance.into(),
            limit: Some(Amount {
                nano_usd: 2_000_000_000,
                ..Amount::default()
            }),
            spent: Some(Amount {
                nano_usd: spent,
                ..Amount::default()
            }),
            ..BudgetView::default()
        }
    }

    fn page(views: &[BudgetView]) -> String {
        let registry = Registry::new();
        budgets(&registry, views).unwrap();
        let mut page = Vec::new();
        TextEncoder::new().encode(&registry.gather(), &mut page).unwrap();
        String::from_utf8(page).unwrap()
    }

    #[test]
    fn instances_are_summed_up_and_the_fullest_shows() {
        let page = page(&[
            view("acme", "run", "run=1", 500_000_000),
            view("acme", "run", "run=2", 1_500_000_000),
        ]);
        assert!(
            page.contains(r#"fairlead_budget_spent{budget="run",tenant="acme",unit="usd"} 2"#),
            "{page}"
        );
        assert!(
            page.contains(r#"fairlead_budget_limit{budget="run",tenant="acme",unit="usd"} 2"#),
            "{page}"
        );
        assert!(
            page.contains(r#"fairlead_budget_fullest_ratio{budget="run",tenant="acme"} 0.75"#),
            "{page}"
        );
        assert!(
            !page.contains(r#"fairlead_budget_limit{budget="run",tenant="acme",unit="tokens"}"#),
            "{page}"
        );
    }

    #[test]
    fn the_number_of_series_is_bounded() {
        let views: Vec<_> = (0..2 * MOST_BUDGETS)
            .map(|index| view(&format!("t-{index}"), "month", "-", 1))
            .collect();
        let series = page(&views)
            .lines()
            .filter(|line| line.starts_with("fairlead_budget_instances{"))
            .count();
        assert_eq!(series, MOST_BUDGETS + 1);
    }
}
