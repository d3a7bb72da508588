//! The step counter of one evaluation.

use crate::error::{EvalErrorKind, Fault};
use crate::limits;

/// Steps that are left.
///
/// INVARIANT: an evaluation never does more than [`limits::MAX_STEPS`] steps of work, whatever the facts are. Work is
/// charged before it is done, and once the meter is empty every further charge fails.
pub(crate) struct Meter {
    left: u64,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            left: limits::MAX_STEPS,
        }
    }

    /// For comparisons outside an evaluation.
    pub(crate) fn unlimited() -> Self {
        Self { left: u64::MAX }
    }

    /// Steps used so far of a meter from [`Meter::new`].
    pub(crate) fn used(&self) -> u64 {
        limits::MAX_STEPS.saturating_sub(self.left)
    }

    /// Takes `steps`, or fails for good.
    #[inline]
    pub(crate) fn charge(&mut self, steps: u64, at: u32) -> Result<(), Fault> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(Fault::new(at, EvalErrorKind::CostExceeded))
            }
        }
    }

    /// Takes the steps for work on so much text.
    #[inline]
    pub(crate) fn charge_text(&mut self, bytes: usize, at: u32) -> Result<(), Fault> {
        self.charge(text_steps(bytes as u64), at)
    }
}

/// Steps for comparing, searching, copying or converting so much text.
pub(crate) fn text_steps(bytes: u64) -> u64 {
    bytes / limits::TEXT_BYTES_PER_STEP
}
