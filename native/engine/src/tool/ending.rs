//! How calls and approvals end: by a report, by people, or by their time.
use fairlead_wire::internal::{ApprovalRecord, ToolCallRecord};
use fairlead_wire::v1::{
    Approval, ApprovalEvent, ApprovalState, ApprovalVote, EventKind, ToolCallState, ToolCompletionRecord, ToolOutcome,
    audit_record::Body,
};
use prost::Message;

use super::book::Due;
use crate::admit::timestamp;
use crate::command::Caller;
use crate::engine::{Engine, UnitBuilder};
use crate::keys::{self, ApprovalId, ToolCallId};
use crate::unit::{Write, family};

impl Engine {
    /// Ends what has its time behind it.
    pub(crate) fn expire_tool(&mut self, unit: &mut UnitBuilder, now: i64, due: Due) {
        match due {
            Due::Call(id) => self.lose_call(unit, now, &id),
            Due::Approval(id) => self.end_approval(
                unit,
                now,
                &id,
                ApprovalState::Expired,
                Caller::sidecar(),
                "nobody decided, or nobody came back with the ticket, before its time",
            ),
        }
    }

    /// A grant that nobody completed: from now on nobody knows whether the call has happened.
    fn lose_call(&mut self, unit: &mut UnitBuilder, now: i64, id: &ToolCallId) {
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

    /// Ends an approval; the call that waits for it ends with it, unless it is consumed or replaced.
    pub(super) fn end_approval(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        id: &ApprovalId,
        state: ApprovalState,
        caller: Caller<'_>,
        reason: &str,
    ) {
        let Some(mut record) = self.tools.take_approval(id) else {
            return;
        };
        let mut approval = record.approval.take().unwrap_or_default();
        approval.set_state(state);
        approval.end_time = Some(timestamp(now));
        let call = record.call.clone();
        self.append_approval(
            unit,
            now,
            caller,
            EventKind::ApprovalEnded,
            &approval,
            &call,
            None,
            reason,
        );
        unit.writes
            .push(Write::delete(family::STATE, keys::open_approval(&approval.tenant, id)));
        record.approval = Some(approval);
        record.sequences.extend(unit.sequences.last());
        unit.writes.push(Write::put(
            family::APPROVALS,
            keys::approval(id),
            record.encode_to_vec(),
        ));
        let ends_call = match state {
            ApprovalState::Rejected => Some(ToolCallState::Rejected),
            ApprovalState::Expired if record.superseded_by.is_empty() => Some(ToolCallState::Expired),
            _ => None,
        };
        if let Some(state) = ends_call
            && let Some(id) = keys::tool_call_id(&call)
            && let Some(mut call) = self.tools.take_call(&id)
        {
            call.set_state(state);
            call.sequences.extend(unit.sequences.last());
            close_call(unit, now, &id, call);
        }
    }

    /// Appends a record about an approval, which belongs to the tenant and the agent that asked.
    #[expect(clippy::too_many_arguments, reason = "the parts of one record")]
    pub(super) fn append_approval(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        caller: Caller<'_>,
        kind: EventKind,
        approval: &Approval,
        call: &str,
        vote: Option<ApprovalVote>,
        reason: &str,
    ) {
        let caller = Caller {
            tenant: &approval.tenant,
            agent: &approval.agent,
            operator: caller.operator,
        };
        let mut audit = self.record(now, kind, caller, call);
        audit.body = Some(Body::Approval(ApprovalEvent {
            approval: approval.name.clone(),
            tool: approval.tool.clone(),
            digest: approval.digest.clone(),
            rule: approval.rule.clone(),
            tier: approval.tier.clone(),
            vote,
            state: approval.state,
            missing: approval.missing.clone(),
            reason: reason.to_owned(),
        }));
        unit.append(&mut self.chain, audit);
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

/// An open approval as it is stored: with the state, and where people look for it.
pub(super) fn write_approval(unit: &mut UnitBuilder, id: &ApprovalId, record: &ApprovalRecord) {
    let tenant = record.approval.as_ref().map_or("", |approval| &approval.tenant);
    let value = record.encode_to_vec();
    unit.writes.push(Write::put(
        family::STATE,
        keys::open_approval(tenant, id),
        value.clone(),
    ));
    unit.writes
        .push(Write::put(family::APPROVALS, keys::approval(id), value));
}
