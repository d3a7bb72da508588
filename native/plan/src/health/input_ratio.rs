//! Learned upper bound of the tokens in a byte of input, per model.
//!
//! A token is at least one byte, so bytes are a bound that is never wrong and three to five times too large. A model with
//! `learnedInputBound` may use a smaller one:
//!
//! - every answer that reports its usage gives a sample, tokens / bytes, of the last [`SAMPLES`] calls;
//! - from [`LEAST_SAMPLES`] samples on, the bound is the **largest** sample plus [`MARGIN_PERCENT`] %, never above bytes;
//! - an answer that breaks the bound that held for it empties the samples: bytes count again until enough new ones are in.
//!
//! Violation rate: when calls are exchangeable, a new one exceeds the largest of `n` before it with probability 1/(n+1)
//! (each of the n+1 is equally likely to be the largest), whatever the distribution: at most 0.5 % at 200 samples and 0.2 %
//! at 512, before the margin, which lowers it. A sudden change of the traffic, such as another language, is not
//! exchangeable; it costs at most the calls in flight until the first of them reports. A call over its bound is charged in
//! full, recorded as overdraft, and blocks the next one (I1).

/// Samples that are kept.
const SAMPLES: usize = 512;
/// Least samples before the bound is used.
const LEAST_SAMPLES: usize = 200;
/// Margin on the largest sample.
const MARGIN_PERCENT: u64 = 10;
/// Shorter inputs are bounded by their bytes and teach nothing: the provider's own framing would dominate.
const LEAST_BYTES: i64 = 256;
/// Samples are kept in tokens per million bytes.
const SCALE: u64 = 1_000_000;

/// The samples of one model.
#[derive(Clone, Debug, Default)]
pub(crate) struct InputRatio {
    ring: Vec<u32>,
    next: usize,
    largest: u32,
}

impl InputRatio {
    /// Learns from a call whose input of `bytes` turned out to be `tokens`.
    pub(crate) fn record(&mut self, bytes: i64, tokens: i64) {
        if bytes < LEAST_BYTES || tokens < 0 {
            return;
        }
        if tokens > self.bound(bytes) {
            *self = Self::default();
        }
        let sample = scaled_ratio(bytes, tokens);
        if self.ring.len() < SAMPLES {
            self.ring.push(sample);
            self.largest = self.largest.max(sample);
        } else if let Some(oldest) = self.ring.get_mut(self.next) {
            let removed = std::mem::replace(oldest, sample);
            self.next = (self.next + 1) % SAMPLES;
            self.largest = if removed == self.largest && sample < removed {
                self.ring.iter().copied().max().unwrap_or_default()
            } else {
                self.largest.max(sample)
            };
        }
    }

    /// Upper bound in tokens of an input of `bytes`.
    pub(crate) fn bound(&self, bytes: i64) -> i64 {
        if bytes < LEAST_BYTES || self.ring.len() < LEAST_SAMPLES {
            return bytes;
        }
        let with_margin = u128::from(self.largest) * u128::from(100 + MARGIN_PERCENT);
        let tokens = (u128::from(bytes.unsigned_abs()) * with_margin).div_ceil(u128::from(100 * SCALE));
        i64::try_from(tokens).map_or(bytes, |tokens| tokens.min(bytes))
    }
}

/// Tokens per million bytes, rounded up.
fn scaled_ratio(bytes: i64, tokens: i64) -> u32 {
    let ratio =
        (u128::from(tokens.unsigned_abs()) * u128::from(SCALE)).div_ceil(u128::from(bytes.unsigned_abs().max(1)));
    u32::try_from(ratio).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use proptest::prelude::*;

    use super::*;

    fn learned(samples: usize, bytes: i64, tokens: i64) -> InputRatio {
        let mut ratio = InputRatio::default();
        for _ in 0..samples {
            ratio.record(bytes, tokens);
        }
        ratio
    }

    #[test]
    fn bytes_bound_until_enough_samples() {
        assert_eq!(learned(LEAST_SAMPLES - 1, 1000, 250).bound(1000), 1000);
        assert_eq!(learned(LEAST_SAMPLES, 1000, 250).bound(1000), 275);
    }

    #[test]
    fn short_inputs_are_bounded_by_bytes_and_teach_nothing() {
        let ratio = learned(LEAST_SAMPLES, 1000, 250);
        assert_eq!(ratio.bound(255), 255);
        assert_eq!(learned(10 * LEAST_SAMPLES, 255, 10).bound(1000), 1000);
    }

    #[test]
    fn the_largest_sample_counts_until_it_leaves_the_ring() {
        let mut ratio = learned(LEAST_SAMPLES, 1000, 250);
        ratio.record(1000, 270);
        assert_eq!(ratio.bound(1000), 297);
        for _ in 0..SAMPLES {
            ratio.record(1000, 250);
        }
        assert_eq!(ratio.bound(1000), 275);
    }

    #[test]
    fn a_broken_bound_goes_back_to_bytes() {
        let mut ratio = learned(LEAST_SAMPLES, 1000, 250);
        ratio.record(1000, 276);
        assert_eq!(ratio.bound(1000), 1000);
    }

    #[test]
    fn the_violation_rate_is_within_what_is_stated() {
        // Ratios from a fixed sequence over a long range, as from a mix of languages.
        let mut state = 1u64;
        let mut draw = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            200 + i64::try_from((state >> 33) % 150).unwrap()
        };
        let mut ratio = InputRatio::default();
        let mut violations = 0;
        for _ in 0..20_000 {
            let tokens = draw();
            violations += usize::from(tokens > ratio.bound(1000));
            ratio.record(1000, tokens);
        }
        assert!(violations <= 100, "{violations} of 20,000 is more than 0.5 %");
    }

    proptest! {
        #[test]
        fn the_bound_is_never_above_bytes(samples in prop::collection::vec((0i64..1_000_000, 0i64..2_000_000), 0..600), bytes in 0i64..i64::MAX) {
            let mut ratio = InputRatio::default();
            for (bytes, tokens) in samples {
                ratio.record(bytes, tokens);
            }
            prop_assert!((0..=bytes).contains(&ratio.bound(bytes)));
        }
    }
}
