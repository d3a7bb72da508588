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
    /// Output and reasoning.
    pub output_pico: i64,
}

impl From<&internal::Price> for Price {
    fn from(price: &internal::Price) -> Self {
        Self {
            input_pico: price.input_pico,
            cached_input_pico: price.cached_input_pico,
            cache_write_pico: price.cache_write_pico,
            output_pico: price.output_pico,
        }
    }
}

impl From<&internal::PlannedPrice> for Price {
    fn from(price: &internal::PlannedPrice) -> Self {
        Self {
            input_pico: price.input_pico,
            cached_input_pico: price.cached_input_pico,
            cache_write_pico: price.cache_write_pico,
            output_pico: price.output_pico,
        }
    }
}

impl Price {
    /// The dearest that one input token can be. A prompt that is written to a cache can cost more than plain input.
    #[must_use]
    pub fn dearest_input_pico(&self) -> i64 {
        self.input_pico.max(self.cached_input_pico).max(self.cache_write_pico)
    }

    /// What `usage` costs, rounded up to a nano-USD once.
    ///
    /// # Errors
    /// [`Overflow`] when the cost does not fit 64 bits, or a count is negative.
    pub fn cost(&self, usage: &v1::Usage) -> Result<NanoUsd, Overflow> {
        let output = usage.output.checked_add(usage.reasoning).ok_or(Overflow)?;
        if usage.output < 0 || usage.reasoning < 0 {
            return Err(Overflow);
        }
        round_up([
            (usage.input, self.input_pico),
            (usage.cached_input, self.cached_input_pico),
            (usage.cache_write, self.cache_write_pico),
            (output, self.output_pico),
        ])
    }

    /// The most that one attempt can cost: all input at the dearest input price, and `output` tokens **in total** (over
    /// all answers), rounded up once. No usage within these counts costs more.
    ///
    /// # Errors
    /// [`Overflow`] when the cost does not fit 64 bits, or a count is negative.
    pub fn worst_case(&self, input: Tokens, output: Tokens) -> Result<NanoUsd, Overflow> {
        round_up([(input.0, self.dearest_input_pico()), (output.0, self.output_pico)])
    }

    /// The most output tokens, in total, so that [`worst_case`](Self::worst_case) stays within `money`; [`Tokens::MAX`]
    /// when output is free, and `None` when the input alone does not fit.
    #[must_use]
    pub fn affordable_output(&self, input: Tokens, money: NanoUsd) -> Option<Tokens> {
        let input_cost = i128::from(input.0).checked_mul(i128::from(self.dearest_input_pico()))?;
        let left = i128::from(money.0).checked_mul(PICO_PER_NANO)?.checked_sub(input_cost)?;
        if left < 0 {
            return None;
        }
        match left.checked_div(i128::from(self.output_pico)) {
            Some(tokens) => Some(Tokens(i64::try_from(tokens).unwrap_or(i64::MAX))),
            None => Some(Tokens::MAX),
        }
    }
}

/// What `usage` counts towards a token budget: all input, output and reasoning; input read from a cache only when
/// `count_cached`.
///
/// # Errors
/// [`Overflow`] when the sum does not fit 64 bits, or a count is negative.
pub fn counted_tokens(usage: &v1::Usage, count_cached: bool) -> Result<Tokens, Overflow> {
    let cached = if count_cached { usage.cached_input } else { 0 };
    [usage.input, cached, usage.cache_write, usage.output, usage.reasoning].into_iter().try_fold(Tokens(0), |sum, count| {
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
        // Four products of two 63-bit numbers fit 128 bits, so neither operation can overflow; checked all the same.
        let term = i128::from(tokens).checked_mul(i128::from(price)).ok_or(Overflow)?;
        pico = pico.checked_add(term).ok_or(Overflow)?;
    }
    let nano = pico.checked_add(PICO_PER_NANO - 1).ok_or(Overflow)? / PICO_PER_NANO;
    i64::try_from(nano).map(NanoUsd).map_err(|_| Overflow)
}
