//! Answers of one dialect for clients of another.
//!
//! A [`Reader`] turns the bodies and events of a provider into [`Delta`]s, a [`Writer`] turns these into events of the
//! client's dialect; a whole answer is the fold of the deltas it is read into. So there are three readers and three
//! writers and no pairs, and a translated stream, put together, is the translated whole answer.
//!
//! What the client's dialect cannot say about an answer is left out, as none of it is content: signatures of thinking
//! (they prove nothing to another provider), withheld thinking, citations, log probabilities.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::{self, ErrorObject};
use crate::neutral::{Answer, Delta, Fold, Unfoldable};
use crate::sse::SseEvent;
use crate::{Dialect, EventFacts, EventReader, Usage, WholeFacts, anthropic_messages, openai_chat, openai_responses};

/// Why something was not read.
#[derive(Debug)]
pub(crate) enum Misread {
    /// The provider reports an error.
    Fault(ErrorObject),
    /// Not what the dialect allows.
    Garbled,
}

/// Reads the events of one stream.
pub(crate) trait Reader: Send {
    /// Reads the data of one event. [`Delta::End`] comes with the dialect's end marker.
    fn read(&mut self, data: &[u8], out: &mut Vec<Delta>) -> Result<(), Misread>;
    /// The end of a complete stream that brought no end marker.
    fn close(&mut self, out: &mut Vec<Delta>);
    /// As for [`EventReader::complete`].
    fn complete(&self) -> bool;
    /// As for [`EventReader::usage`].
    fn usage(&self) -> Option<Usage>;
    /// As for [`EventReader::told_input`].
    fn told_input(&self) -> Option<Usage> {
        None
    }
}

/// Writes the events of one stream.
pub(crate) trait Writer: Send {
    /// Writes what a step amounts to. Fails when more would have to be kept than is allowed.
    fn write(&mut self, delta: &Delta, out: &mut Vec<SseEvent>) -> Result<(), Unfoldable>;
}

/// What an answer needs that is not in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manner {
    /// Chat: the client asked for usage in the stream.
    pub(crate) usage_asked: bool,
    /// Responses: the members of the request that a response repeats, each with a leading comma.
    pub(crate) echo: Arc<str>,
    /// Unix seconds for an answer whose provider tells none.
    pub(crate) created: i64,
    /// Makes the ids of answers differ whose provider gives none, or too short ones.
    pub(crate) salt: u64,
}

/// Shortest id of a provider that is taken for unique. Ollama's have three digits.
const ID_BYTES: usize = 16;

impl Manner {
    /// The id that the client gets: the provider's, unless that is not unique.
    pub(crate) fn id(&self, prefix: &str, id: &str) -> String {
        if id.len() >= ID_BYTES {
            return id.to_owned();
        }
        format!("{prefix}{id}{:016x}", self.salt)
    }

    pub(crate) fn created(&self, created: i64) -> i64 {
        if created > 0 { created } else { self.created }
    }
}

/// An id that may be part of another one, whoever gave it.
pub(crate) fn id_part(id: &str) -> String {
    id.chars().filter(char::is_ascii_alphanumeric).take(64).collect()
}

/// A reader for streams of a dialect.
pub(crate) fn reader(dialect: Dialect) -> Box<dyn Reader> {
    match dialect {
        Dialect::OpenAiChat => Box::new(openai_chat::event_read::ChatReader::default()),
        Dialect::OpenAiResponses => Box::new(openai_responses::event_read::ResponsesReader::default()),
        Dialect::AnthropicMessages => Box::new(anthropic_messages::event_read::MessagesReader::default()),
    }
}

/// A writer for streams of a dialect.
pub(crate) fn writer(dialect: Dialect, manner: Manner) -> Box<dyn Writer> {
    match dialect {
        Dialect::OpenAiChat => Box::new(openai_chat::event_write::ChatWriter::new(manner)),
        Dialect::OpenAiResponses => Box::new(openai_responses::event_write::ResponsesWriter::new(manner)),
        Dialect::AnthropicMessages => Box::new(anthropic_messages::event_write::MessagesWriter::new(manner)),
    }
}

/// Reads a whole answer.
pub(crate) fn read_answer(dialect: Dialect, body: &[u8]) -> Result<Answer, Misread> {
    let mut deltas = Vec::new();
    match dialect {
        Dialect::OpenAiChat => openai_chat::answer::read(body, &mut deltas)?,
        Dialect::OpenAiResponses => openai_responses::answer::read(body, &mut deltas)?,
        Dialect::AnthropicMessages => anthropic_messages::answer::read(body, &mut deltas)?,
    }
    let mut fold = Fold::default();
    for delta in &deltas {
        fold.add(delta).map_err(|_unfoldable| Misread::Garbled)?;
    }
    Ok(fold.into_answer())
}

/// Writes a whole answer; `None` when the dialect cannot say it (arguments of a tool that are no JSON object, for
/// Anthropic).
pub(crate) fn write_answer(dialect: Dialect, answer: &Answer, manner: &Manner) -> Option<Bytes> {
    match dialect {
        Dialect::OpenAiChat => Some(openai_chat::answer::write(answer, manner)),
        Dialect::OpenAiResponses => Some(openai_responses::answer::write(answer, manner)),
        Dialect::AnthropicMessages => anthropic_messages::answer::write(answer, manner),
    }
}

/// Translates a whole answer.
pub(crate) fn whole(from: Dialect, to: Dialect, body: &[u8], manner: &Manner) -> WholeFacts {
    let answer = match read_answer(from, body) {
        Ok(answer) => answer,
        Err(Misread::Fault(error)) => return WholeFacts::Fault(error.fault()),
        Err(Misread::Garbled) => return WholeFacts::Garbled,
    };
    match write_answer(to, &answer, manner) {
        Some(body) => WholeFacts::Answer {
            usage: answer.usage,
            body: Some(body),
        },
        None => WholeFacts::Garbled,
    }
}

/// Translates the events of one stream.
pub(crate) struct Translation {
    reader: Box<dyn Reader>,
    writer: Box<dyn Writer>,
    to: Dialect,
    produced: i64,
    /// Events that the client has got.
    sequence: i64,
    ended: bool,
}

impl Translation {
    pub(crate) fn new(from: Dialect, to: Dialect, manner: Manner) -> Self {
        Self {
            reader: reader(from),
            writer: writer(to, manner),
            to,
            produced: 0,
            sequence: 0,
            ended: false,
        }
    }

    /// Writes steps and says what they are.
    fn write(&mut self, deltas: &[Delta]) -> (EventFacts, Vec<SseEvent>) {
        let mut events = Vec::new();
        let mut facts = EventFacts::Prelude;
        for delta in deltas {
            match delta {
                Delta::Text { text, .. } | Delta::Signature { text, .. } => {
                    self.produced = self
                        .produced
                        .saturating_add(i64::try_from(text.len()).unwrap_or(i64::MAX));
                    facts = EventFacts::Content;
                }
                Delta::BlockStart { kind, .. } if kind.is_content() => facts = EventFacts::Content,
                Delta::Finish(_) => facts = EventFacts::Content,
                Delta::End => {
                    self.ended = true;
                    facts = EventFacts::Done;
                }
                Delta::Start { .. } | Delta::BlockStart { .. } | Delta::BlockEnd { .. } | Delta::Usage(_) => {}
            }
            if self.writer.write(delta, &mut events).is_err() {
                return (EventFacts::Garbled, Vec::new());
            }
        }
        let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
        self.sequence = self.sequence.saturating_add(count);
        (facts, events)
    }
}

impl EventReader for Translation {
    fn read(&mut self, event: SseEvent) -> (EventFacts, Vec<SseEvent>) {
        let Some(data) = event.data.as_ref().filter(|data| !data.is_empty()) else {
            // A comment keeps the connection alive on the client's side as well.
            let comment = event.data.is_none() && event.raw.starts_with(b":");
            return (EventFacts::Prelude, if comment { vec![event] } else { Vec::new() });
        };
        if self.ended {
            return (EventFacts::Hidden, Vec::new());
        }
        let mut deltas = Vec::new();
        match self.reader.read(data, &mut deltas) {
            // An end marker without a reason to end: the stream is cut, and nothing may make it look whole.
            Ok(()) if matches!(deltas.last(), Some(Delta::End)) && !self.reader.complete() => {
                self.ended = true;
                (EventFacts::Done, Vec::new())
            }
            Ok(()) => self.write(&deltas),
            Err(Misread::Fault(error)) => {
                let event = error.event(self.to, self.sequence);
                (EventFacts::Fault(error.fault()), vec![event])
            }
            Err(Misread::Garbled) => (EventFacts::Garbled, Vec::new()),
        }
    }

    fn complete(&self) -> bool {
        self.reader.complete()
    }

    fn produced(&self) -> i64 {
        self.produced
    }

    fn usage(&self) -> Option<Usage> {
        self.reader.usage()
    }

    fn told_input(&self) -> Option<Usage> {
        self.reader.told_input()
    }

    fn finish(&mut self) -> Vec<SseEvent> {
        if self.ended || !self.reader.complete() {
            return Vec::new();
        }
        let mut deltas = Vec::new();
        self.reader.close(&mut deltas);
        self.write(&deltas).1
    }

    fn error_event(&self, code: &str, message: &str) -> SseEvent {
        error::event(self.to, code, message, self.sequence)
    }
}

#[cfg(test)]
mod tests;
