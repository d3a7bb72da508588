//! Usage as OpenAI and its relatives report it.
//!
//! Fields may be missing, but a number that is there must make sense: what is negative, fractional, or larger than
//! any model can read makes the whole report count as absent, and the attempt's usage is estimated instead.

use serde::Deserialize;

use crate::Usage;

/// More tokens than any model reads or writes in one call.
const ABSURD: i64 = 100_000_000;

#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    prompt_tokens: Option<Count>,
    #[serde(default)]
    completion_tokens: Option<Count>,
    #[serde(default)]
    total_tokens: Option<Count>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<Count>,
    #[serde(default)]
    cache_write_tokens: Option<Count>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Option<Count>,
}

/// A number of tokens: an integer, also when it is written as `12.0`.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Count {
    Whole(i64),
    Fraction(f64),
}

impl Count {
    fn tokens(self) -> Option<i64> {
        let number = match self {
            Self::Whole(number) => number,
            // In this range every integral double is exact.
            #[allow(clippy::cast_possible_truncation)]
            Self::Fraction(number) if number.fract() == 0.0 && (0.0..=1e8).contains(&number) => number as i64,
            Self::Fraction(_) => return None,
        };
        (0..=ABSURD).contains(&number).then_some(number)
    }
}

/// `None`: there and wrong. `Some(None)`: absent.
#[allow(clippy::option_option)]
fn optional(count: Option<Count>) -> Option<Option<i64>> {
    match count {
        None => Some(None),
        Some(count) => count.tokens().map(Some),
    }
}

/// Reads a `usage` object; `None` when it does not make sense.
pub(super) fn read(text: &str) -> Option<Usage> {
    let report: Report = serde_json::from_str(text).ok()?;
    let total = optional(report.total_tokens)?;
    let prompt = optional(report.prompt_tokens)??;
    let completion = match (optional(report.completion_tokens)?, total) {
        (Some(completion), _) => completion,
        (None, Some(total)) => total.checked_sub(prompt).filter(|rest| *rest >= 0)?,
        (None, None) => return None,
    };
    let (cached, written) = match report.prompt_tokens_details {
        None => (0, 0),
        Some(details) => (
            optional(details.cached_tokens)?.unwrap_or(0),
            optional(details.cache_write_tokens)?.unwrap_or(0),
        ),
    };
    let reasoning = match report.completion_tokens_details {
        None => 0,
        Some(details) => optional(details.reasoning_tokens)?.unwrap_or(0),
    };
    let input = prompt
        .checked_sub(cached)?
        .checked_sub(written)
        .filter(|rest| *rest >= 0)?;
    // OpenAI counts reasoning inside completion_tokens; some providers (xAI) beside it, which the total tells.
    let beside =
        reasoning > completion || (reasoning > 0 && total == prompt.checked_add(completion)?.checked_add(reasoning));
    let output = if beside {
        completion
    } else {
        completion.checked_sub(reasoning)?
    };
    Some(Usage {
        input,
        cached_input: cached,
        cache_write: written,
        output,
        reasoning,
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    fn usage(input: i64, cached_input: i64, output: i64, reasoning: i64) -> Option<Usage> {
        Some(Usage {
            input,
            cached_input,
            output,
            reasoning,
            ..Usage::default()
        })
    }

    #[test]
    fn splits_what_is_nested() {
        let text = r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"queue_time":0.1,
            "prompt_tokens_details":{"cached_tokens":64,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":20}}"#;
        assert_eq!(read(text), usage(36, 64, 30, 20));
        assert_eq!(
            read(r#"{"prompt_tokens":7,"completion_tokens":3.0}"#),
            usage(7, 0, 3, 0)
        );
        assert_eq!(
            read(r#"{"prompt_tokens":7,"total_tokens":9,"prompt_tokens_details":null}"#),
            usage(7, 0, 2, 0)
        );
    }

    #[test]
    fn reasoning_beside_the_completion_is_not_subtracted() {
        let inside = r#"{"prompt_tokens":10,"completion_tokens":30,"total_tokens":40,"completion_tokens_details":{"reasoning_tokens":20}}"#;
        assert_eq!(read(inside), usage(10, 0, 10, 20));
        let beside = r#"{"prompt_tokens":10,"completion_tokens":30,"total_tokens":60,"completion_tokens_details":{"reasoning_tokens":20}}"#;
        assert_eq!(read(beside), usage(10, 0, 30, 20));
        let more = r#"{"prompt_tokens":10,"completion_tokens":3,"completion_tokens_details":{"reasoning_tokens":20}}"#;
        assert_eq!(read(more), usage(10, 0, 3, 20));
    }

    #[test]
    fn what_makes_no_sense_counts_as_absent() {
        for text in [
            "{}",
            "[]",
            "7",
            r#"{"prompt_tokens":-1,"completion_tokens":1}"#,
            r#"{"prompt_tokens":1,"completion_tokens":-5}"#,
            r#"{"prompt_tokens":1.5,"completion_tokens":1}"#,
            r#"{"prompt_tokens":"12","completion_tokens":1}"#,
            r#"{"prompt_tokens":1,"completion_tokens":100000001}"#,
            r#"{"prompt_tokens":1,"completion_tokens":1e300}"#,
            r#"{"prompt_tokens":1,"completion_tokens":99999999999999999999999}"#,
            r#"{"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":6}}"#,
            r#"{"prompt_tokens":5,"total_tokens":4}"#,
            r#"{"prompt_tokens":5}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
