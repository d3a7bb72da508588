//! Where in a text something is: patterns of the configuration and detectors of the catalogue behind one face.

use std::sync::Arc;

use regex::bytes::Regex;

use crate::detect::{Candidate, Detector, Keywords};
use crate::rule::Rule;

/// What detector a finding of a pattern names.
pub(crate) const PATTERN: &str = "pattern";

/// Looks for one kind of thing.
#[derive(Clone, Debug)]
pub(crate) enum Finder {
    /// A regular expression of the configuration.
    Pattern(Regex),
    /// A detector of the catalogue.
    Detector(&'static Detector),
}

/// A finder and the rule that it is for.
#[derive(Clone, Debug)]
pub(crate) struct Active {
    pub(crate) rule: Arc<Rule>,
    pub(crate) finder: Finder,
}

impl Finder {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Pattern(_) => PATTERN,
            Self::Detector(detector) => &detector.name,
        }
    }

    /// What stands in the place of what was found.
    pub(crate) fn label(&self) -> String {
        format!("[redacted:{}]", self.name())
    }

    pub(crate) fn may_find(&self, text: &str, keywords: &Keywords) -> bool {
        match self {
            Self::Pattern(_) => true,
            Self::Detector(detector) => detector.may_find(text, keywords),
        }
    }

    /// The first candidate at or after `at`; none that is empty is found.
    pub(crate) fn next(&self, text: &str, at: usize) -> Option<Candidate> {
        match self {
            Self::Pattern(pattern) => pattern.find_at(text.as_bytes(), at).map(|found| Candidate {
                whole: found.range(),
                found: Some(found.range()).filter(|range| !range.is_empty()),
            }),
            Self::Detector(detector) => detector.next(text, at),
        }
    }

    /// Where something begins that may yet become a match of any length.
    pub(crate) fn growing(&self, text: &str, at: usize) -> Option<usize> {
        match self {
            Self::Pattern(_) => None,
            Self::Detector(detector) => detector.growing(text, at),
        }
    }
}
