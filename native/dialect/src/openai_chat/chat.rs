//! A Chat Completions request by itself, until attempts speak of requests and turns.

use bytes::Bytes;

use super::{event, request, whole};
use crate::error::{self, ErrorObject};
use crate::{DataReader, Dialect, Exchange, Facts, InvalidRequest, ProviderFault, Rewrite, WholeFacts, Wire, fields};

/// A checked request. The body is kept as it came.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    body: Bytes,
    facts: Facts,
    /// The model as requested; may be empty.
    pub model: String,
    /// True when the answer is a stream.
    pub stream: bool,
    /// Most output tokens of one choice, when the client limited it.
    pub max_output_tokens: Option<i64>,
    /// Number of answers (`n`), at least 1.
    pub choices: i64,
    /// Size of what the model reads, an upper bound of its tokens.
    pub input_bytes: i64,
    /// What a model must be able to do: `tools`, `json`, `vision`.
    pub capabilities: Vec<String>,
}

impl ChatRequest {
    /// Checks a body and collects its facts.
    ///
    /// # Errors
    /// [`InvalidRequest`] naming the field.
    pub fn parse(body: Bytes) -> Result<Self, InvalidRequest> {
        let facts = request::parse(&body)?;
        Ok(Self {
            body,
            model: facts.model.clone(),
            stream: facts.stream,
            max_output_tokens: facts.max_output_tokens,
            choices: facts.choices,
            input_bytes: facts.input_bytes,
            capabilities: facts.capabilities.clone(),
            facts,
        })
    }

    /// The body as it came.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The same request as a stream, or as a whole answer; the field is written where it differs.
    #[must_use]
    pub fn with_stream(self, stream: bool) -> Self {
        if self.stream == stream {
            return self;
        }
        Self {
            body: fields::with_stream(&self.body, stream),
            stream,
            facts: Facts { stream, ..self.facts },
            ..self
        }
    }
}

impl Exchange for ChatRequest {
    fn path(&self) -> &'static str {
        Dialect::OpenAiChat.path()
    }

    fn streams(&self) -> bool {
        self.stream
    }

    fn body_for(&self, rewrite: &Rewrite<'_>) -> Bytes {
        let wire = Wire {
            dialect: Dialect::OpenAiChat,
            vendor: rewrite.kind,
            upstream_model: rewrite.upstream_model,
            max_output_tokens: rewrite.max_output_tokens,
            drop_untranslatable: false,
        };
        request::rewritten(&self.body, &self.facts, &wire)
    }

    fn read_whole(&self, body: &[u8]) -> WholeFacts {
        whole::read(body)
    }

    fn read_error(&self, body: &[u8]) -> ProviderFault {
        ErrorObject::read(body).fault()
    }

    fn event_reader(&self) -> Box<dyn DataReader> {
        let usage_asked = request::usage_asked(&self.body);
        Box::new(event::ChatEvents::new(self.choices, usage_asked))
    }

    fn error_event(&self, code: &str, message: &str) -> Bytes {
        error::event(Dialect::OpenAiChat, code, message, 0)
            .data
            .unwrap_or_default()
    }

    fn choices(&self) -> i64 {
        self.choices
    }
}
