#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000_000_000;
const NOW: UnixNanos = UnixNanos(1_700_000_000 * SECOND);

fn rate(count: u64) -> NonZeroU64 {
    NonZeroU64::new(count).unwrap()
}

fn per_minute(requests: u64, burst: u64) -> RateRule {
    RateRule {
        requests: Some(Gcra::new(rate(requests), rate(burst))),
        ..RateRule::default()
    }
}

fn tokens_per_minute(tokens: u64) -> RateRule {
    RateRule {
        tokens: Some(Gcra::minute(rate(tokens))),
        ..RateRule::default()
    }
}

fn try_take(rule: &RateRule, state: &mut RateState, now: UnixNanos, tokens: i64) -> bool {
    let fits = rule.check(state, now, Tokens(tokens)).is_ok();
    if fits {
        rule.take(state, now, Tokens(tokens));
    }
    fits
}

fn charged(at: UnixNanos, tokens: i64) -> RateCharge {
    RateCharge {
        at,
        tokens: Tokens(tokens),
    }
}

#[test]
fn a_burst_passes_at_once_and_then_one_per_interval() {
    let rule = per_minute(60, 3);
    let mut state = RateState::default();
    assert_eq!((0..5).filter(|_| try_take(&rule, &mut state, NOW, 0)).count(), 3);
    assert_eq!(
        rule.check(&state, NOW, Tokens(0)),
        Err(RateExceeded::Requests(RateRefusal::Until(NOW.plus_nanos(SECOND))))
    );
    assert!(!try_take(&rule, &mut state, NOW.plus_nanos(SECOND - 1), 0));
    assert!(try_take(&rule, &mut state, NOW.plus_nanos(SECOND), 0));
    assert!(!try_take(&rule, &mut state, NOW.plus_nanos(SECOND), 0));
}

#[test]
fn a_rate_that_does_not_divide_a_minute_still_lets_its_burst_through() {
    let rule = per_minute(7, 7);
    let mut state = RateState::default();
    assert_eq!((0..20).filter(|_| try_take(&rule, &mut state, NOW, 0)).count(), 7);
    let mut state = RateState::default();
    assert!(try_take(&per_minute(7, 1), &mut state, NOW, 0));
}

#[test]
fn a_minute_of_tokens_may_come_at_once_and_more_never_fits() {
    let rule = tokens_per_minute(1000);
    let mut state = RateState::default();
    assert_eq!(
        rule.check(&state, NOW, Tokens(1001)),
        Err(RateExceeded::Tokens(RateRefusal::Never))
    );
    assert!(try_take(&rule, &mut state, NOW, 1000));
    let refused = rule.check(&state, NOW, Tokens(500)).unwrap_err();
    assert_eq!(refused.retry_at(), Some(NOW.plus_nanos(30 * SECOND)));
    assert!(try_take(&rule, &mut state, NOW.plus_nanos(30 * SECOND), 500));
}

#[test]
fn settlement_gives_back_what_was_not_used() {
    let rule = tokens_per_minute(1000);
    let mut state = RateState::default();
    rule.take(&mut state, NOW, Tokens(1000));
    rule.settle(&mut state, NOW, charged(NOW, 1000), Tokens(400));
    assert!(rule.check(&state, NOW, Tokens(600)).is_ok());
    assert!(rule.check(&state, NOW, Tokens(601)).is_err());
}

#[test]
fn settlement_charges_what_was_used_beyond_the_estimate() {
    let rule = tokens_per_minute(1000);
    let mut state = RateState::default();
    rule.take(&mut state, NOW, Tokens(100));
    rule.settle(&mut state, NOW, charged(NOW, 100), Tokens(1500));
    assert_eq!(
        rule.check(&state, NOW, Tokens(0)).unwrap_err().retry_at(),
        Some(NOW.plus_nanos(30 * SECOND))
    );
}

#[test]
fn a_refund_after_the_bucket_has_refilled_earns_nothing() {
    let rule = tokens_per_minute(1000);
    let mut state = RateState::default();
    rule.take(&mut state, NOW, Tokens(1000));
    let later = NOW.plus_nanos(600 * SECOND);
    rule.settle(&mut state, later, charged(NOW, 1000), Tokens(0));
    assert!(rule.check(&state, later, Tokens(1000)).is_ok());
    rule.take(&mut state, later, Tokens(1000));
    assert!(rule.check(&state, later, Tokens(1)).is_err());
}

/// The bucket refills while the first call runs, the second empties it, and then the first has used nothing: its charge
/// is over, and to give it back would let a second burst through at once.
#[test]
fn a_late_refund_does_not_give_back_what_a_later_call_took() {
    let rule = tokens_per_minute(1000);
    let mut state = RateState::default();
    assert!(try_take(&rule, &mut state, NOW, 1000));
    let minute = NOW.plus_nanos(60 * SECOND);
    assert!(try_take(&rule, &mut state, minute, 1000));
    rule.settle(&mut state, minute, charged(NOW, 1000), Tokens(0));
    assert!(!try_take(&rule, &mut state, minute, 1));
    // Half of the second one's time has passed: the other half is left to give back.
    let later = minute.plus_nanos(30 * SECOND);
    rule.settle(&mut state, later, charged(minute, 1000), Tokens(0));
    assert!(rule.check(&state, later, Tokens(1000)).is_ok());
}

#[test]
fn calls_in_flight_are_counted() {
    let rule = RateRule {
        concurrent: NonZeroU64::new(2),
        ..RateRule::default()
    };
    let mut state = RateState::default();
    assert!(try_take(&rule, &mut state, NOW, 0) && try_take(&rule, &mut state, NOW, 0));
    assert_eq!(rule.check(&state, NOW, Tokens(0)), Err(RateExceeded::Concurrent));
    rule.settle(&mut state, NOW, charged(NOW, 0), Tokens(0));
    assert!(try_take(&rule, &mut state, NOW, 0));
}

#[test]
fn a_release_gives_everything_back() {
    let rule = RateRule {
        requests: Some(Gcra::new(rate(60), rate(1))),
        tokens: Some(Gcra::minute(rate(1000))),
        concurrent: NonZeroU64::new(1),
    };
    let mut state = RateState::default();
    rule.take(&mut state, NOW, Tokens(1000));
    rule.release(&mut state, NOW, charged(NOW, 1000));
    assert_eq!(rule.check(&state, NOW, Tokens(1000)), Ok(()));
}

#[test]
fn what_can_never_fit_is_named_before_what_takes_time() {
    let rule = RateRule {
        tokens: Some(Gcra::minute(rate(10))),
        ..per_minute(60, 1)
    };
    let mut state = RateState::default();
    rule.take(&mut state, NOW, Tokens(0));
    assert_eq!(
        rule.check(&state, NOW, Tokens(11)),
        Err(RateExceeded::Tokens(RateRefusal::Never))
    );
}

#[test]
fn extremes_do_not_wrap() {
    let rule = RateRule {
        tokens: Some(Gcra::minute(rate(1))),
        ..per_minute(1, u64::MAX)
    };
    let mut state = RateState::default();
    rule.take(&mut state, UnixNanos(i64::MAX), Tokens::MAX);
    rule.settle(
        &mut state,
        UnixNanos(i64::MAX),
        charged(UnixNanos(i64::MIN), i64::MAX),
        Tokens(-1),
    );
    rule.correct(&mut state, NOW, charged(NOW, 0), Tokens::MAX);
    assert!(rule.check(&state, NOW, Tokens(1)).is_err());
}

proptest! {
    /// In every span, no more passes than the burst and what the rate adds in it, whatever the order of calls, sizes,
    /// settlements and times.
    #[test]
    fn never_lets_more_through_than_burst_and_rate(
        per_minute in 1u64..100_000,
        burst in 1u64..50,
        steps in prop::collection::vec((0i64..5 * SECOND, 1i64..40), 1..200),
    ) {
        let limiter = Gcra::new(rate(per_minute), rate(burst));
        let mut tat = UnixNanos::default();
        let mut now = NOW;
        let mut passed: Vec<(UnixNanos, u64)> = Vec::new();
        for (wait, cost) in steps {
            now = now.plus_nanos(wait);
            let cost = u64::try_from(cost).unwrap();
            if limiter.check(tat, now, cost).is_ok() {
                tat = limiter.charge(tat, now, cost);
                passed.push((now, cost));
            }
        }
        for (first, (start, _)) in passed.iter().enumerate() {
            let mut sum = 0u128;
            for (end, cost) in &passed[first..] {
                sum += u128::from(*cost);
                let span = u128::try_from(end.since(*start)).unwrap();
                prop_assert!(sum * 60_000_000_000 <= u128::from(burst) * 60_000_000_000 + span * u128::from(per_minute) + u128::from(burst) * u128::from(per_minute));
            }
        }
    }

    /// A refused call that waits until the time it was told passes, if nothing came in between.
    #[test]
    fn the_time_to_retry_is_the_earliest_that_works(per_minute in 1u64..1_000_000, burst in 1u64..100, calls in 1usize..300) {
        let limiter = Gcra::new(rate(per_minute), rate(burst));
        let tat = (0..calls).fold(UnixNanos::default(), |tat, _| limiter.charge(tat, NOW, 1));
        if let Err(RateRefusal::Until(at)) = limiter.check(tat, NOW, 1) {
            prop_assert!(limiter.check(tat, at, 1).is_ok());
            prop_assert!(limiter.check(tat, at.plus_nanos(-1), 1).is_err());
        }
    }

    /// Taking and giving back an estimate never leaves more room than there was.
    #[test]
    fn corrections_never_make_room(per_minute in 1u64..1_000_000, estimates in prop::collection::vec(0i64..10_000, 0..50)) {
        let rule = tokens_per_minute(per_minute);
        let mut state = RateState { tokens_tat: NOW, ..RateState::default() };
        for estimate in &estimates {
            rule.take(&mut state, NOW, Tokens(*estimate));
        }
        for estimate in &estimates {
            rule.settle(&mut state, NOW, charged(NOW, *estimate), Tokens(0));
        }
        prop_assert!(state.tokens_tat >= NOW);
        prop_assert_eq!(state.in_flight, 0);
    }

    /// Estimates that are corrected later let nothing through that a limiter would have refused which had known from the
    /// beginning what the calls use: its arrival time is never the later one, but for what is over anyway.
    #[test]
    fn late_corrections_are_never_kinder_than_foreknowledge(
        per_minute in 1u64..100_000,
        steps in prop::collection::vec((0i64..30 * SECOND, 0i64..5_000, 0i64..5_000, any::<prop::sample::Index>()), 1..60),
    ) {
        let rule = tokens_per_minute(per_minute);
        let limiter = Gcra::minute(rate(per_minute));
        let mut state = RateState::default();
        let mut now = NOW;
        // When, charged, used as far as it is known.
        let mut calls: Vec<(UnixNanos, i64, Option<i64>)> = Vec::new();
        for (wait, estimate, used, which) in steps {
            now = now.plus_nanos(wait);
            if try_take(&rule, &mut state, now, estimate) {
                calls.push((now, estimate, None));
            }
            if !calls.is_empty() {
                let (at, estimate, settled) = which.get_mut(&mut calls);
                if settled.is_none() {
                    let used = used.min(*estimate);
                    rule.settle(&mut state, now, charged(*at, *estimate), Tokens(used));
                    *settled = Some(used);
                }
            }
            let foreknown = calls.iter().fold(UnixNanos::default(), |tat, (at, estimate, used)| {
                limiter.charge(tat, *at, units(Tokens(used.unwrap_or(*estimate))))
            });
            prop_assert!(state.tokens_tat.max(now) >= foreknown.max(now));
        }
    }
}
