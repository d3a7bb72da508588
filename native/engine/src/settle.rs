//! Settlement: what was used is charged, the rest is free again.
//!
//! A repeated settlement is recognised by the invocation's own record, which names the request that ended it; so a
//! settlement needs no entry of its own among the request ids.
use fairlead_plan::{AttemptReport, Tokens, UnixNanos};
use fairlead_wire::internal::InvocationRecord;
use fairlead_wire::v1::{
    Attempt, AttemptOutcome, EventKind, InvocationState, SettleRequest, SettleResponse, SettlementRecord,
    audit_record::Body,
};

use crate::amount;
use crate::command::{Applied, Caller, EndExtra, Refusal};
use crate::digest;
use crate::ending::{self, Found};
use crate::engine::{Engine, UnitBuilder};
use crate::rates::RateEnd;
use crate::rejection::{FieldViolation, Rejection};
use crate::replay::reused_request_id;
use crate::unit::{Write, family};
use crate::usage::{self, Charged};
use crate::validate;

impl Engine {
    /// Charges what was used over all attempts and gives the rest back. More than was held is charged in full and
    /// recorded as an overdraft. After the hold has expired its charge is corrected, once.
    pub fn settle(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &SettleRequest,
        extra: EndExtra<'_>,
    ) -> Applied<SettleResponse> {
        match self.try_settle(now, caller, request, extra) {
            Ok(applied) => applied,
            Err(refusal) => Applied::refused(refusal),
        }
    }

    fn try_settle(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &SettleRequest,
        extra: EndExtra<'_>,
    ) -> Result<Applied<SettleResponse>, Refusal> {
        let at = self.tick(now)?;
        validate::settle(request)?;
        let mut found = self.find(caller, &request.invocation, extra.known)?;
        ending::only_its_owner(&found.record, extra.by_sidecar, "settled")?;
        let digest = digest::without_request_id(request, &request.request_id);
        match found.record.state() {
            InvocationState::Open | InvocationState::Expired => {}
            _ => {
                return settled_before(&found.record, request, &digest)
                    .map(Applied::replay)
                    .map_err(Refusal::from);
            }
        }
        let record = &found.record;
        validate::attempts_in_plan(request, |model| {
            record.prices.iter().any(|planned| planned.model == model)
        })?;
        let charged = usage::charged(record, &request.attempts).map_err(|_| out_of_range())?;
        self.check_range(record, &charged)?;

        let mut unit = self.begin();
        if found.record.state() == InvocationState::Open && at >= found.record.expires_at_unix_nanos {
            self.expire_one(&mut unit, at, &found.id, &mut found.record);
        }
        let reply = self.charge(&mut unit, at, caller, &mut found, request, &charged, &extra);
        found.record.end_request_id.clone_from(&request.request_id);
        found.record.end_request_digest = digest.to_vec();
        found.record.settled = Some(reply);
        self.close(&mut unit, &found.id, &mut found.record);
        // Behind the invocation's own records, which its record names.
        if let Some(step) = extra.step {
            self.end_model_step(&mut unit, at, step);
        }
        if let Some(answer) = extra.answer
            && !found.record.request_key.is_empty()
        {
            unit.writes.push(Write::put(
                family::BLOBS,
                found.record.request_key.clone(),
                answer.to_vec(),
            ));
        }
        self.keep(&mut unit, at, &found.record, answered(&request.attempts));
        if !extra.attempts_reported {
            self.feed_health(now, &request.attempts);
        }
        Ok(Applied::done(reply, Some(unit.done(self.is_power()))))
    }

    /// Refuses before anything has changed: usage that cannot be added up is not charged in part.
    fn check_range(&mut self, record: &InvocationRecord, charged: &Charged) -> Result<(), Rejection> {
        for charge in &record.charges {
            if let Some((book, slot)) = self.ledger.find(&record.tenant, &charge.budget, &charge.instance)
                && let Some(book) = self.ledger.book(book)
            {
                book.can_spend(slot, charged.amount(book.rule.count_cached))
                    .map_err(|_| out_of_range())?;
            }
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one settlement, used once")]
    fn charge(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        caller: Caller<'_>,
        found: &mut Found,
        request: &SettleRequest,
        charged: &Charged,
        extra: &EndExtra<'_>,
    ) -> SettleResponse {
        let record = &mut found.record;
        let late = record.state() == InvocationState::Expired;
        let used = Tokens(charged.all.tokens);
        let touched = if late {
            self.rates.correct(UnixNanos(now), record, used);
            self.correct_budgets(now, record, |count_cached| charged.amount(count_cached))
        } else {
            self.rates.end(UnixNanos(now), record, RateEnd::Used(used));
            let touched = self.end_budgets(now, record, |count_cached, _| charged.amount(count_cached));
            record.charges = ending::charges(&touched);
            touched
        };
        record.set_state(InvocationState::Settled);
        let held = ending::held(record);
        let reply = SettleResponse {
            charged: Some(charged.all),
            released: Some(amount::sub_floored(held, charged.all)),
            late,
            overdraft: amount::min(charged.all, held) != charged.all,
        };
        let mut attempts = request.attempts.clone();
        for attempt in attempts.iter_mut().filter(|attempt| !attempt.detail.is_empty()) {
            attempt.detail = self.salts.commit(&mut unit.writes, &attempt.detail);
        }
        let mut audit = self.record(now, EventKind::InvocationSettled, caller, &record.invocation);
        audit.body = Some(Body::Settlement(SettlementRecord {
            attempts,
            charged: reply.charged,
            released: reply.released,
            charges: ending::charges(&touched),
            late,
            overdraft: reply.overdraft,
            model: answered(&request.attempts).to_owned(),
            content_digest: extra.content_digest.map(Vec::from).unwrap_or_default(),
            content_bytes: extra.content_bytes,
        }));
        unit.append(&mut self.chain, audit);
        let invocation = record.invocation.clone();
        self.append_touched(unit, now, caller, &invocation, &touched);
        let before = if late && self.compiled.reservations().charge_on_expiry {
            held
        } else {
            amount::ZERO
        };
        let difference = amount::each(charged.all, before, i64::saturating_sub);
        self.spend_in_run(unit, now, record, difference);
        reply
    }

    /// Health hears what the agent reports, which counts less than what the sidecar sees itself.
    fn feed_health(&mut self, now: UnixNanos, attempts: &[Attempt]) {
        for attempt in attempts {
            let report = AttemptReport {
                outcome: attempt.outcome(),
                status: attempt.status_code,
                retry_after_nanos: attempt.retry_after.as_ref().map(nanos),
                latency_nanos: attempt.latency.as_ref().map_or(0, nanos),
                input_bytes: None,
                usage: None,
            };
            if let Some(id) = self.compiled.model_id(&attempt.model) {
                self.health.hear(id, &report, now);
            }
        }
    }
}

/// The answer to a settlement of an invocation that has ended: the first one again, or a refusal.
fn settled_before(
    record: &InvocationRecord,
    request: &SettleRequest,
    digest: &[u8; 32],
) -> Result<SettleResponse, Rejection> {
    match &record.settled {
        Some(first) if record.end_request_id == request.request_id => {
            if record.end_request_digest == digest {
                Ok(*first)
            } else {
                Err(reused_request_id())
            }
        }
        _ => Err(ending::wrong_state(record, "settled")),
    }
}

fn out_of_range() -> Rejection {
    let description = "the usage adds up beyond the range of money and tokens";
    Rejection::invalid(vec![FieldViolation {
        field: "attempts".to_owned(),
        description: description.to_owned(),
    }])
}

/// The model whose answer the caller got.
fn answered(attempts: &[Attempt]) -> &str {
    attempts
        .iter()
        .rfind(|one| one.outcome() == AttemptOutcome::Succeeded)
        .map_or("", |one| &one.model)
}

fn nanos(duration: &prost_types::Duration) -> i64 {
    duration
        .seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(i64::from(duration.nanos))
}
