//! Edits: other arguments in the place of those that were shown.
//!
//! An edit makes another digest, so no vote before it counts any more. Of a tool call it goes through the rules of the
//! moment: they may deny it, change it further, and ask for other people. Its time does not begin anew, so that nothing
//! waits for ever by being edited.
use fairlead_plan::tool::Tier;
use fairlead_wire::internal::ApprovalRecord;
use fairlead_wire::v1::{Approval, ApprovalDecision, ApprovalQuorum, ApprovalSubject, ApprovalVote, EventKind};

use super::decide::invalid;
use super::document::{self, Document};
use super::ending::{Says, write_approval};
use super::subject::{ApprovalChange, subject_of};
use crate::command::Caller;
use crate::engine::{Engine, UnitBuilder};
use crate::keys::ApprovalId;
use crate::rejection::{Reason, Rejection};

/// Most edits of one approval, each of which stays on its record.
const MOST_EDITS: usize = 32;

/// A tool call as somebody edited it, after the rules.
#[derive(Debug)]
pub(crate) struct EditedCall {
    /// What will be used.
    pub document: Document,
    /// JSON pointers of what rules changed in it.
    pub changed: Vec<String>,
    /// Who has to agree, and the rule that says so; `None`: no rule asks for people with these arguments.
    pub asks: Option<(Tier, String)>,
}

/// What an edit puts in the place of what was shown.
#[derive(Debug)]
pub(super) struct Edited {
    call: EditedCall,
    digest: String,
}

impl Engine {
    /// What an edit would make of an approval; changes nothing.
    pub(super) fn edited(&self, now: i64, record: &ApprovalRecord, arguments: &[u8]) -> Result<Edited, Rejection> {
        let approval = record.approval.clone().unwrap_or_default();
        let edits = approval
            .votes
            .iter()
            .filter(|vote| vote.decision() == ApprovalDecision::Edit);
        if edits.count() >= MOST_EDITS {
            let message = format!("the approval has been edited {MOST_EDITS} times: decide on it as it is");
            return Err(Rejection::new(Reason::InvalidState, message).with("state", "PENDING"));
        }
        let call = match subject_of(record) {
            ApprovalSubject::Unspecified | ApprovalSubject::ToolCall => self.edited_call(now, record, arguments)?,
            ApprovalSubject::Step => EditedCall {
                document: Document::parse("edited_arguments", arguments)?,
                changed: Vec::new(),
                asks: None,
            },
            ApprovalSubject::ModelCall => {
                let description = "cannot be edit for a model call, whose request is the agent's: reject it instead";
                return Err(invalid("decision", description));
            }
            ApprovalSubject::UnknownStep => {
                let description = "cannot be edit for a step of unknown outcome: approve with a resolution, or reject";
                return Err(invalid("decision", description));
            }
        };
        let digest = document::digest(&approval, &call.document.canonical);
        if digest == approval.digest {
            let description = if call.changed.is_empty() {
                "is what the approval shows already"
            } else {
                "is what the approval shows already, after what rules change in it"
            };
            return Err(invalid("edited_arguments", description));
        }
        self.approvals
            .has_room_for(&self.compiled, &approval.tenant, call.document.bytes.len())?;
        Ok(Edited { call, digest })
    }

    /// Edits an approval.
    pub(super) fn edit(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        caller: Caller<'_>,
        (id, mut record): (&ApprovalId, ApprovalRecord),
        vote: ApprovalVote,
        edited: Edited,
    ) -> Approval {
        let mut approval = record.approval.take().unwrap_or_default();
        let previous = std::mem::replace(&mut approval.digest, edited.digest);
        // Those from before there were edits do not say what they are on.
        for vote in approval.votes.iter_mut().filter(|vote| vote.digest.is_empty()) {
            vote.digest.clone_from(&previous);
        }
        let call = edited.call;
        let shown = std::mem::replace(&mut approval.arguments, call.document.bytes);
        if approval.requested_arguments.is_empty() {
            approval.requested_arguments = shown;
        }
        approval.changed = call.changed;
        let mut previous_tier = String::new();
        let asks = call.asks.filter(|(tier, _)| {
            // Who was asked because that tier did not decide in time stands for it.
            let is_stood_for = approval.escalated_from.iter().any(|one| one == tier.name());
            !is_stood_for && !covers(&approval.require, &tier.require())
        });
        if let Some((tier, rule)) = asks {
            previous_tier = std::mem::replace(&mut approval.tier, tier.name().to_owned());
            tier.escalates_to().clone_into(&mut approval.escalates_to);
            approval.escalated_from.clear();
            approval.require = tier.require();
            approval.rule = rule;
        }
        approval.missing = approval.require.clone();
        self.compiled.version().clone_into(&mut approval.config_version);
        let vote = ApprovalVote {
            digest: approval.digest.clone(),
            ..vote
        };
        approval.votes.push(vote.clone());
        let says = Says {
            vote: Some(vote),
            previous_digest: &previous,
            previous_tier: &previous_tier,
            ..Says::of(EventKind::ApprovalEdited, "")
        };
        self.append_approval(unit, now, caller, &approval, &record.call, says);
        record.edited = true;
        record.sequences.extend(unit.sequences.last());
        record.approval = Some(approval.clone());
        write_approval(unit, id, &record);
        self.approvals.put(*id, record.clone());
        self.follow_approval(unit, now, &record, ApprovalChange::Edited);
        approval
    }
}

/// Whether whoever meets `require` also meets `other`.
fn covers(require: &[ApprovalQuorum], other: &[ApprovalQuorum]) -> bool {
    let has = |wanted: &ApprovalQuorum| {
        require
            .iter()
            .any(|one| one.role == wanted.role && one.count >= wanted.count)
    };
    other.iter().all(has)
}
