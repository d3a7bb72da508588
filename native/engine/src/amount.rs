//! Arithmetic on quantities in the three units of a budget. Checked: an overflow is a value, never a wrap.
use fairlead_plan::Overflow;
use fairlead_wire::v1::Amount;

/// Nothing.
pub(crate) const ZERO: Amount = Amount {
    nano_usd: 0,
    tokens: 0,
    requests: 0,
};

/// A unit that a budget can limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    NanoUsd,
    Tokens,
    Requests,
}

impl Measure {
    /// In the order in which an exceeded budget is explained.
    pub(crate) const ALL: [Self; 3] = [Self::NanoUsd, Self::Tokens, Self::Requests];

    /// The name of the unit, in metadata and messages.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NanoUsd => "nano_usd",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
        }
    }

    /// This unit of an amount.
    pub(crate) fn of(self, amount: Amount) -> i64 {
        match self {
            Self::NanoUsd => amount.nano_usd,
            Self::Tokens => amount.tokens,
            Self::Requests => amount.requests,
        }
    }
}

/// The sum.
pub(crate) fn add(a: Amount, b: Amount) -> Result<Amount, Overflow> {
    combine(a, b, i64::checked_add)
}

/// The difference, which may be negative.
pub(crate) fn sub(a: Amount, b: Amount) -> Result<Amount, Overflow> {
    combine(a, b, i64::checked_sub)
}

/// The sum where a refusal is not possible any more (a timer, recovery): it stays at the end of the range.
pub(crate) fn add_saturating(a: Amount, b: Amount) -> Amount {
    each(a, b, i64::saturating_add)
}

/// The difference where a refusal is not possible any more; never below zero.
pub(crate) fn sub_floored(a: Amount, b: Amount) -> Amount {
    each(a, b, |a, b| a.saturating_sub(b).max(0))
}

/// The smaller of each unit.
pub(crate) fn min(a: Amount, b: Amount) -> Amount {
    each(a, b, i64::min)
}

/// True when no unit has anything.
pub(crate) fn is_zero(amount: Amount) -> bool {
    amount == ZERO
}

/// Unit by unit.
pub(crate) fn each(a: Amount, b: Amount, with: impl Fn(i64, i64) -> i64) -> Amount {
    Amount {
        nano_usd: with(a.nano_usd, b.nano_usd),
        tokens: with(a.tokens, b.tokens),
        requests: with(a.requests, b.requests),
    }
}

fn combine(a: Amount, b: Amount, with: impl Fn(i64, i64) -> Option<i64>) -> Result<Amount, Overflow> {
    Ok(Amount {
        nano_usd: with(a.nano_usd, b.nano_usd).ok_or(Overflow)?,
        tokens: with(a.tokens, b.tokens).ok_or(Overflow)?,
        requests: with(a.requests, b.requests).ok_or(Overflow)?,
    })
}

/// Money for people: `$1.25`, `$0.000000001`; at least two digits after the point and no needless zeros after them.
pub(crate) fn usd(nano_usd: i64) -> String {
    let magnitude = nano_usd.unsigned_abs();
    let fraction = format!("{:09}", magnitude % 1_000_000_000);
    let digits = fraction.trim_end_matches('0').len().max(2);
    let sign = if nano_usd < 0 { "-" } else { "" };
    format!(
        "{sign}${}.{}",
        magnitude / 1_000_000_000,
        fraction.get(..digits).unwrap_or(&fraction)
    )
}

/// A quantity of a unit for people.
pub(crate) fn spoken(measure: Measure, quantity: i64) -> String {
    match measure {
        Measure::NanoUsd => usd(quantity),
        Measure::Tokens => format!("{quantity} tokens"),
        Measure::Requests => format!("{quantity} requests"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_exactly() {
        assert_eq!(usd(0), "$0.00");
        assert_eq!(usd(2_500_000_000), "$2.50");
        assert_eq!(usd(1), "$0.000000001");
        assert_eq!(usd(-1_230_000), "-$0.00123");
        assert_eq!(usd(i64::MIN), "-$9223372036.854775808");
    }

    #[test]
    fn an_overflow_in_any_unit_is_an_error() {
        let most = Amount {
            tokens: i64::MAX,
            ..ZERO
        };
        assert_eq!(add(most, Amount { tokens: 1, ..ZERO }), Err(Overflow));
        assert_eq!(
            sub(
                ZERO,
                Amount {
                    requests: i64::MIN,
                    ..ZERO
                }
            ),
            Err(Overflow)
        );
        assert_eq!(add_saturating(most, most), most);
        assert_eq!(sub_floored(ZERO, most), ZERO);
    }
}
