//! The decision engine's state machine. Every state change is a command applied at a time that is an argument: the same
//! commands at the same times give the same answers, the same records and the same bytes. No clock, no randomness, no I/O.
//!
//! ```text
//! command ─► Engine ─► Applied { reply, unit }     the reply leaves when the unit is committed
//!                        unit = state writes + audit records, sequenced and hashed
//! stored records ─► Engine::recover … recover_end ─► the same state
//! record + configuration ─► Engine::recompute ─► the same decision
//! ```
//!
//! | module | idea |
//! |---|---|
//! | `admit` → `judge` → `fit`, `reply`, `refusals` | a call is decided by a pure function of its inputs, then held everywhere or nowhere |
//! | `hit` | answers from the response cache, which hold nothing |
//! | `pin` | the model that a session or run keeps |
//! | `ending`, `settle`, `release`, `expire`, `usage` | every hold ends exactly once |
//! | `budget` | instances and windows |
//! | `rates` | instances of rate limits |
//! | `tool` | tool calls under policy |
//! | `approval` | questions to people |
//! | `session` | what is remembered of a session |
//! | `control` | budgets adjusted, configuration replaced, control services' own writes |
//! | `chain`, `record`, `encode`, `keys` | the audit log and the layout of the store |
//! | `erasable` | texts that records only commit to |
//! | `requests` | which request ids may have been used |
//! | `recover`, `recompute`, `views` | the state from the store, decisions from records, the state for others |
//!
//! The invariants of budgets (design 04), cited where they are relied on:
//!
//! - **I1** for every hard instance at every moment `spent + reserved ≤ limit`; what goes beyond has a reason on record (an
//!   overdraft, a debit, a lowered limit) and blocks the next call;
//! - **I2** `reserved` is the sum of the open holds, `spent` the fold of what ended;
//! - **I3** every hold ends exactly once;
//! - **I4** what was acknowledged is there after a crash, and I1–I3 hold.
//!
//! Those of tool calls (T1, T2), approvals (A1–A3) and sessions (S1) are in `tool`, `approval` and `session`.

mod admit;
mod amount;
mod apply;
mod approval;
mod budget;
mod chain;
mod command;
mod control;
mod digest;
mod encode;
mod ending;
mod engine;
mod erasable;
mod expire;
mod fit;
mod hit;
mod judge;
mod keys;
mod pin;
mod rates;
mod recompute;
mod record;
mod recover;
mod refusals;
mod rejection;
mod release;
mod replay;
mod reply;
mod requests;
mod session;
mod settle;
mod share;
mod tool;
mod ttl;
mod unit;
mod usage;
mod validate;
mod views;
mod workflow;

pub use command::{AdmitExtra, Applied, Cached, Caller, EndExtra, Method, RateWait, Refusal, StepResult};
pub use engine::Engine;
pub use erasable::Salts;
pub use expire::MOST_EXPIRED;
pub use recompute::RecomputeError;
pub use recover::{RecoverError, Recovered};
pub use rejection::{FieldViolation, Reason, Rejection};
pub use tool::ToolArguments;
pub use unit::{Unit, Write, family};
pub use validate::{
    MOST_ATTEMPTS, MOST_ATTRIBUTE_BYTES, MOST_ATTRIBUTE_DEPTH, MOST_CAPABILITIES, MOST_CHOICES, MOST_DETAIL_CHARS,
    MOST_ID_CHARS, MOST_LABEL_NAME_CHARS, MOST_LABEL_VALUE_CHARS, MOST_LABELS, MOST_TOKENS,
};
pub use views::BudgetUse;
pub use workflow::{ModelLease, Wakes, Workflows};
