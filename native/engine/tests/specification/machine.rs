//! Random histories against a small reference model: I1 to I4, whatever comes in which order.
//!
//! The bench checks I1 to I3 and recomputes every decision after each step. Here a ledger is kept beside it from the
//! answers and the log alone: `spent` is the fold of what was charged, `reserved` the sum of what is open; after every
//! crash and at the end both must be what the engine says.
use std::collections::BTreeMap;

use fairlead_engine::{AdmitExtra, Cached, Caller, Reason};
use fairlead_wire::internal::{BudgetView, EngineConfig, OnExceed, WindowKind};
use fairlead_wire::v1::{Amount, AttemptOutcome, AuditRecord, BudgetCharge, EventKind, audit_record::Body};
use proptest::prelude::*;

use crate::bench::{Bench, MINUTE, SECOND, budget, call, config, failed, route, used};

#[derive(Debug, Clone)]
enum Step {
    Admit {
        run: u8,
        input: i64,
        output: i64,
        large: bool,
        cached: bool,
    },
    Settle {
        which: usize,
        input: i64,
        output: i64,
        failures: u8,
    },
    Release {
        which: usize,
    },
    Repeat {
        which: usize,
    },
    Pass {
        seconds: i64,
    },
    Expire,
    Adjust {
        credit: i64,
    },
    Limit {
        factor: i64,
    },
    Window {
        kind: u8,
    },
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_u8, 0..400_i64, 1..400_i64, any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(run, input, output, large, cached)| Step::Admit { run, input, output, large, cached }),
        6 => (any::<usize>(), 0..600_i64, 0..600_i64, 0..3_u8)
            .prop_map(|(which, input, output, failures)| Step::Settle { which, input, output, failures }),
        2 => any::<usize>().prop_map(|which| Step::Release { which }),
        1 => any::<usize>().prop_map(|which| Step::Repeat { which }),
        4 => (0..4_000_i64).prop_map(|seconds| Step::Pass { seconds }),
        2 => Just(Step::Expire),
        1 => (-800..800_i64).prop_map(|credit| Step::Adjust { credit }),
        1 => (1..5_i64).prop_map(|factor| Step::Limit { factor }),
        1 => (0..4_u8).prop_map(|kind| Step::Window { kind }),
        2 => Just(Step::Crash),
    ]
}

fn start(charge_on_expiry: bool) -> EngineConfig {
    let mut config = config();
    config.reservations.as_mut().unwrap().charge_on_expiry = charge_on_expiry;
    let mut hour = budget("hour", &["tenant"], WindowKind::Hour);
    hour.limit_nano_usd = Some(9_000);
    hour.alert_at = vec![50, 90];
    let mut run = budget("run", &["run"], WindowKind::Lifetime);
    run.limit_nano_usd = Some(20_000);
    run.limit_tokens = Some(4_000);
    run.count_cached = false;
    let mut rolling = budget("rolling", &["agent"], WindowKind::Rolling);
    rolling.limit_tokens = Some(3_000);
    rolling.rolling_millis = 1_800_000;
    rolling.on_exceed = OnExceed::Downgrade as i32;
    rolling.downgrade_to = "small".to_owned();
    let mut soft = budget("soft", &["tenant"], WindowKind::Day);
    soft.limit_requests = Some(5);
    soft.on_exceed = OnExceed::Alert as i32;
    config.budgets.extend([hour, run, rolling, soft]);
    let mut all = route("large-first", "large", &["small"], 2);
    all.r#match = Some(fairlead_wire::internal::Match {
        models: vec!["large".to_owned()],
        ..fairlead_wire::internal::Match::default()
    });
    // Runs keep what answered them, in a book that has no room for all of them.
    all.sticky_by = "run".to_owned();
    all.cache_ttl_millis = 60_000;
    config.limits.as_mut().unwrap().sessions = 4;
    config.reservations.as_mut().unwrap().session_ttl_millis = 3_600_000;
    config.routes.push(all);
    config
}

/// Budget, instance, kind of window, start of the window.
type Place = (String, String, i64, i64);

/// What the log says was spent, by window: charges, corrections and adjustments in their order.
fn fold(log: &[AuditRecord]) -> BTreeMap<Place, Amount> {
    let mut spent: BTreeMap<Place, Amount> = BTreeMap::new();
    let mut add = |charge: &BudgetCharge| {
        let place = (
            charge.budget.clone(),
            charge.instance.clone(),
            charge.window_millis,
            charge.window_start_unix_nanos,
        );
        let sum = spent.entry(place).or_default();
        let amount = charge.amount.unwrap_or_default();
        sum.nano_usd = (sum.nano_usd + amount.nano_usd).max(0);
        sum.tokens = (sum.tokens + amount.tokens).max(0);
        sum.requests = (sum.requests + amount.requests).max(0);
    };
    for record in log {
        match &record.body {
            Some(Body::Settlement(settlement)) => settlement.charges.iter().for_each(&mut add),
            Some(Body::HoldEnded(ended)) => ended.charges.iter().for_each(&mut add),
            Some(Body::Budget(event)) if record.kind() == EventKind::BudgetAdjusted => {
                // Only the lifetime budget is adjusted.
                let amount = event.amount.unwrap();
                add(&BudgetCharge {
                    budget: event.budget.clone(),
                    instance: event.instance.clone(),
                    window_start_unix_nanos: 0,
                    amount: Some(Amount {
                        nano_usd: -amount.nano_usd,
                        tokens: -amount.tokens,
                        requests: -amount.requests,
                    }),
                    window_millis: 0,
                });
            }
            _ => {}
        }
    }
    spent
}

struct Machine {
    bench: Bench,
    /// Every admission, with its request, whatever became of it.
    admitted: Vec<(
        String,
        fairlead_wire::v1::AdmitRequest,
        fairlead_wire::v1::AdmitResponse,
    )>,
    windows: u8,
    /// Time of the last change of the hour budget's window; what was charged before does not count any more.
    window_since: usize,
}

impl Machine {
    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Admit {
                run,
                input,
                output,
                large,
                cached,
            } => {
                let id = self.bench.request_id();
                let mut request = call(&id, input, output);
                request.run = format!("r-{run}");
                request.model = if large { "large" } else { "small" }.to_owned();
                let version = self.bench.engine.compiled().version().to_owned();
                let extra = AdmitExtra {
                    remember: true,
                    cached: (large && cached).then(|| Cached {
                        model: "small",
                        config_version: &version,
                        ..Cached::default()
                    }),
                    ..AdmitExtra::default()
                };
                match self.bench.admit_as(Caller::agent("acme", "bot"), &request, extra) {
                    Ok(response) if large && cached => assert!(response.reservation.is_none(), "a hit holds nothing"),
                    Ok(response) => self.admitted.push((response.invocation.clone(), request, response)),
                    Err(refused) => assert_eq!(refused.reason, Reason::BudgetExhausted, "{refused:?}"),
                }
            }
            Step::Settle {
                which,
                input,
                output,
                failures,
            } => {
                let Some((invocation, _, response)) = self.pick(which) else {
                    return;
                };
                let model = response.plan[0].model.clone();
                let mut attempts = vec![failed(&model, AttemptOutcome::Failed); usize::from(failures)];
                let mut last = used(&model, input, output);
                last.usage.as_mut().unwrap().cached_input = input / 3;
                attempts.push(last);
                let (open, late) = (self.is_open(&invocation), self.is_expired(&invocation));
                let outcome = self.bench.settle(&invocation, attempts);
                assert_eq!(outcome.is_ok(), open || late, "I3: {outcome:?}");
            }
            Step::Release { which } => {
                let Some((invocation, _, response)) = self.pick(which) else {
                    return;
                };
                let due = self.bench.now >= nanos(response.reservation.unwrap().expires_at.unwrap());
                let open = self.is_open(&invocation);
                let outcome = self.bench.release(&invocation);
                assert_eq!(outcome.is_ok(), open && !due, "I3: {outcome:?}");
            }
            Step::Repeat { which } => {
                let Some((_, request, response)) = self.pick(which) else {
                    return;
                };
                let since = self.bench.now - nanos(response.admitted_at.unwrap());
                if since < 24 * 60 * MINUTE {
                    assert_eq!(self.bench.admit(&request), Ok(response));
                }
            }
            Step::Pass { seconds } => {
                self.bench.after(seconds * SECOND);
            }
            Step::Expire => {
                self.bench.expire();
            }
            Step::Adjust { credit } => {
                let amount = Amount {
                    nano_usd: credit,
                    tokens: credit / 2,
                    requests: 0,
                };
                if amount != Amount::default() {
                    // There is nothing to adjust before the first call of the run.
                    let _ = self.bench.adjust("run", "run=r-0", amount);
                }
            }
            Step::Limit { factor } => self.bench.load(|config| {
                config.budgets[0].limit_nano_usd = Some(3_000 * factor);
                config.budgets[1].limit_tokens = Some(1_500 * factor);
            }),
            Step::Window { kind } => {
                if kind != self.windows {
                    self.windows = kind;
                    let window = [
                        WindowKind::Hour,
                        WindowKind::Day,
                        WindowKind::Lifetime,
                        WindowKind::Rolling,
                    ];
                    let window = window[usize::from(kind)];
                    self.bench.load(|config| {
                        config.budgets[0].window = window as i32;
                        config.budgets[0].rolling_millis = if window == WindowKind::Rolling { 600_000 } else { 0 };
                    });
                    self.window_since = self.bench.log().len();
                }
            }
            Step::Crash => {
                // INVARIANT (I4). An instance that was only ever released is empty and need not come back.
                let before = (self.counting(), self.bench.engine.sessions());
                self.bench.crash();
                assert_eq!((self.counting(), self.bench.engine.sessions()), before);
            }
        }
        self.check();
    }

    fn pick(
        &self,
        which: usize,
    ) -> Option<(
        String,
        fairlead_wire::v1::AdmitRequest,
        fairlead_wire::v1::AdmitResponse,
    )> {
        (!self.admitted.is_empty()).then(|| self.admitted[which % self.admitted.len()].clone())
    }

    /// Instances in which something counts.
    fn counting(&self) -> Vec<BudgetView> {
        let mut views = self.bench.budgets();
        views.retain(|view| [view.spent, view.reserved] != [Some(Amount::default()); 2]);
        views
    }

    fn is_open(&self, invocation: &str) -> bool {
        !self.bench.log().iter().any(|record| {
            record.invocation == invocation
                && matches!(
                    record.kind(),
                    EventKind::InvocationSettled | EventKind::InvocationReleased | EventKind::InvocationExpired
                )
        })
    }

    fn is_expired(&self, invocation: &str) -> bool {
        let log = self.bench.log();
        let kinds = log
            .iter()
            .filter(|record| record.invocation == invocation)
            .map(AuditRecord::kind);
        let mut ends = kinds.filter(|kind| *kind != EventKind::BudgetAlert && *kind != EventKind::BudgetOverdraft);
        ends.next_back() == Some(EventKind::InvocationExpired)
    }

    /// INVARIANT (I2): spent is the fold of the log.
    fn check(&self) {
        let log = self.bench.log();
        let all = fold(&log);
        let since = fold(&log[self.window_since..]);
        for view in &self.bench.budgets() {
            let code = match (view.budget.as_str(), self.windows) {
                ("hour", 0) => 3_600_000,
                ("hour", 1) | ("soft", _) => 86_400_000,
                ("hour", 2) | ("run", _) => 0,
                // Rolling windows: their buckets are summed by `rolling_spent`.
                _ => {
                    let length = if view.budget == "hour" { 600_000 } else { 1_800_000 };
                    let folded = if view.budget == "hour" { &since } else { &all };
                    let expected = rolling_spent(folded, &view.budget, &view.instance, length, self.bench.now);
                    assert_eq!(view.spent.unwrap(), expected, "I2: {view:?}");
                    continue;
                }
            };
            let folded = if view.budget == "hour" { &since } else { &all };
            let place = (
                view.budget.clone(),
                view.instance.clone(),
                code,
                view.window_start_unix_nanos,
            );
            assert_eq!(
                view.spent.unwrap(),
                folded.get(&place).copied().unwrap_or_default(),
                "I2: {view:?}"
            );
        }
    }
}

fn rolling_spent(folded: &BTreeMap<Place, Amount>, budget: &str, instance: &str, millis: i64, now: i64) -> Amount {
    let (length, bucket) = (millis * 1_000_000, millis * 1_000_000 / 60);
    let mut sum = Amount::default();
    for ((name, of, code, start), amount) in folded {
        if name == budget && of == instance && *code == -millis && start + bucket + length > now {
            sum.nano_usd += amount.nano_usd;
            sum.tokens += amount.tokens;
            sum.requests += amount.requests;
        }
    }
    sum
}

fn nanos(time: prost_types::Timestamp) -> i64 {
    time.seconds * SECOND + i64::from(time.nanos)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn invariants_hold_in_every_history(charge in any::<bool>(), steps in proptest::collection::vec(step(), 1..60)) {
        let bench = Bench::given(start(charge));
        let mut machine = Machine { bench, admitted: Vec::new(), windows: 0, window_since: 0 };
        for step in &steps {
            machine.apply(step);
        }
        machine.bench.crash();
        machine.check();
        // INVARIANT (I3): with time everything ends, and nothing is held any more.
        machine.bench.after(24 * 60 * MINUTE);
        machine.bench.expire();
        prop_assert_eq!(machine.bench.engine.open_reservations(), 0);
        for view in machine.bench.budgets() {
            prop_assert_eq!(view.reserved.unwrap(), Amount::default());
        }
    }
}
