//! Rules on what the model says, as the attempts ask for them.
use std::sync::Arc;

use bytes::Bytes;
use fairlead_dialect::Dialect;
use fairlead_dialect::sse::SseEvent;
use fairlead_plan::Compiled;
use fairlead_screen::{self as screen, Screen};
use fairlead_upstream::{Finding, FindingAction, Screened, Screening, StreamScreened, StreamScreening};

/// The screening of a call: the rules that its decision names, as they are compiled with the configuration of that
/// decision. `None` when there are none.
pub(super) fn of(compiled: &Compiled, rules: &[String]) -> Option<Arc<dyn Screening>> {
    if rules.is_empty() {
        return None;
    }
    let screen = Screen::new(compiled.output_rules_named(rules))?;
    Some(Arc::new(Rules(Arc::new(screen))))
}

#[derive(Debug)]
struct Rules(Arc<Screen>);

impl Screening for Rules {
    fn whole(&self, dialect: Dialect, body: Bytes) -> Screened {
        match self.0.whole(dialect, body) {
            screen::Screened::Pass { body, findings } => Screened::Pass {
                body,
                findings: told(findings),
            },
            screen::Screened::Rejected { rule, findings } => Screened::Rejected {
                rule,
                findings: told(findings),
            },
        }
    }

    fn stream(&self, dialect: Dialect) -> Box<dyn StreamScreening> {
        Box::new(Stream(self.0.stream(dialect)))
    }
}

struct Stream(screen::Stream);

impl StreamScreening for Stream {
    fn event(&mut self, event: SseEvent) -> StreamScreened {
        step(self.0.event(event))
    }

    fn end(&mut self) -> StreamScreened {
        step(self.0.end())
    }
}

fn step(screened: screen::StreamScreened) -> StreamScreened {
    StreamScreened {
        events: screened.events,
        findings: told(screened.findings),
        rejected: screened.rejected,
    }
}

fn told(findings: Vec<screen::Finding>) -> Vec<Finding> {
    findings
        .into_iter()
        .map(|finding| Finding {
            rule: finding.rule,
            detector: finding.detector,
            count: finding.count,
            action: match finding.action {
                screen::Action::Flagged => FindingAction::Flagged,
                screen::Action::Redacted => FindingAction::Redacted,
                screen::Action::Rejected => FindingAction::Rejected,
            },
        })
        .collect()
}
