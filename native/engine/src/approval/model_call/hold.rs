//! What a call holds while people are asked about it.
//!
//! | the approval | the hold |
//! |---|---|
//! | is opened | is taken, in the same unit |
//! | is consumed by its call | ends in the unit of the admission, whose own hold takes its place |
//! | ends in any other way | is released, in the same unit |
//!
//! INVARIANT (I3): it has no time of its own: its approval has one (A2), and takes it along.
use fairlead_plan::{Compiled, Window};
use fairlead_wire::internal::InvocationRecord;
use fairlead_wire::v1::{Amount, EventKind, HoldEnded, InvocationState, audit_record::Body};

use super::find::FoundCall;
use crate::amount::{self, ZERO};
use crate::budget::{self, Slot};
use crate::command::Caller;
use crate::ending;
use crate::engine::{BudgetSays, Engine, Open, UnitBuilder};
use crate::judge::BudgetCase;
use crate::keys::{self, InvocationId};

/// A budget instance as people are told of it.
pub(super) fn over_name(compiled: &Compiled, case: &BudgetCase) -> String {
    let name = case.of.get(compiled).map_or("", |budget| &budget.name);
    format!("{name}/instances/{}", case.instance)
}

impl Engine {
    /// What a call holds while it waits is not in the way of the call itself.
    pub(crate) fn without_own_hold(&self, budgets: &mut [BudgetCase], waiting: &InvocationRecord) {
        for case in budgets {
            let Some(rule) = case.of.get(&self.compiled) else {
                continue;
            };
            let own = waiting
                .charges
                .iter()
                .find(|charge| *charge.budget == *rule.name && charge.instance == case.instance.as_str());
            let Some(charge) = own else { continue };
            let is_of_window = charge.window_millis == budget::window_code(rule.window);
            let is_fixed = !matches!(rule.window, Window::Lifetime | Window::Rolling { .. });
            if is_of_window && is_fixed && charge.window_start_unix_nanos != case.view.window_start {
                // Of an earlier window: it does not count in this one.
                continue;
            }
            case.view.reserved = amount::sub_floored(case.view.reserved, charge.amount.unwrap_or_default());
        }
    }

    /// The call is admitted: its hold gives way to the one that the caller takes now.
    pub(crate) fn give_up_waiting(&mut self, now: i64, id: &InvocationId, waiting: &InvocationRecord) {
        self.end_budgets(now, waiting, |_, _| ZERO);
        if let Some(open) = self.open.remove(id) {
            self.held_by.remove(&open.tenant);
            self.expiries.remove(&(open.expires_at, *id));
        }
    }

    /// The call is admitted: its approval is used up, and what it takes over a limit goes on record.
    #[expect(clippy::too_many_arguments, reason = "the parts of one admission")]
    pub(crate) fn use_approval(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        caller: Caller<'_>,
        found: &FoundCall,
        needed: bool,
        invocation: &str,
        over: &[(usize, Slot)],
        held: Amount,
    ) {
        if needed {
            self.consume_approval(unit, now, &found.id, caller, "the approved call was admitted");
        } else {
            self.withdraw_approval(unit, now, &found.id, caller, "nobody has to be asked any more");
        }
        for (book, slot) in over {
            let excess = self.ledger.book(*book).map(|book| book.over(*slot, held));
            let says = BudgetSays {
                kind: EventKind::BudgetOverdraft,
                percent: 0,
                amount: excess.unwrap_or(ZERO),
                reason: &format!("people have agreed to it: {}", found.agreed.approval),
            };
            self.append_budget_event(unit, now, caller, invocation, (*book, *slot), says);
        }
    }

    /// The call is not made: what it holds is free again.
    pub(crate) fn end_waiting_model_call(&mut self, unit: &mut UnitBuilder, now: i64, invocation: &str, reason: &str) {
        let Some(id) = keys::invocation_id(invocation) else {
            return;
        };
        let Some(mut record) = self.open.get(&id).and_then(Open::decode) else {
            return;
        };
        if record.state() != InvocationState::Pending {
            return;
        }
        let touched = self.end_budgets(now, &record, |_, _| ZERO);
        let (tenant, agent) = (record.tenant.clone(), record.agent.clone());
        let caller = Caller::agent(&tenant, &agent);
        let mut audit = self.record(now, EventKind::InvocationReleased, caller, &record.invocation);
        audit.body = Some(Body::HoldEnded(HoldEnded {
            held: Some(ending::held(&record)),
            charged: Some(ZERO),
            charges: Vec::new(),
            reason: reason.to_owned(),
        }));
        unit.append(&mut self.chain, audit);
        record.charges = ending::charges(&touched);
        record.set_state(InvocationState::Rejected);
        self.close(unit, &id, &mut record);
    }
}
