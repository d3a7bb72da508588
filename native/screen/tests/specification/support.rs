//! Rules, bodies and streams of every dialect.

use std::sync::Arc;

use bytes::Bytes;
use fairlead_dialect::Dialect;
use fairlead_dialect::sse::SseEvent;
use fairlead_dialect::text;
use fairlead_screen::{Action, Finding, Rule, Screen, StreamScreened};
use fairlead_wire::internal::{Effect, OutputCheck};

pub fn detecting(detectors: &[&str]) -> OutputCheck {
    OutputCheck {
        detectors: detectors.iter().map(|name| (*name).to_owned()).collect(),
        ..OutputCheck::default()
    }
}

pub fn matching(patterns: &[&str]) -> OutputCheck {
    OutputCheck {
        patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
        ..OutputCheck::default()
    }
}

pub fn meeting(schema: &str) -> OutputCheck {
    OutputCheck {
        json_schema: schema.to_owned(),
        ..OutputCheck::default()
    }
}

pub fn rule(effect: Effect, check: &OutputCheck) -> Arc<Rule> {
    Arc::new(Rule::compile("r", effect, check).unwrap())
}

pub fn screen(effect: Effect, check: &OutputCheck) -> Arc<Screen> {
    Arc::new(Screen::new(vec![rule(effect, check)]).unwrap())
}

pub fn finding(detector: &str, count: i64, action: Action) -> Finding {
    Finding {
        rule: "r".to_owned(),
        detector: detector.to_owned(),
        count,
        action,
    }
}

/// A whole answer with this text.
pub fn body(dialect: Dialect, text: &str) -> Bytes {
    let text = serde_json::to_string(text).unwrap();
    let body = match dialect {
        Dialect::OpenAiChat => format!(r#"{{"x":1.50,"choices":[{{"index":0,"message":{{"content":{text}}}}}]}}"#),
        Dialect::OpenAiResponses => format!(
            r#"{{"x":1.50,"output":[{{"type":"message","content":[{{"type":"output_text","text":{text}}}]}}]}}"#
        ),
        Dialect::AnthropicMessages => format!(r#"{{"x":1.50,"content":[{{"type":"text","text":{text}}}]}}"#),
    };
    body.into()
}

/// An event that adds this text.
pub fn piece(dialect: Dialect, text: &str) -> SseEvent {
    let text = serde_json::to_string(text).unwrap();
    let data = match dialect {
        Dialect::OpenAiChat => format!(r#"{{"choices":[{{"index":0,"delta":{{"content":{text}}}}}]}}"#),
        Dialect::OpenAiResponses => {
            format!(r#"{{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":{text}}}"#)
        }
        Dialect::AnthropicMessages => {
            format!(r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":{text}}}}}"#)
        }
    };
    event(&data)
}

pub fn event(data: &str) -> SseEvent {
    SseEvent::from_data(data.as_bytes())
}

/// What a client got, and what was found.
#[derive(Debug, Default)]
pub struct Got {
    pub events: Vec<SseEvent>,
    pub findings: Vec<Finding>,
    pub rejected: Option<String>,
}

impl Got {
    pub fn add(&mut self, step: StreamScreened) {
        self.events.extend(step.events);
        for finding in step.findings {
            let known = self
                .findings
                .iter_mut()
                .find(|known| known.detector == finding.detector && known.action == finding.action);
            match known {
                Some(known) => known.count += finding.count,
                None => self.findings.push(finding),
            }
        }
        self.rejected = self.rejected.take().or(step.rejected);
    }

    /// All pieces of answer text, joined.
    pub fn text(&self, dialect: Dialect) -> String {
        self.events
            .iter()
            .flat_map(|event| text::event(dialect, event).unwrap())
            .filter(|span| !span.repeats)
            .map(|span| span.text)
            .collect()
    }
}

/// A stream from its first event to its end.
pub fn stream(screen: &Arc<Screen>, dialect: Dialect, events: impl IntoIterator<Item = SseEvent>) -> Got {
    let mut got = Got::default();
    let mut stream = screen.stream(dialect);
    for event in events {
        got.add(stream.event(event));
    }
    got.add(stream.end());
    got
}
