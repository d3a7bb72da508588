//! What follows for what was asked about when people have said something, or their time is over: the one place that tells
//! subjects apart.
use fairlead_wire::internal::ApprovalRecord;
use fairlead_wire::v1::ApprovalSubject;

use crate::engine::{Engine, UnitBuilder};

/// What has happened to an approval, other than by whom it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ApprovalChange {
    /// Everybody who is asked for has agreed: it is still open, and waits to be consumed.
    Approved,
    /// Somebody has refused.
    Rejected,
    /// Its time is over.
    Expired,
    /// Somebody has put something else in the place of what was shown: it is still pending.
    Edited,
    /// Nobody decided in time and another tier is asked: it has another end.
    Escalated,
}

/// What an approval is about.
pub(super) fn subject_of(record: &ApprovalRecord) -> ApprovalSubject {
    let subject = record.approval.as_ref().map(fairlead_wire::v1::Approval::subject);
    match subject.unwrap_or_default() {
        // From before there were others.
        ApprovalSubject::Unspecified => ApprovalSubject::ToolCall,
        subject => subject,
    }
}

impl Engine {
    /// Tells what was asked about that its approval has changed, in the unit of the change. Of an approval that is open
    /// the book has the record as it is then.
    pub(crate) fn follow_approval(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        record: &ApprovalRecord,
        change: ApprovalChange,
    ) {
        match subject_of(record) {
            ApprovalSubject::Unspecified | ApprovalSubject::ToolCall => {
                self.end_waiting_call(unit, now, &record.call, change);
            }
            ApprovalSubject::ModelCall => {
                let reason = match change {
                    ApprovalChange::Rejected => "people refused",
                    ApprovalChange::Expired => "people did not decide, or nobody came back with the ticket, in time",
                    ApprovalChange::Approved | ApprovalChange::Edited | ApprovalChange::Escalated => return,
                };
                self.end_waiting_model_call(unit, now, &record.call, reason);
            }
            ApprovalSubject::Step | ApprovalSubject::UnknownStep => {
                self.step_approval_changed(unit, now, record, change);
            }
        }
    }
}
