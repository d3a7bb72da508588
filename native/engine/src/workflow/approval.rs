//! What people say about steps.
use fairlead_wire::internal::ApprovalRecord;
use fairlead_wire::v1::{Approval, ApprovalDecision, ApprovalSubject, ResolutionOutcome};
use fairlead_workflow::run::{Event, Resolution, Verdict};

use crate::approval::ApprovalChange;
use crate::engine::{Engine, UnitBuilder};
use crate::erasable;
use crate::keys;

/// What people said in the end.
#[derive(Clone, Copy)]
enum Said {
    Yes,
    No,
    Nothing,
}

impl Engine {
    /// Tells a step that its approval has changed, in the unit of the change.
    pub(crate) fn step_approval_changed(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        record: &ApprovalRecord,
        change: ApprovalChange,
    ) {
        let Some(approval) = &record.approval else { return };
        let Some(id) = keys::run_id(&approval.run) else { return };
        let Some(key) = self.runs.get(&id).and_then(|open| open.run.find(&approval.step)) else {
            return;
        };
        let name = approval.name.strip_prefix("approvals/").unwrap_or(&approval.name);
        let voters = |decision: ApprovalDecision| -> Vec<String> {
            let said = approval.votes.iter().filter(|vote| vote.decision() == decision);
            said.map(|vote| vote.operator.clone()).collect()
        };
        let reason = approval
            .votes
            .iter()
            .rev()
            .find(|vote| vote.decision() == ApprovalDecision::Reject)
            .map_or("", |vote| vote.reason.as_str());
        // The result of a step is the run's content, which has the text; what failed has what can be erased.
        let text = erasable::text_of(&unit.writes, reason);
        let (said, by) = match change {
            ApprovalChange::Approved => (Said::Yes, voters(ApprovalDecision::Approve)),
            ApprovalChange::Rejected => (Said::No, voters(ApprovalDecision::Reject)),
            ApprovalChange::Expired => (Said::Nothing, Vec::new()),
            // It is still pending.
            ApprovalChange::Edited | ApprovalChange::Escalated => return,
        };
        let event = if approval.subject() == ApprovalSubject::UnknownStep {
            Event::Resolved {
                key,
                approval: name,
                resolution: match said {
                    Said::Yes => resolution(approval),
                    Said::No => Resolution::Stop { reason },
                    Said::Nothing => Resolution::Stop {
                        reason: "nobody said in time what became of it",
                    },
                },
            }
        } else {
            Event::Approval {
                key,
                approval: name,
                verdict: match said {
                    Said::Yes => Verdict::Approved {
                        document: &approval.arguments,
                        by: &by,
                    },
                    Said::No => Verdict::Rejected {
                        reason,
                        text: text.as_deref().unwrap_or(reason),
                        by: &by,
                    },
                    Said::Nothing => Verdict::Expired,
                },
            }
        };
        // A refusal says that the run has moved on: the decision has nothing to change there.
        let _ = self.drive(unit, now, &id, &event);
    }
}

/// What people who agreed said became of the attempt.
fn resolution(approval: &Approval) -> Resolution<'_> {
    match &approval.resolution {
        Some(said) if said.outcome() == ResolutionOutcome::Happened => Resolution::Happened { output: &said.result },
        Some(said) if said.outcome() == ResolutionOutcome::DidNotHappen => Resolution::DidNotHappen,
        // A vote without it is refused; fail closed all the same.
        _ => Resolution::Stop {
            reason: "nobody said what became of it",
        },
    }
}
