//! Completion: how a granted call ended, told once.
use std::sync::Arc;

use fairlead_plan::UnixNanos;
use fairlead_wire::internal::{Known, NeedsRecord, ToolCallRecord};
use fairlead_wire::v1::{
    CompleteToolRequest, CompleteToolResponse, EventKind, ToolCallState, ToolCompletionRecord, ToolOutcome,
    audit_record::Body,
};
use sha2::{Digest, Sha256};

use super::ending::close_call;
use super::request;
use crate::command::{Applied, Caller, Refusal};
use crate::digest;
use crate::engine::{Engine, UnitBuilder};
use crate::keys::{self, ToolCallId};
use crate::rejection::{Reason, Rejection};
use crate::replay::reused_request_id;
use crate::share::Bound;

impl Engine {
    /// Records how a granted call ended. A result that is small enough is kept and given again to whoever comes with the
    /// same key. After an unknown outcome a completion may still tell, once, unless another call was granted since.
    pub fn complete_tool(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &CompleteToolRequest,
        known: Option<&Known>,
    ) -> Applied<CompleteToolResponse> {
        match self.try_complete(now, caller, request, known) {
            Ok(applied) => applied,
            Err(refusal) => Applied::refused(refusal),
        }
    }

    fn try_complete(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        request: &CompleteToolRequest,
        known: Option<&Known>,
    ) -> Result<Applied<CompleteToolResponse>, Refusal> {
        let now = self.tick(now)?;
        request::complete(request, self.compiled.limits().tool_result_bytes)?;
        let id = keys::tool_call_id(&request.grant).ok_or_else(|| not_found(&request.grant))?;
        let mut unit = UnitBuilder::new();
        let mut call = self.find_call(caller, &id, &request.grant, known)?;
        if call.state() == ToolCallState::Open && now >= call.expires_at_unix_nanos {
            self.expire_call(&mut unit, now, &id);
            call.set_state(ToolCallState::Unknown);
            call.sequences.extend(unit.sequences.last());
        }
        let digest = digest::without_request_id(request, &request.request_id);
        let is_correction = call.state() == ToolCallState::Unknown && call.superseded_by.is_empty();
        let tells = request.outcome() != ToolOutcome::Unknown;
        if call.state() != ToolCallState::Open && !(is_correction && tells) {
            let outcome = told_before(&call, request, &digest);
            if unit.writes.is_empty() {
                return outcome.map(Applied::replay).map_err(Refusal::from);
            }
            let unit = self.finish(unit);
            return Ok(match outcome {
                Ok(reply) => Applied::done(reply, Some(unit)),
                Err(rejection) => Applied::recorded(rejection, unit),
            });
        }
        // INVARIANT (S1): the session may have been forgotten while the call was under way. Where there is no room the book
        // grows beyond its bound, by one session for each open call at most: an outcome is not lost for that.
        let compiled = Arc::clone(&self.compiled);
        let labels = &compiled.tool(&call.tool).session_labels;
        if !labels.is_empty() && !call.session.is_empty() {
            let bound = Bound::new(&compiled, "sessions", compiled.limits().sessions);
            self.sessions
                .make_room(now, caller.tenant, &call.session, &bound, &mut unit.writes);
            self.label(&mut unit, now, caller.tenant, &call.session, labels);
        }
        let reply = CompleteToolResponse {
            session_labels: self.sessions.labels(now, caller.tenant, &call.session).to_vec(),
        };
        let before = call.state();
        self.tools.take_call(&id);
        call.set_state(match request.outcome() {
            ToolOutcome::Succeeded => ToolCallState::Succeeded,
            ToolOutcome::Failed => ToolCallState::Failed,
            ToolOutcome::Unknown | ToolOutcome::Unspecified => ToolCallState::Unknown,
        });
        self.keep_result(&mut call, request);
        call.end_request_id.clone_from(&request.request_id);
        call.end_request_digest = digest.to_vec();
        call.completed = Some(reply.clone());
        let mut audit = self.record(now, EventKind::ToolCompleted, caller, &call.call);
        audit.body = Some(Body::ToolCompleted(ToolCompletionRecord {
            tool: call.tool.clone(),
            idempotency_key: call.idempotency_key.clone(),
            outcome: request.outcome,
            before: before as i32,
            result_digest: call.result_digest.clone(),
            result_bytes: call.result_bytes,
            result_kept: !call.result.is_empty(),
            reason: String::new(),
        }));
        unit.append(&mut self.chain, audit);
        unit.writes
            .extend(self.sessions.touch(now, caller.tenant, &call.session));
        close_call(&mut unit, now, &id, call);
        let unit = self.finish(unit);
        Ok(Applied::done(reply, Some(unit)))
    }

    fn find_call(
        &self,
        caller: Caller<'_>,
        id: &ToolCallId,
        name: &str,
        known: Option<&Known>,
    ) -> Result<ToolCallRecord, Refusal> {
        let is_own = |call: &&ToolCallRecord| call.tenant == caller.tenant && call.agent == caller.agent;
        // A call that waits for people has no grant yet.
        let is_granted = |call: &&ToolCallRecord| call.grant_time_unix_nanos > 0;
        if let Some(call) = self.tools.call(id) {
            let found = Some(call).filter(is_own).filter(is_granted);
            return found.cloned().ok_or_else(|| not_found(name).into());
        }
        let Some(known) = known else {
            return Err(Refusal::NeedsRecord(NeedsRecord {
                call_key: keys::tool_call(caller.tenant, id),
                ..NeedsRecord::default()
            }));
        };
        let call = known.call.as_ref().filter(|call| known.call_found && call.call == name);
        call.filter(is_own)
            .filter(is_granted)
            .cloned()
            .ok_or_else(|| not_found(name).into())
    }

    fn keep_result(&self, call: &mut ToolCallRecord, request: &CompleteToolRequest) {
        call.result_bytes = i64::try_from(request.result.len()).unwrap_or(i64::MAX);
        call.result_digest = if request.result.is_empty() {
            Vec::new()
        } else {
            Sha256::digest(&request.result).to_vec()
        };
        let is_small = request.result.len() as u64 <= self.compiled.limits().tool_result_bytes;
        call.result = if is_small && request.outcome() == ToolOutcome::Succeeded {
            request.result.clone()
        } else {
            Vec::new()
        };
    }
}

/// The answer to a completion of a call that has ended: the first one again when it says the same, else a refusal.
fn told_before(
    call: &ToolCallRecord,
    request: &CompleteToolRequest,
    digest: &[u8; 32],
) -> Result<CompleteToolResponse, Rejection> {
    let said = match call.state() {
        ToolCallState::Succeeded => ToolOutcome::Succeeded,
        ToolCallState::Failed => ToolOutcome::Failed,
        _ => ToolOutcome::Unknown,
    };
    if call.end_request_id == request.request_id && call.end_request_digest != digest {
        return Err(reused_request_id());
    }
    let result = if request.result.is_empty() {
        Vec::new()
    } else {
        Sha256::digest(&request.result).to_vec()
    };
    if said == request.outcome() && result == call.result_digest && call.superseded_by.is_empty() {
        return Ok(call.completed.clone().unwrap_or_default());
    }
    let name = call.state().as_str_name();
    let state = name.strip_prefix("TOOL_CALL_STATE_").unwrap_or(name);
    let message = if call.superseded_by.is_empty() {
        format!("the call is {state}: it ends once")
    } else {
        "another call with this key was granted since: complete that one".to_owned()
    };
    let rejection = Rejection::new(Reason::InvalidState, message)
        .with("state", state)
        .with("grant", &call.call);
    Err(if call.superseded_by.is_empty() {
        rejection
    } else {
        rejection.with("superseded_by", &call.superseded_by)
    })
}

/// Not there, not granted, or another agent's: the answer is the same.
fn not_found(name: &str) -> Rejection {
    Rejection::new(Reason::NotFound, format!("there is no grant `{name}`"))
}
