//! Latency of one model: p50 and p99 over its last calls, in a ring of fixed size.
//!
//! Samples are kept as buckets of a log-linear histogram (eight per power of two, as in HdrHistogram), so a quantile is at
//! most 12.5 % above the true one and never below it. When nothing was measured for [`FORGET_NANOS`], the latency is
//! unknown again: a model that a route avoids for being slow gets a new chance.

use crate::units::{NANOS_PER_MILLI, UnixNanos};

/// Calls that count.
const SAMPLES: usize = 256;
/// Least calls before a p99 is known; below, one outlier would decide.
const LEAST_SAMPLES_FOR_P99: usize = 20;
/// Samples are forgotten when the newest is this old: five minutes.
const FORGET_NANOS: i64 = 300 * 1_000_000_000;
/// Buckets; the last holds everything from about 2^33 milliseconds.
const BUCKETS: usize = 256;
/// log2 of the buckets per power of two.
const SUB_BITS: u32 = 3;

/// The ring and its histogram.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    /// Bucket of each sample; the oldest is at `next` once the ring is full.
    ring: Vec<u8>,
    next: usize,
    histogram: Box<[u16; BUCKETS]>,
    newest: UnixNanos,
    p50_millis: i64,
    p99_millis: i64,
}

impl Latency {
    pub(crate) fn new() -> Self {
        Self {
            ring: Vec::new(),
            next: 0,
            histogram: Box::new([0; BUCKETS]),
            newest: UnixNanos(0),
            p50_millis: 0,
            p99_millis: 0,
        }
    }

    /// Adds the latency of a call that ended at `now`.
    pub(crate) fn record(&mut self, now: UnixNanos, latency_nanos: i64) {
        if self.is_forgotten(now) {
            *self = Self::new();
        }
        self.newest = self.newest.max(now);
        let millis =
            latency_nanos.max(1).div_euclid(NANOS_PER_MILLI) + i64::from(latency_nanos.rem_euclid(NANOS_PER_MILLI) > 0);
        let added = bucket(u64::try_from(millis).unwrap_or(1).max(1));
        if self.ring.len() < SAMPLES {
            self.ring.push(added);
        } else if let Some(oldest) = self.ring.get_mut(self.next) {
            let removed = std::mem::replace(oldest, added);
            self.next = (self.next + 1) % SAMPLES;
            if let Some(count) = self.histogram.get_mut(usize::from(removed)) {
                *count = count.saturating_sub(1);
            }
        }
        if let Some(count) = self.histogram.get_mut(usize::from(added)) {
            *count = count.saturating_add(1);
        }
        self.p50_millis = self.quantile(50);
        self.p99_millis = if self.ring.len() < LEAST_SAMPLES_FOR_P99 {
            0
        } else {
            self.quantile(99)
        };
    }

    /// p50 and p99 in milliseconds; 0 is unknown.
    pub(crate) fn quantiles(&self, now: UnixNanos) -> (i64, i64) {
        if self.is_forgotten(now) {
            (0, 0)
        } else {
            (self.p50_millis, self.p99_millis)
        }
    }

    fn is_forgotten(&self, now: UnixNanos) -> bool {
        now.since(self.newest) > FORGET_NANOS
    }

    fn quantile(&self, percent: usize) -> i64 {
        let rank = (self.ring.len() * percent).div_ceil(100);
        let mut seen = 0;
        for (bucket, count) in (0u8..=u8::MAX).zip(self.histogram.iter()) {
            seen += usize::from(*count);
            if seen >= rank {
                return upper_bound(bucket);
            }
        }
        0
    }
}

/// The bucket of a latency in milliseconds.
fn bucket(millis: u64) -> u8 {
    let octave = millis.checked_ilog2().unwrap_or(0);
    let Some(shift) = octave.checked_sub(SUB_BITS) else {
        return u8::try_from(millis).unwrap_or(u8::MAX);
    };
    // The leading one and the SUB_BITS bits behind it, counted on from the linear part.
    let index = (u64::from(shift) << SUB_BITS) + (millis >> shift);
    u8::try_from(index).unwrap_or(u8::MAX)
}

/// The largest latency in milliseconds that falls into a bucket.
fn upper_bound(bucket: u8) -> i64 {
    let linear = 1u8 << SUB_BITS;
    let Some(above) = bucket.checked_sub(linear) else {
        return i64::from(bucket);
    };
    let shift = above >> SUB_BITS;
    let leading = i64::from(above & (linear - 1)) + i64::from(linear);
    ((leading + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn millis(count: i64) -> i64 {
        count * NANOS_PER_MILLI
    }

    #[test]
    fn a_bucket_is_never_below_its_latency_and_at_most_an_eighth_above() {
        for latency in (1..5000).chain((5000..8_000_000).step_by(977)) {
            let bound = upper_bound(bucket(latency));
            let latency = i64::try_from(latency).unwrap();
            assert!(
                bound >= latency && bound <= latency + latency / 8,
                "{latency} → {bound}"
            );
        }
    }

    #[test]
    fn quantiles_are_unknown_at_first_and_p99_until_twenty_calls() {
        let mut latency = Latency::new();
        assert_eq!(latency.quantiles(UnixNanos(1)), (0, 0));
        for _ in 0..19 {
            latency.record(UnixNanos(1), millis(7));
        }
        assert_eq!(latency.quantiles(UnixNanos(1)), (7, 0));
        latency.record(UnixNanos(1), millis(7));
        assert_eq!(latency.quantiles(UnixNanos(1)), (7, 7));
    }

    #[test]
    fn one_slow_call_in_a_hundred_is_not_the_p99_but_two_are() {
        let mut latency = Latency::new();
        for call in 0..100 {
            latency.record(UnixNanos(1), millis(if call == 50 { 4000 } else { 5 }));
        }
        assert_eq!(latency.quantiles(UnixNanos(1)), (5, 5));
        latency.record(UnixNanos(1), millis(4000));
        assert_eq!(latency.quantiles(UnixNanos(1)).1, 4095);
    }

    #[test]
    fn old_samples_make_room() {
        let mut latency = Latency::new();
        for _ in 0..SAMPLES {
            latency.record(UnixNanos(1), millis(4000));
        }
        for _ in 0..SAMPLES {
            latency.record(UnixNanos(2), millis(3));
        }
        assert_eq!(latency.quantiles(UnixNanos(2)), (3, 3));
        assert_eq!(
            latency.histogram.iter().map(|count| usize::from(*count)).sum::<usize>(),
            SAMPLES
        );
    }

    #[test]
    fn samples_are_forgotten_when_nothing_new_comes() {
        let mut latency = Latency::new();
        latency.record(UnixNanos(1), millis(4000));
        assert_eq!(latency.quantiles(UnixNanos(1 + FORGET_NANOS)).0, 4095);
        assert_eq!(latency.quantiles(UnixNanos(2 + FORGET_NANOS)).0, 0);
        latency.record(UnixNanos(2 + FORGET_NANOS), millis(3));
        assert_eq!(latency.quantiles(UnixNanos(2 + FORGET_NANOS)).0, 3);
    }

    #[test]
    fn odd_latencies_are_counted_as_at_least_a_millisecond() {
        let mut latency = Latency::new();
        for odd in [i64::MIN, 0, 1] {
            latency.record(UnixNanos(1), odd);
        }
        assert_eq!(latency.quantiles(UnixNanos(1)).0, 1);
        latency.record(UnixNanos(1), i64::MAX);
        assert!(latency.quantiles(UnixNanos(1)).0 >= 1);
    }
}
