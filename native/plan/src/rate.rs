//! Rate limits: GCRA for requests and tokens, a counter for calls in flight.
//!
//! The generic cell rate algorithm in its *virtual scheduling* form (ITU-T I.371, annex A; ATM Forum TM 4.1, section
//! 4.4.2). One number per limiter, the theoretical arrival time (TAT): a call of cost `n` at time `t` moves it to
//! `max(TAT, t) + n × interval` and is within the limit when that is at most `t + capacity`. `interval` is the time one
//! unit takes at the configured rate and `capacity` the time that a full burst takes.
//!
//! A call that used less than it was charged gives the rest back, but never time that has passed: what a charge of `c`
//! nanoseconds took flows back by itself from the moment it was made, so after `e` of them at most `c − e` are left of it.
//! More would be taken from the charges of later calls, and let a second burst through right after the first. With this
//! rule the TAT never falls below that of a limiter that had known from the beginning what each call would use. (For a
//! charge at `t` that queues behind others the time left is counted too small, never too large, because
//! `max(TAT, t) + c ≥ t + c`.)
//!
//! Everything is an integer in nanoseconds. Charges round up and refunds round down, so rounding never lets more through:
//! in any span `w`, at most `burst + rate × w` units pass.

use std::num::NonZeroU64;

use crate::units::{Tokens, UnixNanos};

/// Nanoseconds in a minute: rates are per minute.
const MINUTE_NANOS: i128 = 60_000_000_000;

/// A limiter of one quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gcra {
    per_minute: NonZeroU64,
    capacity_nanos: i128,
}

/// Why a call has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateRefusal {
    /// It fits from this moment on, if nothing else comes in between.
    Until(UnixNanos),
    /// It is larger than the burst and never fits.
    Never,
}

impl Gcra {
    /// `per_minute` units, of which `burst` may come at once.
    #[must_use]
    pub fn new(per_minute: NonZeroU64, burst: NonZeroU64) -> Self {
        // A burst of whole units: as long as `burst` single charges take, each rounded up.
        let whole = i128::from(burst.get()).saturating_mul(cost_nanos(per_minute, 1));
        Self {
            per_minute,
            capacity_nanos: whole,
        }
    }

    /// `per_minute` units, all of which may come at once: for quantities where a single call costs many units.
    #[must_use]
    pub fn minute(per_minute: NonZeroU64) -> Self {
        Self {
            per_minute,
            capacity_nanos: MINUTE_NANOS,
        }
    }

    /// Whether a call of `cost` units fits now. Changes nothing.
    ///
    /// # Errors
    /// [`RateRefusal`] when it does not.
    pub fn check(&self, tat: UnixNanos, now: UnixNanos, cost: u64) -> Result<(), RateRefusal> {
        let increment = cost_nanos(self.per_minute, cost);
        if increment > self.capacity_nanos {
            return Err(RateRefusal::Never);
        }
        let next = i128::from(tat.0.max(now.0)) + increment;
        let allowed_from = next - self.capacity_nanos;
        if allowed_from <= i128::from(now.0) {
            Ok(())
        } else {
            Err(RateRefusal::Until(moment(allowed_from)))
        }
    }

    /// The arrival time after a call of `cost` units, whether it fits or not.
    #[must_use]
    pub fn charge(&self, tat: UnixNanos, now: UnixNanos, cost: u64) -> UnixNanos {
        moment(i128::from(tat.0.max(now.0)) + cost_nanos(self.per_minute, cost))
    }

    /// The arrival time after `unused` of the `cost` units that a call was charged at `charged_at` turned out not to be
    /// used. Time that has passed since is not given back.
    #[must_use]
    pub fn refund(&self, tat: UnixNanos, now: UnixNanos, charged_at: UnixNanos, cost: u64, unused: u64) -> UnixNanos {
        let passed = (i128::from(now.0) - i128::from(charged_at.0)).max(0);
        let left = (cost_nanos(self.per_minute, cost) - passed).max(0);
        let unused = i128::from(unused) * MINUTE_NANOS / i128::from(self.per_minute.get());
        moment(i128::from(tat.0) - unused.min(left))
    }
}

/// Time that `cost` units take, rounded up.
fn cost_nanos(per_minute: NonZeroU64, cost: u64) -> i128 {
    let rate = i128::from(per_minute.get());
    // At most 2^64 × 6e10 + 2^64: far inside 128 bits.
    (i128::from(cost) * MINUTE_NANOS + rate - 1) / rate
}

fn moment(nanos: i128) -> UnixNanos {
    UnixNanos(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
}

/// The limiters of one rate limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateRule {
    /// Requests.
    pub requests: Option<Gcra>,
    /// Tokens.
    pub tokens: Option<Gcra>,
    /// Most calls in flight.
    pub concurrent: Option<NonZeroU64>,
}

/// What a call was charged when it was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateCharge {
    /// When.
    pub at: UnixNanos,
    /// Estimated tokens.
    pub tokens: Tokens,
}

/// State of one instance of a rate limit. `default()` is one that was never used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateState {
    /// Theoretical arrival time of requests.
    pub requests_tat: UnixNanos,
    /// Theoretical arrival time of tokens.
    pub tokens_tat: UnixNanos,
    /// Calls in flight.
    pub in_flight: u64,
}

/// Which limiter refuses, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateExceeded {
    /// Requests per minute.
    Requests(RateRefusal),
    /// Tokens per minute.
    Tokens(RateRefusal),
    /// Calls in flight; it fits when one ends.
    Concurrent,
}

impl RateExceeded {
    /// The stable name for error metadata.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Requests(_) => "requests",
            Self::Tokens(_) => "tokens",
            Self::Concurrent => "concurrent",
        }
    }

    /// When it is worth trying again; `None` when time alone does not help.
    #[must_use]
    pub fn retry_at(&self) -> Option<UnixNanos> {
        match self {
            Self::Requests(RateRefusal::Until(at)) | Self::Tokens(RateRefusal::Until(at)) => Some(*at),
            _ => None,
        }
    }
}

impl RateRule {
    /// Whether a call of `tokens` estimated tokens fits now. Changes nothing, so that several limits can be taken together
    /// or not at all.
    ///
    /// # Errors
    /// The limiter that refuses: a permanent refusal first, otherwise in the order requests, tokens, concurrency.
    pub fn check(&self, state: &RateState, now: UnixNanos, tokens: Tokens) -> Result<(), RateExceeded> {
        let by_requests = self
            .requests
            .map_or(Ok(()), |limiter| limiter.check(state.requests_tat, now, 1));
        let by_tokens = self
            .tokens
            .map_or(Ok(()), |limiter| limiter.check(state.tokens_tat, now, units(tokens)));
        if by_tokens == Err(RateRefusal::Never) {
            return Err(RateExceeded::Tokens(RateRefusal::Never));
        }
        by_requests.map_err(RateExceeded::Requests)?;
        by_tokens.map_err(RateExceeded::Tokens)?;
        match self.concurrent {
            Some(most) if state.in_flight >= most.get() => Err(RateExceeded::Concurrent),
            _ => Ok(()),
        }
    }

    /// The limiter of requests alone, for a call that nothing is sent for.
    #[must_use]
    pub fn of_requests(&self) -> Self {
        Self {
            requests: self.requests,
            ..Self::default()
        }
    }

    /// Takes the request of a call that nothing is sent for: it has no tokens and is not in flight.
    pub fn take_request(&self, state: &mut RateState, now: UnixNanos) {
        if let Some(limiter) = &self.requests {
            state.requests_tat = limiter.charge(state.requests_tat, now, 1);
        }
    }

    /// Takes a call that [`check`](Self::check) let through.
    pub fn take(&self, state: &mut RateState, now: UnixNanos, tokens: Tokens) {
        self.take_request(state, now);
        if let Some(limiter) = &self.tokens {
            state.tokens_tat = limiter.charge(state.tokens_tat, now, units(tokens));
        }
        state.in_flight = state.in_flight.saturating_add(1);
    }

    /// Ends a call: the charged tokens become `actual`.
    pub fn settle(&self, state: &mut RateState, now: UnixNanos, charge: RateCharge, actual: Tokens) {
        self.correct(state, now, charge, actual);
        state.in_flight = state.in_flight.saturating_sub(1);
    }

    /// Corrects the estimate of a call that is not in flight any more: the charged tokens become `actual`.
    pub fn correct(&self, state: &mut RateState, now: UnixNanos, charge: RateCharge, actual: Tokens) {
        if let Some(limiter) = &self.tokens {
            let (estimated, actual) = (units(charge.tokens), units(actual));
            state.tokens_tat = if actual >= estimated {
                limiter.charge(state.tokens_tat, now, actual - estimated)
            } else {
                limiter.refund(state.tokens_tat, now, charge.at, estimated, estimated - actual)
            };
        }
    }

    /// Ends a call that never went out: its tokens and its request are given back.
    pub fn release(&self, state: &mut RateState, now: UnixNanos, charge: RateCharge) {
        self.settle(state, now, charge, Tokens::ZERO);
        if let Some(limiter) = &self.requests {
            state.requests_tat = limiter.refund(state.requests_tat, now, charge.at, 1, 1);
        }
    }
}

/// Tokens as units of a limiter; negative counts are none.
fn units(tokens: Tokens) -> u64 {
    u64::try_from(tokens.0).unwrap_or(0)
}

#[cfg(test)]
#[path = "rate_tests.rs"]
mod tests;
