//! `providers` and `models`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fairlead_wire::internal::{self, EngineConfig, ProviderKind};

use super::conditions::ModelNames;
use super::report::Report;
use crate::compiled::{Model, Route};
use crate::health::BreakerSettings;
use crate::ids::{ModelId, ProviderId};
use crate::money::Price;
use crate::translation;
use crate::units::{Tokens, millis_to_nanos};

const DAY_MILLIS: u64 = 24 * 3_600_000;
/// Time of one attempt at a provider that says no timeouts.
const DEFAULT_ATTEMPT_MILLIS: u64 = 600_000;
/// Largest price: a million USD per million tokens.
const MAX_PRICE_PICO: i64 = 1_000_000_000_000;
/// Largest context window, and the largest input that prices are checked for.
const MAX_CONTEXT_TOKENS: i64 = 1_000_000_000;
const MAX_OUTPUT_TOKENS: i64 = 100_000_000;
/// Most answers of one call that prices are checked for; dialects allow no more.
const MAX_CHOICES: i64 = 128;
const MAX_QUALITY: i32 = 1000;

/// Compiled models and their names.
pub(super) struct Models {
    pub(super) models: Vec<Model>,
    pub(super) model_ids: ModelNames,
}

pub(super) fn compile(config: &EngineConfig, report: &mut Report) -> Models {
    let mut provider_names = HashSet::new();
    for (at, provider) in config.providers.iter().enumerate() {
        let path = format!("providers[{at}]");
        report.name(format_args!("{path}.name"), &provider.name, &mut provider_names);
        check_provider(&path, provider, report);
    }
    let providers: HashMap<&str, usize> = config
        .providers
        .iter()
        .enumerate()
        .map(|(at, provider)| (provider.name.as_str(), at))
        .collect();
    let mut names = HashSet::new();
    let mut compiled = Models {
        models: Vec::new(),
        model_ids: ModelNames::new(),
    };
    for (at, source) in config.models.iter().enumerate() {
        let path = format!("models[{at}]");
        report.name(format_args!("{path}.name"), &source.name, &mut names);
        let provider = providers.get(source.provider.as_str()).copied();
        if provider.is_none() {
            report.add(
                format_args!("{path}.provider"),
                format!("there is no provider `{}`", source.provider),
            );
        }
        let price = check_model(&path, source, report);
        let id = ProviderId::at(provider.unwrap_or_default());
        let model = model(source, price, id, config.providers.get(id.index()));
        compiled.model_ids.insert(model.name.clone(), ModelId::at(at));
        compiled.models.push(model);
    }
    compiled
}

/// Makes every model of the route wait for at least as long as the route does.
pub(super) fn learn_patience(models: &mut [Model], route: &Route, source: &internal::Route) {
    let millis = source.retry.map_or(0, |retry| retry.wait_for_retry_after_up_to_millis);
    for id in route.choice.models().chain(route.chain.iter().copied()) {
        if let Some(model) = models.get_mut(id.index()) {
            model.patience_nanos = model.patience_nanos.max(millis_to_nanos(millis));
        }
    }
}

fn check_provider(path: &str, provider: &internal::Provider, report: &mut Report) {
    report.require(
        provider.kind() != ProviderKind::Unspecified,
        format_args!("{path}.kind"),
        "is not known: write openai, ollama or openai-compatible",
    );
    let is_url = provider.base_url.starts_with("http://") || provider.base_url.starts_with("https://");
    report.require(
        is_url,
        format_args!("{path}.baseUrl"),
        "is not a URL: write http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH",
    );
    for (at, name) in translation::names(&provider.dialects).enumerate() {
        report.require(
            name.is_some(),
            format_args!("{path}.dialects[{at}]"),
            "is not known: write openai-chat, openai-responses or anthropic-messages",
        );
    }
    if let Some(timeouts) = &provider.timeouts {
        for (name, millis) in [
            ("connect", timeouts.connect_millis),
            ("firstByte", timeouts.first_byte_millis),
            ("idle", timeouts.idle_millis),
            ("attempt", timeouts.attempt_millis),
        ] {
            let inside = (1..=DAY_MILLIS).contains(&millis);
            report.require(
                inside,
                format_args!("{path}.timeouts.{name}"),
                "must be between 1ms and 24h",
            );
        }
    }
    if let Some(breaker) = &provider.breaker {
        let path = format!("{path}.breaker");
        report.range(
            format_args!("{path}.consecutiveFailures"),
            breaker.consecutive_failures,
            1,
            1_000_000,
        );
        let rate = (1..=1000).contains(&breaker.failure_rate_per_mille);
        report.require(
            rate,
            format_args!("{path}.failureRate"),
            "must be more than 0 and at most 1",
        );
        report.range(format_args!("{path}.minimumCalls"), breaker.minimum_calls, 1, 1_000_000);
        for (name, millis, least) in [
            ("window", breaker.window_millis, 1),
            ("open", breaker.open_millis, 1),
            ("maxOpen", breaker.max_open_millis, 1),
            ("ramp", breaker.ramp_millis, 0),
        ] {
            let inside = (least..=DAY_MILLIS).contains(&millis);
            report.require(
                inside,
                format_args!("{path}.{name}"),
                "must be positive and at most 24h",
            );
        }
        let ordered = breaker.open_millis <= breaker.max_open_millis;
        report.require(ordered, format_args!("{path}.open"), "must not be longer than maxOpen");
    }
}

fn check_model(path: &str, source: &internal::Model, report: &mut Report) -> Price {
    report.require(
        !source.upstream.is_empty(),
        format_args!("{path}.upstream"),
        "must not be empty",
    );
    // Azure has it in the path.
    report.require(
        !matches!(source.upstream.as_str(), "." | ".."),
        format_args!("{path}.upstream"),
        "must not be a step in a path",
    );
    report.range(
        format_args!("{path}.contextTokens"),
        source.context_tokens,
        0,
        MAX_CONTEXT_TOKENS,
    );
    report.range(
        format_args!("{path}.maxOutputTokens"),
        source.max_output_tokens,
        1,
        MAX_OUTPUT_TOKENS,
    );
    let fits = source.context_tokens == 0 || source.max_output_tokens <= source.context_tokens;
    report.require(
        fits,
        format_args!("{path}.maxOutputTokens"),
        "must not be more than contextTokens",
    );
    let quality = (0..=MAX_QUALITY).contains(&source.quality_per_mille);
    report.require(quality, format_args!("{path}.quality"), "must be between 0 and 1");
    let Some(given) = source.price.as_ref() else {
        report.add(
            format_args!("{path}.price"),
            "is missing: a model that costs nothing says so",
        );
        return Price::default();
    };
    let mut in_range = true;
    for (name, pico) in [
        ("input", Some(given.input_pico)),
        ("cachedInput", Some(given.cached_input_pico)),
        ("cacheWrite", Some(given.cache_write_pico)),
        ("cacheWrite1h", given.cache_write_1h_pico),
        ("audioInput", given.audio_input_pico),
        ("imageInput", given.image_input_pico),
        ("output", Some(given.output_pico)),
        ("audioOutput", given.audio_output_pico),
        ("reasoning", given.reasoning_pico),
    ] {
        if pico.is_some_and(|pico| !(0..=MAX_PRICE_PICO).contains(&pico)) {
            in_range = false;
            report.add(
                format_args!("{path}.price.{name}"),
                "must be between 0 and 1,000,000 USD per million tokens",
            );
        }
    }
    let price = Price::from(given);
    let context = if source.context_tokens > 0 {
        source.context_tokens
    } else {
        MAX_CONTEXT_TOKENS
    };
    let output = Tokens(source.max_output_tokens.max(0)).times(MAX_CHOICES);
    let counts = output.and_then(|output| price.worst_case(Tokens(context), output));
    if in_range && counts.is_err() {
        report.add(
            format_args!("{path}.price"),
            "is so high that one call could cost more than can be counted",
        );
    }
    price
}

fn model(source: &internal::Model, price: Price, id: ProviderId, provider: Option<&internal::Provider>) -> Model {
    let timeouts = provider.and_then(|provider| provider.timeouts);
    let attempt_millis = timeouts.map_or(DEFAULT_ATTEMPT_MILLIS, |timeouts| timeouts.attempt_millis);
    let mut capabilities = source.capabilities.clone();
    capabilities.sort();
    capabilities.dedup();
    Model {
        name: Arc::from(source.name.as_str()),
        provider: id,
        provider_name: Arc::from(source.provider.as_str()),
        upstream: Arc::from(source.upstream.as_str()),
        dialects: translation::names(provider.map_or(&[], |provider| provider.dialects.as_slice()))
            .flatten()
            .collect(),
        price,
        context: (source.context_tokens > 0).then_some(Tokens(source.context_tokens)),
        max_output: Tokens(source.max_output_tokens),
        capabilities,
        quality_per_mille: source.quality_per_mille,
        labels: source.labels.clone(),
        learned_input_bound: source.learned_input_bound,
        failed_attempts_cost_input: provider.is_some_and(|provider| provider.failed_attempts_cost_input),
        attempt_timeout: Duration::from_millis(attempt_millis),
        breaker: breaker(provider.and_then(|provider| provider.breaker.as_ref())),
        patience_nanos: 0,
    }
}

fn breaker(source: Option<&internal::Breaker>) -> BreakerSettings {
    source.map_or_else(BreakerSettings::default, |source| BreakerSettings {
        consecutive_failures: source.consecutive_failures,
        failure_rate_per_mille: source.failure_rate_per_mille,
        minimum_calls: source.minimum_calls,
        window_nanos: millis_to_nanos(source.window_millis),
        open_nanos: millis_to_nanos(source.open_millis),
        max_open_nanos: millis_to_nanos(source.max_open_millis),
        ramp_nanos: millis_to_nanos(source.ramp_millis),
    })
}
