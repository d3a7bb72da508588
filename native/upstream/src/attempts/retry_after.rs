//! How long a provider asks to wait, in every form in use.
//!
//! | header | form |
//! |---|---|
//! | `retry-after-ms` | milliseconds |
//! | `retry-after` | seconds (also fractions), or an HTTP date |
//! | `x-ratelimit-reset-requests`, `-tokens` | `1s`, `6m0s`, `20ms`, seconds |
//! | `x-ratelimit-reset`, `ratelimit-reset` | the same, or a Unix time in seconds or milliseconds |

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;

/// Longest wait that is believed.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Reads the headers of a refusal; `now` is the wall clock, for dates.
pub(super) fn read(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let explicit = text("retry-after-ms")
        .and_then(|value| value.parse::<f64>().ok())
        .and_then(|millis| duration(millis / 1000.0))
        .or_else(|| text("retry-after").and_then(|value| seconds(value).or_else(|| date(value, now))));
    let waited = explicit.or_else(|| resets(&text, now));
    waited.map(|wait| wait.min(LONGEST))
}

/// The reset headers: of the limits that are used up if any says so, else of all, the longest.
fn resets<'a>(text: &impl Fn(&str) -> Option<&'a str>, now: SystemTime) -> Option<Duration> {
    let named = |limit: &str| {
        let reset = text(&format!("x-ratelimit-reset-{limit}")).and_then(|value| reset(value, now))?;
        let used_up = text(&format!("x-ratelimit-remaining-{limit}")) == Some("0");
        Some((used_up, reset))
    };
    let limits = [named("requests"), named("tokens")];
    let of = |wanted: bool| {
        limits
            .iter()
            .flatten()
            .filter(move |(used_up, _)| *used_up || !wanted)
            .map(|(_, wait)| *wait)
    };
    of(true).max().or_else(|| of(false).max()).or_else(|| {
        ["x-ratelimit-reset", "ratelimit-reset"]
            .iter()
            .find_map(|name| text(name).and_then(|value| reset(value, now)))
    })
}

fn reset(value: &str, now: SystemTime) -> Option<Duration> {
    let Ok(number) = value.parse::<f64>() else {
        return spelled(value).or_else(|| date(value, now));
    };
    // Larger than any wait: a point in time.
    let point = if number > 1e11 {
        duration(number / 1000.0)?
    } else if number > 1e8 {
        duration(number)?
    } else {
        return duration(number);
    };
    let since = now.duration_since(UNIX_EPOCH).ok()?;
    Some(point.saturating_sub(since))
}

fn seconds(value: &str) -> Option<Duration> {
    value.parse::<f64>().ok().and_then(duration)
}

fn duration(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

fn date(value: &str, now: SystemTime) -> Option<Duration> {
    let point = httpdate::parse_http_date(value).ok()?;
    Some(point.duration_since(now).unwrap_or(Duration::ZERO))
}

/// A duration such as `1h2m3.5s` or `20ms`.
fn spelled(value: &str) -> Option<Duration> {
    let mut rest = value;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|one: char| !one.is_ascii_digit() && one != '.')?;
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after
            .find(|one: char| !one.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters)?;
        let factor = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        total = total.checked_add(duration(number.parse::<f64>().ok()? * factor)?)?;
        rest = after;
    }
    (!value.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever a provider writes there is read without a panic, and nobody waits for more than a day.
        #[test]
        fn hostile_headers(name in 0_usize..7, value in prop_oneof![
            "[0-9.eE+:-]{0,24}", "([0-9.]{1,6}(h|ms|m|s)){0,5}", "[ -~]{0,40}", prop::collection::vec(any::<u8>(), 0..32)
                .prop_map(|bytes| bytes.iter().map(|byte| char::from(*byte)).collect::<String>()),
        ]) {
            let name = ["retry-after", "retry-after-ms", "x-ratelimit-reset", "ratelimit-reset",
                "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens", "x-ratelimit-remaining-requests"][name];
            if let Ok(value) = http::HeaderValue::from_bytes(value.as_bytes()) {
                let headers = HeaderMap::from_iter([(http::HeaderName::from_static(name), value)]);
                let wait = read(&headers, UNIX_EPOCH + Duration::from_secs(1_445_412_470));
                prop_assert!(wait.is_none_or(|wait| wait <= Duration::from_secs(86_400)));
            }
        }
    }

    fn wait(headers: &[(&'static str, &'static str)]) -> Option<u128> {
        let now = UNIX_EPOCH + Duration::from_secs(1_445_412_470);
        let map = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        read(&map, now).map(|wait| wait.as_millis())
    }

    #[test]
    fn every_form_is_read() {
        for (name, value, millis) in [
            ("retry-after", "3", Some(3000)),
            ("retry-after", "0.5", Some(500)),
            ("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT", Some(10_000)),
            ("retry-after", "Wed, 21 Oct 2015 07:00:00 GMT", Some(0)),
            ("retry-after", "-1", None),
            ("retry-after", "soon", None),
            ("retry-after", "1e99", None),
            ("retry-after", "99999999", Some(86_400_000)),
            ("retry-after-ms", "250", Some(250)),
            ("x-ratelimit-reset-requests", "1s", Some(1000)),
            ("x-ratelimit-reset-tokens", "6m0s", Some(360_000)),
            ("x-ratelimit-reset-tokens", "20ms", Some(20)),
            ("x-ratelimit-reset-tokens", "1h2m3.5s", Some(3_723_500)),
            ("x-ratelimit-reset-tokens", "5x", None),
            ("x-ratelimit-reset", "1445412480", Some(10_000)),
            ("x-ratelimit-reset", "1445412480000", Some(10_000)),
            ("x-ratelimit-reset", "1445412400", Some(0)),
            ("x-ratelimit-reset", "7", Some(7000)),
            ("ratelimit-reset", "8", Some(8000)),
        ] {
            assert_eq!(wait(&[(name, value)]), millis, "{name}: {value}");
        }
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn the_more_precise_header_wins() {
        assert_eq!(
            wait(&[("retry-after", "1"), ("x-ratelimit-reset-tokens", "6m0s")]),
            Some(1000)
        );
        assert_eq!(wait(&[("retry-after", "2"), ("retry-after-ms", "1500")]), Some(1500));
    }

    #[test]
    fn the_limit_that_is_used_up_counts() {
        let requests = ("x-ratelimit-reset-requests", "2s");
        let tokens = ("x-ratelimit-reset-tokens", "6m0s");
        assert_eq!(
            wait(&[requests, tokens, ("x-ratelimit-remaining-requests", "0")]),
            Some(2000)
        );
        assert_eq!(wait(&[requests, tokens]), Some(360_000));
    }
}
