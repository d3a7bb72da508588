//! Expected refusals. A fault of the program is never a [`Rejection`].
use std::collections::BTreeMap;

use fairlead_wire::internal;

/// Nanoseconds in a millisecond, for rounding retry hints up.
const NANOS_PER_MILLI: i64 = 1_000_000;

/// Stable reason of a refusal: the `ErrorInfo.reason` of the API (design 03).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A budget would be exceeded.
    BudgetExhausted,
    /// A rate limit has no headroom.
    RateLimited,
    /// A configured bound is reached.
    QueueFull,
    /// A policy refuses.
    PolicyDenied,
    /// People have to agree first; the ticket is in the metadata.
    ApprovalPending,
    /// No credential.
    CredentialMissing,
    /// A credential of nobody.
    CredentialInvalid,
    /// Not the caller's, or not there.
    NotFound,
    /// The call has nowhere to go.
    NoRoute,
    /// Every target failed or is unhealthy.
    TargetsExhausted,
    /// A lease was lost.
    LeaseLost,
    /// The resource changed in between.
    EtagMismatch,
    /// Not possible in this state.
    InvalidState,
    /// A bad field; every violation is listed.
    InvalidArgument,
    /// Larger than a bound.
    PayloadTooLarge,
    /// Shutting down.
    Draining,
    /// Starting, or the clock was set back.
    NotReady,
    /// The store takes no writes.
    StoreUnavailable,
    /// The caller's own deadline passed.
    DeadlineExceeded,
    /// A fault inside; the details are in the log.
    Internal,
}

impl Reason {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BudgetExhausted => "BUDGET_EXHAUSTED",
            Self::RateLimited => "RATE_LIMITED",
            Self::QueueFull => "QUEUE_FULL",
            Self::PolicyDenied => "POLICY_DENIED",
            Self::ApprovalPending => "APPROVAL_PENDING",
            Self::CredentialMissing => "CREDENTIAL_MISSING",
            Self::CredentialInvalid => "CREDENTIAL_INVALID",
            Self::NotFound => "NOT_FOUND",
            Self::NoRoute => "NO_ROUTE",
            Self::TargetsExhausted => "TARGETS_EXHAUSTED",
            Self::LeaseLost => "LEASE_LOST",
            Self::EtagMismatch => "ETAG_MISMATCH",
            Self::InvalidState => "INVALID_STATE",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::Draining => "DRAINING",
            Self::NotReady => "NOT_READY",
            Self::StoreUnavailable => "STORE_UNAVAILABLE",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Internal => "INTERNAL",
        }
    }
}

/// One bad field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path, such as `attempts[1].usage.input`.
    pub field: String,
    /// What is wrong and what is allowed.
    pub description: String,
}

/// An expected "no".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Stable reason.
    pub reason: Reason,
    /// For people: lower-case, names the thing and what to do, never a secret.
    pub message: String,
    /// Facts for programs.
    pub metadata: BTreeMap<String, String>,
    /// When to try again, nanoseconds from now; `None` when waiting alone does not help.
    pub retry_after: Option<i64>,
    /// Violations of `INVALID_ARGUMENT`, all of them.
    pub violations: Vec<FieldViolation>,
}

impl Rejection {
    /// A refusal without facts.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            metadata: BTreeMap::new(),
            retry_after: None,
            violations: Vec::new(),
        }
    }

    /// `INVALID_ARGUMENT` with every violation.
    #[must_use]
    pub fn invalid(violations: Vec<FieldViolation>) -> Self {
        let message = match violations.as_slice() {
            [one] => format!("{}: {}", one.field, one.description),
            [first, rest @ ..] => format!("{}: {} (and {} more)", first.field, first.description, rest.len()),
            [] => "the request is not valid".to_owned(),
        };
        Self {
            violations,
            ..Self::new(Reason::InvalidArgument, message)
        }
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after(mut self, nanos: i64) -> Self {
        self.retry_after = Some(nanos.max(0));
        self
    }
}

impl From<&Rejection> for internal::Rejection {
    fn from(rejection: &Rejection) -> Self {
        let nanos = rejection.retry_after.unwrap_or(0).max(0);
        // Rounded up: a caller that obeys must not come a moment too early.
        let millis = nanos.saturating_add(NANOS_PER_MILLI - 1) / NANOS_PER_MILLI;
        Self {
            reason: rejection.reason.as_str().to_owned(),
            message: rejection.message.clone(),
            metadata: rejection.metadata.clone(),
            retry_after_millis: u64::try_from(millis).unwrap_or(0),
            violations: rejection
                .violations
                .iter()
                .map(|one| internal::FieldViolation {
                    field: one.field.clone(),
                    description: one.description.clone(),
                })
                .collect(),
        }
    }
}
