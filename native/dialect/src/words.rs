//! What the writers of all dialects need.

use crate::neutral::{Conversation, Place};
use crate::reader::Unsaid;
use crate::{Dialect, Wire};

/// Name of a structured format that has none.
pub(crate) const FORMAT_NAME: &str = "answer";

/// A field that has one name per dialect.
#[derive(Clone, Copy)]
pub(crate) enum Word {
    Limit,
    Stop,
    User,
    Temperature,
    TopP,
    Effort,
    Verbosity,
    Description,
    Schema,
}

impl Word {
    /// How the client calls it.
    pub(crate) fn of(self, client: Dialect) -> &'static str {
        match (self, client) {
            (Self::Limit, Dialect::OpenAiChat) => "max_completion_tokens",
            (Self::Limit, Dialect::OpenAiResponses) => "max_output_tokens",
            (Self::Limit, Dialect::AnthropicMessages) => "max_tokens",
            (Self::Stop, Dialect::OpenAiChat) => "stop",
            (Self::Stop, _) => "stop_sequences",
            (Self::User, Dialect::AnthropicMessages) => "metadata.user_id",
            (Self::User, _) => "user",
            (Self::Temperature, _) => "temperature",
            (Self::TopP, _) => "top_p",
            (Self::Effort, Dialect::OpenAiChat) => "reasoning_effort",
            (Self::Effort, Dialect::OpenAiResponses) => "reasoning.effort",
            (Self::Effort, Dialect::AnthropicMessages) => "output_config.effort",
            (Self::Verbosity, Dialect::OpenAiResponses) => "text.verbosity",
            (Self::Verbosity, _) => "verbosity",
            (Self::Description, Dialect::OpenAiResponses) => "text.format.description",
            (Self::Description, _) => "response_format.json_schema.description",
            (Self::Schema, Dialect::OpenAiResponses) => "text.format.schema",
            (Self::Schema, _) => "response_format.json_schema.schema",
        }
    }
}

/// Most output tokens: the target's limit, else the client's.
pub(crate) fn limit(conversation: &Conversation, wire: &Wire<'_>) -> Option<i64> {
    if wire.max_output_tokens > 0 {
        Some(wire.max_output_tokens)
    } else {
        conversation.max_output_tokens
    }
}

/// The end user, when the id is not too long.
pub(crate) fn user<'a>(
    conversation: &'a Conversation,
    client: Dialect,
    longest: usize,
    unsaid: &mut Unsaid,
) -> Option<&'a str> {
    let user = conversation.user.as_deref()?;
    if user.len() > longest {
        unsaid.tuning(Word::User.of(client));
        return None;
    }
    Some(user)
}

/// A tool's name; one that the dialect refuses is listed.
pub(crate) fn tool_name<'a>(name: &'a str, at: &Place, longest: usize, unsaid: &mut Unsaid) -> &'a str {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.is_empty() || name.len() > longest || !name.bytes().all(fits) {
        unsaid.essential(format_args!("{}.name", at.0));
    }
    name
}
