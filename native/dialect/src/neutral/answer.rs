//! A whole answer.

use crate::Usage;

/// An answer in common words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The provider's id of it; empty when it gave none.
    pub id: String,
    /// The model as the provider names it.
    pub model: String,
    /// Unix seconds; 0 when the provider did not say.
    pub created: i64,
    /// What was said, in order.
    pub blocks: Vec<Block>,
    /// Why it ended.
    pub finish: Finish,
    /// Tokens, when the provider reported them.
    pub usage: Option<Usage>,
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Text.
    Text(String),
    /// A refusal.
    Refusal(String),
    /// Thinking.
    Thinking {
        /// The text; empty when it is withheld.
        text: String,
        /// What proves it, or the encrypted thinking; opaque.
        signature: Option<String>,
        /// True for Anthropic's `redacted_thinking` (then `signature` is its data).
        redacted: bool,
    },
    /// A call of a tool.
    ToolCall {
        /// Id.
        id: String,
        /// Name of the tool.
        name: String,
        /// Arguments: the text of a JSON object, as the model wrote it.
        arguments: String,
    },
}

/// Why an answer ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Finish {
    /// The model was done.
    #[default]
    Stop,
    /// One of the texts that end the answer; with the text where the dialect tells.
    StopSequence(Option<String>),
    /// The output limit.
    Length,
    /// It waits for results of tools.
    ToolCalls,
    /// A filter, or the model's refusal.
    Refused,
    /// Anthropic's `pause_turn`: to be given back to go on.
    Paused,
}
