//! Release: nothing was sent to a provider, the whole hold is given back.
use fairlead_plan::UnixNanos;
use fairlead_wire::v1::{EventKind, HoldEnded, InvocationState, ReleaseRequest, ReleaseResponse, audit_record::Body};

use crate::amount::ZERO;
use crate::command::{Applied, Caller, EndExtra, Refusal};
use crate::digest;
use crate::ending;
use crate::engine::Engine;
use crate::rates::RateEnd;
use crate::replay::reused_request_id;
use crate::unit::{Write, family};
use crate::validate;

impl Engine {
    /// Gives an open hold back. Once its time has come it is too late: settle with no attempts instead.
    pub fn release(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &ReleaseRequest,
        extra: EndExtra<'_>,
    ) -> Applied<ReleaseResponse> {
        match self.try_release(now, caller, request, extra) {
            Ok(applied) => applied,
            Err(refusal) => Applied::refused(refusal),
        }
    }

    fn try_release(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &ReleaseRequest,
        extra: EndExtra<'_>,
    ) -> Result<Applied<ReleaseResponse>, Refusal> {
        let now = self.tick(now)?;
        validate::release(request)?;
        let mut found = self.find(caller, &request.invocation, extra.known)?;
        ending::only_its_owner(&found.record, extra.by_sidecar, "released")?;
        let digest = digest::without_request_id(request, &request.request_id);
        let record = &mut found.record;
        if record.state() != InvocationState::Open {
            return match &record.released {
                Some(first) if record.end_request_id == request.request_id => {
                    if record.end_request_digest == digest {
                        Ok(Applied::replay(*first))
                    } else {
                        Err(reused_request_id().into())
                    }
                }
                _ => Err(ending::wrong_state(record, "released").into()),
            };
        }
        let mut unit = self.begin();
        if now >= record.expires_at_unix_nanos {
            self.expire_one(&mut unit, now, &found.id, record);
            self.close(&mut unit, &found.id, record);
            return Ok(Applied::recorded(
                ending::wrong_state(record, "released"),
                unit.done(self.is_power()),
            ));
        }
        self.rates.end(UnixNanos(now), record, RateEnd::Released);
        let touched = self.end_budgets(now, record, |_, _| ZERO);
        let held = ending::held(record);
        let reply = ReleaseResponse { released: Some(held) };
        let mut audit = self.record(now, EventKind::InvocationReleased, caller, &record.invocation);
        // The sidecar's own words are always the same.
        let reason = if extra.by_sidecar {
            request.reason.clone()
        } else {
            self.salts.commit(&mut unit.writes, &request.reason)
        };
        audit.body = Some(Body::HoldEnded(HoldEnded {
            held: Some(held),
            charged: Some(ZERO),
            charges: Vec::new(),
            reason,
        }));
        unit.append(&mut self.chain, audit);
        if record.settled_by_sidecar && !record.request_key.is_empty() {
            // No provider has seen the call and there is no answer to give again: the id may try once more.
            unit.writes
                .push(Write::delete(family::REQUESTS, record.request_key.clone()));
        }
        record.charges = ending::charges(&touched);
        record.set_state(InvocationState::Released);
        record.end_request_id.clone_from(&request.request_id);
        record.end_request_digest = digest.to_vec();
        record.released = Some(reply);
        self.close(&mut unit, &found.id, record);
        Ok(Applied::done(reply, Some(unit.done(self.is_power()))))
    }
}
