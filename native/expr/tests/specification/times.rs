//! Timestamps and durations. `now` is 2026-01-31T12:34:56.789Z, a Saturday.

use fairlead_expr::EvalErrorKind::Overflow;

use crate::support::{fails, fails_saying, gives, refused};

#[test]
fn durations() {
    gives(&[
        ("duration('1h30m')", "duration(\"5400s\")"),
        ("duration('-1.5s')", "duration(\"-1.5s\")"),
        ("duration('250ms')", "duration(\"0.25s\")"),
        ("duration('1us')", "duration(\"0.000001s\")"),
        ("duration('7ns')", "duration(\"0.000000007s\")"),
        ("duration('.5s')", "duration(\"0.5s\")"),
        ("duration('0')", "duration(\"0s\")"),
        ("duration('+2m')", "duration(\"120s\")"),
        ("duration(labels.tier == 'free' ? '1m' : '1h')", "duration(\"60s\")"),
        ("duration('1h') + duration('1m')", "duration(\"3660s\")"),
        ("duration('1h') - duration('2h')", "duration(\"-3600s\")"),
        ("duration('60s') == duration('1m')", "true"),
        ("duration('59s') < duration('1m')", "true"),
        ("string(duration('90m'))", "\"5400s\""),
        ("duration('-90m').getHours()", "-1"),
        ("duration('90m').getMinutes()", "90"),
        ("duration('90.9s').getSeconds()", "90"),
    ]);
    fails(&[(
        "duration('292y'.contains('y') ? '2562047h' : '') + duration('1h')",
        Overflow,
    )]);
    fails_saying(&[
        ("duration(labels.tier)", "not a valid duration: \"free\""),
        ("duration(labels.tier + '1x')", "not a valid duration"),
    ]);
    refused(&[
        ("duration('1d')", "invalid duration \"1d\"; write it as \"1h30m\""),
        ("duration('')", "invalid duration"),
        ("duration('1')", "invalid duration"),
        ("duration('1.2.3s')", "invalid duration"),
        ("duration('-')", "invalid duration"),
        ("duration('3000000h')", "invalid duration"),
        ("duration(1)", "duration() works on string or duration, not on int"),
        ("duration('1h') * 2", "`*` does not apply to duration and int"),
        (
            "duration('1h').getMilliseconds()",
            "getMilliseconds() works on timestamp, not on duration",
        ),
    ]);
}

#[test]
fn timestamps() {
    gives(&[
        ("now", "timestamp(\"2026-01-31T12:34:56.789Z\")"),
        ("timestamp('1970-01-01T00:00:00Z') == timestamp(0)", "true"),
        ("timestamp('2026-01-31T13:34:56.789+01:00') == now", "true"),
        ("timestamp('2026-01-31t12:34:56.789z') == now", "true"),
        (
            "timestamp('2024-02-29T00:00:00Z')",
            "timestamp(\"2024-02-29T00:00:00Z\")",
        ),
        ("timestamp('1969-12-31T23:59:59.999999999Z') < timestamp(0)", "true"),
        ("now > timestamp('2026-01-01T00:00:00Z')", "true"),
        ("now - timestamp('2026-01-31T12:00:00Z')", "duration(\"2096.789s\")"),
        ("now + duration('1h')", "timestamp(\"2026-01-31T13:34:56.789Z\")"),
        ("duration('1h') + now == now - duration('-1h')", "true"),
        ("now - timestamp(0) > duration('490000h')", "true"),
        ("int(now)", "1769862896"),
        ("int(timestamp('1969-12-31T23:59:59.5Z'))", "-1"),
        ("string(now)", "\"2026-01-31T12:34:56.789Z\""),
        ("timestamp(string(now)) == now", "true"),
    ]);
    fails(&[
        ("timestamp(9223372036854775807)", Overflow),
        ("timestamp('2262-04-11T00:00:00Z') + duration('24h')", Overflow),
    ]);
    fails_saying(&[("timestamp(labels.tier)", "not a valid timestamp: \"free\"")]);
    refused(&[
        ("timestamp('2026-02-30T00:00:00Z')", "invalid timestamp"),
        ("timestamp('2025-02-29T00:00:00Z')", "invalid timestamp"),
        ("timestamp('2026-01-31')", "invalid timestamp"),
        ("timestamp('2026-01-31T12:00:00')", "invalid timestamp"),
        ("timestamp('2026-01-31T24:00:00Z')", "invalid timestamp"),
        ("timestamp('2026-01-31T12:00:00.Z')", "invalid timestamp"),
        ("timestamp('9999-01-01T00:00:00Z')", "invalid timestamp"),
        ("timestamp('2026-01-31T12:00:00Zx')", "invalid timestamp"),
        ("now + now", "`+` does not apply to timestamp and timestamp"),
        ("now < 5", "`<` cannot order timestamp and int"),
    ]);
}

#[test]
fn parts_of_a_timestamp_in_utc() {
    gives(&[
        ("now.getFullYear()", "2026"),
        ("now.getMonth()", "0"),
        ("now.getDate()", "31"),
        ("now.getDayOfMonth()", "30"),
        ("now.getDayOfWeek()", "6"),
        ("now.getDayOfYear()", "30"),
        ("now.getHours()", "12"),
        ("now.getMinutes()", "34"),
        ("now.getSeconds()", "56"),
        ("now.getMilliseconds()", "789"),
        ("timestamp('1969-12-28T23:59:59Z').getDayOfWeek()", "0"),
        ("timestamp('1969-12-28T23:59:59Z').getSeconds()", "59"),
        ("timestamp('2024-12-31T00:00:00Z').getDayOfYear()", "365"),
        ("timestamp('1700-03-01T00:00:00Z').getDayOfYear()", "59"),
        ("now.getHours() >= 8 && now.getHours() < 18", "true"),
    ]);
    refused(&[
        (
            "now.getHours('Europe/Berlin')",
            "getHours() takes 0 arguments, but 1 are given; times are always in UTC",
        ),
        (
            "'a'.getHours()",
            "getHours() works on timestamp or duration, not on string",
        ),
        (
            "duration('1h').getDate()",
            "getDate() works on timestamp, not on duration",
        ),
    ]);
}
