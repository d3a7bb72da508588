//! Fairlead `screen`: what a model may say.
//!
//! A rule on `model.output` looks at the texts of an answer without any model: a JSON Schema, regular expressions,
//! detectors for secrets and personal data, a size. What it finds is redacted, refuses the answer, or is noted. Pure: no
//! I/O, no clock; a finding names what was found and how often, never the content.
//!
//! | module | idea |
//! |---|---|
//! | `detect` | the catalogue of detectors |
//! | [`rule`] | a rule of the configuration, compiled |
//! | `matches` | where in a text something is |
//! | `lane` | one text that comes in pieces: what is decided, what is held back |
//! | `arguments` | arguments of tools, which have to stay JSON |
//! | [`screen`] | the rules of one call, over whole answers |
//! | [`stream`] | the same over a stream, with a bounded window |
//!
//! INVARIANT (O1): a stream gives the same texts and findings as the whole answer, however it was cut into events, for
//! everything that is not longer than the window. What is longer and still growing at the end of the window is held up to
//! [`MOST_HELD_BYTES`]; what is longer than that may pass.

mod arguments;
mod detect;
mod finding;
mod lane;
mod matches;
pub mod rule;
mod schema;
pub mod screen;
pub mod stream;

pub use detect::{Group, names as detector_names};
pub use finding::{Action, Finding};
pub use rule::{Fault, Rule};
pub use screen::{Screen, Screened};
pub use stream::{Stream, StreamScreened};

/// Bytes of text that a stream holds back when a rule says nothing else.
pub const DEFAULT_WINDOW_BYTES: usize = 256;
/// Least window: shorter ones miss most of what the detectors find.
pub const LEAST_WINDOW_BYTES: usize = 64;
/// Most bytes of one text that are held back for what is still growing, and the largest window.
pub const MOST_HELD_BYTES: usize = 64 << 10;
/// Most bytes of events that a rule on the whole text holds back; a longer stream is rejected.
pub const MOST_WAITING_BYTES: usize = 16 << 20;
