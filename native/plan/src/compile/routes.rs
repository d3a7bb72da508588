//! `routes`.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use fairlead_wire::internal::{self, EngineConfig, Selection};

use super::conditions::{self, ModelNames};
use super::report::Report;
use crate::compiled::{Choice, Route, Sticky, Target};
use crate::units::Tokens;

const DAY_MILLIS: u64 = 24 * 3_600_000;
const MAX_CACHE_TTL_MILLIS: u64 = 30 * DAY_MILLIS;
const MAX_WEIGHT: u32 = 1_000_000;
const MAX_TARGETS: usize = 64;
const MAX_CHAIN: usize = 16;
const MAX_ATTEMPTS: u32 = 10;
const MAX_OUTPUT_TOKENS: i64 = 100_000_000;

pub(super) fn compile(config: &EngineConfig, models: &ModelNames, report: &mut Report) -> Vec<Route> {
    let mut names = HashSet::new();
    let compile_one = |(at, source): (usize, &internal::Route)| {
        let path = format!("routes[{at}]");
        report_name(&path, at, config, &mut names, report);
        let choice = choice(&path, source, models, report);
        check_ranges(&path, source, report);
        let fallback = source.fallback.clone().unwrap_or_default();
        check_triggers(&path, &fallback.on, report);
        report.require(
            fallback.chain.len() <= MAX_CHAIN,
            format_args!("{path}.fallback.chain"),
            "must not have more than 16 models",
        );
        Route {
            name: Arc::from(source.name.as_str()),
            matcher: conditions::matcher(&path, source.r#match.as_ref(), report),
            when: conditions::when(&path, &source.when, report),
            choice,
            sticky_by: sticky(&path, source, report),
            chain: conditions::model_list(&format!("{path}.fallback.chain"), &fallback.chain, models, report),
            fallback_on: fallback.on,
            retry: source.retry.unwrap_or(internal::Retry {
                attempts: 1,
                ..internal::Retry::default()
            }),
            max_p99_millis: (source.max_p99_millis > 0).then_some(source.max_p99_millis),
            min_output: (source.min_output_tokens > 0).then_some(Tokens(source.min_output_tokens)),
            require_labels: source.require_labels.clone(),
            timeout: (source.timeout_millis > 0).then(|| Duration::from_millis(source.timeout_millis)),
            drop_untranslatable: source.drop_untranslatable,
            cache_ttl: (source.cache_ttl_millis > 0).then(|| Duration::from_millis(source.cache_ttl_millis)),
        }
    };
    config.routes.iter().enumerate().map(compile_one).collect()
}

fn report_name<'a>(path: &str, at: usize, config: &'a EngineConfig, names: &mut HashSet<&'a str>, report: &mut Report) {
    if let Some(route) = config.routes.get(at) {
        report.name(format_args!("{path}.name"), &route.name, names);
    }
}

fn choice(path: &str, source: &internal::Route, models: &ModelNames, report: &mut Report) -> Choice {
    let select = Selection::try_from(source.select).ok();
    if select.is_none() {
        report.add(
            format_args!("{path}.select"),
            "is not known: write cheapest, fastest or best",
        );
    }
    let is_selection = !source.candidates.is_empty() || select != Some(Selection::Unspecified);
    if is_selection && !source.targets.is_empty() {
        report.add(
            path,
            "has both targets and a selection: write either targets, or select with candidates",
        );
    } else if !is_selection && source.targets.is_empty() {
        report.add(path, "leads nowhere: write either targets, or select with candidates");
    }
    let most = source.targets.len().max(source.candidates.len());
    report.require(
        most <= MAX_TARGETS,
        path,
        "must not have more than 64 targets or candidates",
    );
    if !is_selection {
        return Choice::Weighted(targets(path, source, models, report));
    }
    if source.candidates.is_empty() && source.targets.is_empty() {
        report.add(
            format_args!("{path}.candidates"),
            "is empty: name the models to select from",
        );
    }
    let candidates = conditions::model_list(&format!("{path}.candidates"), &source.candidates, models, report);
    match select {
        Some(Selection::Cheapest) | None => Choice::Cheapest(candidates),
        Some(Selection::Fastest) => Choice::Fastest(candidates),
        Some(Selection::Best) => Choice::Best(candidates),
        Some(Selection::Unspecified) => {
            if source.targets.is_empty() {
                report.add(
                    path,
                    "has candidates and no select: write select: cheapest, fastest or best",
                );
            }
            Choice::Cheapest(candidates)
        }
    }
}

fn targets(path: &str, source: &internal::Route, models: &ModelNames, report: &mut Report) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for (at, target) in source.targets.iter().enumerate() {
        let path = format!("{path}.targets[{at}]");
        let weight = NonZeroU32::new(target.weight).filter(|weight| weight.get() <= MAX_WEIGHT);
        if weight.is_none() {
            report.add(
                format_args!("{path}.weight"),
                format!("must be between 1 and {MAX_WEIGHT}"),
            );
        }
        let model = conditions::model(format_args!("{path}.model"), &target.model, models, report);
        let (Some(model), Some(weight)) = (model, weight) else {
            continue;
        };
        if targets.iter().any(|before| before.model == model) {
            report.add(
                format_args!("{path}.model"),
                format!("`{}` is named twice: add up the weights", target.model),
            );
        }
        targets.push(Target { model, weight });
    }
    targets
}

fn sticky(path: &str, source: &internal::Route, report: &mut Report) -> Option<Sticky> {
    let path = format!("{path}.stickyBy");
    let sticky = match source.sticky_by.as_str() {
        "" => return None,
        "session" => Sticky::Session,
        "run" => Sticky::Run,
        "agent" => Sticky::Agent,
        "tenant" => Sticky::Tenant,
        _ => {
            report.add(path, "is not known: write session, run, agent or tenant");
            return None;
        }
    };
    report.require(
        !source.targets.is_empty() || sticky.pins(),
        path,
        "needs targets: a selection is not drawn, only session and run keep its model",
    );
    Some(sticky)
}

fn check_triggers(path: &str, triggers: &[String], report: &mut Report) {
    for (at, trigger) in triggers.iter().enumerate() {
        let is_status = || {
            trigger
                .parse::<u16>()
                .is_ok_and(|status| matches!(status, 408 | 429 | 500..=599))
        };
        let is_known = matches!(
            trigger.as_str(),
            "5xx" | "timeout" | "connect" | "cut" | "garbled" | "rejected"
        ) || is_status();
        let message = "is not a reason to fall back: write 408, 429, 5xx, a status from 500, timeout, connect, cut, garbled or \
                       rejected";
        report.require(is_known, format_args!("{path}.fallback.on[{at}]"), message);
    }
}

fn check_ranges(path: &str, source: &internal::Route, report: &mut Report) {
    if let Some(retry) = &source.retry {
        report.range(format_args!("{path}.retry.attempts"), retry.attempts, 1, MAX_ATTEMPTS);
        for (name, millis) in [
            ("backoff.initial", retry.initial_millis),
            ("backoff.max", retry.max_millis),
            ("waitForRetryAfterUpTo", retry.wait_for_retry_after_up_to_millis),
        ] {
            report.require(
                millis <= DAY_MILLIS,
                format_args!("{path}.retry.{name}"),
                "must be at most 24h",
            );
        }
        let ordered = retry.initial_millis <= retry.max_millis;
        report.require(
            ordered,
            format_args!("{path}.retry.backoff.initial"),
            "must not be longer than max",
        );
    }
    report.require(
        source.timeout_millis <= DAY_MILLIS,
        format_args!("{path}.timeout"),
        "must be at most 24h",
    );
    report.require(
        source.cache_ttl_millis <= MAX_CACHE_TTL_MILLIS,
        format_args!("{path}.cache.ttl"),
        "must be at most 30 days",
    );
    report.require(
        source.max_p99_millis <= DAY_MILLIS,
        format_args!("{path}.maxP99"),
        "must be at most 24h",
    );
    report.range(
        format_args!("{path}.minOutputTokens"),
        source.min_output_tokens,
        0,
        MAX_OUTPUT_TOKENS,
    );
}
