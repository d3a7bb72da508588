//! A streamed answer.

use super::Finish;
use crate::Usage;

/// A step of a stream in common words. Blocks are numbered from 0 in the order in which they begin; a block is complete
/// before the stream ends, but blocks may grow side by side (parallel tool calls).
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// The head; always first.
    Start {
        /// The provider's id of the answer.
        id: String,
        /// The model as the provider names it.
        model: String,
        /// Unix seconds; 0 when the provider did not say.
        created: i64,
        /// What is known of the input already (Anthropic).
        usage: Option<Usage>,
    },
    /// A block begins.
    BlockStart {
        /// Number.
        index: usize,
        /// What it is.
        kind: BlockKind,
    },
    /// Text, refusal or thinking goes on, or the arguments of a tool call.
    Text {
        /// Number of the block.
        index: usize,
        /// What is added.
        text: String,
    },
    /// The signature of a thinking block.
    Signature {
        /// Number of the block.
        index: usize,
        /// What is added.
        text: String,
    },
    /// A block is complete.
    BlockEnd {
        /// Number.
        index: usize,
    },
    /// The answer is complete. Usage may still follow.
    Finish(Finish),
    /// All tokens, cumulative; a later one replaces an earlier one.
    Usage(Usage),
    /// The end marker; always last.
    End,
}

/// What a block is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// Text.
    Text,
    /// A refusal.
    Refusal,
    /// Thinking.
    Thinking,
    /// Thinking that is withheld: its data.
    RedactedThinking(String),
    /// A call of a tool.
    ToolCall {
        /// Id.
        id: String,
        /// Name of the tool.
        name: String,
    },
}

impl BlockKind {
    /// True when its mere beginning is something that the model said.
    pub(crate) fn is_content(&self) -> bool {
        matches!(self, Self::RedactedThinking(_) | Self::ToolCall { .. })
    }
}
