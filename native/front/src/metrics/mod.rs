//! What the front counts and measures, in Prometheus' words.
//!
//! Counters and histograms are recorded where things happen through this handle; gauges that mirror the core's state are
//! filled when somebody asks (`scrape`). Labels are names from the configuration or closed sets, never ids from requests,
//! so the number of series is bounded by the configuration.
mod budgets;
mod process;
pub mod scrape;

use std::time::Duration;

use fairlead_wire::v1::AttemptOutcome;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

/// A step of a call whose time is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The engine's decision, lock included.
    Decide,
    /// From the decision until its unit is committed.
    Commit,
    /// Time in the queue for rate limits.
    Wait,
    /// From sending to a provider until its first byte.
    UpstreamFirstByte,
    /// A whole call as the agent sees it, up to the head of the response.
    Total,
}

impl Stage {
    const ALL: [Self; 5] = [
        Self::Decide,
        Self::Commit,
        Self::Wait,
        Self::UpstreamFirstByte,
        Self::Total,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Commit => "commit",
            Self::Wait => "wait",
            Self::UpstreamFirstByte => "upstream_first_byte",
            Self::Total => "total",
        }
    }
}

/// The handle; shared by reference.
pub struct Metrics {
    registry: Registry,
    decisions: IntCounterVec,
    admitted: IntCounter,
    tool_calls: IntCounterVec,
    attempts: IntCounterVec,
    refusals: IntCounterVec,
    stages: [Histogram; Stage::ALL.len()],
    batch_units: Histogram,
    write_seconds: Histogram,
    flush_seconds: Histogram,
    store_failures: IntCounter,
    expired: IntCounter,
    cache_hits: IntCounter,
    cache_misses: IntCounter,
    cache_bytes: IntGauge,
    /// Calls that are served right now.
    pub calls_in_flight: IntGauge,
    /// Calls that are forwarded to the control services right now.
    pub forwarded_in_flight: IntGauge,
    /// Connections on the agent endpoint.
    pub connections: IntGauge,
    /// Connections on the health endpoint.
    pub monitor_connections: IntGauge,
}

impl Metrics {
    /// Registers everything. The error names a metric that was defined twice.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let decisions = counters(
            &registry,
            "decisions_total",
            "Admissions by outcome and reason.",
            &["outcome", "reason"],
        )?;
        let tool_calls = counters(
            &registry,
            "tool_calls_total",
            "Tool calls by outcome and reason.",
            &["outcome", "reason"],
        )?;
        let attempts = counters(
            &registry,
            "attempts_total",
            "Attempts at providers.",
            &["model", "outcome"],
        )?;
        let refusals = counters(
            &registry,
            "refusals_total",
            "Error answers on the agent endpoint.",
            &["reason"],
        )?;
        let stages = HistogramVec::new(
            HistogramOpts::new("fairlead_stage_seconds", "Time of each stage of a call.").buckets(latency_buckets()),
            &["stage"],
        )?;
        registry.register(Box::new(stages.clone()))?;
        Ok(Self {
            admitted: decisions.with_label_values(&["admitted", ""]),
            stages: Stage::ALL.map(|stage| stages.with_label_values(&[stage.label()])),
            batch_units: histogram(
                &registry,
                "commit_batch_units",
                "Commit units taken at once.",
                vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0],
            )?,
            write_seconds: histogram(
                &registry,
                "commit_write_seconds",
                "Write of a batch to the log.",
                latency_buckets(),
            )?,
            flush_seconds: histogram(
                &registry,
                "commit_flush_seconds",
                "Flush of the log to disk.",
                latency_buckets(),
            )?,
            store_failures: counter(&registry, "store_failures_total", "Times a write to the store failed.")?,
            expired: counter(
                &registry,
                "reservations_expired_total",
                "Holds, grants, approvals and sessions that ended by themselves.",
            )?,
            cache_hits: counter(
                &registry,
                "response_cache_hits_total",
                "Calls that were answered from the response cache.",
            )?,
            cache_misses: counter(
                &registry,
                "response_cache_misses_total",
                "Calls that could have been answered from the response cache and were not.",
            )?,
            cache_bytes: gauge(
                &registry,
                "response_cache_bytes",
                "Size of all answers in the response cache when it was last asked.",
            )?,
            calls_in_flight: gauge(&registry, "calls_in_flight", "Calls on the agent endpoint.")?,
            forwarded_in_flight: gauge(
                &registry,
                "forwarded_calls_in_flight",
                "Calls forwarded to control services.",
            )?,
            connections: gauge(&registry, "connections", "Connections on the agent endpoint.")?,
            monitor_connections: gauge(&registry, "health_connections", "Connections on the health endpoint.")?,
            decisions,
            tool_calls,
            attempts,
            refusals,
            registry,
        })
    }

    /// An admission that was granted.
    pub fn admitted(&self) {
        self.admitted.inc();
    }

    /// An admission that was refused; `reason` is the error's reason.
    pub fn rejected(&self, reason: &str) {
        self.decisions.with_label_values(&["rejected", reason]).inc();
    }

    /// A tool call was decided; `outcome` and `reason` are from closed sets, `reason` empty unless it was refused.
    pub fn tool_call(&self, outcome: &str, reason: &str) {
        self.tool_calls.with_label_values(&[outcome, reason]).inc();
    }

    /// An attempt at a provider ended. `model` is the name in the configuration.
    pub fn attempt(&self, model: &str, outcome: AttemptOutcome) {
        self.attempts.with_label_values(&[model, attempt_label(outcome)]).inc();
    }

    /// The response cache was asked, and is that large now.
    pub(crate) fn cache_asked(&self, is_hit: bool, bytes: u64) {
        let counter = if is_hit { &self.cache_hits } else { &self.cache_misses };
        counter.inc();
        self.cache_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// An error answer left the agent endpoint; `reason` is from the closed set of the API.
    pub fn refused(&self, reason: &str) {
        self.refusals.with_label_values(&[reason]).inc();
    }

    /// A stage of a call took this long.
    pub fn stage(&self, stage: Stage, took: Duration) {
        if let Some(histogram) = self.stages.get(stage as usize) {
            histogram.observe(took.as_secs_f64());
        }
    }

    /// The writer took a batch.
    pub fn batch(&self, units: usize) {
        self.batch_units
            .observe(f64::from(u32::try_from(units).unwrap_or(u32::MAX)));
    }

    /// The writer wrote a batch, flushed the log, or both; zero means that it did not.
    pub fn committed(&self, write: Duration, flush: Duration) {
        for (histogram, took) in [(&self.write_seconds, write), (&self.flush_seconds, flush)] {
            if !took.is_zero() {
                histogram.observe(took.as_secs_f64());
            }
        }
    }

    /// A write failed.
    pub fn store_failed(&self) {
        self.store_failures.inc();
    }

    /// Everything that was recorded, as text.
    fn registry_text(&self, page: &mut Vec<u8>) -> Result<(), prometheus::Error> {
        TextEncoder::new().encode(&self.registry.gather(), page)
    }

    /// Holds ended by themselves.
    pub fn expired(&self, holds: u64) {
        self.expired.inc_by(holds);
    }
}

fn attempt_label(outcome: AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Unspecified => "unspecified",
        AttemptOutcome::Succeeded => "succeeded",
        AttemptOutcome::Failed => "failed",
        AttemptOutcome::ConnectFailed => "connect_failed",
        AttemptOutcome::TimedOut => "timed_out",
        AttemptOutcome::Cut => "cut",
        AttemptOutcome::Cancelled => "cancelled",
        AttemptOutcome::Garbled => "garbled",
        AttemptOutcome::Rejected => "rejected",
    }
}

/// 10 µs to 60 s: decisions take microseconds, answers of providers take a minute.
fn latency_buckets() -> Vec<f64> {
    vec![
        1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
        10.0, 30.0, 60.0,
    ]
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(format!("fairlead_{name}"), help)
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    let metric = IntCounterVec::new(options(name, help), labels)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    let metric = IntCounter::with_opts(options(name, help))?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    let metric = IntGauge::with_opts(options(name, help))?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn histogram(registry: &Registry, name: &str, help: &str, buckets: Vec<f64>) -> Result<Histogram, prometheus::Error> {
    let metric = Histogram::with_opts(HistogramOpts::from(options(name, help)).buckets(buckets))?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
