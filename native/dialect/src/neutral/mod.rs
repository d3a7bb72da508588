//! What all dialects have in common: the words that translation goes through.
//!
//! A translation reads a body into these types and writes another dialect's body from them; nothing is translated
//! directly. What a dialect says and these types cannot hold is an [`Untranslatable`] of the reading; what they hold and
//! the other dialect cannot say is one of the writing. Nothing is lost in silence.

mod answer;
mod blocks;
mod fold;
mod raw;
mod request;
mod stream;

pub use answer::{Answer, Block, Finish};
pub(crate) use blocks::Blocks;
pub use fold::{Fold, Unfoldable};
pub use raw::{Place, Raw};
pub use request::{
    Conversation, Format, Media, MediaKind, MediaSource, Message, Part, Reasoning, Role, Tool, ToolCall, ToolChoice,
    ToolResult,
};
pub use stream::{BlockKind, Delta};

/// A field that a dialect has no place for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Untranslatable {
    /// Path of the field as the client wrote it, such as `messages[2].content[0].input_audio`.
    pub field: String,
    /// True when the request means something else without it (a part of the conversation, `n`, the way of answering), so
    /// that it is never left out; false for what merely tunes (`logit_bias`, `seed`, a cache hint).
    pub essential: bool,
}

impl Untranslatable {
    /// What can be left out when the route says so.
    pub fn tuning(field: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            essential: false,
        }
    }

    /// What is never left out.
    pub fn essential(field: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            essential: true,
        }
    }
}
