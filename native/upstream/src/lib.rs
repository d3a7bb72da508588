//! Fairlead `upstream`: calls to model providers.
//!
//! The crate knows HTTP and the rules of attempts (retries, 429 manners, fallback, cut
//! streams); it knows nothing of tenants, budgets or the engine. What it needs from there comes in as arguments: an
//! ordered list of targets, an output limit, and a [`HealthSink`].
//!
//! | module | idea |
//! |---|---|
//! | [`client`] | connections to providers: settings, secrets, TLS, pools, timeouts |
//! | [`attempts`] | one call over several targets, until one answers |
//! | [`screening`] | what may become of an answer before the client gets it |

pub mod attempts;
pub mod client;
pub mod screening;

pub use attempts::{
    Answer, AnswerStream, Attempt, AttemptLog, Call, Exhausted, FallbackOn, HealthSink, Jitter, Outcome, RetryPolicy,
    StreamEnd, StreamItem, SystemJitter, Target, Whole,
};
pub use client::{
    FORWARDED_HEADERS, ProviderSettings, ProxySettings, Secret, SettingsError, Timeouts, Upstream, warm_up,
};
pub use fairlead_dialect::{Dialect, Request, Usage, Vendor};
pub use screening::{Finding, FindingAction, Screened, Screening, StreamScreened, StreamScreening};
