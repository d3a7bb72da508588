//! Calls and failures of the last while, in a fixed ring of sub-windows.

use crate::units::UnixNanos;

/// Sub-windows; a call leaves the count between nine tenths of the window and the whole window later.
const SUB_WINDOWS: i64 = 10;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) succeeded: u32,
    pub(crate) failed: u32,
}

impl Counted {
    pub(crate) fn calls(self) -> u64 {
        u64::from(self.succeeded) + u64::from(self.failed)
    }
}

/// The ring.
#[derive(Clone, Debug)]
pub(crate) struct Failures {
    sub_window_nanos: i64,
    /// Number of the sub-window since the epoch, and what was counted in it.
    ring: [(i64, Counted); SUB_WINDOWS as usize],
}

impl Failures {
    pub(crate) fn new(window_nanos: i64) -> Self {
        let sub_window_nanos = (window_nanos / SUB_WINDOWS).max(1);
        Self {
            sub_window_nanos,
            ring: [(i64::MIN, Counted::default()); SUB_WINDOWS as usize],
        }
    }

    pub(crate) fn record(&mut self, now: UnixNanos, failed: bool) {
        let number = now.0.div_euclid(self.sub_window_nanos);
        let slot = usize::try_from(number.rem_euclid(SUB_WINDOWS)).unwrap_or_default();
        let Some((owner, counted)) = self.ring.get_mut(slot) else {
            return;
        };
        if *owner != number {
            *owner = number;
            *counted = Counted::default();
        }
        let count = if failed {
            &mut counted.failed
        } else {
            &mut counted.succeeded
        };
        *count = count.saturating_add(1);
    }

    pub(crate) fn at(&self, now: UnixNanos) -> Counted {
        let newest = now.0.div_euclid(self.sub_window_nanos);
        let oldest = newest.saturating_sub(SUB_WINDOWS - 1);
        let inside = self
            .ring
            .iter()
            .filter(|(number, _)| (oldest..=newest).contains(number));
        inside.fold(Counted::default(), |sum, (_, counted)| Counted {
            succeeded: sum.succeeded.saturating_add(counted.succeeded),
            failed: sum.failed.saturating_add(counted.failed),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn counts_what_is_inside_the_window() {
        let mut failures = Failures::new(1000);
        failures.record(UnixNanos(0), true);
        failures.record(UnixNanos(150), false);
        failures.record(UnixNanos(150), true);
        assert_eq!(
            failures.at(UnixNanos(150)),
            Counted {
                succeeded: 1,
                failed: 2
            }
        );
        assert_eq!(
            failures.at(UnixNanos(999)),
            Counted {
                succeeded: 1,
                failed: 2
            }
        );
        assert_eq!(
            failures.at(UnixNanos(1000)),
            Counted {
                succeeded: 1,
                failed: 1
            }
        );
        assert_eq!(failures.at(UnixNanos(1100)), Counted::default());
    }

    #[test]
    fn a_slot_is_reused_for_a_later_sub_window() {
        let mut failures = Failures::new(1000);
        failures.record(UnixNanos(0), true);
        failures.record(UnixNanos(1000), false);
        assert_eq!(
            failures.at(UnixNanos(1000)),
            Counted {
                succeeded: 1,
                failed: 0
            }
        );
    }
}
