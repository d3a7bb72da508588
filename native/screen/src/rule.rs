//! A rule on `model.output`, compiled.

use std::sync::Arc;

use fairlead_wire::internal::{Effect, OutputCheck};
use regex::bytes::RegexBuilder;

use crate::detect;
use crate::finding::Action;
use crate::matches::Finder;
use crate::schema::Schema;
use crate::{DEFAULT_WINDOW_BYTES, LEAST_WINDOW_BYTES, MOST_HELD_BYTES};

/// Largest compiled pattern, bytes.
const PATTERN_BYTES: usize = 1 << 20;
/// Longest pattern as it is written.
const PATTERN_LENGTH: usize = 4096;
/// Most patterns of one rule.
const MOST_PATTERNS: usize = 64;
/// Largest schema as it is written.
const SCHEMA_BYTES: usize = 256 << 10;

/// See the module.
#[derive(Debug)]
pub struct Rule {
    pub(crate) name: Arc<str>,
    pub(crate) action: Action,
    pub(crate) finders: Vec<Finder>,
    pub(crate) schema: Option<Schema>,
    pub(crate) max_bytes: Option<usize>,
    pub(crate) window: usize,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, below the rule, such as `check.patterns[0]`.
    pub path: String,
    /// What, and what to do about it.
    pub message: String,
}

impl Rule {
    /// Compiles a rule.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn compile(name: &str, effect: Effect, check: &OutputCheck) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let action = match effect {
            Effect::Redact => Action::Redacted,
            Effect::Reject => Action::Rejected,
            Effect::Flag => Action::Flagged,
            _ => {
                faults.add("effect", "is not for model.output: write redact, reject or flag");
                Action::Rejected
            }
        };
        if check.json_schema.is_empty()
            && check.patterns.is_empty()
            && check.detectors.is_empty()
            && check.max_bytes == 0
        {
            faults.add("check", "looks for nothing: write schema, patterns, detect or maxBytes");
        }
        if action == Action::Redacted {
            let why = "is about the whole text, of which no part can be redacted: write effect: reject or flag";
            if !check.json_schema.is_empty() {
                faults.add("check.schema", why);
            }
            if check.max_bytes != 0 {
                faults.add("check.maxBytes", why);
            }
        }
        let mut finders = patterns(&check.patterns, &mut faults);
        finders.extend(detectors(&check.detectors, &mut faults));
        let schema = schema(&check.json_schema, &mut faults);
        let window = match usize::try_from(check.window_bytes).unwrap_or(usize::MAX) {
            0 => DEFAULT_WINDOW_BYTES,
            window @ LEAST_WINDOW_BYTES..=MOST_HELD_BYTES => window,
            _ => {
                let message = format!("must be between {LEAST_WINDOW_BYTES} and {MOST_HELD_BYTES} bytes");
                faults.add("check.window", message);
                DEFAULT_WINDOW_BYTES
            }
        };
        let rule = Self {
            name: Arc::from(name),
            action,
            finders,
            schema,
            max_bytes: (check.max_bytes > 0).then(|| usize::try_from(check.max_bytes).unwrap_or(usize::MAX)),
            window,
        };
        if faults.0.is_empty() { Ok(rule) } else { Err(faults.0) }
    }

    /// Name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Can it refuse an answer? Also a rule that redacts does, where something cannot be redacted.
    #[must_use]
    pub fn may_reject(&self) -> bool {
        !self.only_flags()
    }

    /// Does it only take note?
    pub(crate) fn only_flags(&self) -> bool {
        self.action == Action::Flagged
    }
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Fault {
            path: path.into(),
            message: message.into(),
        });
    }
}

fn patterns(sources: &[String], faults: &mut Faults) -> Vec<Finder> {
    if sources.len() > MOST_PATTERNS {
        faults.add("check.patterns", format!("must be at most {MOST_PATTERNS}"));
    }
    let mut finders = Vec::new();
    for (at, source) in sources.iter().enumerate().take(MOST_PATTERNS) {
        let path = format!("check.patterns[{at}]");
        if source.len() > PATTERN_LENGTH {
            faults.add(path, format!("must not be longer than {PATTERN_LENGTH} bytes"));
            continue;
        }
        let compiled = RegexBuilder::new(source)
            .size_limit(PATTERN_BYTES)
            .dfa_size_limit(PATTERN_BYTES)
            .build();
        match compiled {
            Ok(pattern) if pattern.is_match(b"") => {
                faults.add(path, "fits the empty text, so it would find something everywhere");
            }
            Ok(pattern) => finders.push(Finder::Pattern(pattern)),
            Err(regex::Error::CompiledTooBig(_)) => {
                faults.add(path, "is too large when it is compiled: write smaller repetitions");
            }
            Err(error) => faults.add(path, format!("is not a regular expression of RE2 syntax: {error}")),
        }
    }
    finders
}

fn detectors(names: &[String], faults: &mut Faults) -> Vec<Finder> {
    let mut found: Vec<&'static detect::Detector> = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let before = found.len();
        for detector in detect::named(name) {
            if !detector.prepare() {
                faults.add(
                    format!("check.detect[{at}]"),
                    format!("`{}` cannot be compiled", detector.name),
                );
            }
            found.push(detector);
        }
        if found.len() == before {
            let message = "is not a detector: write secrets, pii, or one that docs/output-rules.md lists";
            faults.add(format!("check.detect[{at}]"), message);
        }
    }
    let mut taken = Vec::new();
    found.retain(|detector| {
        !taken.contains(&detector.name) && {
            taken.push(detector.name.clone());
            true
        }
    });
    found.into_iter().map(Finder::Detector).collect()
}

fn schema(source: &str, faults: &mut Faults) -> Option<Schema> {
    if source.is_empty() {
        return None;
    }
    if source.len() > SCHEMA_BYTES {
        faults.add("check.schema", format!("must not be larger than {SCHEMA_BYTES} bytes"));
        return None;
    }
    match Schema::compile(source) {
        Ok(schema) => Some(schema),
        Err(message) => {
            faults.add("check.schema", message);
            None
        }
    }
}
