//! Collects violations, so that all of them are reported at once.

use std::fmt;

use fairlead_plan::Violation;

/// Violations found so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    violations: Vec<Violation>,
}

impl Report {
    /// Adds a violation.
    pub(crate) fn add(&mut self, path: impl fmt::Display, message: impl Into<String>) {
        self.violations.push(Violation {
            path: path.to_string(),
            message: message.into(),
        });
    }

    /// Adds a violation unless `holds`.
    pub(crate) fn require(&mut self, holds: bool, path: impl fmt::Display, message: &str) {
        if !holds {
            self.add(path, message);
        }
    }

    /// Checks that `value` is inside the range, bounds included.
    pub(crate) fn range<T: PartialOrd + fmt::Display>(&mut self, path: impl fmt::Display, value: T, least: T, most: T) {
        if value < least || value > most {
            self.add(path, format!("must be between {least} and {most}"));
        }
    }

    /// What was found.
    pub(crate) fn into_violations(self) -> Vec<Violation> {
        self.violations
    }

    /// What was found; `value` when nothing was.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, Vec<Violation>> {
        if self.violations.is_empty() {
            Ok(value)
        } else {
            Err(self.violations)
        }
    }
}
