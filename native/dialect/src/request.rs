//! A call as the client wrote it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Serialize;

use crate::json::Members;
use crate::neutral::{Conversation, Untranslatable};
use crate::reader::Unsaid;
use crate::sse::SseEvent;
use crate::turn::{Turn, Wire};
use crate::words::{self, Word};
use crate::{Dialect, InvalidRequest, Vendor, anthropic_messages, fields, openai_chat, openai_responses};

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
    /// True when the model also reads what the provider has stored (`previous_response_id`, `conversation`, `prompt`) or
    /// what tools of the provider bring, so that `input_bytes` is no bound: only the model's context is.
    pub stored_input: bool,
    /// What a model must be able to do, sorted: `json`, `tools`, `vision`, and `provider-tool.KIND` for
    /// every kind of tool that runs at the provider (`provider-tool.web_search`).
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
    /// Made when a target of another dialect is first asked about.
    reading: OnceLock<Reading>,
}

/// The request in common words, and what has none.
struct Reading {
    conversation: Conversation,
    unsaid: Vec<Untranslatable>,
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
            Dialect::OpenAiResponses => openai_responses::request::parse(&body)?,
            Dialect::AnthropicMessages => anthropic_messages::request::parse(&body)?,
        };
        Ok(Self::new(dialect, body, facts))
    }

    fn new(dialect: Dialect, body: Bytes, facts: Facts) -> Self {
        Self(Arc::new(Inner {
            dialect,
            body,
            facts,
            reading: OnceLock::new(),
        }))
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
        let facts = Facts {
            stream,
            ..self.0.facts.clone()
        };
        Self::new(self.0.dialect, fields::with_stream(&self.0.body, stream), facts)
    }

    /// The request in common words; made once, when it is first asked for.
    #[must_use]
    pub fn conversation(&self) -> &Conversation {
        &self.reading().conversation
    }

    fn reading(&self) -> &Reading {
        self.0.reading.get_or_init(|| self.read())
    }

    /// What `to` cannot say, in the order of reading; empty for the request's own dialect. After 256 fields, further
    /// ones that merely tune are not listed.
    #[must_use]
    pub fn untranslatable(&self, to: Dialect) -> Vec<Untranslatable> {
        if to == self.0.dialect {
            return Vec::new();
        }
        let wire = Wire {
            dialect: to,
            vendor: Vendor::OpenAiCompatible,
            upstream_model: "",
            max_output_tokens: 1,
            drop_untranslatable: false,
        };
        self.translated(&wire, false).1
    }

    /// The exchange with one target: the body to send, and how to read what comes back.
    ///
    /// # Errors
    /// What the target's dialect cannot say; with `drop_untranslatable` only when some of it is essential.
    pub fn turn(&self, wire: &Wire<'_>) -> Result<Turn, Vec<Untranslatable>> {
        let (body, unsaid) = if wire.dialect == self.0.dialect {
            (self.rewritten(wire), Vec::new())
        } else {
            self.translated(wire, true)
        };
        if unsaid.iter().any(|field| field.essential || !wire.drop_untranslatable) {
            return Err(unsaid);
        }
        Ok(Turn {
            dialect: wire.dialect,
            body,
            dropped_fields: unsaid.into_iter().map(|field| field.field).collect(),
            request: self.clone(),
            created: 0,
        })
    }

    fn rewritten(&self, wire: &Wire<'_>) -> Bytes {
        let (body, facts) = (&self.0.body, &self.0.facts);
        match self.0.dialect {
            Dialect::OpenAiChat => openai_chat::request::rewritten(body, facts, wire),
            Dialect::OpenAiResponses => openai_responses::request::rewritten(body, facts, wire),
            Dialect::AnthropicMessages => anthropic_messages::request::rewritten(body, facts, wire),
        }
    }

    /// The body in the target's dialect, empty unless `wanted`, and what is missing in it.
    fn translated(&self, wire: &Wire<'_>, wanted: bool) -> (Bytes, Vec<Untranslatable>) {
        let client = self.0.dialect;
        let reading = self.reading();
        let conversation = &reading.conversation;
        let mut unsaid = Unsaid::new(reading.unsaid.clone());
        let body = match wire.dialect {
            Dialect::OpenAiChat => encoded(
                &openai_chat::request::write::write(conversation, client, wire, &mut unsaid),
                wanted,
            ),
            Dialect::OpenAiResponses => encoded(
                &openai_responses::request::write::write(conversation, client, wire, &mut unsaid),
                wanted,
            ),
            Dialect::AnthropicMessages => {
                if words::limit(conversation, wire).is_none() {
                    // Messages does not go without.
                    unsaid.essential(Word::Limit.of(client));
                }
                encoded(
                    &anthropic_messages::request::write::write(conversation, client, wire, &mut unsaid),
                    wanted,
                )
            }
        };
        (body, unsaid.into_inner())
    }

    fn read(&self) -> Reading {
        let mut unsaid = Unsaid::default();
        let mut conversation = match Members::parse(&self.0.body) {
            Ok(members) => match self.0.dialect {
                Dialect::OpenAiChat => openai_chat::request::read::read(&members, &mut unsaid),
                Dialect::OpenAiResponses => openai_responses::request::read::read(&members, &mut unsaid),
                Dialect::AnthropicMessages => anthropic_messages::request::read::read(&members, &mut unsaid),
            },
            // The body was parsed before, so this does not happen; nothing would be sent.
            Err(_other) => {
                unsaid.essential("");
                Conversation::default()
            }
        };
        conversation.max_output_tokens = self.0.facts.max_output_tokens;
        Reading {
            conversation,
            unsaid: unsaid.into_inner(),
        }
    }

    /// The event that ends a broken stream, framed, in the client's dialect.
    #[must_use]
    pub fn error_event(&self, code: &str, message: &str) -> Bytes {
        self.error_event_for(None, code, message)
    }

    /// The event that ends a broken stream, framed, in the place of one that is withheld: with the number of that one,
    /// where the dialect numbers events.
    #[must_use]
    pub fn error_event_for(&self, withheld: Option<&SseEvent>, code: &str, message: &str) -> Bytes {
        let data = withheld.and_then(|event| event.data.as_deref()).unwrap_or_default();
        let number: Option<i64> = Members::parse(data)
            .ok()
            .and_then(|members| members.get("sequence_number")?.get().parse().ok());
        crate::error::event(self.0.dialect, code, message, number.unwrap_or(0)).raw
    }
}

/// A body as JSON, or nothing when only what it lacks was asked for.
fn encoded(body: &impl Serialize, wanted: bool) -> Bytes {
    if !wanted {
        return Bytes::new();
    }
    // Every member has a text as its key and comes from JSON, so this does not fail.
    serde_json::to_vec(body).map_or_else(|_impossible| Bytes::new(), Bytes::from)
}
