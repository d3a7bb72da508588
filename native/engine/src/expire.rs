//! Expiry: a hold that nobody ended ends by itself, charged with its worst case or released.
use fairlead_plan::UnixNanos;
use fairlead_wire::internal::InvocationRecord;
use fairlead_wire::v1::{EventKind, HoldEnded, InvocationState, audit_record::Body};

use crate::amount::ZERO;
use crate::command::{Applied, Caller};
use crate::ending;
use crate::engine::{Engine, UnitBuilder};
use crate::keys::InvocationId;
use crate::rates::RateEnd;

/// Most holds that one command ends, so that a crowd of them does not hold up admissions.
pub const MOST_EXPIRED: usize = 256;

impl Engine {
    /// Ends holds, grants of tool calls and approvals, and forgets sessions, whose time has come, of each kind the oldest
    /// first, at most [`MOST_EXPIRED`]; returns how many. Repeat until 0.
    pub fn expire(&mut self, now: UnixNanos) -> Applied<u64> {
        let now = match self.tick(now) {
            Ok(now) => now,
            Err(rejection) => return Applied::refused(rejection),
        };
        let mut all = UnitBuilder::new();
        let mut ended = 0;
        while let Some((at, id)) = self.expiries.first().copied()
            && at <= now
            && ended < MOST_EXPIRED
        {
            ended += 1;
            let Some(mut record) = self.open.get(&id).and_then(|open| open.decode()) else {
                // Never: both have the same invocations, decodable ones. Skipped rather than tried for ever.
                self.expiries.pop_first();
                continue;
            };
            let mut unit = self.begin();
            self.expire_one(&mut unit, now, &id, &mut record);
            self.close(&mut unit, &id, &mut record);
            all.writes.append(&mut unit.writes);
            all.sequences.append(&mut unit.sequences);
        }
        while let Some((at, id)) = self.tools.next_expiry()
            && at <= now
            && ended < MOST_EXPIRED
        {
            ended += 1;
            let mut unit = self.begin();
            self.expire_call(&mut unit, now, &id);
            all.writes.append(&mut unit.writes);
            all.sequences.append(&mut unit.sequences);
        }
        while let Some((at, id)) = self.approvals.next_expiry()
            && at <= now
            && ended < MOST_EXPIRED
        {
            ended += 1;
            let mut unit = self.begin();
            self.expire_approval(&mut unit, now, &id);
            all.writes.append(&mut unit.writes);
            all.sequences.append(&mut unit.sequences);
        }
        while let Some((at, run)) = self.runs.next_due()
            && at <= now
            && ended < MOST_EXPIRED
        {
            ended += 1;
            let mut unit = self.begin();
            self.run_due(&mut unit, now, &run);
            all.writes.append(&mut unit.writes);
            all.sequences.append(&mut unit.sequences);
        }
        // Nothing but bookkeeping: decisions that used the labels have them on record.
        let mut forgotten = self.sessions.forget_expired(now, MOST_EXPIRED.saturating_sub(ended));
        ended += forgotten.len();
        all.writes.append(&mut forgotten);
        if ended == 0 {
            return Applied::done(0, None);
        }
        Applied::done(ended as u64, Some(all.done(self.is_power())))
    }

    /// Ends one hold; the caller closes its record, which is `EXPIRED` then.
    pub(crate) fn expire_one(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        id: &InvocationId,
        record: &mut InvocationRecord,
    ) {
        debug_assert!(self.open.contains_key(id));
        let charge = self.compiled.reservations().charge_on_expiry;
        self.rates.end(UnixNanos(now), record, RateEnd::Expired);
        let touched = self.end_budgets(now, record, |_, held| if charge { held } else { ZERO });
        let held = ending::held(record);
        let (tenant, agent) = (record.tenant.clone(), record.agent.clone());
        let caller = Caller::agent(&tenant, &agent);
        let mut audit = self.record(now, EventKind::InvocationExpired, caller, &record.invocation);
        let charges = ending::charges(&touched);
        audit.body = Some(Body::HoldEnded(HoldEnded {
            held: Some(held),
            charged: Some(if charge { held } else { ZERO }),
            charges: charges.clone(),
            reason: if charge {
                "not settled before its time: the worst case is charged until a settlement corrects it"
            } else {
                "not settled before its time: the hold is released"
            }
            .to_owned(),
        }));
        unit.append(&mut self.chain, audit);
        record.charges = charges;
        record.set_state(InvocationState::Expired);
        let invocation = record.invocation.clone();
        self.append_touched(unit, now, caller, &invocation, &touched);
        if charge {
            self.spend_in_run(unit, now, record, held);
        }
    }
}
