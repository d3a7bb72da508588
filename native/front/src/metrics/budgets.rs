//! Sums over budget instances, for a scrape. There may be hundreds of thousands, and anybody may scrape: the engine's lock
//! is held for a slice of them at a time, one scrape at a time walks, and walking takes at most a tenth of the time.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairlead_engine::BudgetUse;
use fairlead_wire::v1::Amount;
use prometheus::{GaugeVec, Opts, Registry};
use tokio::sync::Mutex;

use super::scrape::vec;
use crate::core::Core;

/// Most pairs of tenant and budget that get their own series; the rest is summed up under tenant `other`.
const MOST_BUDGETS: usize = 500;
/// Instances that are visited in one hold of the engine's lock: about a tenth of a millisecond.
const SLICE: usize = 500;
/// The totals are kept for this many times as long as it took to make them.
const KEPT: u32 = 10;
const NANO: f64 = 1e-9;

/// The totals of the last walk, while they are fresh.
#[derive(Default)]
pub struct Budgets {
    last: Mutex<Option<Walked>>,
}

struct Walked {
    totals: Arc<Totals>,
    until: Instant,
}

impl Budgets {
    /// The totals, at most ten times as old as it took to make them. They are of no single moment: instances change while
    /// others are visited.
    pub async fn totals(&self, core: &Core) -> Arc<Totals> {
        let mut last = self.last.lock().await;
        if let Some(walked) = last.as_ref().filter(|walked| Instant::now() < walked.until) {
            return Arc::clone(&walked.totals);
        }
        let (mut totals, mut took, mut after) = (Totals::default(), Duration::ZERO, None);
        loop {
            let started = Instant::now();
            after = core.visit_budgets(after.as_ref(), SLICE, |one| totals.add(&one));
            took += started.elapsed();
            if after.is_none() {
                break;
            }
            // Other tasks of this thread go first, and a scraper that has gone away ends the walk.
            tokio::task::yield_now().await;
        }
        let totals = Arc::new(totals);
        *last = Some(Walked {
            totals: Arc::clone(&totals),
            until: Instant::now() + took * KEPT,
        });
        totals
    }
}

/// Sums by tenant and budget.
#[derive(Default)]
pub struct Totals {
    sums: BTreeMap<(String, String), Sums>,
    /// The tenant and budget that came last, and where they are summed up: instances come in their order.
    current: (String, String),
    place: (String, String),
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

impl Totals {
    fn add(&mut self, one: &BudgetUse<'_>) {
        if (self.current.0.as_str(), self.current.1.as_str()) != (one.tenant, one.budget) {
            self.current = (one.tenant.to_owned(), one.budget.to_owned());
            self.place = self.current.clone();
            if self.sums.len() >= MOST_BUDGETS && !self.sums.contains_key(&self.place) {
                "other".clone_into(&mut self.place.0);
            }
        }
        if let Some(sums) = self.sums.get_mut(&self.place) {
            sums.add(one);
        } else {
            let mut sums = Sums::default();
            sums.add(one);
            self.sums.insert(self.place.clone(), sums);
        }
    }

    /// Gauges of the sums.
    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
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
        for ((tenant, budget), sum) in &self.sums {
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
}

type Read = fn(&Amount) -> f64;

/// The units of an amount, in Prometheus' base units.
const UNITS: [(&str, Read); 3] = [
    ("usd", |amount| amount.nano_usd as f64 * NANO),
    ("tokens", |amount| amount.tokens as f64),
    ("requests", |amount| amount.requests as f64),
];

impl Sums {
    fn add(&mut self, one: &BudgetUse<'_>) {
        self.instances += 1;
        self.limit = one.limit;
        for (sum, part) in [(&mut self.spent, one.spent), (&mut self.reserved, one.reserved)] {
            sum.nano_usd = sum.nano_usd.saturating_add(part.nano_usd);
            sum.tokens = sum.tokens.saturating_add(part.tokens);
            sum.requests = sum.requests.saturating_add(part.requests);
        }
        for (_, read) in UNITS {
            if read(&one.limit) > 0.0 {
                self.fullest = self
                    .fullest
                    .max((read(&one.spent) + read(&one.reserved)) / read(&one.limit));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use prometheus::{Encoder, TextEncoder};

    use super::*;

    fn one<'a>(tenant: &'a str, budget: &'a str, spent: i64) -> BudgetUse<'a> {
        let amount = |nano_usd| Amount {
            nano_usd,
            ..Amount::default()
        };
        BudgetUse {
            tenant,
            budget,
            limit: amount(2_000_000_000),
            spent: amount(spent),
            reserved: amount(0),
        }
    }

    fn page(uses: &[BudgetUse<'_>]) -> String {
        let mut totals = Totals::default();
        for one in uses {
            totals.add(one);
        }
        let registry = Registry::new();
        totals.register(&registry).unwrap();
        let mut page = Vec::new();
        TextEncoder::new().encode(&registry.gather(), &mut page).unwrap();
        String::from_utf8(page).unwrap()
    }

    #[test]
    fn instances_are_summed_up_and_the_fullest_shows() {
        let page = page(&[one("acme", "run", 500_000_000), one("acme", "run", 1_500_000_000)]);
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
        let tenants: Vec<_> = (0..2 * MOST_BUDGETS).map(|index| format!("t-{index:04}")).collect();
        let uses: Vec<_> = tenants.iter().map(|tenant| one(tenant, "month", 1)).collect();
        let page = page(&uses);
        let series: Vec<_> = page
            .lines()
            .filter(|line| line.starts_with("fairlead_budget_instances{"))
            .collect();
        assert_eq!(series.len(), MOST_BUDGETS + 1);
        let other = format!(r#"fairlead_budget_instances{{budget="month",tenant="other"}} {MOST_BUDGETS}"#);
        assert!(series.contains(&other.as_str()), "{page}");
    }
}
