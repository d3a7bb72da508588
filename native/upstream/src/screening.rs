//! What may become of an answer before the client gets it.
//!
//! The attempts know when an answer is looked at and what follows from it; what is looked for is the caller's. An answer
//! is screened as the client would get it: after translation, in the client's dialect.
//!
//! | the screening says | nothing was passed on yet | after the first event |
//! |---|---|---|
//! | pass | the answer, possibly changed | its events, possibly changed or held back |
//! | rejected | the attempt has failed, the next target may answer | the stream ends with an error event |

use std::fmt;

use bytes::Bytes;
use fairlead_dialect::Dialect;
use fairlead_dialect::sse::SseEvent;

/// Most different findings that are kept of one attempt.
const MOST_FINDINGS: usize = 64;

/// Looks at the answers of one call.
pub trait Screening: Send + Sync + fmt::Debug {
    /// A whole answer in `dialect`.
    fn whole(&self, dialect: Dialect, body: Bytes) -> Screened;
    /// A stream in `dialect`, from its first event.
    fn stream(&self, dialect: Dialect) -> Box<dyn StreamScreening>;
}

/// What becomes of a whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Screened {
    /// The client gets this.
    Pass {
        /// The body, as it was or changed.
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

/// Looks at the events of one stream, in order.
pub trait StreamScreening: Send {
    /// An event that the client would get. What may be passed on now, which may be earlier events that were held back.
    fn event(&mut self, event: SseEvent) -> StreamScreened;
    /// The stream is over: what was held back.
    fn end(&mut self) -> StreamScreened;
}

/// What becomes of a part of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamScreened {
    /// Events that the client gets now.
    pub events: Vec<SseEvent>,
    /// What was found since the last time.
    pub findings: Vec<Finding>,
    /// The rule that refuses the stream: nothing more of it is passed on after `events`.
    pub rejected: Option<String>,
}

/// What a rule found; never the content itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Name of the rule.
    pub rule: String,
    /// What found it, such as `schema`, `pattern` or the name of a detector.
    pub detector: String,
    /// How often.
    pub count: i64,
    /// What was done.
    pub action: FindingAction,
}

/// What was done about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingAction {
    /// Noted; the answer is unchanged.
    Flagged,
    /// What was found was replaced.
    Redacted,
    /// The answer was refused.
    Rejected,
}

/// Adds findings to those of before: the same detector of the same rule counts on.
pub(crate) fn add(all: &mut Vec<Finding>, more: Vec<Finding>) {
    for finding in more {
        let room = all.len() < MOST_FINDINGS;
        let same = all.iter_mut().find(|known| {
            (&known.rule, &known.detector, known.action) == (&finding.rule, &finding.detector, finding.action)
        });
        match same {
            Some(known) => known.count = known.count.saturating_add(finding.count),
            None if room => all.push(finding),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    fn finding(detector: &str, count: i64) -> Finding {
        Finding {
            rule: "no-secrets".to_owned(),
            detector: detector.to_owned(),
            count,
            action: FindingAction::Redacted,
        }
    }

    #[test]
    fn the_findings_of_a_stream_are_counted_together() {
        let mut all = vec![finding("email", 1)];
        add(&mut all, vec![finding("email", 2), finding("iban", 1)]);
        assert_eq!(all, [finding("email", 3), finding("iban", 1)]);
        add(&mut all, (0..100).map(|n| finding(&n.to_string(), 1)).collect());
        assert_eq!(all.len(), MOST_FINDINGS);
    }
}
