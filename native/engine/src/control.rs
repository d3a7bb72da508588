//! Commands of the control services: budgets, configuration, their own writes, the start.
use std::sync::Arc;

use fairlead_plan::{Compiled, UnixNanos, millis_to_nanos};
use fairlead_wire::internal::{AdjustBudget, BudgetView, ControlWrite};
use fairlead_wire::v1::{ConfigApplied, ConfigRejected, EventKind, SidecarStarted, audit_record::Body};

use crate::amount;
use crate::budget;
use crate::command::{Applied, Caller, Refusal};
use crate::engine::{BudgetSays, Engine};
use crate::rejection::{FieldViolation, Reason, Rejection};
use crate::unit::{Write, family};
use crate::validate::MOST_DETAIL_CHARS;

impl Engine {
    /// Credits or debits one budget instance. Spent never falls below zero; a debit may pass the limit, on record.
    pub fn adjust_budget(&mut self, now: UnixNanos, caller: Caller<'_>, command: &AdjustBudget) -> Applied<BudgetView> {
        match self.try_adjust(now, caller, command) {
            Ok(applied) => applied,
            Err(refusal) => Applied::refused(refusal),
        }
    }

    fn try_adjust(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        command: &AdjustBudget,
    ) -> Result<Applied<BudgetView>, Refusal> {
        let now = self.tick(now)?;
        let credit = valid_adjustment(command)?;
        let at = self.ledger.find(&command.tenant, &command.budget, &command.instance);
        let found = at.filter(|(book, _)| self.ledger.book(*book).is_some_and(|book| book.active));
        let Some((at, slot)) = found else {
            let name = format!(
                "tenants/{}/budgets/{}/instances/{}",
                command.tenant, command.budget, command.instance
            );
            return Err(Rejection::new(Reason::NotFound, format!("there is no budget instance `{name}`")).into());
        };
        let before = self
            .ledger
            .book(at)
            .and_then(|book| book.get(slot))
            .map(|instance| instance.spent);
        let taken = before
            .and_then(|before| amount::sub(before, credit).ok())
            .and_then(|_| self.ledger.book_mut(at)?.adjust(slot, credit, now));
        let Some(taken) = taken else {
            return Err(invalid("credit", "takes the budget beyond the range of money and tokens").into());
        };
        let mut unit = self.begin();
        let says = BudgetSays {
            kind: EventKind::BudgetAdjusted,
            percent: 0,
            amount: taken,
            reason: &command.reason,
        };
        self.append_budget_event(&mut unit, now, caller, "", (at, slot), says);
        self.append_alerts(&mut unit, now, caller, "", (at, slot), false);
        unit.writes
            .extend(self.ledger.book_mut(at).and_then(|book| book.store(slot)));
        unit.writes.extend(command.writes.iter().map(Write::from));
        let view = self
            .ledger
            .book(at)
            .and_then(|book| Some(budget::view(&book.rule, book.get(slot)?, now)));
        Ok(Applied::done(view.unwrap_or_default(), Some(unit.done(true))))
    }

    /// Replaces the configuration. Open holds keep the prices they were admitted with; changed limits apply at once; a
    /// removed budget goes on settling; a changed kind of window starts a new window in which open holds count.
    pub fn load_config(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        compiled: Arc<Compiled>,
        source: &str,
        writes: &[fairlead_wire::internal::Write],
    ) -> Applied<()> {
        let now = match self.tick(now) {
            Ok(now) => now,
            Err(rejection) => return Applied::refused(rejection),
        };
        // The version that the engine was built with did not run before it is applied: the one before the start did.
        let running = self.compiled.version();
        let previous_version = if running == compiled.version() {
            &self.ran_before
        } else {
            running
        }
        .to_owned();
        self.health = std::mem::take(&mut self.health).carried_over(&self.compiled, &compiled);
        self.compiled = compiled;
        self.rates.follow(&self.compiled);
        self.sessions
            .follow(millis_to_nanos(self.compiled.reservations().session_ttl_millis));
        let mut unit = self.begin();
        let again = self.ledger.follow(&self.compiled, now, &mut unit.writes);
        if !again.is_empty() {
            self.put_holds_back(&again, now);
        }
        let mut record = self.record(now, EventKind::ConfigApplied, caller, "");
        record.body = Some(Body::ConfigApplied(ConfigApplied {
            previous_version,
            source: source.to_owned(),
        }));
        unit.append(&mut self.chain, record);
        unit.writes.extend(writes.iter().map(Write::from));
        Applied::done((), Some(unit.done(true)))
    }

    /// Records that a configuration was refused; the running one stays.
    pub fn config_rejected(&mut self, now: UnixNanos, caller: Caller<'_>, rejected: &ConfigRejected) -> Applied<()> {
        let now = match self.tick(now) {
            Ok(now) => now,
            Err(rejection) => return Applied::refused(rejection),
        };
        let mut unit = self.begin();
        let mut record = self.record(now, EventKind::ConfigRejected, caller, "");
        record.body = Some(Body::ConfigRejected(rejected.clone()));
        unit.append(&mut self.chain, record);
        Applied::done((), Some(unit.done(true)))
    }

    /// Writes on behalf of a control service, with its record, in one unit.
    pub fn control_write(&mut self, now: UnixNanos, caller: Caller<'_>, command: &ControlWrite) -> Applied<()> {
        if command.writes.iter().any(|write| write.family == family::AUDIT) {
            // The chain is the engine's alone.
            return Applied::refused(invalid("writes", "must not be in the audit family"));
        }
        let mut unit = self.begin();
        if let Some(change) = &command.record {
            let now = match self.tick(now) {
                Ok(now) => now,
                Err(rejection) => return Applied::refused(rejection),
            };
            let mut record = self.record(now, EventKind::ControlChanged, caller, "");
            record.body = Some(Body::ControlChanged(change.clone()));
            unit.append(&mut self.chain, record);
        }
        unit.writes.extend(command.writes.iter().map(Write::from));
        if unit.writes.is_empty() {
            return Applied::done((), None);
        }
        Applied::done((), Some(unit.done(command.power)))
    }

    /// Records the start; the first command after recovery. Never refused: a start that the log does not have would be
    /// worse than one whose time stands still.
    pub fn start(&mut self, now: UnixNanos, program_version: &str) -> Applied<()> {
        let now = self.stand(now);
        let mut unit = self.begin();
        let mut record = self.record(now, EventKind::SidecarStarted, Caller::sidecar(), "");
        record.body = Some(Body::SidecarStarted(SidecarStarted {
            program_version: program_version.to_owned(),
            open_reservations: self.open_reservations() as u64,
            budget_instances: self.budget_instances() as u64,
        }));
        unit.append(&mut self.chain, record);
        Applied::done((), Some(unit.done(true)))
    }

    /// After a budget's kind of window has changed: its open holds count in the new window.
    fn put_holds_back(&mut self, budgets: &[String], now: i64) {
        for name in budgets {
            if let Some(at) = self.ledger.position_of(name)
                && let Some(book) = self.ledger.book_mut(at)
            {
                book.clear_holds();
            }
        }
        for (_, id) in &self.expiries {
            let Some(record) = self.open.get(id).and_then(|open| open.decode()) else {
                continue;
            };
            for charge in record.charges.iter().filter(|charge| budgets.contains(&charge.budget)) {
                // INVARIANT (I2): each open hold is put back once, from the record that the store has of it.
                self.ledger.restore_hold(&record.tenant, charge, now);
            }
        }
    }
}

fn valid_adjustment(command: &AdjustBudget) -> Result<fairlead_wire::v1::Amount, Rejection> {
    let mut violations = Vec::new();
    let mut fail = |field: &str, description: String| {
        violations.push(FieldViolation {
            field: field.to_owned(),
            description,
        });
    };
    let credit = command.credit.unwrap_or_default();
    if amount::is_zero(credit) {
        fail(
            "credit",
            "is required: what to take off what is spent, negative to add".to_owned(),
        );
    }
    if command.reason.trim().is_empty() {
        fail("reason", "is required".to_owned());
    } else if command.reason.chars().count() > MOST_DETAIL_CHARS {
        fail("reason", format!("must be at most {MOST_DETAIL_CHARS} characters"));
    }
    if violations.is_empty() {
        Ok(credit)
    } else {
        Err(Rejection::invalid(violations))
    }
}

fn invalid(field: &str, description: &str) -> Rejection {
    Rejection::invalid(vec![FieldViolation {
        field: field.to_owned(),
        description: description.to_owned(),
    }])
}
