//! Windows: which stretch of time a budget counts. All are UTC, which has no daylight saving; leap seconds do not exist in
//! Unix time.
//!
//! A rolling window of length `W` counts in sixty sub-buckets of `W / 60`. A bucket counts until its *end* is `W` ago, so
//! the window never under-counts and over-counts by at most a sixtieth.
use fairlead_plan::units::NANOS_PER_MILLI;
use fairlead_plan::{Window, millis_to_nanos};

const HOUR: i64 = 3_600_000_000_000;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
/// 1970-01-01 was a Thursday; the Monday before it is three days earlier.
const FIRST_MONDAY: i64 = -3 * DAY;
/// Sub-buckets of a rolling window.
const SUB_BUCKETS: i64 = 60;
/// What a month counts as in [`code`]: 30 days. No other fixed window has that length.
const MONTH_MILLIS: i64 = 30 * 24 * 3_600_000;

/// The window that a moment is in, Unix nanoseconds; `end` is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// First moment; 0 for lifetime.
    pub start: i64,
    /// First moment after it; `i64::MAX` for lifetime.
    pub end: i64,
}

/// The fixed window, or the sub-bucket of a rolling one, that `now` is in.
pub(crate) fn span(window: Window, now: i64) -> Span {
    match window {
        Window::Lifetime => Span {
            start: 0,
            end: i64::MAX,
        },
        Window::Hour => aligned(now, HOUR, 0),
        Window::Day => aligned(now, DAY, 0),
        Window::Week => aligned(now, WEEK, FIRST_MONDAY),
        Window::Month => month(now),
        Window::Rolling { nanos } => aligned(now, sub_bucket(nanos), 0),
    }
}

/// When what was spent in the sub-bucket that starts at `start` leaves a rolling window.
pub(crate) fn leaves_at(nanos: i64, start: i64) -> i64 {
    start.saturating_add(sub_bucket(nanos)).saturating_add(nanos.max(1))
}

/// The kind of a window as one number for records: its length in milliseconds, 0 for lifetime, 30 days for a month, and
/// negative for rolling windows.
pub(crate) fn code(window: Window) -> i64 {
    match window {
        Window::Lifetime => 0,
        Window::Hour => HOUR / NANOS_PER_MILLI,
        Window::Day => DAY / NANOS_PER_MILLI,
        Window::Week => WEEK / NANOS_PER_MILLI,
        Window::Month => MONTH_MILLIS,
        Window::Rolling { nanos } => -(nanos / NANOS_PER_MILLI),
    }
}

/// The window of a [`code`]; lifetime when it is none, which forgets nothing.
pub(crate) fn from_code(code: i64) -> Window {
    [Window::Hour, Window::Day, Window::Week, Window::Month]
        .into_iter()
        .find(|window| self::code(*window) == code)
        .unwrap_or(if code < 0 {
            Window::Rolling {
                nanos: millis_to_nanos(code.unsigned_abs()),
            }
        } else {
            Window::Lifetime
        })
}

fn sub_bucket(nanos: i64) -> i64 {
    nanos.max(1).saturating_add(SUB_BUCKETS - 1) / SUB_BUCKETS
}

fn aligned(now: i64, length: i64, origin: i64) -> Span {
    let start = now.saturating_sub(now.saturating_sub(origin).rem_euclid(length.max(1)));
    Span {
        start,
        end: start.saturating_add(length),
    }
}

/// The calendar month, from days since 1970 by Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>): years begin in March, so that the leap day is the last.
fn month(now: i64) -> Span {
    let shifted = now.div_euclid(DAY) + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let year = year_of_era + era * 400;
    let (next_year, next) = if month == 11 { (year + 1, 0) } else { (year, month + 1) };
    Span {
        start: month_start(year, month),
        end: month_start(next_year, next),
    }
}

/// First moment of a month; months count from March (0) of a year that begins in March.
fn month_start(year: i64, month: i64) -> i64 {
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5;
    let day_of_era = 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era - 719_468).saturating_mul(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn starts(window: Window, seconds: i64) -> (i64, i64) {
        let span = span(window, seconds * SECOND);
        (span.start / SECOND, span.end / SECOND)
    }

    #[test]
    fn fixed_windows_are_calendar_windows_in_utc() {
        // 2024-02-29 13:37:11 UTC, a Thursday.
        let now = 1_709_213_831;
        assert_eq!(starts(Window::Hour, now), (1_709_211_600, 1_709_215_200));
        assert_eq!(starts(Window::Day, now), (1_709_164_800, 1_709_251_200));
        assert_eq!(starts(Window::Week, now), (1_708_905_600, 1_709_510_400));
        assert_eq!(starts(Window::Month, now), (1_706_745_600, 1_709_251_200));
        assert_eq!(
            span(Window::Lifetime, now),
            Span {
                start: 0,
                end: i64::MAX
            }
        );
    }

    #[test]
    fn months_follow_each_other_without_a_gap() {
        let mut at = 0;
        for _ in 0..12 * 60 {
            let span = span(Window::Month, at);
            assert_eq!(span.start, at);
            let days = (span.end - span.start) / DAY;
            assert!((28..=31).contains(&days));
            assert_eq!(self::span(Window::Month, span.end - 1), span);
            at = span.end;
        }
        // 2030-01-01 00:00:00 UTC.
        assert_eq!(at / SECOND, 1_893_456_000);
    }

    #[test]
    fn a_rolling_bucket_counts_until_its_end_has_left() {
        let hour = 3_600 * SECOND;
        let bucket = span(Window::Rolling { nanos: hour }, 10 * hour + 1);
        assert_eq!((bucket.start, bucket.end), (10 * hour, 10 * hour + 60 * SECOND));
        assert_eq!(leaves_at(hour, bucket.start), 11 * hour + 60 * SECOND);
    }

    #[test]
    fn every_kind_has_its_own_code() {
        let kinds = [
            Window::Lifetime,
            Window::Hour,
            Window::Day,
            Window::Week,
            Window::Month,
            Window::Rolling { nanos: HOUR },
        ];
        for kind in kinds {
            assert_eq!(from_code(code(kind)), kind);
        }
    }
}
