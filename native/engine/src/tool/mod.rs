//! Tool calls under policy.
//!
//! | call | may become |
//! |---|---|
//! | `PENDING` | `OPEN` (approved and asked for again), `REJECTED`, `EXPIRED` |
//! | `OPEN` | `SUCCEEDED`, `FAILED`, `UNKNOWN` (reported, or its time has come) |
//! | `UNKNOWN` | `SUCCEEDED`, `FAILED` (a late completion), unless another call was granted since |
//! | `SUCCEEDED`, `FAILED`, `REJECTED`, `EXPIRED` | – |
//!
//! - INVARIANT (T1): an idempotency key never has two calls that are granted and not completed, or succeeded. Which call
//!   had a key last is in the store from that call's first unit on, so whoever looks a key up finds it.
//! - INVARIANT (T2): what waits or is granted has its end before it, and comes back after a restart as it was.
mod answer;
mod authorize;
mod book;
mod complete;
mod edited;
mod ending;
mod grant;
mod judge;
mod recompute;
mod request;

pub(crate) use book::ToolBook;
pub use request::ToolArguments;
