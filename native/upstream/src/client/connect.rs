//! TCP and TLS to a provider, within one time limit.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Stream = <HttpsConnector<HttpConnector> as Service<Uri>>::Response;

/// Connects with TCP_NODELAY; TCP and TLS together may take `limit`.
///
/// `HttpConnector` alone limits TCP only: a provider that accepts and then stalls in the handshake would look like a
/// slow answer, although nothing was sent yet.
#[derive(Clone)]
pub(super) struct LimitedConnector {
    inner: HttpsConnector<HttpConnector>,
    limit: Duration,
}

impl LimitedConnector {
    /// A connector for `http` and `https` URLs; HTTP/2 is used where TLS negotiates it.
    pub(super) fn new(limit: Duration) -> Result<Self, String> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(limit));
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        let inner = HttpsConnectorBuilder::new()
            .with_tls_config(tls()?)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(tcp);
        Ok(Self { inner, limit })
    }
}

impl Service<Uri> for LimitedConnector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.inner.call(uri);
        let limit = self.limit;
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected,
                Err(_elapsed) => Err("connecting took too long".into()),
            }
        })
    }
}

/// Reads the certificates that TLS needs, so that the first call does not wait for it. Blocks for milliseconds.
pub fn warm_up() {
    if let Err(error) = tls() {
        tracing::error!(error, "providers with https URLs cannot be reached");
    }
}

/// The TLS settings, made once: reading the system's certificates takes milliseconds.
///
/// Both root sets are trusted: Mozilla's, so that a minimal image without certificates works, and the system's, so
/// that a company's own authority works.
fn tls() -> Result<ClientConfig, String> {
    static MADE: OnceLock<Result<ClientConfig, String>> = OnceLock::new();
    MADE.get_or_init(|| {
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        let (_added, _ignored) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth())
    })
    .clone()
}
