//! Runs of workflows: each command about them is one unit with state, money and records.
//!
//! What a run does is decided by the pure machine in `fairlead_workflow::run`; here are the books around it.
//!
//! | module | idea |
//! |---|---|
//! | `definitions` | the workflows of the configuration, and those that open runs keep to |
//! | `book` | open runs; queues, timers and idempotency keys, all derived from the runs |
//! | `drive` | an event into a run, and everything that follows from it, in one unit |
//! | `start`, `steer`, `rerun` | commands about runs |
//! | `lease`, `attempt`, `key` | what workers say |
//! | `approval` | what people say |
//! | `money` | calls inside runs: who may make them, what they may cost and have cost |
//! | `reconcile` | what is derived, compared with what it is derived from |
//! | `recover` | open runs come back as they were |
//! | `record` | as it is stored, and as it is shown |
//!
//! - INVARIANT (W4): a step's result, its settlement, its idempotency record, the steps behind it and their records are
//!   one unit.
//! - INVARIANT (W5): queues, timers and keys have exactly what the open runs say.
//! - INVARIANT (W6): of all open steps with one idempotency key at most one may be leased.
mod approval;
mod attempt;
mod book;
mod definitions;
mod drive;
mod key;
mod lease;
mod money;
mod reconcile;
mod record;
mod recover;
mod rerun;
mod start;
mod steer;

pub(crate) use book::RunBook;
pub use book::Wakes;
pub use definitions::Workflows;
pub use lease::ModelLease;
pub(crate) use recover::StoredRun;
