//! The client of one provider.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connect::LimitedConnector;
use fairlead_dialect::Vendor;

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

/// The client of one provider: settings, prepared headers and a pool of connections.
pub(crate) struct Provider {
    settings: ProviderSettings,
    base: String,
    headers: HeaderMap,
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
        let base = base_url(&settings).map_err(fail)?;
        let headers = request_headers(&settings).map_err(fail)?;
        let connector = LimitedConnector::new(settings.timeouts.connect).map_err(fail)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(settings.max_idle_connections)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(HTTP2_PING)
            .build(connector);
        Ok(Self {
            settings,
            base,
            headers,
            client,
        })
    }

    pub(crate) fn settings(&self) -> &ProviderSettings {
        &self.settings
    }

    /// Sends one request and waits for the response's head. Dropping the future closes the connection (HTTP/1.1) or
    /// resets the stream (HTTP/2). `path` begins with a slash.
    pub(crate) async fn send(&self, path: &str, body: Bytes, streams: bool) -> Result<Response<Incoming>, SendError> {
        let uri: Uri = format!("{}{path}", self.base)
            .parse()
            .map_err(|_invalid| SendError::Connect)?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        let accept = if streams {
            "text/event-stream"
        } else {
            "application/json"
        };
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
        self.client.request(request).await.map_err(|error| {
            // The error's text may contain the URL, which is the operator's and no secret.
            tracing::debug!(provider = %self.settings.name, %error, "no response from the provider");
            if error.is_connect() {
                SendError::Connect
            } else {
                SendError::Reset
            }
        })
    }

    /// Removes the API key from text a provider sent back, should it ever echo it.
    pub(crate) fn without_secret(&self, body: Bytes) -> Bytes {
        let Some(key) = self
            .settings
            .api_key
            .as_ref()
            .map(|key| key.expose())
            .filter(|key| !key.is_empty())
        else {
            return body;
        };
        match std::str::from_utf8(&body) {
            Ok(text) if text.contains(key) => Bytes::from(text.replace(key, "[redacted]")),
            _ => body,
        }
    }
}

/// The base URL without a trailing slash.
fn base_url(settings: &ProviderSettings) -> Result<String, String> {
    let base = settings.base_url.trim_end_matches('/');
    let uri: Uri = base.parse().map_err(|_invalid| "baseUrl is not a URL".to_owned())?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err("baseUrl must begin with http:// or https:// and name a host".to_owned());
    }
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Err("baseUrl must not contain a user name or password; use apiKey".to_owned());
    }
    if uri.query().is_some() {
        return Err("baseUrl must not have a query".to_owned());
    }
    if settings.kind == Vendor::Ollama && matches!(uri.path(), "" | "/") {
        return Ok(format!("{base}/v1"));
    }
    Ok(base.to_owned())
}

/// The headers that every request to the provider has.
fn request_headers(settings: &ProviderSettings) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("fairlead/", env!("CARGO_PKG_VERSION"))),
    );
    // Bodies are read and passed on as they are, so they must not be compressed.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in &settings.headers {
        let header =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_invalid| format!("header {name:?} is not valid"))?;
        if header == AUTHORIZATION || header == HOST || header == ACCEPT_ENCODING {
            return Err(format!("header {name:?} is set by fairlead and cannot be configured"));
        }
        let mut value = HeaderValue::from_str(value.expose())
            .map_err(|_invalid| format!("the value of header {name:?} is not valid"))?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    if let Some(key) = &settings.api_key {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose().trim()))
            .map_err(|_invalid| "apiKey contains characters that cannot be sent in a header".to_owned())?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;
    use crate::client::{Secret, Timeouts};

    fn settings(base_url: &str) -> ProviderSettings {
        ProviderSettings {
            name: "p".to_owned(),
            kind: Vendor::OpenAiCompatible,
            base_url: base_url.to_owned(),
            api_key: Some(Secret::new("sk-123")),
            headers: Vec::new(),
            timeouts: Timeouts::default(),
            max_idle_connections: 4,
        }
    }

    #[test]
    fn refuses_what_is_not_an_absolute_http_url() {
        for base in [
            "",
            "api.openai.com/v1",
            "ftp://host/v1",
            "http://",
            "http://u:p@host/v1",
            "http://host/v1?k=v",
        ] {
            assert!(Provider::new(settings(base)).is_err(), "{base}");
        }
    }

    #[test]
    fn ollama_without_a_path_gets_the_version() {
        let mut ollama = settings("http://localhost:11434/");
        ollama.kind = Vendor::Ollama;
        assert_eq!(base_url(&ollama).unwrap(), "http://localhost:11434/v1");
        assert_eq!(
            base_url(&settings("http://localhost:1/")).unwrap(),
            "http://localhost:1"
        );
    }

    #[test]
    fn the_key_is_in_no_debug_output_and_is_removed_from_echoed_errors() {
        let provider = Provider::new(settings("http://localhost:1")).unwrap();
        assert!(!format!("{provider:?}").contains("sk-123"));
        assert!(!format!("{:?}", provider.headers).contains("sk-123"));
        let echoed = provider.without_secret(Bytes::from_static(b"wrong key sk-123!"));
        assert_eq!(&echoed[..], b"wrong key [redacted]!");
    }

    #[test]
    fn the_authorization_header_cannot_be_configured() {
        let mut broken = settings("http://localhost:1");
        broken
            .headers
            .push(("Authorization".to_owned(), Secret::new("Bearer other-secret")));
        let error = Provider::new(broken).unwrap_err().to_string();
        assert!(!error.contains("other-secret"), "{error}");
    }
}
