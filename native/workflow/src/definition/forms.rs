//! Forms of names and times, with their bounds.

use super::Report;

/// A hundred years: longer is a mistake, and would not fit into 64 bits of nanoseconds.
const MOST_MILLIS: u64 = 100 * 366 * 24 * 3_600_000;
const NANOS_PER_MILLI: i64 = 1_000_000;

/// `[a-z][a-z0-9_-]{0,63}`.
pub(super) fn id(path: &str, id: &str, report: &mut Report) {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    let holds = id.bytes().next().is_some_and(|first| first.is_ascii_lowercase());
    report.require(
        holds && id.len() <= 64 && id.bytes().all(rest),
        path,
        "must be 1 to 64 lower-case letters, digits, _ and -, beginning with a letter",
    );
}

/// `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
pub(super) fn name(path: &str, name: &str, report: &mut Report) {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let holds = name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    report.require(
        holds && name.len() <= 64 && name.bytes().all(rest),
        path,
        "must be 1 to 64 letters, digits, ., _ and -, beginning with a letter or digit",
    );
}

/// As [`name`]; queues of the sidecar are not for workers.
pub(super) fn queue(path: &str, queue: &str, report: &mut Report) {
    if queue.starts_with('$') {
        report.add(
            path,
            "begins with $: such queues are the sidecar's own, workers have none of them",
        );
    } else {
        name(path, queue, report);
    }
}

/// Checks a time and gives it in nanoseconds.
pub(super) fn nanos(path: &str, millis: u64, report: &mut Report) -> i64 {
    report.require(millis <= MOST_MILLIS, path, "must be at most 100 years");
    i64::try_from(millis.min(MOST_MILLIS)).unwrap_or(i64::MAX / NANOS_PER_MILLI) * NANOS_PER_MILLI
}
