//! Fairlead `events`: stored records of the audit log as what `WatchEvents` sends. Pure: no I/O, no clock.
//!
//! A stored entry is
//!
//! ```text
//! key      u64 big-endian: sequence
//! value    record_hash, 32 bytes ‖ record_bytes
//! ```
//!
//! | module | idea |
//! |---|---|
//! | [`slice`] | entries in order, checked and filtered, as responses |
//! | [`filter`] | which records are asked for |
//! | `message` | the bytes of a response; those of a record are taken as they are |
//!
//! INVARIANT (W1): what a slice gives does not depend on how the log is cut into slices, nor on how many events come in a
//! response: the same events in the same order, none without the one before being there.

pub mod filter;
mod message;
pub mod slice;

pub use filter::Filter;
pub use slice::{Encoded, Place, Problem, Values, Wish, encode};
