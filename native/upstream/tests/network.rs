//! The way to a provider: proxies, certificates, and the addresses of kinds that have their own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::sync::Arc;

use fairlead_upstream::{Dialect, ProviderSettings, ProxySettings, Secret, Timeouts, Vendor};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

const BODY: &str = r#"{"model":"m","messages":[],"max_tokens":100}"#;
const AUTHORITY: &str = include_str!("certificates/ca.pem");
/// For `localhost`, by that authority; good for nothing else.
const CERTIFICATE: &str = include_str!("certificates/localhost.pem");
const CERTIFICATE_KEY: &str = include_str!("certificates/localhost.key");
const PROXY_CREDENTIAL: &str = "Basic dXNlcjpwYTU1d29yZA==";

/// TLS in front of a provider; its URL names `localhost`, as the certificate does.
async fn over_tls(provider: &ScriptedProvider) -> String {
    let behind = provider
        .base_url
        .trim_start_matches("http://")
        .trim_end_matches("/v1")
        .to_owned();
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(CERTIFICATE_KEY.as_bytes()).unwrap();
    let ring = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut provider = TcpStream::connect(behind).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut provider).await;
            });
        }
    });
    format!("https://localhost:{port}/v1")
}

/// A proxy for CONNECT that wants the credential; tells the head of every request.
async fn connect_proxy() -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (heads_in, heads) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let heads = heads_in.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let host = head.split_whitespace().nth(1).unwrap().to_owned();
                let allowed = head.contains(PROXY_CREDENTIAL);
                let _ = heads.send(head);
                if !allowed {
                    let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
                    let _ = stream.write_all(refusal).await;
                    return;
                }
                let mut target = TcpStream::connect(host).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut target).await;
            });
        }
    });
    (url, heads)
}

fn settings(base_url: &str) -> ProviderSettings {
    Rig::settings(&[base_url], Timeouts::default()).remove(0)
}

fn proxy(url: &str, authorization: Option<&str>) -> Option<ProxySettings> {
    Some(ProxySettings {
        url: url.to_owned(),
        authorization: authorization.map(Secret::new),
        no_proxy: Vec::new(),
    })
}

fn rig(settings: ProviderSettings) -> Rig {
    Rig::with_settings(vec![settings], Dialect::OpenAiChat, BODY).once()
}

#[tokio::test]
async fn certificates_of_its_own_replace_those_of_the_system() {
    let provider = ScriptedProvider::start(vec![whole(200, "", ANSWER)]).await;
    let url = over_tls(&provider).await;
    let stranger = rig(settings(&url));
    stranger.run().await;
    assert_eq!(stranger.attempts(), ["m0 ConnectFailed 0"]);
    let rig = rig(ProviderSettings {
        ca_pem: Some(AUTHORITY.to_owned()),
        ..settings(&url)
    });
    assert_eq!(body_of(rig.run().await).0, 200);
}

#[tokio::test]
async fn a_tunnel_leads_to_the_provider_and_hides_the_call_from_the_proxy() {
    let mut provider = ScriptedProvider::start(vec![whole(200, "", ANSWER)]).await;
    let url = over_tls(&provider).await;
    let (proxy_url, mut heads) = connect_proxy().await;
    let behind = ProviderSettings {
        ca_pem: Some(AUTHORITY.to_owned()),
        proxy: proxy(&proxy_url, Some(PROXY_CREDENTIAL)),
        ..settings(&url)
    };
    let allowed = rig(behind.clone());
    assert_eq!(body_of(allowed.run().await).0, 200);
    let head = heads.recv().await.unwrap();
    let host = url.trim_start_matches("https://").trim_end_matches("/v1");
    assert!(head.starts_with(&format!("CONNECT {host} HTTP/1.1")), "{head}");
    assert!(!head.contains(KEY), "{head}");
    let seen = provider.requests.recv().await.unwrap();
    assert!(
        !seen.head.to_ascii_lowercase().contains("proxy-authorization"),
        "{}",
        seen.head
    );

    let refused = rig(ProviderSettings {
        proxy: proxy(&proxy_url, None),
        ..behind.clone()
    });
    refused.run().await;
    assert_eq!(refused.attempts(), ["m0 ConnectFailed 0"]);

    let mut around = behind;
    around.proxy.as_mut().unwrap().no_proxy = vec!["localhost".to_owned()];
    let around = rig(around);
    around.run().await;
    heads.recv().await.unwrap();
    assert!(heads.try_recv().is_err(), "the third call goes around the proxy");
}

#[tokio::test]
async fn a_plain_target_is_asked_for_at_the_proxy_by_its_whole_url() {
    // The scripted provider plays the proxy.
    let mut forwards = ScriptedProvider::start(vec![
        whole(200, "", ANSWER),
        whole(407, "", "<html>who are you?</html>"),
    ])
    .await;
    let url = forwards.base_url.trim_end_matches("/v1").to_owned();
    let rig = rig(ProviderSettings {
        proxy: proxy(&url, Some(PROXY_CREDENTIAL)),
        ..settings("http://llm.corp.example:8080/v1")
    });
    assert_eq!(body_of(rig.run().await).0, 200);
    let head = forwards.requests.recv().await.unwrap().head;
    assert!(
        head.starts_with("POST http://llm.corp.example:8080/v1/chat/completions HTTP/1.1"),
        "{head}"
    );
    assert!(head.contains(PROXY_CREDENTIAL), "{head}");
    rig.run().await;
    assert_eq!(rig.attempts(), ["m0 Succeeded 200", "m0 ConnectFailed 0"]);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_a_connection_that_failed() {
    let gone = refused_url().await;
    for target in ["https://api.example/v1", "http://api.example/v1"] {
        let rig = rig(ProviderSettings {
            proxy: proxy(gone.trim_end_matches("/v1"), None),
            ..settings(target)
        });
        rig.run().await;
        assert_eq!(rig.attempts(), ["m0 ConnectFailed 0"], "{target}");
    }
}

#[tokio::test]
async fn azure_is_called_at_its_versionless_api_or_at_the_deployment() {
    let mut provider = ScriptedProvider::start(vec![whole(200, "", ANSWER), whole(200, "", ANSWER)]).await;
    let root = provider.base_url.trim_end_matches("/v1").to_owned();
    for (base_url, api_version, line) in [
        (
            format!("{root}/openai/v1"),
            None,
            "POST /openai/v1/chat/completions HTTP/1.1",
        ),
        (
            root.clone(),
            Some("2024-10-21".to_owned()),
            "POST /openai/deployments/up0/chat/completions?api-version=2024-10-21 HTTP/1.1",
        ),
    ] {
        let rig = rig(ProviderSettings {
            kind: Vendor::AzureOpenAi,
            api_version,
            ..settings(&base_url)
        });
        assert_eq!(body_of(rig.run().await).0, 200);
        let head = provider.requests.recv().await.unwrap().head;
        assert!(head.starts_with(line), "{head}");
        assert!(
            head.contains(&format!("api-key: {KEY}")) && !head.contains("authorization"),
            "{head}"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mut provider = ScriptedProvider::start(vec![whole(307, "location: /v1/elsewhere\r\n", "")]).await;
    let rig = rig(settings(&provider.base_url));
    rig.run().await;
    assert_eq!(rig.attempts(), ["m0 Garbled 307"]);
    provider.requests.recv().await.unwrap();
    assert!(provider.requests.try_recv().is_err());
}
