//! Model calls that people have to agree to: because a rule on `model.call` says so, or because a budget's `onExceed` lets
//! people go over its limit.
//!
//! ```text
//! admission ─► nobody is asked ─► as ever
//!    └► people are asked: PENDING, its worst case is held, the caller gets a ticket (APPROVAL_PENDING)
//!         └► the same call again, with the ticket or without ─► decided again
//!              ├► they agreed, and what would be sent is no more than that ─► admitted; hold and approval end in that unit
//!              ├► it is more, or other people are asked by now ─► asked again
//!              └► they refused, or did not decide ─► refused
//! ```
//!
//! They agree to exactly one request, to the models of its plan, to its worst-case price and to the budgets that it goes over
//! the limit of. Of a plan with fewer models or a lower price they have agreed to more than is done; anything else is asked.
//!
//! A budget that people may go over holds nothing while they are asked: there is no room, which is what they are asked about.
mod ask;
mod find;
mod hold;
mod judge;

pub(crate) use ask::Question;
pub(crate) use find::FoundCall;
pub(crate) use judge::Asking;

use hold::over_name;
