//! Escalation: nobody decided in time, so another tier is asked.
//!
//! What people are shown stays, and so do their votes: who has a role of the new tier has said what there is to say. When
//! these are all whom the new tier asks for the approval is approved, by their votes and not by the time. Tiers do not
//! escalate in a circle, which is checked when they are loaded; whom the new tier asks is looked up when it is asked.
use std::sync::Arc;

use fairlead_plan::tool::approval::missing;
use fairlead_wire::v1::{ApprovalState, EventKind};

use super::decide::counting;
use super::ending::{Says, write_approval};
use super::subject::ApprovalChange;
use crate::admit::timestamp;
use crate::command::Caller;
use crate::engine::{Engine, UnitBuilder};
use crate::keys::ApprovalId;

impl Engine {
    /// Asks the next tier; false when there is none, or people have agreed and only their agent did not come back.
    pub(super) fn escalate_approval(&mut self, unit: &mut UnitBuilder, now: i64, id: &ApprovalId) -> bool {
        let compiled = Arc::clone(&self.compiled);
        let Some(approval) = self.approvals.get(id).and_then(|record| record.approval.as_ref()) else {
            return false;
        };
        let Some(tier) = compiled.tier(&approval.escalates_to) else {
            return false;
        };
        if approval.state() != ApprovalState::Pending {
            return false;
        }
        let Some(mut record) = self.approvals.take(id) else {
            return false;
        };
        let mut approval = record.approval.take().unwrap_or_default();
        let previous = std::mem::replace(&mut approval.tier, tier.name().to_owned());
        approval.escalated_from.push(previous.clone());
        approval.require = tier.require();
        approval.missing = missing(&approval.require, &counting(&approval));
        tier.escalates_to().clone_into(&mut approval.escalates_to);
        approval.expire_time = Some(timestamp(now.saturating_add(tier.expires_after_nanos())));
        let says = Says {
            previous_tier: &previous,
            ..Says::of(EventKind::ApprovalEscalated, "nobody decided in time")
        };
        self.append_approval(unit, now, Caller::sidecar(), &approval, &record.call, says);
        record.sequences.extend(unit.sequences.last());
        let is_approved = approval.missing.is_empty();
        if is_approved {
            approval.set_state(ApprovalState::Approved);
            let reason = "everybody whom the new tier asks for has agreed before";
            let says = Says::of(EventKind::ApprovalEnded, reason);
            self.append_approval(unit, now, Caller::sidecar(), &approval, &record.call, says);
            record.sequences.extend(unit.sequences.last());
        }
        record.approval = Some(approval);
        write_approval(unit, id, &record);
        self.approvals.put(*id, record.clone());
        self.follow_approval(unit, now, &record, ApprovalChange::Escalated);
        if is_approved {
            self.follow_approval(unit, now, &record, ApprovalChange::Approved);
        }
        true
    }
}
