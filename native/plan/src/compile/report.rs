//! Collects violations, so that all of them are reported at once.

use std::collections::HashSet;
use std::fmt;

use crate::compiled::Violation;

/// Longest name.
const MAX_NAME_BYTES: usize = 128;

/// Violations found so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    violations: Vec<Violation>,
}

impl Report {
    /// Adds a violation.
    pub(super) fn add(&mut self, path: impl fmt::Display, message: impl Into<String>) {
        self.violations.push(Violation {
            path: path.to_string(),
            message: message.into(),
        });
    }

    /// Adds a violation unless `holds`.
    pub(super) fn require(&mut self, holds: bool, path: impl fmt::Display, message: &str) {
        if !holds {
            self.add(path, message);
        }
    }

    /// Checks that `value` is inside the range, bounds included.
    pub(super) fn range<T: PartialOrd + fmt::Display>(&mut self, path: impl fmt::Display, value: T, least: T, most: T) {
        if value < least || value > most {
            self.add(path, format!("must be between {least} and {most}"));
        }
    }

    /// Checks a name: not empty, bounded, without control characters, not taken.
    pub(super) fn name<'a>(&mut self, path: impl fmt::Display, name: &'a str, taken: &mut HashSet<&'a str>) {
        if name.is_empty() {
            self.add(path, "must not be empty");
        } else if name.len() > MAX_NAME_BYTES {
            self.add(path, format!("must not be longer than {MAX_NAME_BYTES} bytes"));
        } else if name.chars().any(char::is_control) {
            self.add(path, "must not contain control characters");
        } else if !taken.insert(name) {
            self.add(path, format!("`{name}` is already the name of another one"));
        }
    }

    /// What was found; `value` when nothing was.
    pub(super) fn finish<T>(self, value: T) -> Result<T, Vec<Violation>> {
        if self.violations.is_empty() {
            Ok(value)
        } else {
            Err(self.violations)
        }
    }
}
