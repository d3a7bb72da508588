//! Windows: what counts when.
use fairlead_wire::internal::{EngineConfig, WindowKind};
use fairlead_wire::v1::{Amount, EventKind, audit_record::Body};

use crate::bench::{Bench, DAY, HOUR, MINUTE, MONDAY, budget, call, config, money, used};

fn with_budget(window: WindowKind, rolling_millis: u64) -> EngineConfig {
    let mut config = config();
    let mut one = budget("b", &["tenant"], window);
    one.limit_nano_usd = Some(1_000);
    one.rolling_millis = rolling_millis;
    config.budgets.push(one);
    config.reservations.as_mut().unwrap().ttl_millis = 24 * 3_600_000;
    config
}

/// Takes the whole budget, and leaves the hold open.
fn hold_all(bench: &mut Bench, id: &str) -> String {
    let admitted = bench.admit(&call(id, 600, 200)).unwrap();
    assert_eq!(money(admitted.reservation.unwrap().amount), 1_000);
    admitted.invocation
}

#[test]
fn a_fixed_window_begins_anew_at_its_utc_boundary() {
    // 10:00 on Monday the 2nd of March.
    for (window, rest) in [
        (WindowKind::Hour, HOUR),
        (WindowKind::Day, 14 * HOUR),
        (WindowKind::Week, 6 * DAY + 14 * HOUR),
        (WindowKind::Month, 29 * DAY + 14 * HOUR),
    ] {
        let mut bench = Bench::given(with_budget(window, 0));
        let first = hold_all(&mut bench, "a");
        bench.settle(&first, vec![used("small", 600, 200)]).unwrap();
        bench.now = MONDAY + rest - 1;
        let refused = bench.admit(&call("b", 600, 200)).unwrap_err();
        assert_eq!(refused.metadata["spent"], "1000", "{window:?}");
        assert_eq!(bench.budget("b", "-").resets_at_unix_nanos, MONDAY + rest);
        bench.now += 1;
        assert_eq!(money(bench.budget("b", "-").spent), 0);
        hold_all(&mut bench, "c");
    }
}

#[test]
fn a_settlement_after_the_boundary_charges_the_window_that_was_reserved() {
    let mut bench = Bench::given(with_budget(WindowKind::Day, 0));
    let yesterday = hold_all(&mut bench, "a");
    bench.after(20 * HOUR);
    // The new day is empty although yesterday's hold is open, also after a crash.
    bench.crash();
    let today = hold_all(&mut bench, "b");
    bench.settle(&yesterday, vec![used("small", 600, 200)]).unwrap();
    let view = bench.budget("b", "-");
    assert_eq!((money(view.spent), money(view.reserved)), (0, 1_000));
    let Some(Body::Settlement(record)) = bench.last().body else {
        panic!()
    };
    assert_eq!(record.charges[0].window_start_unix_nanos, MONDAY - 10 * HOUR);
    bench.settle(&today, vec![used("small", 1, 1)]).unwrap();
    assert_eq!(money(bench.budget("b", "-").spent), 3);
}

#[test]
fn a_rolling_window_never_under_counts() {
    let mut bench = Bench::given(with_budget(WindowKind::Rolling, 3_600_000));
    let first = hold_all(&mut bench, "a");
    // Open holds count however old they are.
    bench.after(3 * HOUR);
    assert!(bench.admit(&call("b", 600, 200)).is_err());
    bench.settle(&first, vec![used("small", 600, 200)]).unwrap();
    bench.after(HOUR);
    assert!(bench.admit(&call("c", 600, 200)).is_err());
    // A sub-bucket of a minute later it has left.
    bench.after(MINUTE);
    hold_all(&mut bench, "d");
}

#[test]
fn what_leaves_a_rolling_window_leaves_it_bit_by_bit() {
    let mut bench = Bench::given(with_budget(WindowKind::Rolling, 3_600_000));
    for id in ["a", "b", "c"] {
        let admitted = bench.admit(&call(id, 100, 100)).unwrap();
        bench
            .settle(&admitted.invocation, vec![used("small", 100, 100)])
            .unwrap();
        bench.after(20 * MINUTE).crash();
    }
    let mut spent = Vec::new();
    for _ in 0..4 {
        spent.push(money(bench.budget("b", "-").spent));
        bench.after(20 * MINUTE);
    }
    // At 60 minutes the bucket of the first minute has not left yet.
    assert_eq!(spent, [900, 600, 300, 0]);
    assert_eq!(bench.budget("b", "-").spent, Some(Amount::default()));
}

#[test]
fn alerts_fire_again_in_the_next_window() {
    let mut config = with_budget(WindowKind::Hour, 0);
    config.budgets[0].alert_at = vec![100];
    let mut bench = Bench::given(config);
    for id in ["a", "b"] {
        let hold = hold_all(&mut bench, id);
        bench.settle(&hold, vec![used("small", 600, 200)]).unwrap();
        bench.after(HOUR);
    }
    assert_eq!(
        bench
            .kinds()
            .iter()
            .filter(|kind| **kind == EventKind::BudgetAlert)
            .count(),
        2
    );
}
