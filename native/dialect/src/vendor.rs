//! Who is at the other end.

/// Kind of a provider; decides small differences inside a dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// api.openai.com.
    OpenAi,
    /// Azure OpenAI.
    AzureOpenAi,
    /// api.anthropic.com and what speaks Messages.
    Anthropic,
    /// A local Ollama.
    Ollama,
    /// Anything else that speaks Chat Completions.
    OpenAiCompatible,
}
