//! Which approval a call comes back for: by its ticket, or because it is the same call again.
use fairlead_wire::internal::{ApprovalRecord, InvocationRecord, Known};
use fairlead_wire::v1::{AdmitRequest, AgreedCall, Approval, ApprovalState, ApprovalSubject};
use prost::Message;
use sha2::{Digest, Sha256};

use crate::approval::book::expires_at;
use crate::approval::counting;
use crate::approval::subject::subject_of;
use crate::command::{AdmitExtra, Caller, Refusal};
use crate::engine::{Engine, Open};
use crate::keys::{self, ApprovalId, InvocationId};
use crate::rejection::{FieldViolation, Reason, Rejection};

/// How long to wait before asking the store again for what is being written: 100 ms.
const WRITTEN_RETRY_NANOS: i64 = 100_000_000;

/// What people were asked about this very call.
#[derive(Debug)]
pub(crate) struct FoundCall {
    pub id: ApprovalId,
    pub record: ApprovalRecord,
    /// For the decision.
    pub agreed: AgreedCall,
    /// The invocation that waits, while it does.
    pub waiting: Option<(InvocationId, InvocationRecord)>,
}

/// What a call is, without its id and ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallIdentity {
    /// SHA-256 of request and content: what an approval is bound to.
    pub digest: [u8; 32],
    /// SHA-256 that tells a repetition. A call whose content nobody knows is only repeated by its id.
    pub key: [u8; 32],
}

impl CallIdentity {
    pub(super) fn of(caller: Caller<'_>, request: &AdmitRequest, extra: &AdmitExtra<'_>) -> Self {
        let bare = AdmitRequest {
            request_id: String::new(),
            ticket: String::new(),
            ..request.clone()
        };
        let content = extra.content_digest.as_ref().map_or(&[][..], |digest| digest);
        let mut digest = Sha256::new();
        digest.update(b"fairlead/model-call/v1\0");
        for part in [extra.dialect.as_bytes(), &[0], content, &extra.choices.to_be_bytes()] {
            digest.update(part);
        }
        digest.update(bare.encode_to_vec());
        let digest: [u8; 32] = digest.finalize().into();
        let mut key = Sha256::new();
        for part in [caller.tenant, caller.agent] {
            key.update(part.as_bytes());
            key.update([0]);
        }
        key.update(digest);
        if content.is_empty() {
            key.update(request.request_id.as_bytes());
        }
        Self {
            digest,
            key: key.finalize().into(),
        }
    }
}

impl Engine {
    /// Where the store has the approval of a ticket that memory does not have; empty when there is nothing to be read.
    pub(crate) fn unknown_ticket(&self, ticket: &str) -> Vec<u8> {
        keys::ticket_id(ticket)
            .filter(|id| self.approvals.get(id).is_none())
            .map_or_else(Vec::new, |id| keys::approval(&id))
    }

    /// What people were asked about the call before; `None` when they were not.
    ///
    /// # Errors
    /// The ticket is another's, or for another call.
    pub(crate) fn found_call(
        &self,
        now: i64,
        caller: Caller<'_>,
        request: &AdmitRequest,
        extra: &AdmitExtra<'_>,
    ) -> Result<Option<FoundCall>, Refusal> {
        if request.ticket.is_empty() && self.approvals.model_calls() == 0 {
            return Ok(None);
        }
        let identity = CallIdentity::of(caller, request, extra);
        let Some(id) = keys::ticket_id(&request.ticket) else {
            let same = self.approvals.model_call(&identity.key);
            let record = same.and_then(|id| Some((id, self.approvals.get(&id)?.clone())));
            return Ok(record.and_then(|(id, record)| self.found_model_call(now, id, record)));
        };
        let record = self.of_ticket(caller, &id, &request.ticket, extra.known)?;
        if record.arguments_digest != identity.digest {
            let violation = FieldViolation {
                field: "ticket".to_owned(),
                description: "was given for another call: come back with exactly the same one".to_owned(),
            };
            return Err(Rejection::invalid(vec![violation]).into());
        }
        Ok(self.found_model_call(now, id, record))
    }

    fn of_ticket(
        &self,
        caller: Caller<'_>,
        id: &ApprovalId,
        ticket: &str,
        known: Option<&Known>,
    ) -> Result<ApprovalRecord, Rejection> {
        let is_own = |record: &&ApprovalRecord| {
            let approval = record.approval.as_ref();
            subject_of(record) == ApprovalSubject::ModelCall
                && approval.is_some_and(|one| one.tenant == caller.tenant && one.agent == caller.agent)
        };
        let stored = known.and_then(|known| known.approval.as_ref().filter(|_| known.approval_found));
        let open = self.approvals.get(id);
        let record = open.or(stored).filter(is_own).ok_or_else(|| {
            Rejection::new(
                Reason::NotFound,
                format!("there is no ticket `{ticket}` for a model call"),
            )
        })?;
        let state = record.approval.as_ref().map(Approval::state).unwrap_or_default();
        if open.is_none() && matches!(state, ApprovalState::Pending | ApprovalState::Approved) {
            // It ended between the look-up and now; the next look-up finds how.
            let message = "how the approval ended is being written, try again";
            return Err(Rejection::new(Reason::StoreUnavailable, message).retry_after(WRITTEN_RETRY_NANOS));
        }
        Ok(record.clone())
    }

    fn found_model_call(&self, now: i64, id: ApprovalId, record: ApprovalRecord) -> Option<FoundCall> {
        let approval = record.approval.as_ref()?;
        let asked = record.model_call.clone().unwrap_or_default();
        let waiting =
            keys::invocation_id(&record.call).and_then(|id| Some((id, self.open.get(&id).and_then(Open::decode)?)));
        Some(FoundCall {
            agreed: AgreedCall {
                approval: approval.name.clone(),
                state: state_at(now, &record, approval) as i32,
                votes: counting(approval),
                escalated_to: if approval.escalated_from.is_empty() {
                    String::new()
                } else {
                    approval.tier.clone()
                },
                escalated_from: approval.escalated_from.clone(),
                models: asked.models,
                max_output_tokens: asked.max_output_tokens,
                price: approval.price,
                budgets: asked.budgets,
            },
            id,
            record,
            waiting,
        })
    }
}

/// The state at a time: what has its time behind it is over, though no sweep has come by yet. Nothing is written here; one
/// that another tier is to be asked about is still pending.
fn state_at(now: i64, record: &ApprovalRecord, approval: &Approval) -> ApprovalState {
    let is_over = now >= expires_at(record);
    match approval.state() {
        ApprovalState::Pending if is_over && approval.escalates_to.is_empty() => ApprovalState::Expired,
        ApprovalState::Approved if is_over => ApprovalState::Expired,
        state => state,
    }
}
