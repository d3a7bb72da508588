//! The headers of requests to a provider.
//!
//! | kind | credential |
//! |---|---|
//! | `anthropic` | `x-api-key` |
//! | `azure-openai` | `api-key` |
//! | any other | `authorization: Bearer` |

use fairlead_dialect::{Dialect, Vendor};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::settings::{ProviderSettings, Secret};

/// Headers of a client that a target gets when it speaks the client's dialect.
pub const FORWARDED_HEADERS: [&str; 3] = ["anthropic-beta", "anthropic-version", "openai-beta"];

const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
/// The version that the Messages dialect of this program is.
const ANTHROPIC_VERSION_DEFAULT: HeaderValue = HeaderValue::from_static("2023-06-01");
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// What describes the body or the connection, and what carries credentials.
const RESERVED: [HeaderName; 14] = [
    HOST,
    ACCEPT,
    ACCEPT_ENCODING,
    AUTHORIZATION,
    PROXY_AUTHORIZATION,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    EXPECT,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// The headers that every request to the provider has.
pub(super) fn of_provider(settings: &ProviderSettings) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("fairlead/", env!("CARGO_PKG_VERSION"))),
    );
    // Bodies are read and passed on as they are, so they must not be compressed.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let credential = credential_header(settings.kind);
    let configured = settings.headers.iter().map(|(name, value)| (name, value.as_str()));
    let secret = settings
        .secret_headers
        .iter()
        .map(|(name, value)| (name, value.expose()));
    for (name, value) in configured.chain(secret) {
        let header =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_invalid| format!("header {name:?} is not valid"))?;
        if RESERVED.contains(&header)
            || header == credential
            || ["keep-alive", "proxy-connection"].contains(&header.as_str())
        {
            return Err(format!("header {name:?} is set by fairlead and cannot be configured"));
        }
        let mut value =
            HeaderValue::from_str(value).map_err(|_invalid| format!("the value of header {name:?} is not valid"))?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    if let Some(key) = &settings.api_key {
        headers.insert(credential, key_value(settings.kind, key)?);
    }
    Ok(headers)
}

fn credential_header(kind: Vendor) -> HeaderName {
    match kind {
        Vendor::Anthropic => X_API_KEY,
        Vendor::AzureOpenAi => API_KEY,
        Vendor::OpenAi | Vendor::Ollama | Vendor::OpenAiCompatible => AUTHORIZATION,
    }
}

fn key_value(kind: Vendor, key: &Secret) -> Result<HeaderValue, String> {
    let key = key.expose().trim();
    let value = match kind {
        Vendor::Anthropic | Vendor::AzureOpenAi => HeaderValue::from_str(key),
        Vendor::OpenAi | Vendor::Ollama | Vendor::OpenAiCompatible => HeaderValue::from_str(&format!("Bearer {key}")),
    };
    let mut value =
        value.map_err(|_invalid| "apiKey contains characters that cannot be sent in a header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// The headers of one request: the provider's, and what the client said in its own dialect. What is configured wins;
/// features that are asked for (`-beta`) add up.
pub(super) fn of_request(
    provider: &HeaderMap,
    dialect: Dialect,
    streams: bool,
    client: Option<&HeaderMap>,
) -> HeaderMap {
    let mut headers = provider.clone();
    let accept = if streams {
        "text/event-stream"
    } else {
        "application/json"
    };
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    for name in FORWARDED_HEADERS {
        let Some(client) = client.filter(|client| client.contains_key(name)) else {
            continue;
        };
        if provider.contains_key(name) && !name.ends_with("-beta") {
            continue;
        }
        for value in client.get_all(name) {
            headers.append(HeaderName::from_static(name), value.clone());
        }
    }
    if dialect == Dialect::AnthropicMessages && !headers.contains_key(&ANTHROPIC_VERSION) {
        headers.insert(ANTHROPIC_VERSION, ANTHROPIC_VERSION_DEFAULT);
    }
    headers
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;
    use crate::client::provider::tests::settings;

    #[test]
    fn each_kind_has_its_credential_header() {
        for (kind, name, value) in [
            (Vendor::OpenAi, "authorization", "Bearer sk-123"),
            (Vendor::OpenAiCompatible, "authorization", "Bearer sk-123"),
            (Vendor::Anthropic, "x-api-key", "sk-123"),
            (Vendor::AzureOpenAi, "api-key", "sk-123"),
        ] {
            let mut settings = settings("http://host");
            settings.kind = kind;
            let headers = of_provider(&settings).unwrap();
            assert_eq!(headers[name], value);
            assert!(headers[name].is_sensitive());
            let credentials = ["authorization", "x-api-key", "api-key"];
            assert_eq!(
                credentials.iter().filter(|name| headers.contains_key(**name)).count(),
                1,
                "{kind:?}"
            );
        }
    }

    #[test]
    fn what_fairlead_sets_cannot_be_configured() {
        let mut anthropic = settings("http://host");
        anthropic.kind = Vendor::Anthropic;
        for name in [
            "Authorization",
            "Host",
            "accept",
            "accept-encoding",
            "X-Api-Key",
            "connection",
            "content-encoding",
            "Content-Type",
            "expect",
            "keep-alive",
            "proxy-connection",
            "te",
            "trailer",
            "upgrade",
        ] {
            let mut broken = anthropic.clone();
            broken
                .secret_headers
                .push((name.to_owned(), Secret::new("other-secret")));
            let error = of_provider(&broken).unwrap_err();
            assert!(!error.contains("other-secret"), "{error}");
        }
    }

    #[test]
    fn the_configured_version_wins_and_asked_for_features_add_up() {
        let mut configured = settings("http://host");
        configured.headers = vec![("anthropic-beta".to_owned(), "a".to_owned())];
        let provider = of_provider(&configured).unwrap();
        let client: HeaderMap = [("anthropic-beta", "b"), ("anthropic-version", "2025-01-01")]
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .into_iter()
            .collect();
        let sent = of_request(&provider, Dialect::AnthropicMessages, false, Some(&client));
        assert_eq!(sent.get_all("anthropic-beta").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(sent["anthropic-version"], "2025-01-01");
        let sent = of_request(&provider, Dialect::AnthropicMessages, false, None);
        assert_eq!(sent["anthropic-version"], "2023-06-01");
        let sent = of_request(&provider, Dialect::OpenAiChat, true, None);
        assert!(!sent.contains_key("anthropic-version"));

        configured
            .headers
            .push(("anthropic-version".to_owned(), "2024-06-01".to_owned()));
        let provider = of_provider(&configured).unwrap();
        let sent = of_request(&provider, Dialect::AnthropicMessages, false, Some(&client));
        assert_eq!(sent["anthropic-version"], "2024-06-01");
    }
}
