//! Tokens.

/// Tokens of one attempt. No token is in two counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Text input tokens that were neither read from nor written to a prompt cache.
    pub input: i64,
    /// Input tokens read from a prompt cache.
    pub cached_input: i64,
    /// Input tokens written to a prompt cache.
    pub cache_write: i64,
    /// Input tokens written to a prompt cache that lasts for an hour.
    pub cache_write_1h: i64,
    /// Input tokens of sound.
    pub audio_input: i64,
    /// Input tokens of pictures, where the provider reports them apart.
    pub image_input: i64,
    /// Text output tokens without reasoning.
    pub output: i64,
    /// Output tokens of sound.
    pub audio_output: i64,
    /// Reasoning tokens.
    pub reasoning: i64,
    /// True when the provider reported nothing and the numbers are an upper estimate.
    pub estimated: bool,
}
