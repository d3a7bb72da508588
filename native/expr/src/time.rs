//! Timestamps and durations: reading, writing and taking apart, always in UTC.
//!
//! Calendar arithmetic follows Howard Hinnant, "chrono-compatible low-level date algorithms" (`days_from_civil` and
//! `civil_from_days`), in the proleptic Gregorian calendar.

use std::fmt::Write;

pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// A moment taken apart. Months and days count from 1.
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) day_of_year: i64,
    /// From Sunday = 0.
    pub(crate) weekday: i64,
    /// Nanoseconds since midnight.
    pub(crate) of_day: i64,
}

impl Civil {
    /// From nanoseconds since the Unix epoch.
    pub(crate) fn of(nanos: i64) -> Self {
        let days = nanos.div_euclid(DAY);
        let (year, month, day) = civil_from_days(days);
        Self {
            year,
            month,
            day,
            day_of_year: days - days_from_civil(year, 1, 1) + 1,
            // The epoch was a Thursday.
            weekday: (days + 4).rem_euclid(7),
            of_day: nanos.rem_euclid(DAY),
        }
    }
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Reads an RFC 3339 timestamp such as `2026-01-31T12:00:00.5Z` or `…+02:00`, as nanoseconds since the Unix epoch.
/// `None` when it is malformed or outside the 64-bit range.
pub(crate) fn parse_timestamp(text: &str) -> Option<i64> {
    let mut rest = text;
    let year = digits(&mut rest, 4)?;
    symbol(&mut rest, b"-")?;
    let month = digits(&mut rest, 2)?;
    symbol(&mut rest, b"-")?;
    let day = digits(&mut rest, 2)?;
    symbol(&mut rest, b"Tt")?;
    let hour = digits(&mut rest, 2)?;
    symbol(&mut rest, b":")?;
    let minute = digits(&mut rest, 2)?;
    symbol(&mut rest, b":")?;
    let second = digits(&mut rest, 2)?;
    let fraction = match symbol(&mut rest, b".") {
        Some(_) => fraction(&mut rest)?,
        None => 0,
    };
    let offset_minutes = match symbol(&mut rest, b"Zz+-")? {
        sign @ (b'+' | b'-') => {
            let hours = digits(&mut rest, 2)?;
            symbol(&mut rest, b":")?;
            let minutes = digits(&mut rest, 2)?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 60 + minutes;
            if sign == b'-' { -offset } else { offset }
        }
        _ => 0,
    };
    let in_range = rest.is_empty()
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 59;
    if !in_range {
        return None;
    }
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + (minute - offset_minutes) * 60 + second;
    i64::try_from(i128::from(seconds) * i128::from(SECOND) + i128::from(fraction)).ok()
}

fn digits(rest: &mut &str, count: usize) -> Option<i64> {
    let (number, after) = rest.split_at_checked(count)?;
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    *rest = after;
    number.parse().ok()
}

fn symbol(rest: &mut &str, one_of: &[u8]) -> Option<u8> {
    let first = *rest.as_bytes().first()?;
    if !one_of.contains(&first) {
        return None;
    }
    *rest = rest.get(1..)?;
    Some(first)
}

/// 1 to 9 digits after the point, as nanoseconds.
fn fraction(rest: &mut &str) -> Option<i64> {
    let count = rest.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=9).contains(&count) {
        return None;
    }
    let number = digits(rest, count)?;
    Some(number * 10_i64.pow(9 - count as u32))
}

/// Writes a timestamp as RFC 3339 in UTC, with as many fraction digits as it needs.
pub(crate) fn format_timestamp(nanos: i64) -> String {
    let civil = Civil::of(nanos);
    let (hour, minute, second) = (
        civil.of_day / HOUR,
        civil.of_day / MINUTE % 60,
        civil.of_day / SECOND % 60,
    );
    let mut text = format!(
        "{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}",
        civil.year, civil.month, civil.day
    );
    write_fraction(&mut text, (civil.of_day % SECOND).unsigned_abs());
    text.push('Z');
    text
}

/// Reads a duration such as `1h30m`, `-1.5s` or `250ms`, in nanoseconds. Units: `h m s ms us ns`. `None` when it is
/// malformed or outside the 64-bit range.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        total = total.checked_add(duration_part(&mut rest)?)?;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// One number with its unit.
fn duration_part(rest: &mut &str) -> Option<i128> {
    let number_length = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let (number, after) = rest.split_at_checked(number_length)?;
    let unit_length = after.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (unit, after) = after.split_at_checked(unit_length)?;
    *rest = after;
    let unit: i128 = match unit {
        "h" => i128::from(HOUR),
        "m" => i128::from(MINUTE),
        "s" => i128::from(SECOND),
        "ms" => 1_000_000,
        "us" => 1_000,
        "ns" => 1,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || whole.len() > 19 || fraction.len() > 18 || fraction.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    // Below a nanosecond the rest is cut off, as Go's time.ParseDuration does.
    Some(whole * unit + part * unit / 10_i128.pow(fraction.len() as u32))
}

/// Writes a duration in seconds, such as `5400s` or `-0.25s`.
pub(crate) fn format_duration(nanos: i64) -> String {
    let magnitude = nanos.unsigned_abs();
    let sign = if nanos < 0 { "-" } else { "" };
    let mut text = format!("{sign}{}", magnitude / SECOND as u64);
    write_fraction(&mut text, magnitude % SECOND as u64);
    text.push('s');
    text
}

fn write_fraction(text: &mut String, nanos: u64) {
    if nanos > 0 {
        let digits = format!("{nanos:09}");
        // Writing to a string cannot fail.
        let _ = write!(text, ".{}", digits.trim_end_matches('0'));
    }
}
