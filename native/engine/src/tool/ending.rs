//! How calls end: by a report, by people, or by their time.
use fairlead_wire::internal::ToolCallRecord;
use fairlead_wire::v1::{EventKind, ToolCallState, ToolCompletionRecord, ToolOutcome, audit_record::Body};
use prost::Message;

use crate::approval::ApprovalChange;
use crate::command::Caller;
use crate::engine::{Engine, UnitBuilder};
use crate::keys::{self, ToolCallId};
use crate::unit::{Write, family};

impl Engine {
    /// A grant that nobody completed in time: from now on nobody knows whether the call has happened.
    pub(crate) fn expire_call(&mut self, unit: &mut UnitBuilder, now: i64, id: &ToolCallId) {
        let Some(mut call) = self.tools.take_call(id) else {
            return;
        };
        let before = call.state();
        call.set_state(ToolCallState::Unknown);
        let (tenant, agent) = (call.tenant.clone(), call.agent.clone());
        let record = ToolCompletionRecord {
            tool: call.tool.clone(),
            idempotency_key: call.idempotency_key.clone(),
            outcome: ToolOutcome::Unknown as i32,
            before: before as i32,
            reason: "not completed before its time: nobody knows whether it has happened".to_owned(),
            ..ToolCompletionRecord::default()
        };
        let mut audit = self.record(
            now,
            EventKind::ToolCompleted,
            Caller::agent(&tenant, &agent),
            &call.call,
        );
        audit.body = Some(Body::ToolCompleted(record));
        unit.append(&mut self.chain, audit);
        close_call(unit, now, id, call);
    }

    /// The approval that a call waits for has changed: the call ends with it, or waits to be asked for again.
    pub(crate) fn end_waiting_call(&mut self, unit: &mut UnitBuilder, now: i64, call: &str, change: ApprovalChange) {
        let state = match change {
            ApprovalChange::Rejected => ToolCallState::Rejected,
            ApprovalChange::Expired => ToolCallState::Expired,
            ApprovalChange::Approved | ApprovalChange::Edited | ApprovalChange::Escalated => return,
        };
        if let Some(id) = keys::tool_call_id(call)
            && let Some(mut call) = self.tools.take_call(&id)
        {
            call.set_state(state);
            call.sequences.extend(unit.sequences.last());
            close_call(unit, now, &id, call);
        }
    }
}

/// An open call as it is stored.
pub(super) fn write_call(unit: &mut UnitBuilder, id: &ToolCallId, call: &ToolCallRecord) {
    let key = keys::open_tool_call(&call.tenant, id);
    unit.writes.push(Write::put(family::STATE, key, call.encode_to_vec()));
}

/// Moves a call's record to where the ended ones are; its state is the one that it ended in.
pub(super) fn close_call(unit: &mut UnitBuilder, now: i64, id: &ToolCallId, mut call: ToolCallRecord) {
    call.end_time_unix_nanos = now;
    call.sequences.extend(unit.sequences.last());
    call.sequences.dedup();
    unit.writes
        .push(Write::delete(family::STATE, keys::open_tool_call(&call.tenant, id)));
    let key = keys::tool_call(&call.tenant, id);
    unit.writes.push(Write::put(family::TOOLS, key, call.encode_to_vec()));
}
