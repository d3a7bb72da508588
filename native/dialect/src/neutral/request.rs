//! A request.

use serde_json::Value;

/// A request in common words. Ids of tool calls are the client's own, in every dialect.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    /// What the system and the developer say, in order, before the first message.
    pub system: Vec<Part>,
    /// The messages. Two of the same role may follow each other.
    pub messages: Vec<Message>,
    /// Tools that the model may call.
    pub tools: Vec<Tool>,
    /// Which of them.
    pub tool_choice: Option<ToolChoice>,
    /// May it call several at once? `None`: the dialect's default, which is yes everywhere.
    pub parallel_tools: Option<bool>,
    /// Bounds and tuning.
    pub limits: Limits,
    /// Form of the answer; `None`: text.
    pub format: Option<Format>,
    /// How much to think.
    pub reasoning: Option<Reasoning>,
    /// The end user, for the provider's abuse detection; an opaque id.
    pub user: Option<String>,
}

/// Bounds and tuning of the answer. Numbers keep their spelling.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Most output tokens, as the client asked.
    pub max_output_tokens: Option<i64>,
    /// Number of answers; 1 means one.
    pub choices: i64,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// 0 to 2 at OpenAI, 0 to 1 at Anthropic: what is above is untranslatable.
    pub temperature: Option<serde_json::Number>,
    /// 0 to 1.
    pub top_p: Option<serde_json::Number>,
    /// Anthropic and most local models.
    pub top_k: Option<serde_json::Number>,
    /// OpenAI Chat only.
    pub seed: Option<serde_json::Number>,
    /// OpenAI Chat only.
    pub presence_penalty: Option<serde_json::Number>,
    /// OpenAI Chat only.
    pub frequency_penalty: Option<serde_json::Number>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The user, and results of tools.
    User,
    /// The model.
    Assistant,
    /// System or developer, in the middle of a conversation.
    System,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
}

/// A part of a message. `cache` marks the end of a prefix that Anthropic should cache; other dialects cache by
/// themselves, so dropping it changes costs only.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// Anthropic's `cache_control`, as it stands.
        cache: Option<Value>,
    },
    /// A refusal that the model gave before.
    Refusal(String),
    /// A picture or document.
    Media(Media),
    /// Thinking of the model that has to be given back as it was. Only for the dialect that it came from.
    Thinking {
        /// The text; empty when it is withheld.
        text: String,
        /// What proves it, or the encrypted thinking; opaque.
        signature: Option<String>,
        /// True for Anthropic's `redacted_thinking` (then `signature` is its data).
        redacted: bool,
    },
    /// The model calls a tool.
    ToolCall {
        /// Id, which the result repeats.
        id: String,
        /// Name of the tool.
        name: String,
        /// Arguments: the text of a JSON object, as the model wrote it.
        arguments: String,
        /// As for text.
        cache: Option<Value>,
    },
    /// The result of a tool call.
    ToolResult(ToolResult),
}

/// The result of a tool call; in [`Role::User`] messages.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// Id of the call.
    pub id: String,
    /// Text and pictures.
    pub parts: Vec<Part>,
    /// Anthropic's `is_error`.
    pub is_error: bool,
    /// As for text.
    pub cache: Option<Value>,
}

/// A picture or document.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// Such as `image/png` or `application/pdf`; `None` for a URL whose type is not said.
    pub media_type: Option<String>,
    /// Where it is.
    pub source: MediaSource,
    /// File name or title of a document.
    pub name: Option<String>,
    /// OpenAI's `detail` of a picture.
    pub detail: Option<String>,
    /// As for text.
    pub cache: Option<Value>,
}

/// Where a picture or document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaSource {
    /// At a URL.
    Url(String),
    /// Here, in base64.
    Base64(String),
}

/// A tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON Schema of its arguments; `None`: no arguments.
    pub parameters: Option<Value>,
    /// OpenAI's `strict`.
    pub strict: Option<bool>,
    /// As for text.
    pub cache: Option<Value>,
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
        /// Name.
        name: String,
        /// What it is.
        description: Option<String>,
        /// The schema.
        schema: Value,
        /// OpenAI's `strict`.
        strict: Option<bool>,
    },
}

/// How much to think.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reasoning {
    /// OpenAI's words.
    Effort(Effort),
    /// Anthropic's budget in tokens.
    Budget(i64),
    /// Not at all.
    Off,
    /// Anthropic's `adaptive`: as the model likes.
    Adaptive,
}

/// OpenAI's `reasoning_effort`, also Anthropic's `output_config.effort`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effort(pub String);
