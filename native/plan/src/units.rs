//! Integers that carry their unit. Arithmetic is checked: an [`Overflow`] is a value, never a wrap and never a panic.

use std::fmt;

/// A sum, difference or product left the 64-bit range, or a quantity that cannot be negative was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a quantity is out of range")
    }
}

impl std::error::Error for Overflow {}

/// Nanoseconds in one millisecond.
pub const NANOS_PER_MILLI: i64 = 1_000_000;

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        // Inherent methods instead of operators: that they can fail has to be seen where they are used.
        #[allow(clippy::should_implement_trait)]
        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);
            /// The largest value.
            pub const MAX: Self = Self(i64::MAX);

            /// The sum.
            ///
            /// # Errors
            /// [`Overflow`] when it leaves the 64-bit range.
            pub fn add(self, other: Self) -> Result<Self, Overflow> {
                self.0.checked_add(other.0).map(Self).ok_or(Overflow)
            }

            /// The difference, which may be negative.
            ///
            /// # Errors
            /// [`Overflow`] when it leaves the 64-bit range.
            pub fn sub(self, other: Self) -> Result<Self, Overflow> {
                self.0.checked_sub(other.0).map(Self).ok_or(Overflow)
            }

            /// This many times `times`.
            ///
            /// # Errors
            /// [`Overflow`] when it leaves the 64-bit range.
            pub fn times(self, times: i64) -> Result<Self, Overflow> {
                self.0.checked_mul(times).map(Self).ok_or(Overflow)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

unit! {
    /// Money in nano-USD (1e-9 USD).
    NanoUsd
}
unit! {
    /// Tokens.
    Tokens
}

/// A moment: nanoseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixNanos(pub i64);

impl UnixNanos {
    /// This moment plus `nanos`; stays at the end of time (the year 2262) instead of leaving the range.
    #[must_use]
    pub fn plus_nanos(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// This moment plus `millis`; stays at the end of time instead of leaving the range.
    #[must_use]
    pub fn plus_millis(self, millis: u64) -> Self {
        self.plus_nanos(millis_to_nanos(millis))
    }

    /// Nanoseconds from `earlier` to this moment; 0 when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).max(0)
    }
}

/// Milliseconds as nanoseconds; the largest `i64` when they do not fit (292 years).
#[must_use]
pub fn millis_to_nanos(millis: u64) -> i64 {
    i64::try_from(millis)
        .unwrap_or(i64::MAX)
        .saturating_mul(NANOS_PER_MILLI)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn arithmetic_is_checked() {
        assert_eq!(NanoUsd(2).add(NanoUsd(3)), Ok(NanoUsd(5)));
        assert_eq!(NanoUsd(2).sub(NanoUsd(3)), Ok(NanoUsd(-1)));
        assert_eq!(Tokens(2).times(3), Ok(Tokens(6)));
        assert_eq!(NanoUsd::MAX.add(NanoUsd(1)), Err(Overflow));
        assert_eq!(NanoUsd(i64::MIN).sub(NanoUsd(1)), Err(Overflow));
        assert_eq!(Tokens::MAX.times(2), Err(Overflow));
    }

    #[test]
    fn moments_stay_inside_time() {
        assert_eq!(UnixNanos(5).plus_millis(2), UnixNanos(2_000_005));
        assert_eq!(UnixNanos(5).plus_millis(u64::MAX), UnixNanos(i64::MAX));
        assert_eq!(UnixNanos(5).since(UnixNanos(3)), 2);
        assert_eq!(UnixNanos(3).since(UnixNanos(5)), 0);
    }
}
