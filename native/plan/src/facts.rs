//! What is known about a call when it is decided. Everything is borrowed.

use std::collections::BTreeMap;

use fairlead_wire::v1::Untranslatable;

use crate::pin::Pins;
use crate::units::Tokens;

/// Context window of a model that names none, where a bound is needed: the largest that the providers offer widely.
pub const UNKNOWN_CONTEXT: Tokens = Tokens(1_000_000);

/// Size of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputSize {
    /// Counted by the caller.
    Tokens(i64),
    /// Bytes of prompt text; a token is at least one byte, so this is also an upper bound in tokens.
    Bytes(i64),
    /// Bytes of prompt text, and the model also reads what its provider has stored: only the model's context is a bound.
    Stored(i64),
}

impl InputSize {
    /// The safe upper bound in tokens, whatever the model.
    #[must_use]
    pub fn upper_bound(self) -> Tokens {
        match self {
            Self::Tokens(tokens) => Tokens(tokens),
            Self::Bytes(bytes) => Tokens(bytes),
            Self::Stored(bytes) => UNKNOWN_CONTEXT.max(Tokens(bytes)),
        }
    }
}

/// One call. The caller has validated it: sizes are not negative, texts are bounded.
#[derive(Clone, Copy, Debug)]
pub struct CallFacts<'a> {
    /// Tenant, from the credential.
    pub tenant: &'a str,
    /// Agent, from the credential.
    pub agent: &'a str,
    /// Logical or physical model; empty lets the routes decide.
    pub model: &'a str,
    /// Kind of work.
    pub workload: &'a str,
    /// Conversation.
    pub session: &'a str,
    /// Labels that tools gave the conversation, sorted.
    pub session_labels: &'a [String],
    /// Run.
    pub run: &'a str,
    /// The run at the root of the run's tree, when it is a child run of a workflow; empty otherwise.
    pub root_run: &'a str,
    /// Step inside the run.
    pub step: &'a str,
    /// Labels: the agent's merged over the call's (see [`Compiled::merge_labels`](crate::Compiled::merge_labels)).
    pub labels: &'a BTreeMap<String, String>,
    /// Further facts for expressions.
    pub attributes: Option<&'a prost_types::Struct>,
    /// Size of the input.
    pub input: InputSize,
    /// Most output tokens asked for, per answer; 0 means the model's maximum.
    pub max_output_tokens: i64,
    /// Least output tokens that still make sense; 0 means the route's value.
    pub min_output_tokens: i64,
    /// Least quality (0 to 1) a model must have.
    pub min_quality: Option<f64>,
    /// Capabilities a model must have.
    pub capabilities: &'a [String],
    /// True when the call is streamed.
    pub stream: bool,
    /// Answers asked for (`n`); below 1 means 1.
    pub choices: i64,
    /// Key of the weighted draw when the route is not sticky or the call has no value for its sticky dimension: the
    /// request's id. [`Compiled::split_key`](crate::Compiled::split_key) tells which key was used, for the record.
    pub split_key: &'a str,
    /// Dialect of the body, such as `openai-chat`; empty when there is no body.
    pub dialect: &'a str,
    /// What other dialects cannot say of the body; dialects that are not named can say all of it.
    pub untranslatable: &'a [Untranslatable],
    /// Models that the session and the run keep to.
    pub pins: Pins<'a>,
}
