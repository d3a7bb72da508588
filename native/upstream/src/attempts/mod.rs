//! One call over several targets, until one answers.
//!
//! ```text
//! for each target the health allows:
//!     up to `retry.attempts` times:  try → answer | failure
//!         retryable failure  → wait (backoff with full jitter, or what the provider asked for when that is short)
//!         a long wait asked  → next target, and health is told
//!     a failure the route falls back on → next target;  any other → the end
//! ```
//! Each target is spoken to in one of its own dialects: the client's if it has that one, else a translation ([`wire`]).
//! What comes back reaches the client in the client's dialect.
//!
//! A stream counts as answering with its first content; until then its events are held back, so that a fallback
//! leaves no trace in what the client sees.
//!
//! INVARIANT (U1): every attempt that began is in the [`AttemptLog`] and was reported to the [`HealthSink`] exactly
//! once, also when the caller drops the future or the stream ([`record::OpenAttempt`]).

mod collect;
mod execute;
mod failure;
mod once;
mod policy;
mod record;
mod retry_after;
mod source;
mod stream;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

pub use policy::{FallbackOn, Jitter, RetryPolicy, SystemJitter};
pub use record::{Attempt, AttemptLog, HealthSink, Outcome};
pub use stream::{AnswerStream, StreamEnd, StreamItem};

use crate::screening::Screening;
use fairlead_dialect::Request;

/// Most attempts of one call over all its targets: what a settlement takes.
const MOST_ATTEMPTS: usize = 64;
/// Largest whole answer.
const ANSWER_BYTES: usize = 64 << 20;
/// Largest body of an error status that is passed on.
const ERROR_BYTES: usize = 1 << 20;
/// Largest event of a stream.
const EVENT_BYTES: usize = 8 << 20;
/// Most bytes that are held back before the first content of a stream.
const PRELUDE_BYTES: usize = 256 << 10;

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The request.
    pub request: Request,
    /// Models in the order to try them.
    pub targets: Vec<Target>,
    /// Retries at one target.
    pub retry: RetryPolicy,
    /// What goes on to the next target.
    pub fallback: FallbackOn,
    /// Longest the whole call may take; `None` means the sum of its attempts.
    pub timeout: Option<Duration>,
    /// What the answer has to pass; `None`: nothing.
    pub screen: Option<Arc<dyn Screening>>,
    /// What a target's dialect has no place for and what merely tunes is left out; else such a target is not used.
    pub drop_untranslatable: bool,
    /// Headers of the client for targets that speak its dialect: [`FORWARDED_HEADERS`](crate::FORWARDED_HEADERS).
    pub forward_headers: HeaderMap,
}

/// One model of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name of the model.
    pub model: String,
    /// Name of its provider.
    pub provider: String,
    /// The model's name at the provider.
    pub upstream_model: String,
    /// Longest one attempt may take; zero means the provider's.
    pub timeout: Duration,
    /// Most output tokens of one choice, already clamped; 0 means not limited.
    pub max_output_tokens: i64,
    /// Upper bound of the input in tokens, for usage that is not reported.
    pub input_tokens_bound: i64,
}

/// How a call ended, or how it goes on.
#[derive(Debug)]
pub enum Answer {
    /// A whole answer.
    Whole(Whole),
    /// A stream whose first content has come.
    Stream(Box<AnswerStream>),
    /// A provider refused the request itself (a 4xx that no retry changes); its answer is for the client.
    Refused(Whole),
    /// No target answered. The attempts are in the log.
    Exhausted(Exhausted),
}

/// A whole HTTP answer of a provider.
#[derive(Clone, Debug)]
pub struct Whole {
    /// Name of the model that answered.
    pub model: String,
    /// Status.
    pub status: StatusCode,
    /// The headers that are passed on to the client.
    pub headers: HeaderMap,
    /// The body: untouched when the target speaks the client's dialect, else translated; as the screening left it.
    pub body: Bytes,
}

/// No target answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exhausted {
    /// Models that were skipped because of their health.
    pub skipped: Vec<String>,
    /// Models that were skipped because their dialect cannot say the request, with the first field that is in the way.
    pub untranslatable: Vec<(String, String)>,
    /// True when the call's own deadline ended it.
    pub deadline: bool,
    /// The shortest wait that a provider asked for, when every attempt's failure asked for one.
    pub retry_after: Option<Duration>,
}
