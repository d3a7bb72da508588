#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;

const SECOND: i64 = 1_000_000_000;
const T0: UnixNanos = UnixNanos(1_700_000_000 * SECOND);

fn at(seconds: i64) -> UnixNanos {
    T0.plus_nanos(seconds * SECOND)
}

fn settings() -> BreakerSettings {
    BreakerSettings {
        consecutive_failures: 3,
        failure_rate_per_mille: 500,
        minimum_calls: 10,
        window_nanos: 30 * SECOND,
        open_nanos: 10 * SECOND,
        max_open_nanos: 35 * SECOND,
        ramp_nanos: 30 * SECOND,
    }
}

fn in_state(state: State) -> Breaker {
    Breaker {
        state,
        ..Breaker::new(settings())
    }
}

fn opened(seconds: i64) -> Breaker {
    let mut breaker = Breaker::new(settings());
    for _ in 0..3 {
        breaker.failed(at(seconds));
    }
    breaker
}

/// Every state × event pair of the table in the module's introduction.
#[test]
fn the_table_is_the_transition_function() {
    let now = at(100);
    let closed = State::Closed;
    let open = State::Open { until: at(105) };
    let open_over = State::Open { until: at(100) };
    let free = State::HalfOpen { probe_until: None };
    let probing = State::HalfOpen {
        probe_until: Some(at(104)),
    };
    let overdue = State::HalfOpen {
        probe_until: Some(at(100)),
    };
    let ramping = State::Ramping { since: at(90) };
    let ramped = State::Ramping { since: at(70) };
    let tripped_open = State::Open { until: at(110) };
    let ramp_now = State::Ramping { since: at(100) };
    let taken = State::HalfOpen {
        probe_until: Some(at(110)),
    };
    let postponed = Event::Postponed { until: at(160) };
    let postponed_open = State::Open { until: at(160) };

    use Event::{Abandoned, Asked, Elapsed, Failed, Succeeded, Tripped};
    let events = [Elapsed, Asked, Succeeded, Failed, Tripped, postponed, Abandoned];
    let table: [(State, [State; 7]); 8] = [
        (
            closed,
            [closed, closed, closed, closed, tripped_open, postponed_open, closed],
        ),
        (open, [open, open, open, open, open, postponed_open, open]),
        (
            open_over,
            [
                free,
                open_over,
                open_over,
                open_over,
                open_over,
                postponed_open,
                open_over,
            ],
        ),
        (
            free,
            [free, taken, ramp_now, tripped_open, tripped_open, postponed_open, free],
        ),
        (
            probing,
            [
                probing,
                probing,
                ramp_now,
                tripped_open,
                tripped_open,
                postponed_open,
                free,
            ],
        ),
        (
            overdue,
            [
                free,
                overdue,
                ramp_now,
                tripped_open,
                tripped_open,
                postponed_open,
                free,
            ],
        ),
        (
            ramping,
            [
                ramping,
                ramping,
                ramping,
                ramping,
                tripped_open,
                postponed_open,
                ramping,
            ],
        ),
        (
            ramped,
            [closed, ramped, ramped, ramped, tripped_open, postponed_open, ramped],
        ),
    ];
    for (state, expected) in table {
        for (event, expected) in events.into_iter().zip(expected) {
            assert_eq!(in_state(state).next(event, now), expected, "{state:?} × {event:?}");
        }
    }
}

#[test]
fn a_shorter_postponement_does_not_shorten_an_open_breaker() {
    let mut breaker = in_state(State::Open { until: at(105) });
    breaker.postponed(at(100), SECOND);
    assert_eq!(breaker.state(at(100)), State::Open { until: at(105) });
}

#[test]
fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
    let mut breaker = Breaker::new(settings());
    for _ in 0..2 {
        breaker.failed(at(0));
        breaker.failed(at(0));
        breaker.succeeded(at(0));
    }
    assert_eq!(breaker.state(at(0)), State::Closed);
    assert_eq!(opened(0).state(at(0)), State::Open { until: at(10) });
}

#[test]
fn the_failure_rate_opens_it_only_from_the_least_number_of_calls_on() {
    let mut breaker = Breaker::new(settings());
    for _ in 0..4 {
        breaker.failed(at(0));
        breaker.succeeded(at(0));
    }
    assert_eq!(breaker.state(at(0)), State::Closed, "8 calls are too few");
    breaker.succeeded(at(1));
    breaker.failed(at(1));
    assert!(matches!(breaker.state(at(1)), State::Open { .. }), "5 of 10 failed");
}

#[test]
fn failures_leave_the_window() {
    let mut breaker = Breaker::new(settings());
    for second in 0..5 {
        breaker.failed(at(second));
        breaker.succeeded(at(second));
    }
    for _ in 0..12 {
        breaker.succeeded(at(60));
    }
    breaker.failed(at(60));
    assert_eq!(breaker.state(at(60)), State::Closed);
}

#[test]
fn one_probe_decides_and_a_lost_probe_is_replaced() {
    let mut breaker = opened(0);
    assert!(!breaker.ask(at(9)));
    assert!(breaker.ask(at(10)), "the probe");
    assert!(!breaker.ask(at(10)), "one only");
    assert!(breaker.ask(at(20)), "the first never reported");
    breaker.succeeded(at(21));
    assert!(breaker.ask(at(21)));
    assert_eq!(breaker.describe(at(21)), (BreakerState::Ramping, None, 100));
}

#[test]
fn the_open_time_doubles_up_to_the_longest_and_starts_anew_after_closing() {
    let mut breaker = opened(0);
    let mut now = 0;
    for expected in [10, 20, 35, 35] {
        assert_eq!(
            breaker.state(at(now)),
            State::Open {
                until: at(now + expected)
            }
        );
        now += expected;
        assert!(breaker.ask(at(now)));
        breaker.failed(at(now));
    }
    now += 35;
    assert!(breaker.ask(at(now)));
    breaker.succeeded(at(now));
    now += 30;
    breaker.succeeded(at(now));
    assert_eq!(breaker.state(at(now)), State::Closed);
    for _ in 0..3 {
        breaker.failed(at(now));
    }
    assert_eq!(breaker.state(at(now)), State::Open { until: at(now + 10) });
}

#[test]
fn the_ramp_grows_from_a_tenth_to_everything() {
    let breaker = in_state(State::Ramping { since: at(0) });
    let share = |seconds| breaker.describe(at(seconds)).2;
    assert_eq!(
        [share(0), share(10), share(20), share(29), share(30)],
        [100, 400, 700, 970, 1000]
    );
    assert_eq!(breaker.describe(at(30)).0, BreakerState::Closed);
}

#[test]
fn without_a_ramp_it_closes_at_once() {
    let mut breaker = Breaker::new(BreakerSettings {
        ramp_nanos: 0,
        ..settings()
    });
    breaker.state = State::HalfOpen { probe_until: None };
    breaker.succeeded(at(0));
    assert_eq!(breaker.describe(at(0)), (BreakerState::Closed, None, 1000));
}

#[test]
fn a_postponement_is_not_a_time_that_doubles() {
    let mut breaker = Breaker::new(settings());
    breaker.postponed(at(0), 25 * SECOND);
    assert_eq!(breaker.state(at(24)), State::Open { until: at(25) });
    assert!(breaker.ask(at(25)));
    breaker.failed(at(25));
    assert_eq!(breaker.state(at(25)), State::Open { until: at(35) });
}

#[test]
fn an_absurd_postponement_is_cut_to_a_day() {
    let mut breaker = Breaker::new(settings());
    breaker.postponed(at(0), i64::MAX);
    assert_eq!(breaker.state(at(0)), State::Open { until: at(86_400) });
}
