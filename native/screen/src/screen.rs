//! The rules of one call, over whole answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use fairlead_dialect::Dialect;
use fairlead_dialect::text::{self, TextKind, TextSpan};

use crate::arguments;
use crate::finding::{self, Action, Finding};
use crate::lane::Lane;
use crate::matches::Active;
use crate::rule::Rule;
use crate::stream::Stream;

/// Most bytes of one answer that a schema is checked against.
const MOST_SCHEMA_BYTES: usize = 8 << 20;

/// The rules that the answers of one call have to pass, in configuration order.
#[derive(Debug)]
pub struct Screen {
    pub(crate) rules: Vec<Arc<Rule>>,
    pub(crate) finders: Vec<Active>,
    /// The largest window of all rules.
    pub(crate) window: usize,
}

/// What becomes of a whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Screened {
    /// The client gets this.
    Pass {
        /// The body, as it was or redacted.
        body: Bytes,
        /// What was found.
        findings: Vec<Finding>,
    },
    /// The client does not get it.
    Rejected {
        /// The rule that refused it.
        rule: String,
        /// What was found.
        findings: Vec<Finding>,
    },
}

/// What was found in one text.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// The new text; `None` when it is unchanged.
    pub(crate) changed: Option<String>,
    /// How often each finder found something.
    pub(crate) counts: Vec<i64>,
    /// A finder whose finding cannot be redacted.
    pub(crate) fixed: Option<usize>,
}

/// Findings so far, and the rule that refuses the answer.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) findings: Vec<Finding>,
    pub(crate) rejected: Option<String>,
}

impl Screen {
    /// A screen of these rules; `None` when there are none.
    #[must_use]
    pub fn new(rules: Vec<Arc<Rule>>) -> Option<Self> {
        let finders = rules
            .iter()
            .flat_map(|rule| {
                rule.finders.iter().map(|finder| Active {
                    rule: Arc::clone(rule),
                    finder: finder.clone(),
                })
            })
            .collect();
        let window = rules.iter().map(|rule| rule.window).max()?;
        Some(Self { rules, finders, window })
    }

    /// Screens a whole answer.
    #[must_use]
    pub fn whole(&self, dialect: Dialect, body: Bytes) -> Screened {
        let mut verdict = Verdict::default();
        let body = self.look_through(dialect, body, &mut verdict);
        match verdict.rejected {
            Some(rule) => Screened::Rejected {
                rule,
                findings: verdict.findings,
            },
            None => Screened::Pass {
                body,
                findings: verdict.findings,
            },
        }
    }

    /// Screens a stream, from its first event.
    #[must_use]
    pub fn stream(self: &Arc<Self>, dialect: Dialect) -> Stream {
        Stream::new(Arc::clone(self), dialect)
    }

    fn look_through(&self, dialect: Dialect, body: Bytes, verdict: &mut Verdict) -> Bytes {
        let Ok(spans) = text::whole(dialect, &body) else {
            self.refuse("unreadable", verdict);
            return body;
        };
        let mut answers = Answers::default();
        let mut changes: Vec<(&TextSpan, String)> = Vec::new();
        for span in &spans {
            let looked = self.look_at(span.channel.kind, &span.text);
            // A text that stands there twice is found once.
            if !span.repeats {
                answers.add(self, span);
                self.count(&looked.counts, verdict);
            }
            self.cannot_redact(looked.fixed, verdict);
            changes.extend(looked.changed.map(|changed| (span, changed)));
        }
        self.check_answers(&answers, verdict);
        if changes.is_empty() {
            return body;
        }
        let texts = changes.iter().map(|(span, changed)| (*span, changed.as_str()));
        text::replace(&body, texts).unwrap_or_else(|_not_an_object| {
            self.refuse("unreadable", verdict);
            body.clone()
        })
    }

    /// Looks at one whole text.
    pub(crate) fn look_at(&self, kind: TextKind, text: &str) -> Looked {
        if kind == TextKind::ToolArguments
            && arguments::looks_like_json(text)
            && let Some(found) = arguments::look_through(text, &self.finders)
        {
            let mut lane = Lane::new(self.finders.len());
            let range = lane.push(text);
            lane.replace(found.edits, &found.hits);
            return Looked {
                changed: lane.rendered(text, &range),
                counts: lane.counts,
                fixed: found.fixed,
            };
        }
        let mut lane = Lane::new(self.finders.len());
        let range = lane.push(text);
        lane.scan(&self.finders, self.window, true);
        Looked {
            changed: lane.rendered(text, &range),
            counts: lane.counts,
            fixed: None,
        }
    }

    /// Takes note of what finders found, as often as each did.
    pub(crate) fn count(&self, counts: &[i64], verdict: &mut Verdict) {
        for (active, count) in self.finders.iter().zip(counts) {
            self.note(&active.rule, active.finder.name(), *count, active.rule.action, verdict);
        }
    }

    /// What should be redacted and cannot be refuses the answer.
    pub(crate) fn cannot_redact(&self, finder: Option<usize>, verdict: &mut Verdict) {
        if let Some(active) = finder.and_then(|finder| self.finders.get(finder)) {
            self.note(&active.rule, active.finder.name(), 1, Action::Rejected, verdict);
        }
    }

    fn note(&self, rule: &Rule, detector: &str, count: i64, action: Action, verdict: &mut Verdict) {
        finding::add(&mut verdict.findings, &rule.name, detector, count, action);
        if action == Action::Rejected && count > 0 {
            verdict.rejected.get_or_insert_with(|| rule.name.to_string());
        }
    }

    /// Refuses what cannot be looked at, unless all rules only take note.
    pub(crate) fn refuse(&self, why: &str, verdict: &mut Verdict) {
        let rule = self.rules.iter().find(|rule| !rule.only_flags());
        match (rule, self.rules.first()) {
            (Some(rule), _) => self.note(rule, why, 1, Action::Rejected, verdict),
            (None, Some(rule)) => self.note(rule, why, 1, Action::Flagged, verdict),
            (None, None) => {}
        }
    }

    /// Checks sizes, of what has come so far.
    pub(crate) fn check_sizes(&self, answers: &mut Answers, verdict: &mut Verdict) {
        for (number, rule) in self.rules.iter().enumerate() {
            let Some(most) = rule.max_bytes else { continue };
            for answer in answers.0.values_mut() {
                if answer.bytes > most && !answer.oversized.contains(&number) {
                    answer.oversized.push(number);
                    self.note(rule, "size", 1, rule.action, verdict);
                }
            }
        }
    }

    /// Checks whole answers against the schemas.
    pub(crate) fn check_schemas(&self, answers: &Answers, verdict: &mut Verdict) {
        for rule in &self.rules {
            let Some(schema) = &rule.schema else { continue };
            let fits = |answer: &&Answer| answer.calls_tools || (!answer.cut && schema.accepts(&answer.text));
            let wrong = answers.0.values().filter(|answer| !fits(answer)).count();
            let wrong = if answers.0.is_empty() { 1 } else { wrong };
            self.note(
                rule,
                "schema",
                i64::try_from(wrong).unwrap_or(i64::MAX),
                rule.action,
                verdict,
            );
        }
    }

    fn check_answers(&self, answers: &Answers, verdict: &mut Verdict) {
        let mut answers = answers.clone();
        self.check_sizes(&mut answers, verdict);
        self.check_schemas(&answers, verdict);
    }

    pub(crate) fn has_schema(&self) -> bool {
        self.rules.iter().any(|rule| rule.schema.is_some())
    }

    /// Does a stream have to wait for a window? Not for rules that only take note, and not for sizes alone.
    pub(crate) fn holds_back(&self) -> bool {
        self.rules
            .iter()
            .any(|rule| !rule.only_flags() && !rule.finders.is_empty())
    }

    /// Does a stream have to wait for its end?
    pub(crate) fn waits_for_the_end(&self) -> bool {
        self.rules
            .iter()
            .any(|rule| !rule.only_flags() && rule.schema.is_some())
    }
}

/// The answers of a body (`n` of Chat Completions), as rules on whole answers see them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers(BTreeMap<i64, Answer>);

#[derive(Clone, Debug, Default)]
struct Answer {
    /// The answer text, kept for schemas only.
    text: String,
    /// The text was too long to keep.
    cut: bool,
    /// Answer text and refusal.
    bytes: usize,
    /// Calls of tools are a step on the way, not the answer that a schema is for.
    calls_tools: bool,
    /// Rules that found it too large.
    oversized: Vec<usize>,
}

impl Answers {
    pub(crate) fn add(&mut self, screen: &Screen, span: &TextSpan) {
        let answer = self.0.entry(span.channel.choice).or_default();
        match span.channel.kind {
            TextKind::Thinking => {}
            TextKind::ToolArguments => answer.calls_tools = true,
            TextKind::Refusal => answer.bytes = answer.bytes.saturating_add(span.text.len()),
            TextKind::Answer => {
                answer.bytes = answer.bytes.saturating_add(span.text.len());
                if screen.has_schema() {
                    answer.cut |= answer.text.len().saturating_add(span.text.len()) > MOST_SCHEMA_BYTES;
                    if !answer.cut {
                        answer.text.push_str(&span.text);
                    }
                }
            }
        }
    }
}
