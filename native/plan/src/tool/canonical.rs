//! Canonical JSON: the same meaning, the same bytes. RFC 8785, but that integers beyond 2^53 are written in full, so that
//! two different ones never have the same digest. Golden vectors, shared with Python: `tests/golden/canonical_json.json`.

use std::fmt::Write as _;

use super::json::{Json, quote};

/// Integers up to here are the same as doubles: 2^53.
const LARGEST_EXACT: i64 = 1 << 53;

impl Json {
    /// The canonical text.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        write(self, &mut out);
        out
    }
}

fn write(json: &Json, out: &mut String) {
    match json {
        Json::Null => out.push_str("null"),
        Json::Bool(true) => out.push_str("true"),
        Json::Bool(false) => out.push_str("false"),
        Json::Number(text) => number(text, out),
        Json::String(text) => quote(text, out),
        Json::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (at, (name, member)) in members.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                quote(name, out);
                out.push(':');
                write(member, out);
            }
            out.push('}');
        }
    }
}

fn number(text: &str, out: &mut String) {
    if !text.contains(['.', 'e', 'E']) {
        match text.parse::<i64>() {
            Ok(small) if (-LARGEST_EXACT..=LARGEST_EXACT).contains(&small) => {
                let _ = write!(out, "{small}");
            }
            // JSON has no leading zeros: the digits are canonical already.
            _ => out.push_str(text),
        }
        return;
    }
    double(text.parse().unwrap_or(0.0), out);
}

/// As ECMAScript writes a number (ECMA-262, `Number::toString`): the shortest digits that read back the same.
fn double(value: f64, out: &mut String) {
    if value == 0.0 {
        out.push('0');
        return;
    }
    if value < 0.0 {
        out.push('-');
    }
    // Shortest digits with an exponent, such as `1.25e-7`.
    let scientific = format!("{:e}", value.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (count, point) = (i32::try_from(digits.len()).unwrap_or(i32::MAX), exponent + 1);
    let zeros = |out: &mut String, count: i32| (0..count).for_each(|_| out.push('0'));
    let (head, tail) = digits
        .split_at_checked(usize::try_from(point.max(0)).unwrap_or(0))
        .unwrap_or((&digits, ""));
    if (count..=21).contains(&point) {
        out.push_str(&digits);
        zeros(out, point - count);
    } else if (1..=21).contains(&point) {
        let _ = write!(out, "{head}.{tail}");
    } else if (-5..=0).contains(&point) {
        out.push_str("0.");
        zeros(out, -point);
        out.push_str(&digits);
    } else {
        out.push_str(mantissa);
        let _ = write!(out, "e{exponent:+}");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_golden_vectors_hold() {
        let golden = include_str!("../../../../tests/golden/canonical_json.json");
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        for vector in golden["vectors"].as_array().unwrap() {
            let json = Json::parse(vector["json"].as_str().unwrap().as_bytes()).unwrap();
            assert_eq!(json.canonical(), vector["canonical"].as_str().unwrap(), "{vector}");
        }
    }

    proptest! {
        #[test]
        fn a_double_reads_back_as_it_was(value in proptest::num::f64::NORMAL) {
            let mut text = String::new();
            double(value, &mut text);
            prop_assert_eq!(text.parse::<f64>().unwrap(), value);
        }

        #[test]
        fn canonical_text_is_its_own_canonical_text(value in proptest::num::f64::NORMAL, integer: i128, name in ".{0,4}") {
            let name = serde_json::to_string(&name).unwrap();
            let text = format!("{{{name}:[{value:e},{integer}]}}");
            let once = Json::parse(text.as_bytes()).unwrap().canonical();
            prop_assert_eq!(Json::parse(once.as_bytes()).unwrap().canonical(), once);
        }
    }
}
