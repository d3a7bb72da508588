//! How a hold ends: exactly once, by a settlement, a release, or its time.
//!
//! | state | settle | release | time comes |
//! |---|---|---|---|
//! | `OPEN` | `SETTLED` | `RELEASED` | `EXPIRED` |
//! | `OPEN`, its time has come | `EXPIRED`, then `SETTLED` (late) | `EXPIRED`, then refused | `EXPIRED` |
//! | `EXPIRED` | `SETTLED` (late): the charge is corrected | refused | – |
//! | `SETTLED`, `RELEASED`, `REJECTED` | refused; the same request gets the first answer | likewise | – |
use fairlead_plan::UnixNanos;
use fairlead_wire::internal::{InvocationRecord, Known, NeedsRecord};
use fairlead_wire::v1::{Amount, BudgetCharge, EventKind, InvocationState};
use prost::Message;

use crate::amount::{self, Measure};
use crate::budget::{InWindow, Slot};
use crate::command::{Caller, Refusal};
use crate::engine::{BudgetSays, Engine, Open, UnitBuilder};
use crate::keys::{self, InvocationId};
use crate::rejection::{Reason, Rejection};
use crate::unit::{Write, family};

/// An invocation that a command is about.
pub(crate) struct Found {
    pub id: InvocationId,
    pub record: InvocationRecord,
}

/// What became of one budget instance.
pub(crate) struct Touched {
    at: Option<(usize, Slot)>,
    /// Goes into the record of the event.
    pub charge: BudgetCharge,
    excess: Amount,
}

impl Engine {
    /// The invocation of a name, open or as the store has it.
    pub(crate) fn find(&self, caller: Caller<'_>, name: &str, known: Option<&Known>) -> Result<Found, Refusal> {
        let id = keys::invocation_id(name).ok_or_else(|| not_found(name))?;
        if let Some(open) = self.open.get(&id) {
            let record = open.decode().filter(|_| &*open.tenant == caller.tenant);
            let record = record.ok_or_else(|| not_found(name))?;
            return Ok(Found { id, record });
        }
        let Some(known) = known else {
            let invocation_key = keys::invocation(caller.tenant, &id);
            return Err(Refusal::NeedsRecord(NeedsRecord {
                invocation_key,
                ..NeedsRecord::default()
            }));
        };
        known
            .invocation
            .as_ref()
            .filter(|record| known.invocation_found && record.tenant == caller.tenant && record.invocation == name)
            .map(|record| Found {
                id,
                record: record.clone(),
            })
            .ok_or_else(|| not_found(name).into())
    }

    /// Ends the hold in every budget instance; `charged` says how much, by whether cached input counts.
    pub(crate) fn end_budgets(
        &mut self,
        now: i64,
        record: &InvocationRecord,
        charged: impl Fn(bool, Amount) -> Amount,
    ) -> Vec<Touched> {
        let mut touched = Vec::with_capacity(record.charges.len());
        for charge in &record.charges {
            let held = charge.amount.unwrap_or_default();
            let at = self.ledger.find(&record.tenant, &charge.budget, &charge.instance);
            let book = at.and_then(|(book, slot)| Some((self.ledger.book_mut(book)?, slot)));
            let before = InWindow {
                start: charge.window_start_unix_nanos,
                code: charge.window_millis,
            };
            let (amount, after, excess) = match book {
                Some((book, slot)) => {
                    let amount = charged(book.rule.count_cached, held);
                    // INVARIANT (I1): only more than was held can pass the limit, and that goes on record.
                    let after = book.end(slot, before, held, amount, now);
                    let excess = amount::each(amount, held, |amount, held| amount.saturating_sub(held).max(0));
                    (amount, after, limited(&book.rule.limit, excess))
                }
                // Every hold has its instance; a charge without one is recorded all the same.
                None => (charged(true, held), before, amount::ZERO),
            };
            touched.push(Touched {
                at,
                charge: moved(charge, after, amount),
                excess,
            });
        }
        touched
    }

    /// Corrects what an expired invocation was charged; the result has the differences.
    pub(crate) fn correct_budgets(
        &mut self,
        now: i64,
        record: &mut InvocationRecord,
        charged: impl Fn(bool) -> Amount,
    ) -> Vec<Touched> {
        let mut touched = Vec::with_capacity(record.charges.len());
        for charge in &mut record.charges {
            let before = charge.amount.unwrap_or_default();
            let window = InWindow {
                start: charge.window_start_unix_nanos,
                code: charge.window_millis,
            };
            let position = self.ledger.position_of(&charge.budget);
            let count_cached = position
                .and_then(|at| self.ledger.book(at))
                .is_none_or(|book| book.rule.count_cached);
            let actual = charged(count_cached);
            let delta = amount::each(actual, before, i64::saturating_sub);
            let at = position.and_then(|at| {
                // An instance that was empty may have been dropped since.
                let slot = if amount::is_zero(delta) {
                    self.ledger.find_in(at, &record.tenant, &charge.instance)?
                } else {
                    self.ledger.ensure(at, &record.tenant, &charge.instance, now)?
                };
                Some((at, slot))
            });
            let mut excess = amount::ZERO;
            if let Some((book, slot)) = at
                && let Some(book) = self.ledger.book_mut(book)
            {
                book.correct(slot, window, delta, now);
                excess = book.over(slot, delta);
            }
            charge.amount = Some(actual);
            touched.push(Touched {
                at,
                charge: moved(charge, window, delta),
                excess,
            });
        }
        touched
    }

    /// Overdrafts and alerts of what was touched, then the instances themselves.
    pub(crate) fn append_touched(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        caller: Caller<'_>,
        invocation: &str,
        touched: &[Touched],
    ) {
        for one in touched {
            let Some(at) = one.at else { continue };
            if !amount::is_zero(one.excess) {
                let says = BudgetSays {
                    kind: EventKind::BudgetOverdraft,
                    percent: 0,
                    amount: one.excess,
                    reason: "more was used than was held",
                };
                self.append_budget_event(unit, now, caller, invocation, at, says);
            }
            self.append_alerts(unit, now, caller, invocation, at, false);
        }
        for one in touched {
            if let Some((book, slot)) = one.at {
                unit.writes
                    .extend(self.ledger.book_mut(book).and_then(|book| book.store(slot)));
            }
        }
    }

    /// Moves an open invocation's record to where the ended ones are.
    pub(crate) fn close(&mut self, unit: &mut UnitBuilder, id: &InvocationId, record: &mut InvocationRecord) {
        if let Some(open) = self.open.remove(id) {
            self.held_by.remove(&open.tenant);
            // INVARIANT (I3): not open any more, so that nothing can end it again.
            self.expiries.remove(&(open.expires_at, *id));
            self.give_probe_back(&open, record);
            unit.writes
                .push(Write::delete(family::STATE, keys::open_invocation(&record.tenant, id)));
        }
        record.sequences.append(&mut unit.sequences.clone());
        record.sequences.dedup();
        let key = keys::invocation(&record.tenant, id);
        unit.writes
            .push(Write::put(family::INVOCATIONS, key, record.encode_to_vec()));
    }
}

impl Engine {
    /// Whoever ended the call without trying the model leaves its probe to the next one.
    fn give_probe_back(&mut self, open: &Open, record: &InvocationRecord) {
        let first = record.prices.first();
        let model = first.and_then(|first| self.compiled.model_id(&first.model));
        if let (Some(probe), Some(model)) = (open.probe, model) {
            self.health.give_probe_back(model, probe, UnixNanos(self.last_time));
        }
    }
}

/// Charges for the invocation's record and for the event's record.
pub(crate) fn charges(touched: &[Touched]) -> Vec<BudgetCharge> {
    touched.iter().map(|one| one.charge.clone()).collect()
}

/// What is held in total.
pub(crate) fn held(record: &InvocationRecord) -> Amount {
    record
        .admitted
        .as_ref()
        .and_then(|admitted| admitted.reservation.as_ref())
        .and_then(|reservation| reservation.amount)
        .unwrap_or_default()
}

fn moved(charge: &BudgetCharge, window: InWindow, amount: Amount) -> BudgetCharge {
    BudgetCharge {
        window_start_unix_nanos: window.start,
        window_millis: window.code,
        amount: Some(amount),
        ..charge.clone()
    }
}

/// The part in units that a budget limits.
fn limited(limit: &crate::budget::Limit, excess: Amount) -> Amount {
    let part = |measure: Measure| {
        if limit.get(measure).is_some() {
            measure.of(excess)
        } else {
            0
        }
    };
    Amount {
        nano_usd: part(Measure::NanoUsd),
        tokens: part(Measure::Tokens),
        requests: part(Measure::Requests),
    }
}

/// Not there, or another tenant's: the answer is the same.
pub(crate) fn not_found(name: &str) -> Rejection {
    Rejection::new(Reason::NotFound, format!("there is no invocation `{name}`"))
}

/// A hold of a call that the sidecar makes can be ended by the sidecar alone: nobody else knows what was used. How it
/// ended may be asked by anybody who may see it.
pub(crate) fn only_its_owner(record: &InvocationRecord, by_sidecar: bool, what: &str) -> Result<(), Rejection> {
    let ends = matches!(record.state(), InvocationState::Open | InvocationState::Expired);
    if by_sidecar || !record.settled_by_sidecar || !ends {
        return Ok(());
    }
    let state = state_name(record);
    let message = format!(
        "the invocation is {state} and cannot be {what} by an agent: the sidecar makes its call and settles it"
    );
    Err(Rejection::new(Reason::InvalidState, message)
        .with("state", state)
        .with("cause", "settled_by_sidecar")
        .with("invocation", &record.invocation))
}

fn state_name(record: &InvocationRecord) -> &'static str {
    let name = record.state().as_str_name();
    name.strip_prefix("INVOCATION_STATE_").unwrap_or(name)
}

/// Not possible any more.
pub(crate) fn wrong_state(record: &InvocationRecord, what: &str) -> Rejection {
    let state = state_name(record);
    let hint = match record.state() {
        InvocationState::Expired => {
            ": its hold ended by itself; settle it, also with no attempts, to correct the charge"
        }
        InvocationState::Rejected => ": it was refused and holds nothing",
        _ => "",
    };
    Rejection::new(
        Reason::InvalidState,
        format!("the invocation is {state} and cannot be {what}{hint}"),
    )
    .with("state", state)
    .with("invocation", &record.invocation)
}
