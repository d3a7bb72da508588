//! What others may see of the state, and the checks of its invariants. Whoever calls holds the state's lock: everything
//! here but [`Engine::check_invariants`] takes a time that does not grow with the number of budget instances.
use std::collections::BTreeMap;

use fairlead_plan::{ModelId, UnixNanos};
use fairlead_wire::internal::{BudgetKey, BudgetView, Snapshot};
use fairlead_wire::v1::{Amount, InvocationState};

use crate::budget::{self, Filter, InWindow, Instance};
use crate::engine::Engine;
use crate::keys;

/// How much of a budget instance is used.
#[derive(Debug, Clone, Copy)]
pub struct BudgetUse<'a> {
    /// Tenant.
    pub tenant: &'a str,
    /// Name of the budget.
    pub budget: &'a str,
    /// The limit; zero means not limited.
    pub limit: Amount,
    /// Settled in the window.
    pub spent: Amount,
    /// Held.
    pub reserved: Amount,
}

impl Engine {
    /// Health and the position of the log, without budgets. `store_available` is the caller's to set.
    #[must_use]
    pub fn snapshot(&self, now: UnixNanos) -> Snapshot {
        let now = UnixNanos(self.seen_at(now));
        let models = (0..self.compiled.models().len())
            .filter_map(|at| u32::try_from(at).ok())
            .map(ModelId);
        Snapshot {
            budgets: Vec::new(),
            next: None,
            health: models.map(|id| self.health.snapshot(&self.compiled, id, now)).collect(),
            sequence: self.sequence(),
            open_reservations: self.open_reservations() as u64,
            config_version: self.compiled.version().to_owned(),
            store_available: false,
            sessions: self.sessions() as u64,
            open_tool_calls: self.open_tool_calls() as u64,
            open_approvals: self.open_approvals() as u64,
            open_runs: self.open_runs() as u64,
            ready_steps: self.ready_steps() as u64,
            leased_steps: self.leased_steps() as u64,
        }
    }

    /// Instances of the budgets in force, by the bytes of tenant, budget and instance; only those of `tenant` and `budget`,
    /// unless these are empty, and only those behind `after`. At most `limit`, and where to go on when there may be more:
    /// a page ends early when it had to pass too many tenants without the budget.
    #[must_use]
    pub fn budgets_page(
        &self,
        now: UnixNanos,
        tenant: &str,
        budget: &str,
        after: Option<&BudgetKey>,
        limit: usize,
    ) -> (Vec<BudgetView>, Option<BudgetKey>) {
        let now = self.seen_at(now);
        let mut views = Vec::new();
        let next = self
            .ledger
            .walk(Filter { tenant, budget }, after, limit, |rule, instance| {
                views.push(budget::view(rule, instance, now));
            });
        (views, next)
    }

    /// One instance of a budget in force.
    #[must_use]
    pub fn budget(&self, now: UnixNanos, tenant: &str, budget: &str, instance: &str) -> Option<BudgetView> {
        let (rule, instance) = self.ledger.one(tenant, budget, instance)?;
        Some(budget::view(rule, instance, self.seen_at(now)))
    }

    /// How much is used of the next `limit` instances behind `after`, in the order of [`budgets_page`](Self::budgets_page).
    /// Returns where to go on. Much cheaper than views: nothing is copied.
    pub fn visit_budgets(
        &self,
        now: UnixNanos,
        after: Option<&BudgetKey>,
        limit: usize,
        mut visit: impl FnMut(BudgetUse<'_>),
    ) -> Option<BudgetKey> {
        let now = self.seen_at(now);
        self.ledger.walk(Filter::default(), after, limit, |rule, instance| {
            let view = instance.view(rule.window, now);
            visit(BudgetUse {
                tenant: instance.tenant(),
                budget: &rule.name,
                limit: rule.limit.to_amount(),
                spent: view.spent,
                reserved: view.reserved,
            });
        })
    }

    /// The time at which the state is looked at: never before its last change.
    fn seen_at(&self, now: UnixNanos) -> i64 {
        now.0.max(self.last_time)
    }

    /// Times that a hard budget was found over its limit without a reason on record (I1), since the start. Anything but
    /// zero is a fault.
    #[must_use]
    pub fn breaches(&self) -> u64 {
        self.ledger.breaches()
    }

    /// What can be told of the invariants without walking the state: I1, which is checked at every change, and that as
    /// many holds will expire (I3) as are open.
    ///
    /// # Errors
    /// The first one that does not hold.
    pub fn check_running(&self) -> Result<(), String> {
        self.check_counts()?;
        match self.breaches() {
            0 => Ok(()),
            breaches => Err(format!("I1: {breaches} changes took a hard budget over its limit")),
        }
    }

    /// Checks the invariants of design 04 on the whole state. Decodes every open invocation: for tests. A running sidecar
    /// has [`check_running`](Self::check_running).
    ///
    /// # Errors
    /// The first one that does not hold.
    pub fn check_invariants(&self) -> Result<(), String> {
        self.check_open()?;
        self.check_holds()?;
        self.ledger.check_order()?;
        self.sessions.check()?;
        self.tools.check(&self.approvals)?;
        self.approvals.check()?;
        self.runs.check()?;
        self.check_waiting()?;
        self.check_running()
    }

    /// INVARIANT (I3), in numbers.
    fn check_counts(&self) -> Result<(), String> {
        if self.open.len() != self.expiries.len() {
            return Err(format!(
                "I3: {} are open but {} will expire",
                self.open.len(),
                self.expiries.len()
            ));
        }
        Ok(())
    }

    /// INVARIANT (I3): every open hold has its end before it.
    fn check_open(&self) -> Result<(), String> {
        self.check_counts()?;
        for (at, id) in &self.expiries {
            if self.open.get(id).is_none_or(|open| open.expires_at != *at) {
                return Err("I3: a hold expires that is not open".to_owned());
            }
        }
        if self.held_by != self.open.values().map(|open| &*open.tenant).collect() {
            return Err("I3: the open holds of a tenant are miscounted".to_owned());
        }
        Ok(())
    }

    /// INVARIANT (I3): what waits for people has an approval, which ends it, and the other way round.
    fn check_waiting(&self) -> Result<(), String> {
        let mut waiting = 0;
        for open in self.open.values() {
            let record = open.decode().ok_or("I3: an open invocation cannot be decoded")?;
            if record.state() != InvocationState::Pending {
                continue;
            }
            waiting += 1;
            let approval = keys::approval_id(&record.approval).and_then(|id| self.approvals.get(&id));
            if approval.is_none_or(|approval| approval.call != record.invocation) {
                return Err("I3: a call waits for nobody".to_owned());
            }
        }
        let asked = self.approvals.model_calls();
        if waiting != asked {
            return Err(format!("I3: {waiting} calls wait but people are asked about {asked}"));
        }
        Ok(())
    }

    /// INVARIANT (I2): `reserved` is the sum of the open holds. INVARIANT (I1) at rest.
    fn check_holds(&self) -> Result<(), String> {
        let mut expected: BTreeMap<(String, String, String), Vec<(InWindow, Amount)>> = BTreeMap::new();
        for open in self.open.values() {
            let record = open.decode().ok_or("I2: an open invocation cannot be decoded")?;
            for charge in record.charges {
                let window = InWindow {
                    start: charge.window_start_unix_nanos,
                    code: charge.window_millis,
                };
                let key = (charge.budget, record.tenant.clone(), charge.instance);
                expected
                    .entry(key)
                    .or_default()
                    .push((window, charge.amount.unwrap_or_default()));
            }
        }
        for book in self.ledger.books() {
            for instance in book.iter() {
                let key = (
                    book.rule.name.to_string(),
                    instance.tenant().to_owned(),
                    instance.name().to_owned(),
                );
                let holds = expected.remove(&key).unwrap_or_default();
                instance
                    .check(&book.rule, &holds)
                    .map_err(|what| format!("{what} in {key:?}"))?;
            }
        }
        match expected.first_key_value() {
            Some((key, _)) => Err(format!("I2: {key:?} is held but not there")),
            None => Ok(()),
        }
    }
}

impl Instance {
    fn check(&self, rule: &crate::budget::Rule, holds: &[(InWindow, Amount)]) -> Result<(), String> {
        let mut again = self.clone();
        again.clear_holds();
        for (window, held) in holds {
            again.restore_hold(rule.window, *window, *held);
        }
        if (again.reserved, again.foreign, again.open) != (self.reserved, self.foreign, self.open) {
            return Err(format!(
                "I2: {:?} of {} holds is reserved, the open invocations have {:?} of {}",
                self.reserved, self.open, again.reserved, again.open
            ));
        }
        if again.explain(rule, false) {
            return Err("I1: over its limit".to_owned());
        }
        Ok(())
    }
}
