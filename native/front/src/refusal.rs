//! Refusals that the front itself makes; the engine makes the rest. Both are the same type and take the same way out.
use std::time::Duration;

use fairlead_engine::{Reason, Rejection};

/// A refusal with nothing but a reason and a message.
pub fn of(reason: Reason, message: impl Into<String>) -> Rejection {
    Rejection::new(reason, message)
}

/// A refusal that is worth another try after `after`.
pub fn retry(reason: Reason, message: impl Into<String>, after: Duration) -> Rejection {
    let mut rejection = of(reason, message);
    rejection.retry_after = Some(i64::try_from(after.as_nanos()).unwrap_or(i64::MAX));
    rejection
}

/// A bound of the configuration is reached.
pub fn queue_full(bound: &str, most: u64) -> Rejection {
    retry(
        Reason::QueueFull,
        format!("{bound} is reached ({most}), try again later"),
        Duration::from_millis(50),
    )
    .with("bound", bound)
    .with("limit", most)
}

/// The front drains: go to another instance, or come back after the restart.
pub fn draining() -> Rejection {
    retry(Reason::Draining, "the sidecar is shutting down", Duration::from_secs(1))
}

/// The daemon has not said that it serves.
pub fn not_ready() -> Rejection {
    retry(Reason::NotReady, "the sidecar is starting", Duration::from_millis(200))
}

/// The caller's own deadline passed.
pub fn deadline_exceeded() -> Rejection {
    of(
        Reason::DeadlineExceeded,
        "the deadline of the call passed before it was answered",
    )
}

/// The caller went away before anything was decided; nobody reads this.
pub fn caller_gone() -> Rejection {
    of(Reason::DeadlineExceeded, "the caller went away while the call waited")
}

/// The body is larger than the configuration allows; `bound` is the name of what bounds it.
pub fn too_large(bound: &str, most: u64) -> Rejection {
    of(
        Reason::PayloadTooLarge,
        format!("the request is larger than {bound} ({most} bytes)"),
    )
    .with("bound", bound)
    .with("limit", most)
}

/// The bound of requests in general.
pub const REQUEST_BYTES: &str = "limits.requestBytes";
/// The bound of what workers send.
pub const PAYLOAD_BYTES: &str = "limits.payloadBytes";
