//! Votes.
use fairlead_plan::UnixNanos;
use fairlead_plan::tool::approval::missing;
use fairlead_wire::internal::{DecideApproval, RequestRecord};
use fairlead_wire::v1::{Approval, ApprovalDecision, ApprovalState, ApprovalVote, DecideApprovalResponse, EventKind};
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
    /// Records a vote of an operator: one refusal ends the approval; it is approved when nobody is missing any more.
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
        if now >= book::expires_at(record) {
            let mut unit = self.begin();
            self.expire_approval(&mut unit, now, &id);
            return Ok(Applied::recorded(wrong_state("EXPIRED"), unit.done(true)));
        }
        let approval = record.approval.clone().unwrap_or_default();
        let roles = self.may_vote(caller, command, &approval)?;
        let vote = ApprovalVote {
            operator: caller.operator.to_owned(),
            roles,
            decision: command.decision,
            reason: command.reason.clone(),
            vote_time: Some(timestamp(now)),
        };
        let mut unit = self.begin();
        let approval = self.vote(&mut unit, now, caller, &id, vote);
        if !command.request_key.is_empty() {
            let answer = DecideApprovalResponse {
                approval: Some(approval.clone()),
            };
            let record = RequestRecord {
                digest: command.request_digest.clone(),
                answer: answer.encode_to_vec(),
                time_unix_nanos: now,
                ..RequestRecord::default()
            };
            let key = command.request_key.clone();
            unit.writes
                .push(Write::put(family::REQUESTS, key, record.encode_to_vec()));
        }
        Ok(Applied::done(approval, Some(unit.done(true))))
    }

    /// The roles of an operator who may vote on this approval, now.
    fn may_vote(
        &self,
        caller: Caller<'_>,
        command: &DecideApproval,
        approval: &Approval,
    ) -> Result<Vec<String>, Refusal> {
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
        if approval.votes.iter().any(|vote| vote.operator == caller.operator) {
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
        id: &ApprovalId,
        vote: ApprovalVote,
    ) -> Approval {
        let mut record = self.approvals.take(id).unwrap_or_default();
        let mut approval = record.approval.take().unwrap_or_default();
        let decision = vote.decision();
        approval.votes.push(vote.clone());
        approval.missing = missing(&approval.require, &approval.votes);
        let is_approved = decision == ApprovalDecision::Approve && approval.missing.is_empty();
        if is_approved {
            approval.set_state(ApprovalState::Approved);
        }
        let reason = vote.reason.clone();
        let voted = Says {
            kind: EventKind::ApprovalVoted,
            vote: Some(vote),
            reason: "",
        };
        self.append_approval(unit, now, caller, &approval, &record.call, voted);
        if is_approved {
            let agreed = Says {
                kind: EventKind::ApprovalEnded,
                vote: None,
                reason: "everybody who is asked for has agreed",
            };
            self.append_approval(unit, now, caller, &approval, &record.call, agreed);
        }
        record.sequences.extend(&unit.sequences);
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

fn validate(command: &DecideApproval) -> Result<(), Rejection> {
    if command.decision() == ApprovalDecision::Unspecified {
        return Err(invalid("decision", "must be approve or reject"));
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
    Ok(())
}

/// One bad field.
fn invalid(field: &str, description: &str) -> Rejection {
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
