//! What is configured about a provider.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fairlead_dialect::Vendor;

/// A value that is never shown: `Debug` is redacted and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Self(value.into())
    }

    /// The value, for the one header that carries it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// Timeouts of one provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP and TLS.
    pub connect: Duration,
    /// From sending to the response's head.
    pub first_byte: Duration,
    /// Between two parts of a body.
    pub idle: Duration,
    /// One attempt, whole.
    pub attempt: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(60),
            idle: Duration::from_secs(30),
            attempt: Duration::from_secs(300),
        }
    }
}

/// One provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSettings {
    /// Name in the configuration.
    pub name: String,
    /// Kind.
    pub kind: Vendor,
    /// Base URL up to and including the version, such as `https://api.openai.com/v1`. An Ollama without a path gets
    /// `/v1`, where it serves Chat Completions.
    pub base_url: String,
    /// Sent as `Authorization: Bearer`; `None` sends no such header.
    pub api_key: Option<Secret>,
    /// Further request headers. Values may be keys as well.
    pub headers: Vec<(String, Secret)>,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// Most idle pooled connections.
    pub max_idle_connections: usize,
}

/// Settings that cannot be used. Never contains a secret or a header's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// Name of the provider.
    pub provider: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "provider {}: {}", self.provider, self.message)
    }
}

impl std::error::Error for SettingsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Some(Secret::new("sk-very-secret"))), "Some([redacted])");
    }
}
