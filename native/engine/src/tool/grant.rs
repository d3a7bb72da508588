//! What an authorisation changes: a grant, a question to people, a refusal.
use std::sync::Arc;

use fairlead_plan::tool::{GrantedArguments, Tier};
use fairlead_plan::{Compiled, millis_to_nanos};
use fairlead_wire::internal::{ApprovalRecord, ToolCallRecord, ToolKeyRecord};
use fairlead_wire::v1::{
    ApprovalSubject, AuthorizeToolResponse, EventKind, ToolCallState, ToolConstraints, ToolDecisionRecord, ToolGranted,
    ToolPending,
};
use prost::Message;

use super::authorize::{Call, Found};
use super::ending::write_call;
use crate::admit::{merged_labels, timestamp};
use crate::approval::{Document, NewApproval, Waiting, WaitingToolCall};
use crate::command::Applied;
use crate::engine::{Engine, UnitBuilder};
use crate::keys::{self, ApprovalId, ToolCallId};
use crate::rejection::Rejection;
use crate::unit::{Write, family};

/// How long to wait before asking for a pending approval again: 2 s.
const POLL_SECONDS: i64 = 2;

/// What a call will be made with: what people are shown of it, and what is granted.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) document: Document,
    /// The arguments as requested, when they are others; empty otherwise.
    pub(super) requested: Vec<u8>,
    /// JSON pointers of what rules changed, now or when people were asked.
    pub(super) changed: Vec<String>,
}

impl Shown {
    /// What rules leave of what people agreed to, or else of what was requested; byte for byte where they change nothing.
    pub(super) fn new(call: &Call<'_>, found: &Found, granted: GrantedArguments) -> Self {
        let asked = found.asked.as_ref().and_then(|record| record.approval.as_ref());
        let mut changed = asked.map_or_else(Vec::new, |approval| approval.changed.clone());
        changed.extend(granted.changed);
        changed.sort();
        changed.dedup();
        let document = match (granted.arguments, asked) {
            (Some(json), _) => Document {
                bytes: json.to_text().into_bytes(),
                canonical: json.canonical(),
            },
            (None, Some(approval)) => Document {
                bytes: approval.arguments.clone(),
                canonical: found.agreed.as_ref().unwrap_or(call.arguments).canonical.clone(),
            },
            (None, None) => call.arguments.document(),
        };
        let is_as_requested = document.canonical == call.arguments.canonical;
        Self {
            requested: if is_as_requested {
                Vec::new()
            } else {
                call.arguments.bytes.clone()
            },
            document,
            changed,
        }
    }

    /// Bytes that are in memory while people are asked.
    pub(super) fn bytes(&self) -> usize {
        self.document.bytes.len() + self.requested.len()
    }
}

impl Engine {
    pub(super) fn grant_tool(
        &mut self,
        unit: &mut UnitBuilder,
        compiled: &Compiled,
        call: &Call<'_>,
        found: &Found,
        granted: GrantedArguments,
        mut record: ToolDecisionRecord,
    ) -> ToolGranted {
        let (now, tenant, session) = (call.now, call.caller.tenant, &call.request.session);
        let (id, mut open) = self.call_record(compiled, call, found);
        open.set_state(ToolCallState::Open);
        open.grant_time_unix_nanos = now;
        open.expires_at_unix_nanos = now.saturating_add(millis_to_nanos(compiled.reservations().tool_ttl_millis));
        record.expires_at_unix_nanos = open.expires_at_unix_nanos;
        // INVARIANT (S1): from the grant on, since the call may happen at any time after it.
        let labels = &compiled.tool(&call.request.tool).session_labels;
        record.added_labels = self.label(unit, now, tenant, session, labels);
        let asked = found.asked.as_ref().and_then(|record| record.approval.as_ref());
        let is_as_agreed = granted.arguments.is_none();
        let shown = Shown::new(call, found, granted);
        if let Some(inputs) = &mut record.inputs {
            inputs.idempotency_key.clone_from(&open.idempotency_key);
        }
        self.append_decision_on(unit, call, EventKind::ToolAuthorized, &open.call, record);
        if let Some(approval) = keys::approval_id(&open.approval).filter(|_| asked.is_some()) {
            // INVARIANT (A1): it leaves the book in the unit of the grant.
            if is_as_agreed {
                let reason = "the approved call was granted";
                self.consume_approval(unit, now, &approval, call.caller, reason);
            } else {
                // INVARIANT (A4): this is not what people agreed to.
                let reason = "no rule asks for people any more, and rules change what they agreed to";
                self.withdraw_approval(unit, now, &approval, call.caller, reason);
            }
        }
        supersede(unit, found, &open.call);
        open.sequences.extend(&unit.sequences);
        open.sequences.dedup();
        let answer = ToolGranted {
            grant: open.call.clone(),
            idempotency_key: open.idempotency_key.clone(),
            arguments: if shown.requested.is_empty() {
                Vec::new()
            } else {
                shown.document.bytes.clone()
            },
            constraints: Some(ToolConstraints {
                arguments: shown.document.bytes,
                changed: shown.changed,
            }),
            expires_at: Some(timestamp(open.expires_at_unix_nanos)),
        };
        self.open_call(unit, id, open);
        answer
    }

    /// Gives a session labels, and says which of them are new. The caller has made room.
    pub(super) fn label(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        tenant: &str,
        session: &str,
        labels: &[String],
    ) -> Vec<String> {
        let has = self.sessions.labels(now, tenant, session);
        let added: Vec<String> = labels.iter().filter(|label| !has.contains(label)).cloned().collect();
        if added.is_empty() {
            unit.writes.extend(self.sessions.touch(now, tenant, session));
        } else {
            unit.writes.push(self.sessions.change(now, tenant, session, |one| {
                one.labels.extend(added.iter().cloned());
                one.labels.sort();
                one.labels.dedup();
            }));
        }
        added
    }

    pub(super) fn ask(
        &mut self,
        unit: &mut UnitBuilder,
        compiled: &Compiled,
        call: &Call<'_>,
        found: &Found,
        (tier, shown): (&Tier, &Shown),
        mut record: ToolDecisionRecord,
    ) -> ToolPending {
        let (now, caller, request) = (call.now, call.caller, call.request);
        let approval = self.new_approval_id(now);
        let (id, mut pending) = self.call_record(compiled, call, found);
        pending.set_state(ToolCallState::Pending);
        let tool = compiled.tool(&request.tool);
        // A call that was approved by too few: the new approval takes the place of the old one.
        if let Some(old) = keys::approval_id(&pending.approval) {
            let reason = "the policy asks for more people now, or changes what they agreed to";
            self.supersede_approval(unit, now, &old, &approval, caller, reason);
        }
        pending.approval = keys::approval_name(&approval);
        record.approval = format!("approvals/{}", pending.approval);
        let rule = record.decision.as_ref().map(|one| one.deciding_rule.clone());
        if let Some(inputs) = &mut record.inputs {
            inputs.idempotency_key.clone_from(&pending.idempotency_key);
        }
        self.append_decision_on(unit, call, EventKind::ToolPending, &pending.call, record);
        supersede(unit, found, &pending.call);
        pending.sequences.extend(&unit.sequences);
        let new = NewApproval {
            subject: ApprovalSubject::ToolCall,
            tenant: caller.tenant,
            agent: caller.agent,
            requested_by_operator: None,
            traceparent: caller.traceparent,
            session: &request.session,
            run: &request.run,
            step: &request.step,
            tool: &request.tool,
            document: &shown.document,
            idempotency_key: &pending.idempotency_key,
            rule: rule.as_deref().unwrap_or_default(),
            tier,
            price: None,
            waiting: Waiting::ToolCall(WaitingToolCall {
                call: &pending.call,
                arguments_digest: &call.arguments.digest,
                requested: &shown.requested,
                changed: &shown.changed,
                edited: found.asked.as_ref().is_some_and(|record| record.edited),
                labels: &merged_labels(compiled, caller, &request.labels),
                effect: tool.effect,
                risk: tool.risk,
            }),
        };
        self.open_approval_as(unit, now, approval, new);
        self.open_call(unit, id, pending);
        self.pending_on(&approval)
    }

    /// The ticket that was given before.
    pub(super) fn pending_again(&self, found: &Found) -> ToolPending {
        let waits_for = found
            .earlier
            .as_ref()
            .and_then(|earlier| keys::approval_id(&earlier.approval));
        waits_for.map_or_else(ToolPending::default, |id| self.pending_on(&id))
    }

    fn pending_on(&self, id: &ApprovalId) -> ToolPending {
        let record = self.approvals.get(id);
        record.map_or_else(ToolPending::default, |record| pending_answer(id, record))
    }

    pub(super) fn refuse(
        &mut self,
        call: &Call<'_>,
        found: &Found,
        rejection: Rejection,
        record: ToolDecisionRecord,
        mut unit: UnitBuilder,
    ) -> Applied<AuthorizeToolResponse> {
        // A call of its own in the log: what it came after stays as it is.
        let id = keys::new_id(call.now, self.chain.head(), "call");
        let name = keys::tool_call_name(&id);
        self.append_decision_on(&mut unit, call, EventKind::ToolRejected, &name, record);
        let compiled = Arc::clone(&self.compiled);
        let (_, fresh) = self.call_record(
            &compiled,
            call,
            &Found {
                key: found.key.clone(),
                ..Found::default()
            },
        );
        let refused = ToolCallRecord {
            call: name.clone(),
            state: ToolCallState::Rejected as i32,
            end_time_unix_nanos: call.now,
            sequences: unit.sequences.last().copied().into_iter().collect(),
            ..fresh
        };
        let key = keys::tool_call(call.caller.tenant, &id);
        unit.writes
            .push(Write::put(family::TOOLS, key, refused.encode_to_vec()));
        let unit = self.finish(unit);
        Applied::recorded(rejection.with("call", name), unit)
    }

    /// The record of the call: the one that waits, or a new one.
    pub(super) fn call_record(
        &self,
        compiled: &Compiled,
        call: &Call<'_>,
        found: &Found,
    ) -> (ToolCallId, ToolCallRecord) {
        let (request, tool) = (call.request, compiled.tool(&call.request.tool));
        let waiting = found
            .earlier
            .as_ref()
            .filter(|earlier| earlier.state() == ToolCallState::Pending);
        if let Some(waiting) = waiting
            && let Some(id) = keys::tool_call_id(&waiting.call)
        {
            let mut waiting = waiting.clone();
            waiting.set_effect(tool.effect);
            waiting.set_risk(tool.risk);
            compiled.version().clone_into(&mut waiting.config_version);
            return (id, waiting);
        }
        let id = keys::new_id(call.now, self.chain.head(), "call");
        let name = keys::tool_call_name(&id);
        let record = ToolCallRecord {
            tenant: call.caller.tenant.to_owned(),
            agent: call.caller.agent.to_owned(),
            tool: request.tool.clone(),
            arguments_digest: call.arguments.digest.to_vec(),
            idempotency_key: if found.key.is_empty() {
                name.clone()
            } else {
                found.key.clone()
            },
            call: name,
            effect: tool.effect as i32,
            risk: tool.risk as i32,
            session: request.session.clone(),
            run: request.run.clone(),
            step: request.step.clone(),
            create_time_unix_nanos: call.now,
            config_version: compiled.version().to_owned(),
            ..ToolCallRecord::default()
        };
        (id, record)
    }

    pub(super) fn open_call(&mut self, unit: &mut UnitBuilder, id: ToolCallId, record: ToolCallRecord) {
        write_call(unit, &id, &record);
        let named = ToolKeyRecord {
            call: record.call.clone(),
            idempotency_key: record.idempotency_key.clone(),
        };
        // INVARIANT (T1): in the store from the first unit of the call on.
        let key = keys::tool_key(&record.tenant, &record.idempotency_key);
        unit.writes.push(Write::put(family::TOOLS, key, named.encode_to_vec()));
        self.tools.put_call(id, record);
    }
}

fn pending_answer(id: &ApprovalId, record: &ApprovalRecord) -> ToolPending {
    let approval = record.approval.as_ref();
    ToolPending {
        ticket: keys::ticket_name(id),
        approval: approval.map(|approval| approval.name.clone()).unwrap_or_default(),
        expires_at: approval.and_then(|approval| approval.expire_time),
        poll_after: Some(prost_types::Duration {
            seconds: POLL_SECONDS,
            nanos: 0,
        }),
    }
}

/// INVARIANT (T1): once a call with the same key may follow, an unknown outcome can no longer become a success.
fn supersede(unit: &mut UnitBuilder, found: &Found, by: &str) {
    let unknown = found
        .earlier
        .as_ref()
        .filter(|earlier| earlier.state() == ToolCallState::Unknown);
    let Some(earlier) = unknown else { return };
    let Some(id) = keys::tool_call_id(&earlier.call) else {
        return;
    };
    let superseded = ToolCallRecord {
        superseded_by: by.to_owned(),
        ..earlier.clone()
    };
    let key = keys::tool_call(&earlier.tenant, &id);
    unit.writes
        .push(Write::put(family::TOOLS, key, superseded.encode_to_vec()));
}
