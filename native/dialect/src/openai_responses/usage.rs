//! Usage as Responses reports it: cached tokens and reasoning are inside the input and the output.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Usage;
use crate::usage::Count;

#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    input_tokens: Option<Count>,
    #[serde(default)]
    output_tokens: Option<Count>,
    #[serde(default)]
    input_tokens_details: Option<InputDetails>,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Default, Deserialize)]
struct InputDetails {
    #[serde(default)]
    cached_tokens: Option<Count>,
    #[serde(default)]
    cache_write_tokens: Option<Count>,
}

#[derive(Default, Deserialize)]
struct OutputDetails {
    #[serde(default)]
    reasoning_tokens: Option<Count>,
}

/// Reads a `usage` object; `None` when it does not make sense.
pub(super) fn read(text: &str) -> Option<Usage> {
    let report: Report = serde_json::from_str(text).ok()?;
    let input = Count::optional(report.input_tokens)??;
    let output = Count::optional(report.output_tokens)??;
    let details = report.input_tokens_details.unwrap_or_default();
    let cached = Count::or_zero(details.cached_tokens)?;
    let written = Count::or_zero(details.cache_write_tokens)?;
    let reasoning = Count::or_zero(report.output_tokens_details.unwrap_or_default().reasoning_tokens)?;
    Some(Usage {
        input: input
            .checked_sub(cached)?
            .checked_sub(written)
            .filter(|rest| *rest >= 0)?,
        cached_input: cached,
        cache_write: written,
        output: output.checked_sub(reasoning).filter(|rest| *rest >= 0)?,
        reasoning,
        ..Usage::default()
    })
}

/// A `usage` object.
pub(super) fn write(usage: &Usage) -> Value {
    let (input, output) = (usage.all_input(), usage.all_output());
    json!({
        "input_tokens": input,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input,
            "cache_write_tokens": usage.cache_write.saturating_add(usage.cache_write_1h),
        },
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": input.saturating_add(output),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn cached_tokens_and_reasoning_are_taken_out() {
        let text = r#"{"input_tokens":328,"input_tokens_details":{"cached_tokens":128},"output_tokens":52,
            "output_tokens_details":{"reasoning_tokens":40},"total_tokens":380}"#;
        let usage = read(text).unwrap();
        assert_eq!((usage.input, usage.cached_input), (200, 128));
        assert_eq!((usage.output, usage.reasoning), (12, 40));
        assert_eq!(read(&write(&usage).to_string()), Some(usage));
    }

    #[test]
    fn what_makes_no_sense_counts_as_absent() {
        for text in [
            "{}",
            r#"{"input_tokens":1}"#,
            r#"{"input_tokens":-1,"output_tokens":1}"#,
            r#"{"input_tokens":1,"output_tokens":1.5}"#,
            r#"{"input_tokens":1,"input_tokens_details":{"cached_tokens":2},"output_tokens":1}"#,
            r#"{"input_tokens":1,"output_tokens":1,"output_tokens_details":{"reasoning_tokens":2}}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
