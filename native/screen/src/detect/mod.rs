//! The catalogue of detectors.
//!
//! | group | from |
//! |---|---|
//! | `secrets` | the rules of gitleaks whose secrets are known by themselves (`rules/secrets.json`), `jwt`, `private-key` |
//! | `pii` | `email`, `phone`, `credit-card`, `iban`, `ip-address`, `us-ssn`: a pattern finds candidates, a library or a checksum decides |
//!
//! Patterns are of the `regex` crate: linear time, without Unicode classes. They are compiled when a configuration names
//! their detector, once for the life of the process.

mod personal;
mod secrets;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use regex::bytes::{Regex, RegexBuilder};

pub(crate) use secrets::Keywords;

/// What a detector is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// What opens a door.
    Secrets,
    /// What tells who somebody is.
    Pii,
}

impl Group {
    /// The name in configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::Pii => "pii",
        }
    }
}

/// What has to be somewhere in a text, so that the pattern is worth a search.
#[derive(Clone, Copy, Debug)]
enum Needs {
    /// This byte.
    Byte(u8),
    /// Some digit.
    Digit,
    /// A keyword of the rule with this number.
    Keyword(usize),
}

/// What of a candidate is meant, if it is what it looks like.
type Verify = Box<dyn Fn(&str) -> Option<Range<usize>> + Send + Sync>;

/// Finds one kind of thing.
pub(crate) struct Detector {
    /// Name, also in `[redacted:NAME]`.
    pub(crate) name: Cow<'static, str>,
    /// Group.
    pub(crate) group: Group,
    needs: Needs,
    pattern: Cow<'static, str>,
    /// What may still become a match, up to the end of the text so far.
    growing: Option<&'static str>,
    verify: Option<Verify>,
    compiled: OnceLock<Option<Compiled>>,
}

#[derive(Debug)]
struct Compiled {
    pattern: Regex,
    growing: Option<Regex>,
}

impl std::fmt::Debug for Detector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Detector")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A match of a pattern.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// The match.
    pub(crate) whole: Range<usize>,
    /// What of it is meant; `None` when it is not what it looks like.
    pub(crate) found: Option<Range<usize>>,
}

/// A detector's pattern. Without Unicode classes: a token is ASCII, and word boundaries cost nothing in other scripts.
fn compile(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(4 << 20)
        .dfa_size_limit(1 << 20)
        .build()
        .ok()
}

impl Detector {
    fn new(name: &'static str, group: Group, needs: Needs, pattern: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            group,
            needs,
            pattern: Cow::Borrowed(pattern),
            growing: None,
            verify: None,
            compiled: OnceLock::new(),
        }
    }

    fn verified(self, verify: impl Fn(&str) -> Option<Range<usize>> + Send + Sync + 'static) -> Self {
        Self {
            verify: Some(Box::new(verify)),
            ..self
        }
    }

    /// Compiles the pattern, so that no call has to wait for it. False when that fails, which a test rules out.
    pub(crate) fn prepare(&self) -> bool {
        self.compiled().is_some()
    }

    fn compiled(&self) -> Option<&Compiled> {
        self.compiled
            .get_or_init(|| {
                Some(Compiled {
                    pattern: compile(&self.pattern)?,
                    growing: match self.growing {
                        Some(pattern) => Some(compile(pattern)?),
                        None => None,
                    },
                })
            })
            .as_ref()
    }

    /// Can there be anything in the text? `keywords` are those of the same text.
    pub(crate) fn may_find(&self, text: &str, keywords: &Keywords) -> bool {
        match self.needs {
            Needs::Byte(byte) => text.as_bytes().contains(&byte),
            Needs::Digit => text.bytes().any(|byte| byte.is_ascii_digit()),
            Needs::Keyword(rule) => keywords.contains(rule),
        }
    }

    /// The first candidate at or after `at`.
    pub(crate) fn next(&self, text: &str, at: usize) -> Option<Candidate> {
        let captures = self.compiled()?.pattern.captures_at(text.as_bytes(), at)?;
        let whole = captures.get(0)?.range();
        // As gitleaks has it: the first group that took part is the secret, else the whole match.
        let meant = captures
            .iter()
            .skip(1)
            .flatten()
            .find(|group| !group.is_empty())
            .map_or_else(|| whole.clone(), |group| group.range());
        let found = match &self.verify {
            None => Some(meant),
            Some(verify) => text.get(meant.clone()).and_then(verify).map(|part| {
                let start = meant.start.saturating_add(part.start);
                start..meant.start.saturating_add(part.end)
            }),
        };
        Some(Candidate { whole, found })
    }

    /// Where something begins that reaches the end of the text and may yet become a match.
    pub(crate) fn growing(&self, text: &str, at: usize) -> Option<usize> {
        let growing = self.compiled()?.growing.as_ref()?;
        growing.find_at(text.as_bytes(), at).map(|found| found.start())
    }
}

/// All detectors.
fn catalogue() -> &'static [Detector] {
    static ALL: LazyLock<Vec<Detector>> = LazyLock::new(|| personal::all().into_iter().chain(secrets::all()).collect());
    &ALL
}

/// The detectors of a name: a group, or a single one. Empty when there is none of the name.
pub(crate) fn named(name: &str) -> impl Iterator<Item = &'static Detector> {
    catalogue()
        .iter()
        .filter(move |detector| detector.name == name || detector.group.name() == name)
}

/// The names of all detectors and their groups.
pub fn names() -> impl Iterator<Item = (&'static str, Group)> {
    catalogue()
        .iter()
        .map(|detector| (detector.name.as_ref(), detector.group))
}

#[cfg(test)]
mod tests;
