//! Budget instances as the control services list them: in pages, while calls go on.
use fairlead_engine::{AdmitExtra, Caller};
use fairlead_plan::UnixNanos;
use fairlead_wire::internal::{BudgetKey, BudgetView, EngineConfig, WindowKind};
use fairlead_wire::v1::Amount;

use crate::bench::{Bench, HOUR, budget, call, config, money};

const PAGE: usize = 7;

fn two_budgets() -> EngineConfig {
    let mut config = config();
    for (name, scope) in [("run", "run"), ("agent", "agent")] {
        let mut one = budget(name, &[scope], WindowKind::Hour);
        one.limit_nano_usd = Some(1_000_000);
        config.budgets.push(one);
    }
    config
}

fn admit(bench: &mut Bench, tenant: &str, run: &str) -> String {
    let mut request = call(&bench.request_id(), 10, 10);
    run.clone_into(&mut request.run);
    bench
        .admit_as(Caller::agent(tenant, "bot"), &request, AdmitExtra::default())
        .unwrap()
        .invocation
}

fn page(bench: &Bench, tenant: &str, budget: &str, after: Option<&BudgetKey>) -> (Vec<BudgetView>, Option<BudgetKey>) {
    let (views, next) = bench
        .engine
        .budgets_page(UnixNanos(bench.now), tenant, budget, after, PAGE);
    assert!(views.len() <= PAGE);
    (views, next)
}

fn names(views: &[BudgetView]) -> Vec<(&str, &str, &str)> {
    views
        .iter()
        .map(|view| (view.tenant.as_str(), view.budget.as_str(), view.instance.as_str()))
        .collect()
}

#[test]
fn pages_are_bounded_and_complete_while_instances_are_created() {
    let mut bench = Bench::given(two_budgets());
    for number in 0..40 {
        let tenant = if number % 2 == 0 { "acme" } else { "globex" };
        admit(&mut bench, tenant, &format!("r-{number:03}"));
    }
    let before = bench.budgets();
    assert_eq!(before.len(), 42);
    let (mut listed, mut after, mut number) = (Vec::new(), None, 40);
    loop {
        let (views, next) = page(&bench, "", "", after.as_ref());
        listed.extend(views);
        // New ones come in front of, within and behind what was listed.
        for run in ["a", "r-020x", "z"] {
            number += 1;
            admit(
                &mut bench,
                if number % 2 == 0 { "acme" } else { "globex" },
                &format!("{run}{number}"),
            );
        }
        after = next;
        if after.is_none() {
            break;
        }
        assert!(listed.len() < 500, "it does not end");
    }
    let listed = names(&listed);
    assert!(listed.is_sorted_by(|a, b| a < b), "in order, each once");
    for one in names(&before) {
        assert!(listed.contains(&one), "{one:?} was there all the time");
    }
}

#[test]
fn a_page_is_of_a_tenant_and_of_a_budget() {
    let mut bench = Bench::given(two_budgets());
    for tenant in ["acme", "globex"] {
        for run in ["r-1", "r-2"] {
            admit(&mut bench, tenant, run);
        }
    }
    let expected = [
        ("acme", "agent", "agent=bot"),
        ("acme", "run", "run=r-1"),
        ("acme", "run", "run=r-2"),
        ("globex", "agent", "agent=bot"),
        ("globex", "run", "run=r-1"),
        ("globex", "run", "run=r-2"),
    ];
    for tenant in ["", "acme", "globex", "none"] {
        for budget in ["", "agent", "run", "none"] {
            let (views, next) = page(&bench, tenant, budget, None);
            let wanted: Vec<_> = expected
                .into_iter()
                .filter(|one| ["", one.0].contains(&tenant) && ["", one.1].contains(&budget))
                .collect();
            assert_eq!((names(&views), next), (wanted, None), "{tenant:?} {budget:?}");
        }
    }
    let one = bench.engine.budget(UnixNanos(bench.now), "globex", "run", "run=r-2");
    assert_eq!(money(one.unwrap().reserved), 30);
    let none = bench.engine.budget(UnixNanos(bench.now), "globex", "run", "run=r-3");
    assert_eq!(none, None);
}

#[test]
fn a_removed_budget_is_not_listed_until_it_is_back() {
    let mut bench = Bench::given(two_budgets());
    let hold = admit(&mut bench, "acme", "r-1");
    let before = bench.budgets();
    bench.load(|config| config.budgets.retain(|one| one.name != "run"));
    assert_eq!(names(&bench.budgets()), [("acme", "agent", "agent=bot")]);
    assert_eq!(bench.budget("run", "run=r-1"), BudgetView::default());
    // Its hold is still there, also after a crash, where only the hold tells of it.
    bench.crash();
    assert_eq!(names(&bench.budgets()), [("acme", "agent", "agent=bot")]);
    bench.load(|config| config.budgets = two_budgets().budgets);
    assert_eq!(names(&bench.budgets()), names(&before));
    bench.release(&hold).unwrap();
    assert_eq!(bench.budget("run", "run=r-1").reserved, Some(Amount::default()));
}

#[test]
fn what_makes_room_is_not_listed_any_more() {
    let mut config = two_budgets();
    config.limits.as_mut().unwrap().budget_instances = 4;
    let mut bench = Bench::given(config);
    for run in ["r-1", "r-2", "r-3"] {
        let hold = admit(&mut bench, "acme", run);
        bench.release(&hold).unwrap();
        bench.after(2 * HOUR);
    }
    let (views, _) = page(&bench, "acme", "run", None);
    assert_eq!(names(&views), [("acme", "run", "run=r-2"), ("acme", "run", "run=r-3")]);
}

#[test]
fn uses_are_told_in_slices() {
    let mut bench = Bench::given(two_budgets());
    for number in 0..20 {
        admit(&mut bench, "acme", &format!("r-{number:02}"));
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let before = seen.len();
        after = bench
            .engine
            .visit_budgets(UnixNanos(bench.now), after.as_ref(), PAGE, |one| {
                seen.push((one.tenant.to_owned(), one.budget.to_owned(), one.limit, one.reserved));
            });
        assert!(seen.len() - before <= PAGE);
        if after.is_none() {
            break;
        }
    }
    let expected: Vec<_> = bench
        .budgets()
        .into_iter()
        .map(|view| (view.tenant, view.budget, view.limit.unwrap(), view.reserved.unwrap()))
        .collect();
    assert_eq!(seen, expected);
}
