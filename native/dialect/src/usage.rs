//! Tokens.

use serde::Deserialize;

/// Tokens of one attempt. No token is in two counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Text input tokens that were neither read from nor written to a prompt cache.
    pub input: i64,
    /// Input tokens read from a prompt cache.
    pub cached_input: i64,
    /// Input tokens written to a prompt cache.
    pub cache_write: i64,
    /// Input tokens written to a prompt cache that lasts for an hour.
    pub cache_write_1h: i64,
    /// Input tokens of sound.
    pub audio_input: i64,
    /// Input tokens of pictures, where the provider reports them apart.
    pub image_input: i64,
    /// Text output tokens without reasoning.
    pub output: i64,
    /// Output tokens of sound.
    pub audio_output: i64,
    /// Reasoning tokens.
    pub reasoning: i64,
    /// True when the provider reported nothing and the numbers are an upper estimate.
    pub estimated: bool,
}

impl Usage {
    /// All input tokens.
    #[must_use]
    pub fn all_input(&self) -> i64 {
        [
            self.input,
            self.cached_input,
            self.cache_write,
            self.cache_write_1h,
            self.audio_input,
            self.image_input,
        ]
        .into_iter()
        .fold(0, i64::saturating_add)
    }

    /// All output tokens, reasoning included.
    #[must_use]
    pub fn all_output(&self) -> i64 {
        self.output
            .saturating_add(self.audio_output)
            .saturating_add(self.reasoning)
    }
}

/// More tokens than any model reads or writes in one call.
const ABSURD: i64 = 100_000_000;

/// A number of tokens in a report: an integer, also when it is written as `12.0`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Count {
    Whole(i64),
    Fraction(f64),
}

impl Count {
    /// `None` when it makes no sense: negative, fractional, or more than any model handles.
    pub(crate) fn tokens(self) -> Option<i64> {
        let number = match self {
            Self::Whole(number) => number,
            // In this range every integral double is exact.
            #[allow(clippy::cast_possible_truncation)]
            Self::Fraction(number) if number.fract() == 0.0 && (0.0..=1e8).contains(&number) => number as i64,
            Self::Fraction(_) => return None,
        };
        (0..=ABSURD).contains(&number).then_some(number)
    }

    /// Outer `None`: there and wrong. `Some(None)`: absent.
    #[allow(clippy::option_option)]
    pub(crate) fn optional(count: Option<Self>) -> Option<Option<i64>> {
        match count {
            None => Some(None),
            Some(count) => count.tokens().map(Some),
        }
    }

    /// `None`: there and wrong. Absent counts as 0.
    pub(crate) fn or_zero(count: Option<Self>) -> Option<i64> {
        Self::optional(count).map(|count| count.unwrap_or(0))
    }
}
