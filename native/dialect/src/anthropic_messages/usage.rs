//! Usage as Anthropic reports it: `input_tokens` is what is neither read from nor written to the cache.
//!
//! A stream reports twice: the input at its start, the output at its end, where the input may be repeated. The counts
//! are totals of the whole call, never additions: adding them up would bill the cache twice.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Usage;
use crate::usage::Count;

/// One report.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Report {
    #[serde(default)]
    input_tokens: Option<Count>,
    #[serde(default)]
    cache_read_input_tokens: Option<Count>,
    #[serde(default)]
    cache_creation_input_tokens: Option<Count>,
    #[serde(default)]
    cache_creation: Option<Creation>,
    #[serde(default)]
    output_tokens: Option<Count>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Creation {
    #[serde(default)]
    ephemeral_5m_input_tokens: Option<Count>,
    #[serde(default)]
    ephemeral_1h_input_tokens: Option<Count>,
}

impl Report {
    /// Reads a report; `None` when it is not an object of numbers.
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// This report after an earlier one: what it tells replaces what was told before. An input of 0 in the later one
    /// (some compatible providers) does not undo an input that was told.
    pub(super) fn after(self, earlier: Self) -> Self {
        let input = |later: Option<Count>, earlier: Option<Count>| match later.and_then(Count::tokens) {
            Some(0) => earlier.or(later),
            _ => later.or(earlier),
        };
        Self {
            input_tokens: input(self.input_tokens, earlier.input_tokens),
            cache_read_input_tokens: input(self.cache_read_input_tokens, earlier.cache_read_input_tokens),
            cache_creation_input_tokens: input(self.cache_creation_input_tokens, earlier.cache_creation_input_tokens),
            cache_creation: self.cache_creation.or(earlier.cache_creation),
            output_tokens: self.output_tokens.or(earlier.output_tokens),
        }
    }

    /// The tokens; `None` when a number makes no sense, or the output was not told.
    pub(super) fn usage(self) -> Option<Usage> {
        self.output_tokens?;
        self.usage_so_far()
    }

    /// The input alone, once it was told: some compatible providers start with zeros.
    pub(super) fn input_so_far(self) -> Option<Usage> {
        let told = Usage {
            output: 0,
            ..self.usage_so_far()?
        };
        (told.all_input() > 0).then_some(told)
    }

    /// The tokens, when the output may still be unknown.
    pub(super) fn usage_so_far(self) -> Option<Usage> {
        let created = Count::optional(self.cache_creation_input_tokens)?;
        let (short, hour) = match self.cache_creation {
            None => (0, 0),
            Some(split) => (
                Count::or_zero(split.ephemeral_5m_input_tokens)?,
                Count::or_zero(split.ephemeral_1h_input_tokens)?,
            ),
        };
        // The split says which part of the same tokens lasts longer; it is not added to them.
        let cache_write = match created {
            Some(created) => created.checked_sub(hour).filter(|rest| *rest >= 0)?,
            None => short,
        };
        Some(Usage {
            input: Count::optional(self.input_tokens)??,
            cached_input: Count::or_zero(self.cache_read_input_tokens)?,
            cache_write,
            cache_write_1h: hour,
            output: Count::or_zero(self.output_tokens)?,
            ..Usage::default()
        })
    }
}

/// A `usage` object; sound, pictures and reasoning are not told apart by this dialect.
pub(super) fn write(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input.saturating_add(usage.audio_input).saturating_add(usage.image_input),
        "cache_creation_input_tokens": usage.cache_write.saturating_add(usage.cache_write_1h),
        "cache_read_input_tokens": usage.cached_input,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.all_output(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    fn read(text: &str) -> Option<Usage> {
        Report::read(text)?.usage()
    }

    #[test]
    fn cache_creation_is_counted_once() {
        let text = r#"{"input_tokens":10,"cache_creation_input_tokens":300,"cache_read_input_tokens":50,
            "cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":200},"output_tokens":7,
            "server_tool_use":{"web_search_requests":1},"service_tier":"standard"}"#;
        let usage = read(text).unwrap();
        assert_eq!((usage.input, usage.cached_input), (10, 50));
        assert_eq!((usage.cache_write, usage.cache_write_1h), (100, 200));
        assert_eq!(usage.all_input(), 360);
        assert_eq!(read(&write(&usage).to_string()), Some(usage));
    }

    #[test]
    fn without_the_split_the_short_cache_was_written() {
        let usage = read(r#"{"input_tokens":1,"cache_creation_input_tokens":9,"output_tokens":2}"#).unwrap();
        assert_eq!((usage.cache_write, usage.cache_write_1h), (9, 0));
    }

    #[test]
    fn the_reports_of_a_stream_are_not_added_up() {
        let start =
            r#"{"input_tokens":25,"cache_read_input_tokens":100,"cache_creation_input_tokens":40,"output_tokens":1}"#;
        let cumulative =
            r#"{"input_tokens":25,"cache_read_input_tokens":100,"cache_creation_input_tokens":40,"output_tokens":15}"#;
        for end in [
            cumulative,
            r#"{"output_tokens":15}"#,
            r#"{"input_tokens":0,"output_tokens":15}"#,
        ] {
            let report = Report::read(end).unwrap().after(Report::read(start).unwrap());
            let usage = report.usage().unwrap();
            assert_eq!(
                (usage.input, usage.cached_input, usage.cache_write),
                (25, 100, 40),
                "{end}"
            );
            assert_eq!(usage.output, 15, "{end}");
        }
    }

    #[test]
    fn what_makes_no_sense_counts_as_absent() {
        for text in [
            "{}",
            "[]",
            r#"{"input_tokens":1}"#,
            r#"{"output_tokens":1}"#,
            r#"{"input_tokens":-1,"output_tokens":1}"#,
            r#"{"input_tokens":1,"output_tokens":0.5}"#,
            r#"{"input_tokens":1,"output_tokens":1,"cache_creation_input_tokens":1,"cache_creation":{"ephemeral_1h_input_tokens":2}}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
