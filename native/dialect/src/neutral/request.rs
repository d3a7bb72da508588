//! A request.

use super::{Place, Raw};

/// A request in common words: what at least two dialects can say. What one alone can say is an
/// [`Untranslatable`](super::Untranslatable) of the reading.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    /// The messages, system prompts included. Two of the same role may follow each other.
    pub messages: Vec<Message>,
    /// Tools that the model may call.
    pub tools: Vec<Tool>,
    /// Which of them.
    pub tool_choice: Option<ToolChoice>,
    /// May it call several at once? `None`: the dialect's default, which is yes everywhere.
    pub parallel_tools: Option<bool>,
    /// Most output tokens, as the client asked.
    pub max_output_tokens: Option<i64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// 0 to 2 at OpenAI, 0 to 1 at Anthropic: what is above is untranslatable.
    pub temperature: Option<Raw>,
    /// 0 to 1.
    pub top_p: Option<Raw>,
    /// Form of the answer; `None`: text.
    pub format: Option<Format>,
    /// How much to think.
    pub reasoning: Option<Reasoning>,
    /// The end user, for the provider's abuse detection; an opaque id.
    pub user: Option<String>,
    /// What both dialects of OpenAI say in the same words, by name: `store`, `metadata`, `service_tier` and others.
    pub openai: Vec<(&'static str, Raw)>,
    /// `verbosity` of both dialects of OpenAI.
    pub verbosity: Option<Raw>,
    /// True when the answer is a stream.
    pub stream: bool,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The user, and results of tools.
    User,
    /// The model.
    Assistant,
    /// System or developer: the newer word means the same, and only OpenAI knows it.
    System,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
    /// Where it stands.
    pub at: Place,
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text.
    Text(String),
    /// A refusal that the model gave before.
    Refusal(String),
    /// A picture or document.
    Media(Media),
    /// The model calls a tool.
    ToolCall(ToolCall),
    /// The result of a tool call.
    ToolResult(ToolResult),
}

/// A call of a tool; in [`Role::Assistant`] messages.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// Id, which the result repeats; the client's own.
    pub id: String,
    /// Name of the tool.
    pub name: String,
    /// Arguments: the text of a JSON object, as the model wrote it.
    pub arguments: String,
    /// Where it stands.
    pub at: Place,
}

/// The result of a tool call; in [`Role::User`] messages.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// Id of the call.
    pub id: String,
    /// Text, pictures and documents.
    pub parts: Vec<Part>,
    /// The call failed (Anthropic).
    pub is_error: bool,
}

/// A picture or document.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// Which of the two.
    pub kind: MediaKind,
    /// Where it is.
    pub source: MediaSource,
    /// File name or title of a document.
    pub name: Option<String>,
    /// OpenAI's `detail` of a picture.
    pub detail: Option<String>,
    /// Where it stands.
    pub at: Place,
}

/// A picture or a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// A picture.
    Picture,
    /// A document.
    Document,
}

/// Where a picture or document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaSource {
    /// At a URL.
    Url(String),
    /// Here.
    Inline {
        /// Such as `image/png` or `application/pdf`.
        media_type: String,
        /// The bytes in base64.
        base64: String,
    },
}

/// A tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON Schema of its arguments; `None`: no arguments.
    pub parameters: Option<Raw>,
    /// Calls must match the schema; as for [`Format::JsonSchema`].
    pub strict: bool,
    /// Where it stands.
    pub at: Place,
}

/// Which tool to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// As the model likes.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
}

/// Form of the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Any JSON object.
    JsonObject,
    /// JSON of this schema.
    JsonSchema {
        /// Name, a label; Anthropic has none.
        name: Option<String>,
        /// What it is.
        description: Option<String>,
        /// The schema.
        schema: Raw,
        /// The answer must match. Always so at Anthropic, which enforces more schemas than OpenAI: one that OpenAI would
        /// refuse is read as not strict.
        strict: bool,
    },
}

/// How much to think.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reasoning {
    /// `minimal`, `low`, `medium`, `high`, `xhigh` or `max`; the same words everywhere but for `minimal`, which only
    /// OpenAI knows.
    Effort(String),
    /// Anthropic's budget in tokens.
    Budget(i64),
    /// Not at all.
    Off,
}
