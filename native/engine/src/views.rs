//! What others may see of the state, and the checks of its invariants.
use std::collections::BTreeMap;

use fairlead_plan::{ModelId, UnixNanos};
use fairlead_wire::internal::Snapshot;

use crate::budget::{InWindow, Instance};
use crate::engine::Engine;

impl Engine {
    /// Budgets, health and the position of the log. `store_available` is the caller's to set.
    #[must_use]
    pub fn snapshot(&self, now: UnixNanos) -> Snapshot {
        let now = UnixNanos(now.0.max(self.last_time));
        let models = (0..self.compiled.models().len())
            .filter_map(|at| u32::try_from(at).ok())
            .map(ModelId);
        Snapshot {
            budgets: self.ledger.views(now.0),
            health: models.map(|id| self.health.snapshot(&self.compiled, id, now)).collect(),
            sequence: self.sequence(),
            open_reservations: self.open_reservations() as u64,
            config_version: self.compiled.version().to_owned(),
            store_available: false,
        }
    }

    /// Times that a hard budget was found over its limit without a reason on record (I1), since the start. Anything but
    /// zero is a fault.
    #[must_use]
    pub fn breaches(&self) -> u64 {
        self.ledger.breaches()
    }

    /// Checks the invariants of design 04 on the whole state. Decodes every open invocation: for tests and checks, while
    /// [`breaches`](Self::breaches) is for metrics.
    ///
    /// # Errors
    /// The first one that does not hold.
    pub fn check_invariants(&self) -> Result<(), String> {
        self.check_open()?;
        self.check_holds()?;
        match self.breaches() {
            0 => Ok(()),
            breaches => Err(format!("I1: {breaches} changes took a hard budget over its limit")),
        }
    }

    /// INVARIANT (I3): every open hold has its end before it.
    fn check_open(&self) -> Result<(), String> {
        if self.open.len() != self.expiries.len() {
            return Err(format!(
                "I3: {} are open but {} will expire",
                self.open.len(),
                self.expiries.len()
            ));
        }
        for (at, id) in &self.expiries {
            if self.open.get(id).is_none_or(|open| open.expires_at != *at) {
                return Err("I3: a hold expires that is not open".to_owned());
            }
        }
        Ok(())
    }

    /// INVARIANT (I2): `reserved` is the sum of the open holds. INVARIANT (I1) at rest.
    fn check_holds(&self) -> Result<(), String> {
        let mut expected: BTreeMap<(String, String, String), Vec<(InWindow, fairlead_wire::v1::Amount)>> =
            BTreeMap::new();
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
    fn check(&self, rule: &crate::budget::Rule, holds: &[(InWindow, fairlead_wire::v1::Amount)]) -> Result<(), String> {
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
