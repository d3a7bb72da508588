//! What people say became of a step of unknown outcome. A refusal says neither: the step stops.
use fairlead_wire::internal::{ApprovalRecord, DecideApproval};
use fairlead_wire::v1::{ApprovalDecision, ApprovalSubject, Resolution, ResolutionOutcome};

use super::decide::{counting, invalid};
use super::document::Document;
use super::subject::subject_of;
use crate::rejection::{Reason, Rejection};

/// What a vote says. All votes of a quorum have to say the same: what one person saw happen and another one did not is
/// for them to find out, not for a majority.
pub(super) fn of_vote(record: &ApprovalRecord, command: &DecideApproval) -> Result<Option<Resolution>, Rejection> {
    let is_asked =
        subject_of(record) == ApprovalSubject::UnknownStep && command.decision() == ApprovalDecision::Approve;
    let Some(said) = command.resolution.as_ref().filter(|_| is_asked) else {
        return match (is_asked, &command.resolution) {
            (false, None) => Ok(None),
            (true, _) => Err(invalid(
                "resolution",
                "is required: say whether what the step does has happened; reject stops the run",
            )),
            (false, Some(_)) => Err(invalid(
                "resolution",
                "is for agreeing to a step of unknown outcome only",
            )),
        };
    };
    match said.outcome() {
        ResolutionOutcome::Unspecified => {
            return Err(invalid("resolution.outcome", "must be HAPPENED or DID_NOT_HAPPEN"));
        }
        ResolutionOutcome::DidNotHappen if !said.result.is_empty() => {
            return Err(invalid("resolution.result", "is for what has happened only"));
        }
        ResolutionOutcome::Happened | ResolutionOutcome::DidNotHappen => {}
    }
    let result = canonical(said)?;
    let approval = record.approval.as_ref();
    let votes = approval.map(counting).unwrap_or_default();
    let before = approval.and_then(|approval| approval.resolution.as_ref());
    if let (Some(vote), Some(first)) = (votes.first(), before)
        && (first.outcome() != said.outcome() || canonical(first)? != result)
    {
        let said = match first.outcome() {
            ResolutionOutcome::Happened if said.outcome() == ResolutionOutcome::Happened => {
                "has happened with another result"
            }
            ResolutionOutcome::Happened => "has happened",
            ResolutionOutcome::DidNotHappen | ResolutionOutcome::Unspecified => "has not happened",
        };
        let message = format!(
            "{} has said that it {said}: all who are asked have to say the same, or one of them rejects, which stops it",
            vote.operator
        );
        return Err(Rejection::new(Reason::InvalidState, message)
            .with("state", "PENDING")
            .with("resolution", name(first))
            .with("operator", &vote.operator));
    }
    Ok(Some(said.clone()))
}

fn canonical(resolution: &Resolution) -> Result<String, Rejection> {
    if resolution.result.is_empty() {
        return Ok(String::new());
    }
    Document::parse("resolution.result", &resolution.result).map(|result| result.canonical)
}

fn name(resolution: &Resolution) -> &'static str {
    let name = resolution.outcome().as_str_name();
    name.strip_prefix("RESOLUTION_OUTCOME_").unwrap_or(name)
}
