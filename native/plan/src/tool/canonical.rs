//! Canonical JSON: the same meaning, the same bytes. RFC 8785, with one deviation: a number is not rounded to a double
//! first. What RFC 8785 writes of a number is the shortest decimal that reads back as the same double; here it is the
//! decimal that was written, in the same notation, so that 9007199254740993.0 and 9007199254740992.0, or 0.1 and the
//! 0.1000000000000000055 beside it, never have the same digest. Integers without a point are written in full. Golden vectors, shared with Python: `tests/golden/canonical_json.json`.

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
    match Decimal::read(text) {
        Some(decimal) => decimal.write(out),
        None => out.push_str(text),
    }
}

/// `0.digits × 10^point`, with neither a first nor a last digit 0; no digits are zero.
struct Decimal {
    is_negative: bool,
    digits: String,
    point: i64,
}

impl Decimal {
    /// Exactly what is written; `None` when the exponent is out of all reason.
    fn read(text: &str) -> Option<Self> {
        let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let digits = all.trim_start_matches('0');
        let zeros = i64::try_from(all.len() - digits.len()).ok()?;
        let point = i64::try_from(whole.len())
            .ok()?
            .checked_sub(zeros)?
            .checked_add(exponent.parse().ok()?)?;
        Some(Self {
            is_negative,
            digits: digits.trim_end_matches('0').to_owned(),
            point,
        })
    }

    /// As ECMAScript writes a number of these digits (ECMA-262, `Number::toString`).
    fn write(&self, out: &mut String) {
        let digits = self.digits.as_str();
        let Some(first) = digits.get(..1) else {
            out.push('0');
            return;
        };
        if self.is_negative {
            out.push('-');
        }
        let count = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        let zeros = |out: &mut String, count: i64| (0..count).for_each(|_| out.push('0'));
        if (count..=21).contains(&self.point) {
            out.push_str(digits);
            zeros(out, self.point - count);
        } else if (1..=21).contains(&self.point) {
            let (head, tail) = digits
                .split_at_checked(usize::try_from(self.point).unwrap_or(0))
                .unwrap_or((digits, ""));
            let _ = write!(out, "{head}.{tail}");
        } else if (-5..=0).contains(&self.point) {
            out.push_str("0.");
            zeros(out, -self.point);
            out.push_str(digits);
        } else {
            out.push_str(first);
            if let Some(rest) = digits.get(1..).filter(|rest| !rest.is_empty()) {
                let _ = write!(out, ".{rest}");
            }
            let _ = write!(out, "e{:+}", self.point.saturating_sub(1));
        }
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
            number(&format!("{value:e}"), &mut text);
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
