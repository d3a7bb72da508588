//! Fairlead `upstream`: calls to model providers.
//!
//! The crate knows HTTP, the providers' dialects and the rules of attempts (retries, 429 manners, fallback, cut
//! streams); it knows nothing of tenants, budgets or the engine. What it needs from there comes in as arguments: an
//! ordered list of targets, an output limit, and a [`HealthSink`].
//!
//! | module | idea |
//! |---|---|
//! | [`client`] | connections to providers: settings, secrets, TLS, pools, timeouts |
//! | [`dialect`] | what a body means: facts of a request, its rewrite, usage, content, errors |
//! | [`sse`] | server-sent events, incrementally, byte for byte |
//! | [`attempts`] | one call over several targets, until one answers |

pub mod attempts;
pub mod client;
pub mod dialect;
pub mod sse;

pub use attempts::{
    Answer, AnswerStream, Attempt, AttemptLog, Call, Exhausted, FallbackOn, HealthSink, Jitter, Outcome, RetryPolicy,
    StreamEnd, StreamItem, SystemJitter, Target, Usage, Whole,
};
pub use client::{ProviderKind, ProviderSettings, Secret, SettingsError, Timeouts, Upstream, warm_up};
pub use sse::SseEvent;
