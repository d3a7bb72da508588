//! Asking people.
use std::collections::BTreeMap;

use fairlead_plan::tool::Tier;
use fairlead_wire::internal::{ApprovalRecord, AskedCall};
use fairlead_wire::v1::{
    Amount, Approval, ApprovalQuorum, ApprovalState, ApprovalSubject, EventKind, ToolEffect, ToolRisk,
};

use super::document::{self, Document};
use super::ending::{Says, write_approval};
use crate::admit::timestamp;
use crate::command::Caller;
use crate::engine::{Engine, UnitBuilder};
use crate::keys::{self, ApprovalId};
use crate::rejection::Rejection;

/// A question to people.
#[derive(Debug, Clone)]
pub(crate) struct NewApproval<'a> {
    /// What it is about, which decides what follows from the answer.
    pub subject: ApprovalSubject,
    pub tenant: &'a str,
    /// Empty when an operator asks.
    pub agent: &'a str,
    /// Who asked, such as the operator who started the run. INVARIANT (A3): that operator does not vote.
    pub requested_by_operator: Option<&'a str>,
    /// W3C trace context of the call that asks, or of the run; empty when there is none.
    pub traceparent: &'a str,
    pub session: &'a str,
    pub run: &'a str,
    pub step: &'a str,
    /// The tool; the title of a step.
    pub tool: &'a str,
    /// Exactly what people are shown.
    pub document: &'a Document,
    pub idempotency_key: &'a str,
    /// The rule that asks; empty when a definition does.
    pub rule: &'a str,
    pub tier: &'a Tier,
    /// What it costs at most, when that is known.
    pub price: Option<Amount>,
    /// What waits for it.
    pub waiting: Waiting<'a>,
}

/// What waits for an approval, beside what it says of itself.
#[derive(Debug, Clone)]
pub(crate) enum Waiting<'a> {
    /// A step, which the approval names.
    Step,
    ToolCall(WaitingToolCall<'a>),
    ModelCall(WaitingModelCall<'a>),
}

/// The model call that waits for an approval.
#[derive(Debug, Clone)]
pub(crate) struct WaitingModelCall<'a> {
    /// Name of its invocation.
    pub invocation: &'a str,
    /// SHA-256 of the request and its content.
    pub digest: &'a [u8],
    /// All who have to agree, which may be more than the tier asks for.
    pub require: &'a [ApprovalQuorum],
    pub asked: AskedCall,
}

/// The tool call that waits for an approval.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WaitingToolCall<'a> {
    /// Its name.
    pub call: &'a str,
    /// SHA-256 of the canonical arguments as requested.
    pub arguments_digest: &'a [u8],
    /// The arguments as requested, when people are shown others.
    pub requested: &'a [u8],
    /// JSON pointers of what rules changed in them.
    pub changed: &'a [String],
    /// True when people changed them before.
    pub edited: bool,
    /// Labels of the call.
    pub labels: &'a BTreeMap<String, String>,
    pub effect: ToolEffect,
    pub risk: ToolRisk,
}

impl Engine {
    /// Whether one more approval may be opened, which shows people so many bytes. Ask before the command changes anything.
    ///
    /// # Errors
    /// `limits.openApprovals` is reached.
    pub(crate) fn has_room_for_approval(&self, tenant: &str, bytes: usize) -> Result<(), Rejection> {
        self.approvals.has_room(&self.compiled, tenant, bytes)
    }

    /// Asks people; the caller has made sure that there is room. What they say comes to
    /// [`follow_approval`](Self::follow_approval), in the unit in which they say it.
    pub(crate) fn open_approval(&mut self, unit: &mut UnitBuilder, now: i64, new: NewApproval<'_>) -> ApprovalId {
        let id = self.new_approval_id(now);
        self.open_approval_as(unit, now, id, new);
        id
    }

    /// The id that the next approval gets. Opening it, or any other record before the next call, makes it taken.
    pub(crate) fn new_approval_id(&self, now: i64) -> ApprovalId {
        keys::new_id(now, self.chain.head(), "approval")
    }

    /// As [`open_approval`](Self::open_approval), with an id that the caller has put into a record.
    pub(crate) fn open_approval_as(&mut self, unit: &mut UnitBuilder, now: i64, id: ApprovalId, new: NewApproval<'_>) {
        let mut approval = Approval {
            name: format!("approvals/{}", keys::approval_name(&id)),
            tenant: new.tenant.to_owned(),
            agent: new.agent.to_owned(),
            session: new.session.to_owned(),
            traceparent: new.traceparent.to_owned(),
            run: new.run.to_owned(),
            step: new.step.to_owned(),
            tool: new.tool.to_owned(),
            arguments: new.document.bytes.clone(),
            config_version: self.compiled.version().to_owned(),
            rule: new.rule.to_owned(),
            tier: new.tier.name().to_owned(),
            require: new.tier.require(),
            state: ApprovalState::Pending as i32,
            create_time: Some(timestamp(now)),
            expire_time: Some(timestamp(now.saturating_add(new.tier.expires_after_nanos()))),
            idempotency_key: new.idempotency_key.to_owned(),
            subject: new.subject as i32,
            price: new.price,
            requested_by_operator: new.requested_by_operator.unwrap_or_default().to_owned(),
            escalates_to: new.tier.escalates_to().to_owned(),
            ..Approval::default()
        };
        let mut record = ApprovalRecord::default();
        let is_recorded = matches!(new.waiting, Waiting::ToolCall(_));
        match new.waiting {
            Waiting::Step => {}
            Waiting::ToolCall(call) => {
                approval.set_effect(call.effect);
                approval.set_risk(call.risk);
                approval.requested_arguments = call.requested.to_vec();
                approval.changed = call.changed.to_vec();
                call.call.clone_into(&mut record.call);
                record.arguments_digest = call.arguments_digest.to_vec();
                record.edited = call.edited;
                record.labels = call.labels.clone();
            }
            Waiting::ModelCall(call) => {
                approval.require = call.require.to_vec();
                call.invocation.clone_into(&mut record.call);
                record.arguments_digest = call.digest.to_vec();
                record.model_call = Some(call.asked);
            }
        }
        approval.missing.clone_from(&approval.require);
        approval.digest = document::digest(&approval, &new.document.canonical);
        // A tool call's own record says that people are asked.
        if !is_recorded {
            let says = Says::of(EventKind::ApprovalOpened, "");
            let caller = Caller::operator(&approval.requested_by_operator);
            self.append_approval(unit, now, caller, &approval, &record.call, says);
        }
        record.sequences = unit.sequences.last().copied().into_iter().collect();
        record.approval = Some(approval);
        write_approval(unit, &id, &record);
        self.approvals.put(id, record);
    }
}
