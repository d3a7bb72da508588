//! How often, how long, and what next.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use super::failure::FailureKind;

/// Retries at one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts at one target; 0 counts as 1.
    pub attempts: u32,
    /// Bound of the first backoff; doubles with every further one.
    pub initial: Duration,
    /// Longest backoff.
    pub max: Duration,
    /// Longest wait a provider may ask for that is waited for.
    pub wait_for_retry_after_up_to: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 2,
            initial: Duration::from_millis(200),
            max: Duration::from_secs(5),
            wait_for_retry_after_up_to: Duration::from_secs(3),
        }
    }
}

impl RetryPolicy {
    /// The wait before retry number `retry` (from 1): uniform between zero and the exponential bound ("full jitter"),
    /// which spreads callers that failed together better than a jitter around the bound.
    pub(super) fn backoff(&self, retry: u32, jitter: &dyn Jitter) -> Duration {
        let factor = 1_u32.checked_shl(retry.saturating_sub(1)).unwrap_or(u32::MAX);
        let bound = self.initial.saturating_mul(factor).min(self.max);
        jitter.below(bound)
    }

    /// The wait when the provider asked for `asked`: never less, and up to a tenth (at most 250 ms) more, so that
    /// callers who were told the same time do not come back together.
    pub(super) fn after_asked(asked: Duration, jitter: &dyn Jitter) -> Duration {
        let spread = asked
            .checked_div(10)
            .unwrap_or_default()
            .min(Duration::from_millis(250));
        asked.saturating_add(jitter.below(spread))
    }
}

/// A source of jitter.
pub trait Jitter: Send + Sync {
    /// A duration from zero up to `bound`.
    fn below(&self, bound: Duration) -> Duration;
}

/// Jitter from the process's random hash keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemJitter;

impl Jitter for SystemJitter {
    fn below(&self, bound: Duration) -> Duration {
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u64(nanos);
        // Unequal by at most 2^-20 for bounds below an hour, which no backoff notices.
        Duration::from_nanos(hasher.finish().checked_rem(nanos.saturating_add(1)).unwrap_or(0))
    }
}

/// What goes on to the next target: `429`, `5xx`, `timeout`, `connect`, `cut`, `garbled`, `rejected` (by the
/// screening), or a status such as `408`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FallbackOn(Vec<Condition>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Status(u16),
    /// A hundred: 4 or 5.
    Class(u16),
    Timeout,
    Connect,
    Cut,
    Garbled,
    Rejected,
}

/// A condition that is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCondition(pub String);

impl fmt::Display for UnknownCondition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} is no fallback condition", self.0)
    }
}

impl std::error::Error for UnknownCondition {}

impl FallbackOn {
    /// Reads the words of the configuration.
    ///
    /// # Errors
    /// The first word that is not known.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Self, UnknownCondition> {
        let condition = |word: &str| match word {
            "timeout" => Some(Condition::Timeout),
            "connect" => Some(Condition::Connect),
            "cut" => Some(Condition::Cut),
            "garbled" => Some(Condition::Garbled),
            "rejected" => Some(Condition::Rejected),
            "4xx" => Some(Condition::Class(4)),
            "5xx" => Some(Condition::Class(5)),
            status => status
                .parse()
                .ok()
                .filter(|status| (400..600).contains(status))
                .map(Condition::Status),
        };
        words
            .iter()
            .map(|word| condition(word.as_ref()).ok_or_else(|| UnknownCondition(word.as_ref().to_owned())))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Does this failure go on to the next target?
    pub(super) fn contains(&self, failure: FailureKind) -> bool {
        self.0.iter().any(|condition| match (condition, failure) {
            // A connection that ended before any answer is as good as none.
            (Condition::Connect, FailureKind::Connect | FailureKind::Reset)
            | (Condition::Cut, FailureKind::Cut | FailureKind::Reset)
            | (Condition::Timeout, FailureKind::Timeout)
            | (Condition::Garbled, FailureKind::Garbled)
            | (Condition::Rejected, FailureKind::Rejected)
            // Out of capacity is a 503 whatever status it came with.
            | (Condition::Class(5) | Condition::Status(503), FailureKind::Overloaded(_)) => true,
            (Condition::Status(wanted), FailureKind::Status(status) | FailureKind::Overloaded(status)) => {
                *wanted == status
            }
            (Condition::Status(wanted), FailureKind::Quota) => *wanted == 429,
            (Condition::Class(class), FailureKind::Status(status)) => status.checked_div(100) == Some(*class),
            (Condition::Class(class), FailureKind::Quota) => *class == 4,
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    struct Most;
    impl Jitter for Most {
        fn below(&self, bound: Duration) -> Duration {
            bound
        }
    }

    #[test]
    fn backoff_doubles_up_to_its_bound() {
        let policy = RetryPolicy::default();
        let waits: Vec<u128> = (1..=7).map(|retry| policy.backoff(retry, &Most).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(policy.backoff(1_000_000, &Most), policy.max);
    }

    #[test]
    fn an_asked_wait_is_never_shortened() {
        assert_eq!(
            RetryPolicy::after_asked(Duration::from_secs(1), &Most),
            Duration::from_millis(1100)
        );
        assert_eq!(
            RetryPolicy::after_asked(Duration::from_secs(60), &Most),
            Duration::from_millis(60_250)
        );
        for _ in 0..1000 {
            let wait = RetryPolicy::after_asked(Duration::from_secs(1), &SystemJitter);
            assert!((1000..=1100).contains(&wait.as_millis()));
        }
    }

    #[test]
    fn conditions_match_their_failures() {
        let on = FallbackOn::parse(&["429", "5xx", "timeout", "connect"]).unwrap();
        for (kind, expected) in [
            (FailureKind::Status(429), true),
            (FailureKind::Quota, true),
            (FailureKind::Status(500), true),
            (FailureKind::Status(529), true),
            (FailureKind::Overloaded(400), true),
            (FailureKind::Timeout, true),
            (FailureKind::Connect, true),
            (FailureKind::Reset, true),
            (FailureKind::Status(408), false),
            (FailureKind::Status(401), false),
            (FailureKind::Cut, false),
            (FailureKind::Garbled, false),
            (FailureKind::Rejected, false),
        ] {
            assert_eq!(on.contains(kind), expected, "{kind:?}");
        }
        assert!(FallbackOn::parse(&["401"]).unwrap().contains(FailureKind::Status(401)));
        assert!(
            FallbackOn::parse(&["rejected"])
                .unwrap()
                .contains(FailureKind::Rejected)
        );
        assert!(FallbackOn::parse(&["sometimes"]).is_err());
        assert!(FallbackOn::parse(&["200"]).is_err());
    }
}
