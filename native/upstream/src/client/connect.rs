//! TCP and TLS to a provider, within one time limit.
//!
//! | proxy | target | way |
//! |---|---|---|
//! | none, or not for this host | any | straight |
//! | yes | `https` | CONNECT, then TLS with the provider: the proxy sees the host only |
//! | yes | `http` | the proxy is asked for the whole URL |

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use rustls::ClientConfig;
use tower_service::Service;

use super::settings::{ProviderSettings, ProxySettings};
use super::stream::ProviderStream;
use super::trust;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How the provider is reached.
#[derive(Clone)]
enum Way {
    Straight(HttpsConnector<HttpConnector>),
    Tunnel(HttpsConnector<Tunnel<HttpConnector>>),
    Forwarded { proxy: Uri, connector: HttpConnector },
}

/// Connects with TCP_NODELAY; proxy, TCP and TLS together may take `limit`.
///
/// `HttpConnector` alone limits TCP only: a provider that accepts and then stalls in the handshake would look like a
/// slow answer, although nothing was sent yet.
#[derive(Clone)]
pub(super) struct LimitedConnector {
    way: Way,
    limit: Duration,
}

impl LimitedConnector {
    /// A connector for the provider at `base`; HTTP/2 is used where TLS negotiates it.
    pub(super) fn new(settings: &ProviderSettings, base: &Uri) -> Result<Self, String> {
        let limit = settings.timeouts.connect;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(limit));
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        let tls = trust::tls(settings.ca_pem.as_deref())?;
        let way = match proxy_for(settings, base) {
            None => Way::Straight(secured(tls, tcp)),
            Some(proxy) => {
                let uri = proxy_uri(proxy)?;
                if base.scheme_str() == Some("https") {
                    let mut tunnel = Tunnel::new(uri, tcp);
                    if let Some(value) = proxy_authorization(proxy)? {
                        tunnel = tunnel.with_auth(value);
                    }
                    Way::Tunnel(secured(tls, tunnel))
                } else {
                    Way::Forwarded {
                        proxy: uri,
                        connector: tcp,
                    }
                }
            }
        };
        Ok(Self { way, limit })
    }
}

/// The proxy on the way to a provider.
pub(super) fn proxy_for<'a>(settings: &'a ProviderSettings, base: &Uri) -> Option<&'a ProxySettings> {
    settings
        .proxy
        .as_ref()
        .filter(|proxy| base.host().is_some_and(|host| proxy.is_for(host)))
}

/// The header that opens the proxy; never shown.
pub(super) fn proxy_authorization(proxy: &ProxySettings) -> Result<Option<HeaderValue>, String> {
    let Some(secret) = &proxy.authorization else {
        return Ok(None);
    };
    let mut value = HeaderValue::from_str(secret.expose())
        .map_err(|_invalid| "the proxy's credential contains characters that cannot be sent in a header".to_owned())?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn proxy_uri(proxy: &ProxySettings) -> Result<Uri, String> {
    let invalid = "the proxy's url must be http://HOST:PORT";
    let uri: Uri = proxy.url.parse().map_err(|_invalid| invalid.to_owned())?;
    let plain = uri
        .authority()
        .is_some_and(|authority| !authority.as_str().contains('@'));
    if uri.scheme_str() == Some("http") && plain && uri.host().is_some_and(|host| !host.is_empty()) {
        Ok(uri)
    } else {
        Err(invalid.to_owned())
    }
}

fn secured<C>(tls: ClientConfig, connector: C) -> HttpsConnector<C> {
    HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(connector)
}

impl Service<Uri> for LimitedConnector {
    type Response = ProviderStream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<ProviderStream, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.way {
            Way::Straight(connector) => connector.poll_ready(context),
            Way::Tunnel(connector) => connector.poll_ready(context),
            Way::Forwarded { connector, .. } => connector.poll_ready(context).map_err(Into::into),
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        type Connecting = Pin<Box<dyn Future<Output = Result<ProviderStream, BoxError>> + Send>>;
        let connecting: Connecting = match &mut self.way {
            Way::Straight(connector) => {
                let connecting = connector.call(uri);
                Box::pin(async move { Ok(ProviderStream::new(connecting.await?, false)) })
            }
            Way::Tunnel(connector) => {
                let connecting = connector.call(uri);
                Box::pin(async move { Ok(ProviderStream::new(connecting.await?, false)) })
            }
            Way::Forwarded { proxy, connector } => {
                let connecting = connector.call(proxy.clone());
                Box::pin(async move { Ok(ProviderStream::new(connecting.await?.into(), true)) })
            }
        };
        let limit = self.limit;
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected,
                Err(_elapsed) => Err("connecting took too long".into()),
            }
        })
    }
}
