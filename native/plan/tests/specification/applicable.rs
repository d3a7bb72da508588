use fairlead_plan::{CallFacts, Compiled};
use fairlead_wire::internal::{Budget, RateLimit, WindowKind};

use crate::world::*;

fn budget(name: &str, scope: &[&str]) -> Budget {
    Budget {
        name: name.to_owned(),
        scope: strings(scope),
        limit_tokens: Some(1000),
        window: WindowKind::Lifetime.into(),
        ..Budget::default()
    }
}

fn compiled() -> Compiled {
    let mut config = config();
    config.budgets = vec![
        budget("tenant-month", &["tenant"]),
        budget("run", &["run"]),
        Budget {
            r#match: workload("code.*"),
            ..budget("code", &["agent", "session"])
        },
    ];
    config.rate_limits = vec![
        RateLimit {
            name: "per-agent".to_owned(),
            scope: strings(&["agent"]),
            requests_per_minute: 600,
            ..RateLimit::default()
        },
        RateLimit {
            name: "of-a-team".to_owned(),
            scope: strings(&["label:team"]),
            concurrent: 4,
            ..RateLimit::default()
        },
    ];
    Compiled::compile(&config).unwrap()
}

#[test]
fn budgets_apply_when_their_literals_fit_and_their_scope_has_values() {
    let compiled = compiled();
    let of = |facts: &CallFacts<'_>| -> Vec<(String, String)> {
        let name = |id| compiled.budget(id).unwrap().name.to_string();
        compiled
            .budgets_for(facts)
            .map(|(id, instance)| (name(id), instance.0))
            .collect()
    };
    let pair = |name: &str, instance: &str| (name.to_owned(), instance.to_owned());
    assert_eq!(of(&call()), [pair("tenant-month", "-")]);
    assert_eq!(
        of(&CallFacts { run: "r-1", ..call() }),
        [pair("tenant-month", "-"), pair("run", "run=r-1")]
    );
    assert_eq!(
        of(&CallFacts {
            workload: "code.review",
            session: "s 1",
            ..call()
        }),
        [pair("tenant-month", "-"), pair("code", "agent=bot,session=s%201")]
    );
}

#[test]
fn rate_limits_apply_in_the_same_way() {
    let compiled = compiled();
    let of = |facts: &CallFacts<'_>| -> Vec<String> {
        compiled
            .rate_limits_for(facts)
            .map(|(_, instance)| instance.0)
            .collect()
    };
    assert_eq!(of(&call()), ["agent=bot"]);
    let team = labels(&[("team", "support")]);
    assert_eq!(
        of(&CallFacts {
            labels: &team,
            ..call()
        }),
        ["agent=bot", "label:team=support"]
    );
}

#[test]
fn labels_of_the_agent_win() {
    let mut config = config();
    config.tenants[0].agents = vec![fairlead_wire::internal::Agent {
        name: "bot".to_owned(),
        labels: labels(&[("team", "support")]),
        queues: Vec::new(),
    }];
    let compiled = Compiled::compile(&config).unwrap();
    let mut merged = labels(&[("team", "finance"), ("tier", "free")]);
    compiled.merge_labels("acme", "bot", &mut merged);
    assert_eq!(merged, labels(&[("team", "support"), ("tier", "free")]));
    compiled.merge_labels("other", "bot", &mut merged);
    assert_eq!(merged.len(), 2);
}
