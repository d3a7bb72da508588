//! The caller's deadline: the `grpc-timeout` header, parsed and written.
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

/// Name of the header.
pub const HEADER: &str = "grpc-timeout";

/// When the caller stops waiting; in the extensions of every hot request that came with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(pub Instant);

/// The deadline of a request that arrives now. `None`: no header, or not one the gRPC protocol allows (ignored, as gRPC
/// servers do).
pub fn of(headers: &HeaderMap) -> Option<Deadline> {
    let timeout = parse(headers.get(HEADER)?)?;
    // Hours beyond what the clock can hold mean no deadline.
    Instant::now().checked_add(timeout).map(Deadline)
}

/// `1*8DIGIT` and one of `H M S m u n`.
fn parse(value: &HeaderValue) -> Option<Duration> {
    let (digits, unit) = value.as_bytes().split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b"H" => Some(Duration::from_secs(number * 3600)),
        b"M" => Some(Duration::from_secs(number * 60)),
        b"S" => Some(Duration::from_secs(number)),
        b"m" => Some(Duration::from_millis(number)),
        b"u" => Some(Duration::from_micros(number)),
        b"n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// The header's value for what is left, in the finest unit that fits eight digits, rounded down.
pub fn header(left: Duration) -> HeaderValue {
    let micros = left.as_micros();
    let text = if micros < 100_000_000 {
        format!("{micros}u")
    } else if left.as_millis() < 100_000_000 {
        format!("{}m", left.as_millis())
    } else {
        format!("{}S", left.as_secs().min(99_999_999))
    };
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("0n"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn every_unit_is_understood_and_nonsense_is_not() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("123456789n", None),
            ("S", None),
            ("5", None),
            ("-5S", None),
            ("5x", None),
        ] {
            assert_eq!(parse(&HeaderValue::from_static(text)), expected, "{text}");
        }
        assert_eq!(parse(&HeaderValue::from_static("")), None);
    }

    #[test]
    fn what_is_left_never_grows_when_written() {
        for left in [0, 999, 5_000_000, 99_999_999, 100_000_001, 3_600_000_000_000] {
            let left = Duration::from_micros(left);
            assert!(parse(&header(left)).unwrap() <= left);
        }
    }
}
