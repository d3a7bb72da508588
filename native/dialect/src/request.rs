//! A call as the client wrote it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::neutral::Untranslatable;
use crate::turn::{Turn, Wire};
use crate::{Dialect, InvalidRequest, fields, openai_chat};

/// What a decision needs to know about a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The model as requested; may be empty.
    pub model: String,
    /// True when the answer is a stream.
    pub stream: bool,
    /// Most output tokens of one answer, when the client limited it.
    pub max_output_tokens: Option<i64>,
    /// Number of answers asked for, at least 1.
    pub choices: i64,
    /// Size of what the model reads, an upper bound of its tokens. Text counts its JSON bytes; pictures, sound and
    /// documents count what the known providers bill at most.
    pub input_bytes: i64,
    /// What a model must be able to do, sorted: `json`, `tools`, `vision`.
    pub capabilities: Vec<String>,
    /// The end user as the client names it to the provider, an opaque id.
    pub user: Option<String>,
}

/// One call in one dialect. Cheap to clone.
#[derive(Clone)]
pub struct Request(Arc<Inner>);

struct Inner {
    dialect: Dialect,
    body: Bytes,
    facts: Facts,
}

impl fmt::Debug for Request {
    /// Without the body: it is content.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Request")
            .field("dialect", &self.0.dialect)
            .field("model", &self.0.facts.model)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// Checks a body and collects its facts.
    ///
    /// # Errors
    /// [`InvalidRequest`] naming the field.
    pub fn parse(dialect: Dialect, body: Bytes) -> Result<Self, InvalidRequest> {
        let facts = match dialect {
            Dialect::OpenAiChat => openai_chat::request::parse(&body)?,
            Dialect::OpenAiResponses | Dialect::AnthropicMessages => {
                return Err(InvalidRequest::new("", format!("cannot be read as {}", dialect.name())));
            }
        };
        Ok(Self(Arc::new(Inner { dialect, body, facts })))
    }

    /// The dialect of the client.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.0.dialect
    }

    /// What a decision needs to know.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.0.facts
    }

    /// The body as it came.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// The same request as a stream, or as a whole answer; the field is written where it differs.
    #[must_use]
    pub fn with_stream(self, stream: bool) -> Self {
        if self.0.facts.stream == stream {
            return self;
        }
        Self(Arc::new(Inner {
            dialect: self.0.dialect,
            body: fields::with_stream(&self.0.body, stream),
            facts: Facts {
                stream,
                ..self.0.facts.clone()
            },
        }))
    }

    /// What `to` cannot say; empty for the request's own dialect.
    #[must_use]
    pub fn untranslatable(&self, to: Dialect) -> Vec<Untranslatable> {
        if to == self.0.dialect {
            return Vec::new();
        }
        vec![Untranslatable::essential("")]
    }

    /// The exchange with one target: the body to send, and how to read what comes back.
    ///
    /// # Errors
    /// What the target's dialect cannot say.
    pub fn turn(&self, wire: &Wire<'_>) -> Result<Turn, Vec<Untranslatable>> {
        let unsaid = self.untranslatable(wire.dialect);
        if !unsaid.is_empty() {
            return Err(unsaid);
        }
        let body = openai_chat::request::rewritten(&self.0.body, &self.0.facts, wire);
        Ok(Turn {
            dialect: wire.dialect,
            body,
            dropped_fields: Vec::new(),
            request: self.clone(),
            created: 0,
        })
    }

    /// The event that ends a broken stream, framed, in the client's dialect.
    #[must_use]
    pub fn error_event(&self, code: &str, message: &str) -> Bytes {
        crate::reading::error_event(self.0.dialect, code, message)
    }
}
