//! Usage as OpenAI and its relatives report it.
//!
//! Fields may be missing, but a number that is there must make sense: what is negative, fractional, or larger than
//! any model can read makes the whole report count as absent, and the attempt's usage is estimated instead.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Usage;
use crate::usage::Count;

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
    /// DeepSeek.
    #[serde(default)]
    prompt_cache_hit_tokens: Option<Count>,
    /// Moonshot, Together.
    #[serde(default)]
    cached_tokens: Option<Count>,
}

#[derive(Default, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<Count>,
    #[serde(default)]
    cache_write_tokens: Option<Count>,
    #[serde(default)]
    audio_tokens: Option<Count>,
    #[serde(default)]
    image_tokens: Option<Count>,
}

#[derive(Default, Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Option<Count>,
    #[serde(default)]
    audio_tokens: Option<Count>,
}

/// Reads a `usage` object; `None` when it does not make sense.
///
/// Accepted and rejected prediction tokens are billed as output and stay counted there.
pub(crate) fn read(text: &str) -> Option<Usage> {
    let report: Report = serde_json::from_str(text).ok()?;
    let total = Count::optional(report.total_tokens)?;
    let prompt = Count::optional(report.prompt_tokens)??;
    let completion = match (Count::optional(report.completion_tokens)?, total) {
        (Some(completion), _) => completion,
        (None, Some(total)) => total.checked_sub(prompt).filter(|rest| *rest >= 0)?,
        (None, None) => return None,
    };
    let details = report.prompt_tokens_details.unwrap_or_default();
    // The same number under the names of several providers: taken once.
    let cached = Count::optional(details.cached_tokens)?
        .or(Count::optional(report.prompt_cache_hit_tokens)?)
        .or(Count::optional(report.cached_tokens)?)
        .unwrap_or(0);
    let written = Count::or_zero(details.cache_write_tokens)?;
    let text = rest(prompt, &[cached, written])?;
    let sound = Count::or_zero(details.audio_tokens)?;
    let pictures = Count::or_zero(details.image_tokens)?;
    // Cached sound and pictures would be in two counts: then the cache's count stands.
    let (input, audio_input, image_input) =
        rest(text, &[sound, pictures]).map_or((text, 0, 0), |input| (input, sound, pictures));
    let details = report.completion_tokens_details.unwrap_or_default();
    let audio_output = Count::or_zero(details.audio_tokens)?;
    let (said, reasoning) = reasoning(prompt, completion, total, Count::or_zero(details.reasoning_tokens)?)?;
    Some(Usage {
        input,
        cached_input: cached,
        cache_write: written,
        audio_input,
        image_input,
        output: rest(said, &[audio_output])?,
        audio_output,
        reasoning,
        ..Usage::default()
    })
}

/// What is left; `None` when it would be negative.
fn rest(all: i64, parts: &[i64]) -> Option<i64> {
    parts
        .iter()
        .try_fold(all, |left, part| left.checked_sub(*part).filter(|left| *left >= 0))
}

/// Output without reasoning, and reasoning. OpenAI counts reasoning inside `completion_tokens`; some (xAI) beside it,
/// which the total tells; Gemini's compatible endpoint reports it nowhere but in the total.
fn reasoning(prompt: i64, completion: i64, total: Option<i64>, reported: i64) -> Option<(i64, i64)> {
    let beyond = total
        .and_then(|total| total.checked_sub(prompt)?.checked_sub(completion))
        .filter(|beyond| *beyond > 0);
    match beyond {
        Some(beyond) if reported == 0 => Some((completion, beyond)),
        Some(beyond) if reported == beyond => Some((completion, reported)),
        _ if reported > completion => Some((completion, reported)),
        _ => Some((rest(completion, &[reported])?, reported)),
    }
}

/// A `usage` object.
pub(crate) fn write(usage: &Usage) -> Value {
    let (input, output) = (usage.all_input(), usage.all_output());
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input.saturating_add(output),
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_input,
            "cache_write_tokens": usage.cache_write.saturating_add(usage.cache_write_1h),
            "audio_tokens": usage.audio_input,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.audio_output,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
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
    fn a_cache_hit_is_counted_once_whoever_reports_it() {
        // DeepSeek gives it twice, and the misses as well.
        let deepseek = r#"{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,"prompt_tokens_details":{"cached_tokens":64},
            "prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}"#;
        assert_eq!(read(deepseek), usage(36, 64, 5, 0));
        let older =
            r#"{"prompt_tokens":100,"completion_tokens":5,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}"#;
        assert_eq!(read(older), usage(36, 64, 5, 0));
        let moonshot = r#"{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,"cached_tokens":64}"#;
        assert_eq!(read(moonshot), usage(36, 64, 5, 0));
    }

    #[test]
    fn sound_and_pictures_are_apart() {
        let text = r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
            "prompt_tokens_details":{"cached_tokens":10,"audio_tokens":20,"image_tokens":30},
            "completion_tokens_details":{"reasoning_tokens":5,"audio_tokens":15,"rejected_prediction_tokens":3}}"#;
        let read_back = read(text).unwrap();
        assert_eq!((read_back.input, read_back.cached_input), (40, 10));
        assert_eq!((read_back.audio_input, read_back.image_input), (20, 30));
        assert_eq!(
            (read_back.output, read_back.audio_output, read_back.reasoning),
            (30, 15, 5)
        );
        // Sound that came from the cache is in the cache's count only.
        let cached = r#"{"prompt_tokens":100,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":90,"audio_tokens":80}}"#;
        assert_eq!(read(cached), usage(10, 90, 1, 0));
    }

    #[test]
    fn thinking_that_only_the_total_tells_is_counted() {
        // Gemini's compatible endpoint.
        let text = r#"{"prompt_tokens":10,"completion_tokens":30,"total_tokens":540}"#;
        assert_eq!(read(text), usage(10, 0, 30, 500));
    }

    #[test]
    fn what_is_written_reads_back() {
        let all = Usage {
            input: 1,
            cached_input: 2,
            cache_write: 3,
            audio_input: 4,
            output: 5,
            audio_output: 6,
            reasoning: 7,
            ..Usage::default()
        };
        assert_eq!(read(&write(&all).to_string()), Some(all));
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
