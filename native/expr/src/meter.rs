//! The step counter of one evaluation.

use crate::error::{EvalErrorKind, Fault};
use crate::limits;

/// Steps that are left.
///
/// INVARIANT: an evaluation never does more steps of work than its program may, whatever the facts are. Work is
/// charged before it is done, and once the meter is empty every further charge fails.
pub(crate) struct Meter {
    left: u64,
    most: u64,
}

impl Meter {
    pub(crate) fn new(most: u64) -> Self {
        Self { left: most, most }
    }

    /// For comparisons outside an evaluation.
    pub(crate) fn unlimited() -> Self {
        Self::new(u64::MAX)
    }

    /// Steps used so far.
    pub(crate) fn used(&self) -> u64 {
        self.most.saturating_sub(self.left)
    }

    /// Refuses a list or map of more elements than there may be steps.
    pub(crate) fn within_size(&self, elements: u64, at: u32) -> Result<(), Fault> {
        if elements > self.most {
            return Err(Fault::new(at, EvalErrorKind::CostExceeded));
        }
        Ok(())
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
