//! What is configured about a provider.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fairlead_dialect::{Dialect, Vendor};

/// A value that is never shown: `Debug` is redacted and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Self(value.into())
    }

    /// The value, for the one header that carries it and to find it in what comes back.
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
    /// Dialects it speaks, the preferred one first; none counts as Chat Completions.
    pub dialects: Vec<Dialect>,
    /// Base URL up to and including the version, such as `https://api.openai.com/v1`. An Ollama without a path gets
    /// `/v1`, where it serves Chat Completions.
    pub base_url: String,
    /// Azure's `api-version` of its dated API, where the path names the deployment; `None`: its v1 API, and other kinds.
    pub api_version: Option<String>,
    /// Sent as the kind asks for it: `x-api-key` (Anthropic), `api-key` (Azure), else `Authorization: Bearer`; `None`
    /// sends no credential.
    pub api_key: Option<Secret>,
    /// Further request headers.
    pub headers: Vec<(String, String)>,
    /// Further request headers whose values are secrets.
    pub secret_headers: Vec<(String, Secret)>,
    /// Proxy that connections go through.
    pub proxy: Option<ProxySettings>,
    /// PEM certificates that are trusted instead of the system's.
    pub ca_pem: Option<String>,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// Most idle pooled connections.
    pub max_idle_connections: usize,
}

/// An HTTP proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxySettings {
    /// `http://HOST:PORT`.
    pub url: String,
    /// Value of `Proxy-Authorization`.
    pub authorization: Option<Secret>,
    /// Hosts that are reached directly: names, `.suffixes`, or `*`.
    pub no_proxy: Vec<String>,
}

impl ProxySettings {
    /// Does the way to this host lead through the proxy?
    pub(crate) fn is_for(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        !self.no_proxy.iter().any(|entry| {
            let entry = entry.to_ascii_lowercase();
            entry == "*"
                || entry == host
                || entry
                    .strip_prefix('.')
                    .is_some_and(|domain| host == domain || host.ends_with(&entry))
        })
    }
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
    fn hosts_without_a_proxy_are_names_suffixes_or_all() {
        let proxy = |entry: &str| ProxySettings {
            url: "http://proxy:3128".to_owned(),
            authorization: None,
            no_proxy: vec![entry.to_owned()],
        };
        for (entry, host, expected) in [
            ("localhost", "localhost", false),
            ("localhost", "LocalHost", false),
            (".corp.example", "llm.corp.example", false),
            (".corp.example", "corp.example", false),
            (".corp.example", "notcorp.example", true),
            ("corp.example", "llm.corp.example", true),
            ("::1", "[::1]", false),
            ("*", "api.openai.com", false),
        ] {
            assert_eq!(proxy(entry).is_for(host), expected, "{entry} {host}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Some(Secret::new("sk-very-secret"))), "Some([redacted])");
    }
}
