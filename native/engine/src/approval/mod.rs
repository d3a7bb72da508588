//! Approvals: questions to people, bound to a digest of what will be done.
//!
//! | approval | may become |
//! |---|---|
//! | `PENDING` | `PENDING` (an edit: votes begin anew; an escalation), `APPROVED`, `REJECTED`, `EXPIRED`, `WITHDRAWN` |
//! | `APPROVED` | `CONSUMED`, `EXPIRED` (also when the policy asks for more now), `WITHDRAWN` |
//! | `REJECTED`, `EXPIRED`, `CONSUMED`, `WITHDRAWN` | – |
//!
//! | module | idea |
//! |---|---|
//! | `document`, `open` | what people are shown, its digest, and the question |
//! | `decide`, `edit`, `resolution` | votes; other arguments in the place of those that were shown; what became of a step |
//! | `ending`, `escalate` | the four ways an approval ends, and its records; another tier instead of the end |
//! | `model_call` | model calls that people have to agree to |
//! | `subject` | what follows for what was asked about: the one place that tells subjects apart |
//! | `book` | those that are open |
//!
//! - INVARIANT (A1): an approval is consumed at most once, in the unit that begins what was agreed to.
//! - INVARIANT (A2): an open approval has its end before it, and comes back after a restart as it was.
//! - INVARIANT (A3): who asked does not vote: agents are no operators, and an operator is excluded by name.
//! - INVARIANT (A4): what is used under an approval is what its digest is of, and only votes on that digest count.
mod book;
mod decide;
mod document;
mod edit;
mod ending;
mod escalate;
mod model_call;
mod open;
mod resolution;
mod subject;

#[cfg(test)]
mod step_tests;

pub(crate) use book::{ApprovalBook, expires_at};
pub(crate) use decide::{counting, standing, standing_for};
pub(crate) use document::Document;
pub(crate) use edit::EditedCall;
pub(crate) use model_call::{Asking, FoundCall, Question as ModelCallQuestion};
pub(crate) use open::{NewApproval, Waiting, WaitingToolCall};
pub(crate) use subject::ApprovalChange;
