//! Breaker of one model: stops calls to a model that fails, and lets it come back slowly.
//!
//! | state | elapsed | asked | succeeded | failed | tripped | postponed | abandoned |
//! |---|---|---|---|---|---|---|---|
//! | closed | · | · | · | · | open | open | · |
//! | open | half-open at its end | · | · | · | · | open, if longer | · |
//! | half-open | free again when the probe is overdue | takes the probe | ramping | open | open | open | probe is free |
//! | ramping | closed at its end | · | · | · | open | open | · |
//!
//! A `·` stays as it is. *Tripped* is a failure that reaches the configured number in a row or rate in the window;
//! *postponed* is a provider that asks to wait for long; *abandoned* is a call whose caller went away, which says nothing
//! about the model. Opening again before the breaker was closed doubles the time, up to the configured longest.
//! Reports that arrive while it is open belong to calls that went out before, so they say nothing new.

use fairlead_wire::v1::BreakerState;

use super::failures::Failures;
use crate::units::UnixNanos;

/// Share that a ramp begins with, in per mille.
const RAMP_START_PER_MILLE: i64 = 100;
/// Everything, in per mille.
const ALL_PER_MILLE: i64 = 1000;
/// Longest that a provider's request to wait is followed: quotas reset at least daily.
const LONGEST_POSTPONEMENT_NANOS: i64 = 24 * 3_600 * 1_000_000_000;

/// Settings of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row that open it.
    pub consecutive_failures: u32,
    /// Failure rate in per mille over the window that opens it.
    pub failure_rate_per_mille: u32,
    /// Least calls in the window before the rate counts.
    pub minimum_calls: u32,
    /// Window of the failure rate, nanoseconds.
    pub window_nanos: i64,
    /// How long it stays open the first time, nanoseconds.
    pub open_nanos: i64,
    /// Longest it stays open, nanoseconds.
    pub max_open_nanos: i64,
    /// Time over which the admitted share ramps from 10 % to 100 %, nanoseconds.
    pub ramp_nanos: i64,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            failure_rate_per_mille: 500,
            minimum_calls: 20,
            window_nanos: 30_000_000_000,
            open_nanos: 10_000_000_000,
            max_open_nanos: 300_000_000_000,
            ramp_nanos: 30_000_000_000,
        }
    }
}

/// Where a breaker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Calls go through.
    Closed,
    /// No call goes through.
    Open { until: UnixNanos },
    /// One probe goes through; `probe_until` is when the running one is overdue.
    HalfOpen { probe_until: Option<UnixNanos> },
    /// A growing share goes through.
    Ramping { since: UnixNanos },
}

/// What happens to a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Time has passed.
    Elapsed,
    /// A call asks to go out.
    Asked,
    /// A call succeeded.
    Succeeded,
    /// A call failed.
    Failed,
    /// A call failed and a threshold is reached.
    Tripped,
    /// The provider asks to wait until then.
    Postponed { until: UnixNanos },
    /// A call ended and says nothing about the model.
    Abandoned,
}

/// A breaker with what it counts.
#[derive(Clone, Debug)]
pub(crate) struct Breaker {
    settings: BreakerSettings,
    state: State,
    /// How long it was open last since it was closed; 0 when it was not.
    opened_for_nanos: i64,
    in_a_row: u32,
    failures: Failures,
}

impl Breaker {
    pub(crate) fn new(settings: BreakerSettings) -> Self {
        let failures = Failures::new(settings.window_nanos);
        Self {
            settings,
            state: State::Closed,
            opened_for_nanos: 0,
            in_a_row: 0,
            failures,
        }
    }

    /// The same breaker under new settings; counts start anew.
    pub(crate) fn with_settings(self, settings: BreakerSettings) -> Self {
        Self {
            state: self.state,
            opened_for_nanos: self.opened_for_nanos,
            ..Self::new(settings)
        }
    }

    /// Where it is at `now`; changes nothing.
    pub(crate) fn state(&self, now: UnixNanos) -> State {
        self.next(Event::Elapsed, now)
    }

    /// A call asks to go out: true lets it.
    pub(crate) fn ask(&mut self, now: UnixNanos) -> bool {
        self.apply(Event::Elapsed, now);
        let before = self.state;
        self.apply(Event::Asked, now);
        match before {
            State::Closed | State::Ramping { .. } => true,
            State::Open { .. } => false,
            State::HalfOpen { probe_until } => probe_until.is_none(),
        }
    }

    /// A call succeeded.
    pub(crate) fn succeeded(&mut self, now: UnixNanos) {
        self.apply(Event::Elapsed, now);
        self.in_a_row = 0;
        self.failures.record(now, false);
        self.apply(Event::Succeeded, now);
    }

    /// A half-open breaker's probe, for a call that goes out without asking again; the result stands for it. `None` when
    /// no probe is needed or there is none to take.
    pub(crate) fn take_probe(&mut self, now: UnixNanos) -> Option<UnixNanos> {
        self.apply(Event::Elapsed, now);
        let free = self.state == State::HalfOpen { probe_until: None };
        if !free {
            return None;
        }
        self.apply(Event::Asked, now);
        match self.state {
            State::HalfOpen { probe_until } => probe_until,
            _ => None,
        }
    }

    /// The call that took the probe ended without using it. Another one's probe stays taken.
    pub(crate) fn give_probe_back(&mut self, probe: UnixNanos, now: UnixNanos) {
        self.apply(Event::Elapsed, now);
        if self.state
            == (State::HalfOpen {
                probe_until: Some(probe),
            })
        {
            self.apply(Event::Abandoned, now);
        }
    }

    /// Longest it stays open by itself, nanoseconds.
    pub(crate) fn max_open_nanos(&self) -> i64 {
        self.settings.max_open_nanos
    }

    /// A call failed; true when this opened it.
    pub(crate) fn failed(&mut self, now: UnixNanos) -> bool {
        self.apply(Event::Elapsed, now);
        let was_open = matches!(self.state, State::Open { .. });
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.failures.record(now, true);
        let event = if self.trips(now) { Event::Tripped } else { Event::Failed };
        self.apply(event, now);
        !was_open && matches!(self.state, State::Open { .. })
    }

    /// The provider asks to wait for so long.
    pub(crate) fn postponed(&mut self, now: UnixNanos, nanos: i64) {
        self.apply(Event::Elapsed, now);
        let until = now.plus_nanos(nanos.clamp(0, LONGEST_POSTPONEMENT_NANOS));
        self.apply(Event::Postponed { until }, now);
    }

    /// A call ended and says nothing about the model.
    pub(crate) fn abandoned(&mut self, now: UnixNanos) {
        self.apply(Event::Elapsed, now);
        self.apply(Event::Abandoned, now);
    }

    /// The state as the API calls it, until when it lets nothing through, and the share it lets through in per mille.
    pub(crate) fn describe(&self, now: UnixNanos) -> (BreakerState, Option<UnixNanos>, i64) {
        match self.state(now) {
            State::Closed => (BreakerState::Closed, None, ALL_PER_MILLE),
            State::Open { until } => (BreakerState::Open, Some(until), 0),
            State::HalfOpen { probe_until: None } => (BreakerState::HalfOpen, None, ALL_PER_MILLE),
            State::HalfOpen { probe_until } => (BreakerState::HalfOpen, probe_until, 0),
            State::Ramping { since } => (BreakerState::Ramping, None, self.ramp_share(now.since(since))),
        }
    }

    fn ramp_share(&self, elapsed_nanos: i64) -> i64 {
        let gained = i128::from(elapsed_nanos) * i128::from(ALL_PER_MILLE - RAMP_START_PER_MILLE);
        let gained = gained
            .checked_div(i128::from(self.settings.ramp_nanos))
            .unwrap_or(i128::from(ALL_PER_MILLE));
        i64::try_from(gained).map_or(ALL_PER_MILLE, |gained| {
            RAMP_START_PER_MILLE.saturating_add(gained).min(ALL_PER_MILLE)
        })
    }

    fn trips(&self, now: UnixNanos) -> bool {
        let counted = self.failures.at(now);
        let rate_reached =
            u64::from(counted.failed) * 1000 >= u64::from(self.settings.failure_rate_per_mille) * counted.calls();
        self.in_a_row >= self.settings.consecutive_failures
            || (counted.calls() >= u64::from(self.settings.minimum_calls) && rate_reached)
    }

    /// How long it stays open when it opens now.
    fn open_nanos(&self) -> i64 {
        match self.opened_for_nanos {
            0 => self.settings.open_nanos,
            last => last.saturating_mul(2).min(self.settings.max_open_nanos),
        }
    }

    fn apply(&mut self, event: Event, now: UnixNanos) {
        let next = self.next(event, now);
        if std::mem::discriminant(&next) != std::mem::discriminant(&self.state) {
            // Every state judges by its own calls.
            self.in_a_row = 0;
            self.failures = Failures::new(self.settings.window_nanos);
            match next {
                // A postponement is the provider's time and does not count as a time the breaker chose.
                State::Open { .. } if !matches!(event, Event::Postponed { .. }) => {
                    self.opened_for_nanos = self.open_nanos()
                }
                State::Closed => self.opened_for_nanos = 0,
                _ => {}
            }
        }
        self.state = next;
    }

    /// The transition function; see the table.
    fn next(&self, event: Event, now: UnixNanos) -> State {
        let opened = State::Open {
            until: now.plus_nanos(self.open_nanos()),
        };
        match (self.state, event) {
            (State::Closed | State::Ramping { .. }, Event::Tripped)
            | (State::HalfOpen { .. }, Event::Failed | Event::Tripped) => opened,
            (State::Closed | State::HalfOpen { .. } | State::Ramping { .. }, Event::Postponed { until }) => {
                State::Open { until }
            }
            (State::Open { until }, Event::Postponed { until: later }) => State::Open {
                until: until.max(later),
            },
            (State::Open { until }, Event::Elapsed) if until <= now => State::HalfOpen { probe_until: None },
            (
                State::HalfOpen {
                    probe_until: Some(overdue),
                },
                Event::Elapsed,
            ) if overdue <= now => State::HalfOpen { probe_until: None },
            (State::HalfOpen { probe_until: None }, Event::Asked) => {
                let patience = self.opened_for_nanos.max(self.settings.open_nanos);
                State::HalfOpen {
                    probe_until: Some(now.plus_nanos(patience)),
                }
            }
            (State::HalfOpen { .. }, Event::Succeeded) => State::Ramping { since: now },
            (State::HalfOpen { .. }, Event::Abandoned) => State::HalfOpen { probe_until: None },
            (State::Ramping { since }, Event::Elapsed) if now.since(since) >= self.settings.ramp_nanos => State::Closed,
            (State::Closed, Event::Elapsed | Event::Asked | Event::Succeeded | Event::Failed | Event::Abandoned)
            | (
                State::Open { .. },
                Event::Elapsed | Event::Asked | Event::Succeeded | Event::Failed | Event::Tripped | Event::Abandoned,
            )
            | (State::HalfOpen { .. }, Event::Elapsed | Event::Asked)
            | (
                State::Ramping { .. },
                Event::Elapsed | Event::Asked | Event::Succeeded | Event::Failed | Event::Abandoned,
            ) => self.state,
        }
    }
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
