//! Votes.
use fairlead_plan::tool::Tier;
use fairlead_plan::tool::approval::missing;
use fairlead_plan::{Compiled, UnixNanos};
use fairlead_wire::internal::{ApprovalRecord, DecideApproval, RequestRecord};
use fairlead_wire::v1::{
    Approval, ApprovalDecision, ApprovalState, ApprovalSubject, ApprovalVote, DecideApprovalResponse, EventKind,
    Resolution,
};
use prost::Message;

use super::book;
use super::ending::{Says, write_approval};
use super::subject::ApprovalChange;
use crate::admit::timestamp;
use crate::command::{Applied, Caller, Refusal};
use crate::engine::{Engine, UnitBuilder};
use crate::keys::{self, ApprovalId};
use crate::rejection::{FieldViolation, Reason, Rejection};
use crate::unit::{Write, family};
use crate::validate::MOST_DETAIL_CHARS;

impl Engine {
    /// Records what an operator says: one refusal ends the approval; it is approved when nobody is missing any more; an
    /// edit puts something else in the place of what was shown, and votes begin anew.
    pub fn decide_approval(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        command: &DecideApproval,
    ) -> Applied<Approval> {
        match self.try_decide(now, caller, command) {
            Ok(applied) => applied,
            Err(refusal) => Applied::refused(refusal),
        }
    }

    fn try_decide(
        &mut self,
        now: UnixNanos,
        caller: Caller<'_>,
        command: &DecideApproval,
    ) -> Result<Applied<Approval>, Refusal> {
        let now = self.tick(now)?;
        validate(command)?;
        let not_found = || {
            Rejection::new(
                Reason::NotFound,
                format!("there is no open approval `{}`", command.approval),
            )
        };
        let id = keys::approval_id(&command.approval).ok_or_else(not_found)?;
        let record = self.approvals.get(&id).ok_or_else(not_found)?;
        let mut unit = UnitBuilder::new();
        if now >= book::expires_at(record) {
            self.expire_approval(&mut unit, now, &id);
        }
        let said = match self.approvals.get(&id).cloned() {
            Some(record) => self.say(&mut unit, now, caller, command, (&id, record)),
            None => Err(wrong_state("EXPIRED").into()),
        };
        if let Ok(approval) = &said
            && !command.request_key.is_empty()
        {
            unit.writes.push(first_answer(now, command, approval));
        }
        if unit.writes.is_empty() {
            return said.map(|approval| Applied::done(approval, None));
        }
        // Behind the deletions that are pending. What the time changed is written also when the vote is refused.
        let mut all = self.begin();
        all.writes.append(&mut unit.writes);
        all.sequences = unit.sequences;
        let unit = all.done(true);
        Ok(match said {
            Ok(approval) => Applied::done(approval, Some(unit)),
            Err(refusal) => Applied::recorded(refusal, unit),
        })
    }

    /// What an operator says about an open approval.
    fn say(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        caller: Caller<'_>,
        command: &DecideApproval,
        (id, record): (&ApprovalId, ApprovalRecord),
    ) -> Result<Approval, Refusal> {
        let roles = self.may_vote(caller, command, &record)?;
        let mut vote = ApprovalVote {
            operator: caller.operator.to_owned(),
            roles,
            decision: command.decision,
            reason: String::new(),
            vote_time: Some(timestamp(now)),
            digest: command.digest.clone(),
        };
        if vote.decision() == ApprovalDecision::Edit {
            let edited = self.edited(now, &record, &command.edited_arguments)?;
            vote.reason = self.salts.commit(&mut unit.writes, &command.reason);
            return Ok(self.edit(unit, now, caller, (id, record), vote, edited));
        }
        let resolution = super::resolution::of_vote(&record, command)?;
        // INVARIANT (E1): nothing can refuse the vote any more, so what it is kept for comes in this unit.
        vote.reason = self.salts.commit(&mut unit.writes, &command.reason);
        Ok(self.vote(unit, now, caller, (id, record), vote, resolution))
    }

    /// The roles of an operator who may decide on this approval, now.
    fn may_vote(
        &self,
        caller: Caller<'_>,
        command: &DecideApproval,
        record: &ApprovalRecord,
    ) -> Result<Vec<String>, Refusal> {
        let Some(approval) = &record.approval else {
            return Err(wrong_state("UNSPECIFIED").into());
        };
        let denied = |message: &str| Rejection::new(Reason::PolicyDenied, message).with("approval", &command.approval);
        // INVARIANT (A3): agents are no operators.
        let roles = self
            .compiled
            .operator_roles(caller.operator)
            .filter(|_| caller.agent.is_empty());
        let Some(roles) = roles else {
            return Err(denied("only operators of the configuration vote on approvals").into());
        };
        if !approval.require.iter().any(|one| roles.contains(&one.role)) {
            let message = "none of the operator's roles is asked for by the approval's tier";
            return Err(denied(message).with("tier", &approval.tier).into());
        }
        if approval.requested_by_operator == caller.operator {
            let message = "the operator has asked for this: somebody else has to decide";
            return Err(denied(message).with("operator", caller.operator).into());
        }
        if approval.state() != ApprovalState::Pending {
            return Err(wrong_state("APPROVED").with("approval", &command.approval).into());
        }
        if command.digest != approval.digest {
            let description = "is not the digest of this approval: look at it again and send what you saw";
            return Err(invalid("digest", description).into());
        }
        let has_voted = counting(approval).iter().any(|vote| vote.operator == caller.operator);
        if has_voted && command.decision() != ApprovalDecision::Edit {
            let message = "the operator has voted already: it takes different people";
            return Err(Rejection::new(Reason::InvalidState, message)
                .with("state", "PENDING")
                .with("operator", caller.operator)
                .into());
        }
        Ok(roles.to_vec())
    }

    fn vote(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        caller: Caller<'_>,
        (id, mut record): (&ApprovalId, ApprovalRecord),
        vote: ApprovalVote,
        resolution: Option<Resolution>,
    ) -> Approval {
        let mut approval = record.approval.take().unwrap_or_default();
        let decision = vote.decision();
        approval.votes.push(vote.clone());
        approval.resolution = resolution.or(approval.resolution);
        approval.missing = missing(&approval.require, &counting(&approval));
        let mut asks_again = "";
        if decision == ApprovalDecision::Approve && approval.missing.is_empty() && goes_on_at_once(&approval) {
            asks_again = self.ask_as_of_now(&mut approval);
        }
        let is_approved = decision == ApprovalDecision::Approve && approval.missing.is_empty();
        if is_approved {
            approval.set_state(ApprovalState::Approved);
        }
        let reason = vote.reason.clone();
        let voted = Says {
            vote: Some(vote),
            ..Says::of(EventKind::ApprovalVoted, asks_again)
        };
        self.append_approval(unit, now, caller, &approval, &record.call, voted);
        if is_approved {
            let agreed = Says::of(EventKind::ApprovalEnded, "everybody who is asked for has agreed");
            self.append_approval(unit, now, caller, &approval, &record.call, agreed);
        }
        // What the time changed before the vote is in the record already.
        let new = unit
            .sequences
            .iter()
            .filter(|sequence| !record.sequences.contains(sequence));
        let new: Vec<u64> = new.copied().collect();
        record.sequences.extend(new);
        record.approval = Some(approval.clone());
        write_approval(unit, id, &record);
        self.approvals.put(*id, record.clone());
        if is_approved {
            self.follow_approval(unit, now, &record, ApprovalChange::Approved);
        }
        if decision == ApprovalDecision::Reject {
            self.end_approval(unit, now, id, ApprovalState::Rejected, caller, &reason);
            approval.set_state(ApprovalState::Rejected);
            approval.end_time = Some(timestamp(now));
        }
        approval
    }
}

impl Engine {
    /// Everybody has agreed whom the tier asked for when it was asked. When the tier of now is stricter, or a voter has no
    /// such role any more, the approval stays open for who is missing now; what it says about that, else nothing. A tier
    /// that is gone asks for nobody else.
    fn ask_as_of_now(&self, approval: &mut Approval) -> &'static str {
        let votes = standing(&self.compiled, &counting(approval));
        let tier = self.compiled.tier(&approval.tier);
        let require = tier.map_or_else(|| approval.require.clone(), Tier::require);
        let mut still = missing(&require, &votes);
        if still.is_empty() {
            // The tier of now is looser: whom the one of then asked for has to agree all the same.
            still = missing(&approval.require, &votes);
            if still.is_empty() {
                return "";
            }
        } else {
            approval.require = require;
        }
        approval.missing = still;
        "the tier asks for more now than these votes"
    }
}

/// What waits goes on with the last vote. For all else an agent comes back with its ticket, and policy is asked then.
fn goes_on_at_once(approval: &Approval) -> bool {
    matches!(approval.subject(), ApprovalSubject::Step | ApprovalSubject::UnknownStep)
}

/// Remembers the answer for the request id.
fn first_answer(now: i64, command: &DecideApproval, approval: &Approval) -> Write {
    let answer = DecideApprovalResponse {
        approval: Some(approval.clone()),
    };
    let record = RequestRecord {
        digest: command.request_digest.clone(),
        answer: answer.encode_to_vec(),
        time_unix_nanos: now,
        ..RequestRecord::default()
    };
    Write::put(family::REQUESTS, command.request_key.clone(), record.encode_to_vec())
}

/// INVARIANT (A4): the votes on what the approval is about now. An edit is no vote, it says who wrote what is voted on.
pub(crate) fn counting(approval: &Approval) -> Vec<ApprovalVote> {
    // Those from before there were edits do not say what they are on.
    let counts = |vote: &&ApprovalVote| {
        vote.decision() != ApprovalDecision::Edit && (vote.digest.is_empty() || vote.digest == approval.digest)
    };
    approval.votes.iter().filter(counts).cloned().collect()
}

/// Votes as far as they count when what was agreed to begins: an operator who has lost a role, or is gone, does not vote for
/// it any more.
pub(crate) fn standing(compiled: &Compiled, votes: &[ApprovalVote]) -> Vec<ApprovalVote> {
    let mut votes = votes.to_vec();
    for vote in &mut votes {
        let roles = compiled.operator_roles(&vote.operator).unwrap_or_default();
        vote.roles.retain(|role| roles.contains(role));
    }
    votes
}

/// The tier that was asked because this one did not decide in time, as it is now; else this one.
pub(crate) fn standing_for<'t>(
    compiled: &'t Compiled,
    tier: &'t Tier,
    escalated_to: &str,
    escalated_from: &[String],
) -> &'t Tier {
    if escalated_from.iter().any(|one| one == tier.name()) {
        compiled.tier(escalated_to).unwrap_or(tier)
    } else {
        tier
    }
}

fn validate(command: &DecideApproval) -> Result<(), Rejection> {
    let decision = command.decision();
    if decision == ApprovalDecision::Unspecified {
        return Err(invalid("decision", "must be approve, reject or edit"));
    }
    if command.reason.trim().is_empty() {
        return Err(invalid("reason", "is required"));
    }
    if command.reason.chars().count() > MOST_DETAIL_CHARS {
        return Err(invalid(
            "reason",
            &format!("must be at most {MOST_DETAIL_CHARS} characters"),
        ));
    }
    let is_edit = decision == ApprovalDecision::Edit;
    if is_edit == command.edited_arguments.is_empty() {
        let description = if is_edit {
            "is required: the new arguments as JSON"
        } else {
            "is for an edit only"
        };
        return Err(invalid("edited_arguments", description));
    }
    Ok(())
}

/// One bad field.
pub(super) fn invalid(field: &str, description: &str) -> Rejection {
    Rejection::invalid(vec![FieldViolation {
        field: field.to_owned(),
        description: description.to_owned(),
    }])
}

fn wrong_state(state: &str) -> Rejection {
    Rejection::new(
        Reason::InvalidState,
        format!("the approval is {state}: there is nothing to decide any more"),
    )
    .with("state", state)
}
