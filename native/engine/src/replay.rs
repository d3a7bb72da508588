//! Repeated request ids: the first answer again.
use fairlead_wire::internal::{Known, NeedsRecord};
use fairlead_wire::v1::{AdmitResponse, InvocationState};

use crate::command::{Caller, Refusal};
use crate::engine::{Engine, Open};
use crate::keys::{self, RequestHash};
use crate::rejection::{FieldViolation, Reason, Rejection};

impl Engine {
    /// The first answer to a repeated request id; `None` when the id is new. `approval_key` is where the store has an approval
    /// that the call needs as well: whoever asks the store asks once.
    pub(crate) fn first_answer(
        &self,
        now: i64,
        caller: Caller<'_>,
        hash: &RequestHash,
        digest: &[u8; 32],
        approval_key: &[u8],
        known: Option<&Known>,
    ) -> Result<Option<AdmitResponse>, Refusal> {
        let Some(known) = known else {
            let hours = self.requests.hours(hash, keys::hour(now));
            if hours.is_empty() && approval_key.is_empty() {
                return Ok(None);
            }
            let request_keys = hours.into_iter().map(|hour| keys::request(hour, hash)).collect();
            return Err(Refusal::NeedsRecord(NeedsRecord {
                request_keys,
                approval_key: approval_key.to_vec(),
                ..NeedsRecord::default()
            }));
        };
        let Some(record) = known.request.as_ref().filter(|_| known.request_found) else {
            return Ok(None);
        };
        if record.tenant != caller.tenant {
            return Ok(None);
        }
        if record.digest != digest {
            return Err(reused_request_id().into());
        }
        let open = keys::invocation_id(&record.invocation)
            .and_then(|id| self.open.get(&id))
            .and_then(Open::decode);
        let ended = known
            .invocation
            .as_ref()
            .filter(|ended| known.invocation_found && ended.invocation == record.invocation);
        if ended.is_some_and(|ended| ended.settled_by_sidecar && ended.state() == InvocationState::Released) {
            // Nothing was sent: as if the id had never been used.
            return Ok(None);
        }
        match open
            .as_ref()
            .or(ended)
            .and_then(|invocation| invocation.admitted.clone())
        {
            Some(reply) => Ok(Some(reply)),
            // It ended between the look-up and now; the next look-up finds it.
            None => Err(
                Rejection::new(Reason::StoreUnavailable, "the first answer is being written, try again")
                    .retry_after(100_000_000)
                    .into(),
            ),
        }
    }
}

/// The same request id with another request.
pub(crate) fn reused_request_id() -> Rejection {
    let description = "was used for another request: a repetition must be the same, another request needs its own id";
    Rejection::invalid(vec![FieldViolation {
        field: "request_id".to_owned(),
        description: description.to_owned(),
    }])
}
