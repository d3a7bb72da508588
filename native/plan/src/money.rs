//! What tokens cost. Prices are pico-USD per token, sums are exact in 128 bits, and a call's cost is rounded up to a
//! nano-USD **once**. Golden vectors: `tests/golden/money.json`.

use fairlead_wire::{internal, v1};

use crate::units::{NanoUsd, Overflow, Tokens};

/// Pico-USD in a nano-USD.
const PICO_PER_NANO: i128 = 1_000;

/// Prices in pico-USD (1e-12 USD) per token; never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Input.
    pub input_pico: i64,
    /// Input read from a prompt cache.
    pub cached_input_pico: i64,
    /// Input written to a prompt cache.
    pub cache_write_pico: i64,
    /// Input written to a prompt cache that lasts for an hour.
    pub cache_write_1h_pico: i64,
    /// Input of sound.
    pub audio_input_pico: i64,
    /// Input of pictures.
    pub image_input_pico: i64,
    /// Output.
    pub output_pico: i64,
    /// Output of sound.
    pub audio_output_pico: i64,
    /// Reasoning.
    pub reasoning_pico: i64,
}

impl From<&internal::Price> for Price {
    fn from(price: &internal::Price) -> Self {
        let base = Self::basic(
            price.input_pico,
            price.cached_input_pico,
            price.cache_write_pico,
            price.output_pico,
        );
        Self {
            cache_write_1h_pico: price.cache_write_1h_pico.unwrap_or(base.cache_write_1h_pico),
            audio_input_pico: price.audio_input_pico.unwrap_or(base.audio_input_pico),
            image_input_pico: price.image_input_pico.unwrap_or(base.image_input_pico),
            audio_output_pico: price.audio_output_pico.unwrap_or(base.audio_output_pico),
            reasoning_pico: price.reasoning_pico.unwrap_or(base.reasoning_pico),
            ..base
        }
    }
}

impl From<&internal::PlannedPrice> for Price {
    fn from(price: &internal::PlannedPrice) -> Self {
        Self::from(&internal::Price {
            input_pico: price.input_pico,
            cached_input_pico: price.cached_input_pico,
            cache_write_pico: price.cache_write_pico,
            output_pico: price.output_pico,
            cache_write_1h_pico: price.cache_write_1h_pico,
            audio_input_pico: price.audio_input_pico,
            audio_output_pico: price.audio_output_pico,
            image_input_pico: price.image_input_pico,
            reasoning_pico: price.reasoning_pico,
        })
    }
}

impl Price {
    /// Four prices, with everything that can be priced apart at the price of what it is a part of.
    #[must_use]
    pub const fn basic(input_pico: i64, cached_input_pico: i64, cache_write_pico: i64, output_pico: i64) -> Self {
        Self {
            input_pico,
            cached_input_pico,
            cache_write_pico,
            cache_write_1h_pico: cache_write_pico,
            audio_input_pico: input_pico,
            image_input_pico: input_pico,
            output_pico,
            audio_output_pico: output_pico,
            reasoning_pico: output_pico,
        }
    }

    /// The dearest that one input token can be. A prompt that is written to a cache can cost more than plain input, and
    /// so can sound and pictures.
    #[must_use]
    pub fn dearest_input_pico(&self) -> i64 {
        self.input_pico
            .max(self.cached_input_pico)
            .max(self.cache_write_pico)
            .max(self.cache_write_1h_pico)
            .max(self.audio_input_pico)
            .max(self.image_input_pico)
    }

    /// The dearest that one output token can be.
    #[must_use]
    pub fn dearest_output_pico(&self) -> i64 {
        self.output_pico.max(self.audio_output_pico).max(self.reasoning_pico)
    }

    /// What `usage` costs, rounded up to a nano-USD once.
    ///
    /// # Errors
    /// [`Overflow`] when the cost does not fit 64 bits, or a count is negative.
    pub fn cost(&self, usage: &v1::Usage) -> Result<NanoUsd, Overflow> {
        round_up([
            (usage.input, self.input_pico),
            (usage.cached_input, self.cached_input_pico),
            (usage.cache_write, self.cache_write_pico),
            (usage.cache_write_1h, self.cache_write_1h_pico),
            (usage.audio_input, self.audio_input_pico),
            (usage.image_input, self.image_input_pico),
            (usage.output, self.output_pico),
            (usage.audio_output, self.audio_output_pico),
            (usage.reasoning, self.reasoning_pico),
        ])
    }

    /// The most that one attempt can cost: all input at the dearest input price, and `output` tokens **in total** (over
    /// all answers) at the dearest output price, rounded up once. No usage within these counts costs more.
    ///
    /// # Errors
    /// [`Overflow`] when the cost does not fit 64 bits, or a count is negative.
    pub fn worst_case(&self, input: Tokens, output: Tokens) -> Result<NanoUsd, Overflow> {
        round_up([
            (input.0, self.dearest_input_pico()),
            (output.0, self.dearest_output_pico()),
        ])
    }

    /// The most output tokens, in total, so that [`worst_case`](Self::worst_case) stays within `money`; [`Tokens::MAX`]
    /// when output is free, and `None` when the input alone does not fit.
    #[must_use]
    pub fn affordable_output(&self, input: Tokens, money: NanoUsd) -> Option<Tokens> {
        let input_cost = i128::from(input.0).checked_mul(i128::from(self.dearest_input_pico()))?;
        let left = i128::from(money.0)
            .checked_mul(PICO_PER_NANO)?
            .checked_sub(input_cost)?;
        if left < 0 {
            return None;
        }
        match left.checked_div(i128::from(self.dearest_output_pico())) {
            Some(tokens) => Some(Tokens(i64::try_from(tokens).unwrap_or(i64::MAX))),
            None => Some(Tokens::MAX),
        }
    }
}

/// What `usage` counts towards a token budget: all input, all output and reasoning; input read from a cache only when
/// `count_cached`.
///
/// # Errors
/// [`Overflow`] when the sum does not fit 64 bits, or a count is negative.
pub fn counted_tokens(usage: &v1::Usage, count_cached: bool) -> Result<Tokens, Overflow> {
    let cached = if count_cached { usage.cached_input } else { 0 };
    let counts = [
        usage.input,
        cached,
        usage.cache_write,
        usage.cache_write_1h,
        usage.audio_input,
        usage.image_input,
        usage.output,
        usage.audio_output,
        usage.reasoning,
    ];
    counts.into_iter().try_fold(Tokens(0), |sum, count| {
        if count < 0 {
            return Err(Overflow);
        }
        sum.add(Tokens(count))
    })
}

/// Σ tokens × price in pico-USD, rounded up to a nano-USD.
fn round_up<const N: usize>(terms: [(i64, i64); N]) -> Result<NanoUsd, Overflow> {
    let mut pico: i128 = 0;
    for (tokens, price) in terms {
        if tokens < 0 || price < 0 {
            return Err(Overflow);
        }
        // One product of two 63-bit numbers fits 128 bits; the sum of nine may not.
        let term = i128::from(tokens).checked_mul(i128::from(price)).ok_or(Overflow)?;
        pico = pico.checked_add(term).ok_or(Overflow)?;
    }
    let nano = pico.checked_add(PICO_PER_NANO - 1).ok_or(Overflow)? / PICO_PER_NANO;
    i64::try_from(nano).map(NanoUsd).map_err(|_| Overflow)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const GOLDEN: &str = include_str!("../../../tests/golden/money.json");
    const SONNET: Price = Price::basic(3_000_000, 300_000, 3_750_000, 15_000_000);

    /// A count or a price; those that not every model has may be absent.
    fn count(object: &Value, name: &str) -> i64 {
        optional(object, name).unwrap_or_default()
    }

    fn optional(object: &Value, name: &str) -> Option<i64> {
        object.get(name).map(|value| value.as_i64().unwrap())
    }

    #[test]
    fn golden_vectors() {
        let vectors: Vec<Value> = serde_json::from_str(GOLDEN).unwrap();
        assert!(vectors.len() >= 10);
        for vector in vectors {
            let price = &vector["price_pico"];
            let price = Price::from(&internal::Price {
                input_pico: count(price, "input"),
                cached_input_pico: count(price, "cached_input"),
                cache_write_pico: count(price, "cache_write"),
                output_pico: count(price, "output"),
                cache_write_1h_pico: optional(price, "cache_write_1h"),
                audio_input_pico: optional(price, "audio_input"),
                audio_output_pico: optional(price, "audio_output"),
                image_input_pico: optional(price, "image_input"),
                reasoning_pico: optional(price, "reasoning"),
            });
            let used = &vector["usage"];
            let usage = v1::Usage {
                input: count(used, "input"),
                cached_input: count(used, "cached_input"),
                cache_write: count(used, "cache_write"),
                output: count(used, "output"),
                reasoning: count(used, "reasoning"),
                cache_write_1h: count(used, "cache_write_1h"),
                audio_input: count(used, "audio_input"),
                audio_output: count(used, "audio_output"),
                image_input: count(used, "image_input"),
                estimated: false,
            };
            let expected = vector["expected_nano_usd"]
                .as_str()
                .map(|nano| NanoUsd(nano.parse().unwrap()));
            assert_eq!(price.cost(&usage).ok(), expected, "{}", vector["name"]);
        }
    }

    #[test]
    fn the_worst_case_counts_every_input_token_at_the_dearest_input_price() {
        assert_eq!(
            SONNET.worst_case(Tokens(1000), Tokens(100)),
            Ok(NanoUsd(3_750_000 + 1_500_000))
        );
    }

    #[test]
    fn the_worst_case_takes_the_dearest_kind_of_input_and_of_output() {
        let price = Price {
            audio_input_pico: 40_000_000,
            audio_output_pico: 80_000_000,
            ..SONNET
        };
        assert_eq!(price.worst_case(Tokens(10), Tokens(10)), Ok(NanoUsd(400_000 + 800_000)));
        assert_eq!(price.affordable_output(Tokens(10), NanoUsd(1_199_999)), Some(Tokens(9)));
    }

    #[test]
    fn a_record_from_before_there_were_finer_prices_costs_what_it_cost() {
        let before = internal::PlannedPrice {
            input_pico: 3_000_000,
            cached_input_pico: 300_000,
            cache_write_pico: 3_750_000,
            output_pico: 15_000_000,
            ..internal::PlannedPrice::default()
        };
        assert_eq!(Price::from(&before), SONNET);
    }

    #[test]
    fn free_output_is_affordable_without_limit_and_input_alone_may_not_be() {
        let free = Price::basic(3_000_000, 300_000, 3_750_000, 0);
        assert_eq!(
            free.affordable_output(Tokens(1000), NanoUsd(3_750_000)),
            Some(Tokens::MAX)
        );
        assert_eq!(SONNET.affordable_output(Tokens(1000), NanoUsd(3_749_999)), None);
    }

    #[test]
    fn token_budgets_count_cached_input_unless_told_otherwise() {
        let usage = v1::Usage {
            input: 1,
            cached_input: 10,
            cache_write: 100,
            output: 1000,
            reasoning: 10_000,
            cache_write_1h: 100_000,
            audio_input: 1_000_000,
            audio_output: 10_000_000,
            image_input: 100_000_000,
            estimated: false,
        };
        assert_eq!(counted_tokens(&usage, true), Ok(Tokens(111_111_111)));
        assert_eq!(counted_tokens(&usage, false), Ok(Tokens(111_111_101)));
        assert_eq!(
            counted_tokens(
                &v1::Usage {
                    output: i64::MAX,
                    ..usage
                },
                true
            ),
            Err(Overflow)
        );
        assert_eq!(counted_tokens(&v1::Usage { output: -1, ..usage }, true), Err(Overflow));
    }

    proptest! {
        /// What a hold is for: no usage within the bounds costs more than was held.
        #[test]
        fn no_usage_within_the_counts_costs_more_than_the_worst_case(
            prices in prop::array::uniform9(0i64..10_000_000_000),
            counts in prop::array::uniform9(0i64..100_000_000),
            slack in 0i64..1000,
        ) {
            let [input_pico, cached_input_pico, cache_write_pico, cache_write_1h_pico, ..] = prices;
            let [.., audio_input_pico, image_input_pico, output_pico, audio_output_pico, reasoning_pico] = prices;
            let price = Price {
                input_pico, cached_input_pico, cache_write_pico, cache_write_1h_pico, audio_input_pico, image_input_pico,
                output_pico, audio_output_pico, reasoning_pico,
            };
            let [input, cached_input, cache_write, cache_write_1h, ..] = counts;
            let [.., audio_input, image_input, output, audio_output, reasoning] = counts;
            let usage = v1::Usage {
                input, cached_input, cache_write, cache_write_1h, audio_input, image_input, output, audio_output, reasoning,
                estimated: false,
            };
            let (all_input, all_output) = (counts[..6].iter().sum::<i64>(), counts[6..].iter().sum());
            let held = price.worst_case(Tokens(all_input + slack), Tokens(all_output)).unwrap();
            prop_assert!(price.cost(&usage).unwrap() <= held);
        }

        /// A clamp leaves exactly what fits: one token more does not.
        #[test]
        fn the_affordable_output_is_the_most_that_fits(
            input_pico in 0i64..10_000_000_000, output_pico in 1i64..10_000_000_000, input in 0i64..1_000_000, money in 0i64..10_000_000_000,
        ) {
            let price = Price::basic(input_pico, 0, 0, output_pico);
            match price.affordable_output(Tokens(input), NanoUsd(money)) {
                Some(output) => {
                    prop_assert!(price.worst_case(Tokens(input), output).unwrap() <= NanoUsd(money));
                    prop_assert!(price.worst_case(Tokens(input), output.add(Tokens(1)).unwrap()).unwrap() > NanoUsd(money));
                }
                None => prop_assert!(price.worst_case(Tokens(input), Tokens(0)).unwrap() > NanoUsd(money)),
            }
        }
    }
}
