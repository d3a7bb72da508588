//! Latencies and what is printed of them.

use std::time::Duration;

/// Latencies of one run.
#[derive(Default)]
pub struct Latencies(Vec<u32>);

impl Latencies {
    /// Adds one, rounded down to a microsecond.
    pub fn add(&mut self, latency: Duration) {
        self.0.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    /// Adds those of another run.
    pub fn merge(&mut self, mut other: Latencies) {
        self.0.append(&mut other.0);
    }

    /// Number of calls.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// p50, p99 and maximum in microseconds.
    pub fn summary(&mut self) -> (u32, u32, u32) {
        self.0.sort_unstable();
        let at = |share: f64| self.0.get((self.0.len() as f64 * share) as usize).copied().unwrap_or(0);
        (at(0.50), at(0.99), self.0.last().copied().unwrap_or(0))
    }
}
