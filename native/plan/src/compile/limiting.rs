//! `budgets` and `rateLimits`.

use std::collections::HashSet;
use std::num::NonZeroU64;
use std::sync::Arc;

use fairlead_wire::internal::{self, EngineConfig};

use super::conditions::{self, ModelNames};
use super::report::Report;
use super::tools;
use crate::compiled::{Budget, OnExceed, RateLimit, Window};
use crate::rate::{Gcra, RateRule};
use crate::units::{NanoUsd, Tokens, millis_to_nanos};

const HOUR_MILLIS: u64 = 3_600_000;
/// Longest rolling window: 366 days.
const MAX_ROLLING_MILLIS: u64 = 366 * 24 * HOUR_MILLIS;
/// Largest limit of money: a billion USD.
const MAX_NANO_USD: i64 = 1_000_000_000_000_000_000;
const MAX_ALERT_PERCENT: u32 = 1000;
const MAX_RATE: u64 = 1_000_000_000_000;
const SECONDS_PER_MINUTE: u64 = 60;

pub(super) fn budgets(config: &EngineConfig, models: &ModelNames, report: &mut Report) -> Vec<Budget> {
    let mut names = HashSet::new();
    let mut budgets = Vec::new();
    for (at, source) in config.budgets.iter().enumerate() {
        let path = format!("budgets[{at}]");
        report.name(format_args!("{path}.name"), &source.name, &mut names);
        check_limit(&path, source, report);
        budgets.push(Budget {
            name: Arc::from(source.name.as_str()),
            matcher: conditions::matcher(&path, source.r#match.as_ref(), report),
            scope: conditions::scope(&path, &source.scope, report),
            limit_nano_usd: source.limit_nano_usd.map(NanoUsd),
            limit_tokens: source.limit_tokens.map(Tokens),
            limit_requests: source.limit_requests,
            window: window(&path, source, report),
            on_exceed: on_exceed(&path, source, config, models, report),
            alert_at: alerts(&path, source, report),
            count_cached: source.count_cached,
        });
    }
    budgets
}

fn check_limit(path: &str, source: &internal::Budget, report: &mut Report) {
    let limits = [
        ("usd", source.limit_nano_usd, MAX_NANO_USD),
        ("tokens", source.limit_tokens, i64::MAX),
        ("requests", source.limit_requests, i64::MAX),
    ];
    if limits.iter().all(|(_, limit, _)| limit.is_none()) {
        report.add(
            format_args!("{path}.limit"),
            "limits nothing: write usd, tokens or requests",
        );
    }
    for (unit, limit, most) in limits {
        let inside = limit.is_none_or(|limit| (1..=most).contains(&limit));
        report.require(
            inside,
            format_args!("{path}.limit.{unit}"),
            "must be positive and at most a billion USD",
        );
    }
}

fn window(path: &str, source: &internal::Budget, report: &mut Report) -> Window {
    match source.window() {
        internal::WindowKind::Lifetime => Window::Lifetime,
        internal::WindowKind::Hour => Window::Hour,
        internal::WindowKind::Day => Window::Day,
        internal::WindowKind::Week => Window::Week,
        internal::WindowKind::Month => Window::Month,
        internal::WindowKind::Rolling => {
            let inside = (1000..=MAX_ROLLING_MILLIS).contains(&source.rolling_millis);
            report.require(
                inside,
                format_args!("{path}.window.rolling"),
                "must be between 1s and 366d",
            );
            Window::Rolling {
                nanos: millis_to_nanos(source.rolling_millis),
            }
        }
        internal::WindowKind::Unspecified => {
            let message = "is not known: write lifetime, hour, day, week, month or {rolling: DURATION}";
            report.add(format_args!("{path}.window"), message);
            Window::Lifetime
        }
    }
}

fn on_exceed(
    path: &str,
    source: &internal::Budget,
    config: &EngineConfig,
    models: &ModelNames,
    report: &mut Report,
) -> OnExceed {
    let path = format!("{path}.onExceed");
    match internal::OnExceed::try_from(source.on_exceed) {
        Ok(internal::OnExceed::Downgrade) => {
            let path = format!("{path}.downgradeTo");
            conditions::model(path, &source.downgrade_to, models, report).map_or(OnExceed::Deny, OnExceed::Downgrade)
        }
        Ok(internal::OnExceed::Alert) => OnExceed::Alert,
        Ok(internal::OnExceed::RequireApproval) => {
            let tier = tools::tier_of(format_args!("{path}.requireApproval"), &source.tier, config, report);
            tier.map_or(OnExceed::Deny, OnExceed::RequireApproval)
        }
        Ok(internal::OnExceed::Deny | internal::OnExceed::Unspecified) => OnExceed::Deny,
        Err(_) => {
            report.add(
                path,
                "is not known: write deny, alert, {downgradeTo: MODEL} or {requireApproval: TIER}",
            );
            OnExceed::Deny
        }
    }
}

fn alerts(path: &str, source: &internal::Budget, report: &mut Report) -> Vec<u32> {
    for (at, percent) in source.alert_at.iter().enumerate() {
        let path = format_args!("{path}.alertAt[{at}]");
        report.range(path, *percent, 1, MAX_ALERT_PERCENT);
        report.require(
            !source.alert_at.iter().take(at).any(|before| before == percent),
            path,
            "is named twice",
        );
    }
    let mut alerts = source.alert_at.clone();
    alerts.sort_unstable();
    alerts
}

pub(super) fn rate_limits(config: &EngineConfig, report: &mut Report) -> Vec<RateLimit> {
    let mut names = HashSet::new();
    let mut limits = Vec::new();
    for (at, source) in config.rate_limits.iter().enumerate() {
        let path = format!("rateLimits[{at}]");
        report.name(format_args!("{path}.name"), &source.name, &mut names);
        limits.push(RateLimit {
            name: Arc::from(source.name.as_str()),
            matcher: conditions::matcher(&path, source.r#match.as_ref(), report),
            scope: conditions::scope(&path, &source.scope, report),
            rule: rule(&path, source, report),
            max_wait_nanos: millis_to_nanos(source.max_wait_millis),
        });
    }
    limits
}

fn rule(path: &str, source: &internal::RateLimit, report: &mut Report) -> RateRule {
    report.require(
        source.max_wait_millis <= HOUR_MILLIS,
        format_args!("{path}.maxWait"),
        "must be at most 1h",
    );
    for (name, rate) in [
        ("requestsPerMinute", source.requests_per_minute),
        ("tokensPerMinute", source.tokens_per_minute),
        ("concurrent", source.concurrent),
        ("burstRequests", source.burst_requests),
    ] {
        report.range(format_args!("{path}.{name}"), rate, 0, MAX_RATE);
    }
    let per_minute = NonZeroU64::new(source.requests_per_minute);
    let needs = source.burst_requests == 0 || per_minute.is_some();
    report.require(needs, format_args!("{path}.burstRequests"), "needs requestsPerMinute");
    let rule = RateRule {
        requests: per_minute.map(|rate| {
            let of_a_second = NonZeroU64::new(rate.get() / SECONDS_PER_MINUTE).unwrap_or(NonZeroU64::MIN);
            Gcra::new(rate, NonZeroU64::new(source.burst_requests).unwrap_or(of_a_second))
        }),
        tokens: NonZeroU64::new(source.tokens_per_minute).map(Gcra::minute),
        concurrent: NonZeroU64::new(source.concurrent),
    };
    let limits_nothing = rule == RateRule::default();
    report.require(
        !limits_nothing,
        path,
        "limits nothing: write requestsPerMinute, tokensPerMinute or concurrent",
    );
    rule
}
