//! Every bound of templates, in one place.

/// Longest text of one template.
pub(crate) const MOST_TEMPLATE_BYTES: usize = 64 << 10;
/// Largest result of rendering, as compact JSON or as text.
pub const MOST_RENDERED_BYTES: usize = 16 << 20;
/// Most steps of one expression, at load as far as its text tells and whenever it is evaluated, and of all expressions of
/// one template together. More than those of rules, because an expression here is evaluated once for a step and not on
/// every call: some ten milliseconds at most.
pub(crate) const MOST_STEPS: u64 = 1_000_000;
/// Longest idempotency key.
pub(crate) const MOST_KEY_BYTES: usize = 512;

/// What is left of the bounds of one rendering.
#[derive(Debug)]
pub(crate) struct Allowance {
    bytes: usize,
    steps: u64,
}

impl Allowance {
    pub(crate) fn new() -> Self {
        Self {
            bytes: MOST_RENDERED_BYTES,
            steps: MOST_STEPS,
        }
    }

    /// Takes bytes of the result.
    pub(crate) fn bytes(&mut self, count: usize) -> Result<(), String> {
        match self.bytes.checked_sub(count) {
            Some(left) => {
                self.bytes = left;
                Ok(())
            }
            None => Err(format!("the result is larger than {} MiB", MOST_RENDERED_BYTES >> 20)),
        }
    }

    /// Takes steps of an evaluation.
    pub(crate) fn steps(&mut self, count: u64) -> Result<(), String> {
        match self.steps.checked_sub(count) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => Err(format!(
                "the expressions of this template take more than {MOST_STEPS} steps; the data is too large for them"
            )),
        }
    }
}
