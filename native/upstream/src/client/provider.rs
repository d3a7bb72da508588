//! The client of one provider.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use fairlead_dialect::Dialect;
use http::header::PROXY_AUTHORIZATION;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::address::Address;
use super::connect::{LimitedConnector, proxy_authorization, proxy_for};
use super::headers;
use super::redaction::Redaction;
use super::settings::{ProviderSettings, SettingsError};

/// How long an unused connection stays in the pool. Below the 60 s after which common load balancers close one.
const POOL_IDLE: Duration = Duration::from_secs(50);
/// How often a silent HTTP/2 connection with open streams is probed.
const HTTP2_PING: Duration = Duration::from_secs(20);

/// Why a request got no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendError {
    /// No connection could be made; nothing was sent.
    Connect,
    /// The connection ended before a response's head came.
    Reset,
}

/// A request to a provider.
pub(crate) struct Outgoing<'a> {
    /// Below the base URL, with a leading slash.
    pub(crate) path: &'a str,
    /// The model's name at the provider; some have it in the URL.
    pub(crate) upstream_model: &'a str,
    /// What the body is written in.
    pub(crate) dialect: Dialect,
    pub(crate) body: Bytes,
    pub(crate) streams: bool,
    /// Headers of the client that are for this target.
    pub(crate) forwarded: Option<&'a HeaderMap>,
}

/// The client of one provider: settings, prepared headers and a pool of connections.
pub(crate) struct Provider {
    settings: ProviderSettings,
    address: Address,
    headers: HeaderMap,
    redaction: Redaction,
    /// Requests go to a proxy that forwards them.
    forwarded: bool,
    client: Client<LimitedConnector, Full<Bytes>>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Provider")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Provider {
    /// Checks the settings and prepares the client; connects to nothing yet.
    pub(crate) fn new(settings: ProviderSettings) -> Result<Self, SettingsError> {
        let fail = |message: String| SettingsError {
            provider: settings.name.clone(),
            message,
        };
        let address = Address::new(&settings).map_err(fail)?;
        let mut headers = headers::of_provider(&settings).map_err(fail)?;
        let connector = LimitedConnector::new(&settings, address.base()).map_err(fail)?;
        let proxy = proxy_for(&settings, address.base()).filter(|_| address.base().scheme_str() == Some("http"));
        if let Some(value) = proxy.map(proxy_authorization).transpose().map_err(fail)?.flatten() {
            headers.insert(PROXY_AUTHORIZATION, value);
        }
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(settings.max_idle_connections)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(HTTP2_PING)
            .build(connector);
        Ok(Self {
            forwarded: proxy.is_some(),
            redaction: Redaction::of(&settings),
            settings,
            address,
            headers,
            client,
        })
    }

    pub(crate) fn settings(&self) -> &ProviderSettings {
        &self.settings
    }

    /// Sends one request and waits for the response's head. Dropping the future closes the connection (HTTP/1.1) or
    /// resets the stream (HTTP/2).
    pub(crate) async fn send(&self, outgoing: Outgoing<'_>) -> Result<Response<Incoming>, SendError> {
        let uri = self
            .address
            .of(outgoing.path, outgoing.upstream_model)
            .ok_or(SendError::Connect)?;
        let mut request = Request::new(Full::new(outgoing.body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() =
            headers::of_request(&self.headers, outgoing.dialect, outgoing.streams, outgoing.forwarded);
        let response = self.client.request(request).await.map_err(|error| {
            // The error's text may contain the URL, which is the operator's and no secret.
            tracing::debug!(provider = %self.settings.name, %error, "no response from the provider");
            if error.is_connect() {
                SendError::Connect
            } else {
                SendError::Reset
            }
        })?;
        if self.forwarded && response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            // The proxy speaks, not the provider.
            return Err(SendError::Connect);
        }
        Ok(response)
    }

    /// Removes the secrets from what a provider sent back, should it ever echo one.
    pub(crate) fn without_secret(&self, body: Bytes) -> Bytes {
        self.redaction.applied_to(body)
    }

    /// The same for a text about what it sent back: what a provider calls an error may be anything.
    pub(crate) fn text_without_secret(&self, text: String) -> String {
        String::from_utf8_lossy(&self.without_secret(Bytes::from(text))).into_owned()
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;
    use crate::client::{ProxySettings, Secret, Timeouts};
    use fairlead_dialect::Vendor;

    pub(in crate::client) fn settings(base_url: &str) -> ProviderSettings {
        ProviderSettings {
            name: "p".to_owned(),
            kind: Vendor::OpenAiCompatible,
            dialects: vec![Dialect::OpenAiChat],
            base_url: base_url.to_owned(),
            api_version: None,
            api_key: Some(Secret::new("sk-123")),
            headers: Vec::new(),
            secret_headers: Vec::new(),
            proxy: None,
            ca_pem: None,
            timeouts: Timeouts::default(),
            max_idle_connections: 4,
        }
    }

    #[test]
    fn no_secret_is_in_debug_output_or_left_in_echoed_errors() {
        let mut settings = settings("http://localhost:1");
        settings
            .secret_headers
            .push(("x-gateway".to_owned(), Secret::new("gw-4/5\"6")));
        settings.proxy = Some(ProxySettings {
            url: "http://proxy:3128".to_owned(),
            // user:pa55word
            authorization: Some(Secret::new("Basic dXNlcjpwYTU1d29yZA==")),
            no_proxy: Vec::new(),
        });
        let provider = Provider::new(settings).unwrap();
        let shown = format!("{provider:?} {:?}", provider.headers);
        for secret in [
            "sk-123",
            "gw-4/5\"6",
            "gw-4/5\\\"6",
            "gw-4\\/5\\\"6",
            "dXNlcjpwYTU1d29yZA==",
            "pa55word",
        ] {
            assert!(!shown.contains(secret), "{secret}");
            let echoed = provider.without_secret(Bytes::from(format!("{secret}: wrong {secret}!")));
            assert_eq!(&echoed[..], b"[redacted]: wrong [redacted]!");
        }
        assert_eq!(
            &provider.without_secret(Bytes::from_static(b"\xff fine"))[..],
            b"\xff fine"
        );
        assert_eq!(
            &provider.without_secret(Bytes::from_static(b"\xff sk-123"))[..],
            b"\xff [redacted]"
        );
    }

    #[test]
    fn a_proxy_is_an_http_url_without_a_password() {
        for url in ["proxy:3128", "https://proxy", "http://user:pass@proxy:3128", ""] {
            let mut settings = settings("https://localhost:1");
            settings.proxy = Some(ProxySettings {
                url: url.to_owned(),
                authorization: None,
                no_proxy: Vec::new(),
            });
            let error = Provider::new(settings).unwrap_err().to_string();
            assert!(!error.contains("pass@"), "{error}");
        }
    }
}
