//! The decision engine's state machine. Every state change is a command applied at a time that is an argument: the same
//! commands at the same times give the same answers, the same records and the same bytes. No clock, no randomness, no I/O.
//!
//! ```text
//! command ─► Engine ─► Applied { reply, unit }     the reply leaves when the unit is committed
//!                        unit = state writes + audit records, sequenced and hashed
//! stored records ─► Engine::recover … recover_end ─► the same state
//! ```
//!
//! ```ignore
//! impl Engine {
//!     pub fn new(compiled: Arc<Compiled>) -> Engine;
//!     // Recovery: feed state (0), requests (6, keys of the last 24 h suffice, values are not read) and at least the last
//!     // audit record (2), in any order; everything else is ignored.
//!     pub fn recover(&mut self, family: u32, key: &[u8], value: &[u8]) -> Result<(), RecoverError>;
//!     pub fn recover_end(&mut self, now: UnixNanos) -> Result<Recovered, RecoverError>;
//!     // Commands.
//!     pub fn apply(&mut self, now: UnixNanos, command: &internal::Command, known: Option<&internal::Known>) -> Applied<internal::CommandResult>; // reply is always Ok
//!     pub fn admit(&mut self, now: UnixNanos, caller: Caller<'_>, request: &v1::AdmitRequest, extra: AdmitExtra<'_>) -> Applied<v1::AdmitResponse>;
//!     pub fn settle(&mut self, now: UnixNanos, caller: Caller<'_>, request: &v1::SettleRequest, extra: EndExtra<'_>) -> Applied<v1::SettleResponse>;
//!     pub fn release(&mut self, now: UnixNanos, caller: Caller<'_>, request: &v1::ReleaseRequest, extra: EndExtra<'_>) -> Applied<v1::ReleaseResponse>;
//!     pub fn expire(&mut self, now: UnixNanos) -> Applied<u64>;                 // ends at most MOST_EXPIRED holds; repeat until 0
//!     pub fn next_expiry(&self) -> Option<UnixNanos>;
//!     pub fn adjust_budget(&mut self, now: UnixNanos, caller: Caller<'_>, command: &internal::AdjustBudget) -> Applied<internal::BudgetView>;
//!     pub fn load_config(&mut self, now: UnixNanos, caller: Caller<'_>, compiled: Arc<Compiled>, source: &str, writes: &[internal::Write]) -> Applied<()>; // compile outside the lock
//!     pub fn config_rejected(&mut self, now: UnixNanos, caller: Caller<'_>, record: &v1::ConfigRejected) -> Applied<()>;
//!     pub fn control_write(&mut self, now: UnixNanos, caller: Caller<'_>, command: &internal::ControlWrite) -> Applied<()>;
//!     pub fn start(&mut self, now: UnixNanos, program_version: &str) -> Applied<()>;
//!     // Health: not durable, no unit. Models by name, since the configuration may have changed since the plan was made.
//!     pub fn report_attempt(&mut self, now: UnixNanos, model: &str, report: &AttemptReport);
//!     pub fn may_try(&mut self, now: UnixNanos, model: &str) -> bool;          // takes the probe of a half-open breaker
//!     // Views.
//!     pub fn compiled(&self) -> &Arc<Compiled>;
//!     pub fn snapshot(&self, now: UnixNanos) -> internal::Snapshot;            // store_available is the caller's to set
//!     pub fn sequence(&self) -> u64;                                           // last audit sequence handed out
//!     pub fn open_reservations(&self) -> usize;
//!     pub fn budget_instances(&self) -> usize;
//!     pub fn check_invariants(&self) -> Result<(), String>;
//!     pub fn recompute(config: &Compiled, record: &v1::AuditRecord) -> Result<v1::DecisionRecord, RecomputeError>;
//! }
//! ```

mod command;
mod rejection;
mod unit;

pub use command::{AdmitExtra, Applied, Caller, EndExtra, Method, RateWait, Refusal};
pub use rejection::{FieldViolation, Reason, Rejection};
pub use unit::{Unit, Write, family};
