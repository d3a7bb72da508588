//! Regular expressions of `matches`: compiled when configuration is loaded, bounded in size and in time.
//!
//! The engine takes time in proportion to text × pattern at worst, never exponential. A pattern's weight makes the step
//! counter charge for the second factor.

use regex::{Regex, RegexBuilder};

use crate::limits;

#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    /// The compiled size in units of [`limits::PATTERN_UNIT_BYTES`], rounded up to a power of two.
    weight: u64,
}

impl Pattern {
    /// Compiles a pattern, or says why not.
    pub(crate) fn compile(pattern: &str) -> Result<Self, String> {
        let pattern = with_ascii_classes(pattern);
        let mut weight = 1;
        loop {
            // The library does not tell how large a compiled pattern is, only that it is larger than a limit.
            let size = limits::PATTERN_UNIT_BYTES.saturating_mul(weight);
            let built = RegexBuilder::new(&pattern)
                .size_limit(size)
                .dfa_size_limit(limits::MAX_PATTERN_CACHE_BYTES)
                .nest_limit(limits::MAX_DEPTH as u32)
                .build();
            match built {
                Ok(regex) => {
                    return Ok(Self {
                        regex,
                        weight: weight as u64,
                    });
                }
                Err(regex::Error::CompiledTooBig(_)) if size < limits::MAX_PATTERN_BYTES => weight *= 2,
                Err(regex::Error::CompiledTooBig(limit)) => {
                    return Err(format!(
                        "the pattern needs more than {limit} bytes; use fewer repetitions and smaller classes"
                    ));
                }
                Err(other) => {
                    // The library's text shows the pattern on several lines; the last line is the reason.
                    let text = other.to_string();
                    let reason = text.lines().last().unwrap_or_default();
                    return Err(format!(
                        "invalid pattern: {}",
                        reason.strip_prefix("error: ").unwrap_or(reason)
                    ));
                }
            }
        }
    }

    /// Steps for searching so much text.
    pub(crate) fn steps(&self, bytes: u64) -> u64 {
        bytes.saturating_mul(self.weight) / limits::PATTERN_BYTES_PER_STEP
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// CEL's patterns are RE2's, where `\d`, `\s` and `\w` are ASCII. The library's are Unicode, and large.
fn with_ascii_classes(pattern: &str) -> String {
    let mut ascii = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            ascii.push(c);
            continue;
        }
        match chars.next() {
            Some('d') => ascii.push_str("[0-9]"),
            Some('D') => ascii.push_str("[^0-9]"),
            Some('s') => ascii.push_str(r"[\t\n\f\r ]"),
            Some('S') => ascii.push_str(r"[^\t\n\f\r ]"),
            Some('w') => ascii.push_str("[0-9A-Za-z_]"),
            Some('W') => ascii.push_str("[^0-9A-Za-z_]"),
            Some(other) => ascii.extend(['\\', other]),
            None => ascii.push('\\'),
        }
    }
    ascii
}
