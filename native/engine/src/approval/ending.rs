//! How approvals end: by people, by their time, because they are used, or because nobody needs them any more.
use fairlead_wire::internal::ApprovalRecord;
use fairlead_wire::v1::{Approval, ApprovalEvent, ApprovalState, ApprovalVote, EventKind, audit_record::Body};
use prost::Message;
use sha2::{Digest, Sha256};

use super::subject::ApprovalChange;
use crate::admit::timestamp;
use crate::command::Caller;
use crate::engine::{Engine, UnitBuilder};
use crate::keys::{self, ApprovalId};
use crate::unit::{Write, family};

/// What a record about an approval says.
#[derive(Debug)]
pub(super) struct Says<'a> {
    pub kind: EventKind,
    pub vote: Option<ApprovalVote>,
    /// Of an edit: the digest before it.
    pub previous_digest: &'a str,
    /// Of an edit or escalation to another tier: the tier before it.
    pub previous_tier: &'a str,
    /// Why, when nobody voted.
    pub reason: &'a str,
}

impl<'a> Says<'a> {
    /// Something that nobody voted on.
    pub(super) fn of(kind: EventKind, reason: &'a str) -> Self {
        Self {
            kind,
            vote: None,
            previous_digest: "",
            previous_tier: "",
            reason,
        }
    }
}

impl Engine {
    /// The time of an approval has come: another tier is asked, or it ends.
    pub(crate) fn expire_approval(&mut self, unit: &mut UnitBuilder, now: i64, id: &ApprovalId) {
        if self.escalate_approval(unit, now, id) {
            return;
        }
        let reason = "nobody decided, or nobody came back with the ticket, before its time";
        self.end_approval(unit, now, id, ApprovalState::Expired, Caller::sidecar(), reason);
    }

    /// INVARIANT (A1): an approval is used up in the unit that begins what was agreed to: it leaves the book here.
    pub(crate) fn consume_approval(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        id: &ApprovalId,
        caller: Caller<'_>,
        reason: &str,
    ) {
        self.end_approval(unit, now, id, ApprovalState::Consumed, caller, reason);
    }

    /// Ends an approval whose question nobody asks any more, such as when its run was cancelled. Whoever calls deals with
    /// what was asked about.
    pub(crate) fn withdraw_approval(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        id: &ApprovalId,
        caller: Caller<'_>,
        reason: &str,
    ) {
        self.end_approval(unit, now, id, ApprovalState::Withdrawn, caller, reason);
    }

    /// Ends an approval; what waits for it follows.
    pub(super) fn end_approval(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        id: &ApprovalId,
        state: ApprovalState,
        caller: Caller<'_>,
        reason: &str,
    ) {
        let Some(mut record) = self.approvals.take(id) else {
            return;
        };
        let mut approval = record.approval.take().unwrap_or_default();
        approval.set_state(state);
        approval.end_time = Some(timestamp(now));
        let says = Says::of(EventKind::ApprovalEnded, reason);
        self.append_approval(unit, now, caller, &approval, &record.call, says);
        unit.writes
            .push(Write::delete(family::STATE, keys::open_approval(&approval.tenant, id)));
        record.approval = Some(approval);
        record.sequences.extend(unit.sequences.last());
        let key = keys::approval(id);
        unit.writes
            .push(Write::put(family::APPROVALS, key, record.encode_to_vec()));
        let change = match state {
            ApprovalState::Rejected => Some(ApprovalChange::Rejected),
            // What waits goes on waiting, for the approval that took the place of this one.
            ApprovalState::Expired if record.superseded_by.is_empty() => Some(ApprovalChange::Expired),
            _ => None,
        };
        if let Some(change) = change {
            self.follow_approval(unit, now, &record, change);
        }
    }

    /// An approval gives way to another one about the same; what waits does not end with it.
    pub(crate) fn supersede_approval(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        old: &ApprovalId,
        by: &ApprovalId,
        caller: Caller<'_>,
        reason: &str,
    ) {
        if let Some(mut replaced) = self.approvals.take(old) {
            replaced.superseded_by = keys::approval_name(by);
            self.approvals.put(*old, replaced);
            self.end_approval(unit, now, old, ApprovalState::Expired, caller, reason);
        }
    }

    /// Appends a record about an approval, which belongs to the tenant and the agent that asked; `call` is the tool call
    /// that waits.
    pub(super) fn append_approval(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        caller: Caller<'_>,
        approval: &Approval,
        call: &str,
        says: Says<'_>,
    ) {
        let caller = Caller {
            tenant: &approval.tenant,
            agent: &approval.agent,
            operator: caller.operator,
            traceparent: &approval.traceparent,
        };
        let mut audit = self.record(now, says.kind, caller, call);
        let resolution = approval.resolution.as_ref().filter(|_| says.vote.is_some());
        let result = resolution.map_or(&[][..], |one| &one.result);
        audit.body = Some(Body::Approval(ApprovalEvent {
            approval: approval.name.clone(),
            tool: approval.tool.clone(),
            digest: approval.digest.clone(),
            rule: approval.rule.clone(),
            tier: approval.tier.clone(),
            vote: says.vote,
            state: approval.state,
            missing: approval.missing.clone(),
            reason: says.reason.to_owned(),
            subject: approval.subject,
            run: approval.run.clone(),
            step: approval.step.clone(),
            previous_digest: says.previous_digest.to_owned(),
            previous_tier: says.previous_tier.to_owned(),
            resolution: resolution.map_or(0, |one| one.outcome),
            result_digest: if result.is_empty() {
                Vec::new()
            } else {
                Sha256::digest(result).to_vec()
            },
        }));
        unit.append(&mut self.chain, audit);
    }
}

/// An open approval as it is stored: with the state, and where people look for it.
pub(super) fn write_approval(unit: &mut UnitBuilder, id: &ApprovalId, record: &ApprovalRecord) {
    let tenant = record.approval.as_ref().map_or("", |approval| &approval.tenant);
    let value = record.encode_to_vec();
    let key = keys::open_approval(tenant, id);
    unit.writes.push(Write::put(family::STATE, key, value.clone()));
    unit.writes
        .push(Write::put(family::APPROVALS, keys::approval(id), value));
}
