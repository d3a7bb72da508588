//! Whose certificates are trusted.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Reads the certificates that TLS needs, so that the first call does not wait for it. Blocks for milliseconds.
pub fn warm_up() {
    if let Err(error) = everybody() {
        tracing::error!(error, "providers with https URLs cannot be reached");
    }
}

/// The TLS settings of a provider: with certificates of its own, nobody else is trusted.
pub(super) fn tls(ca_pem: Option<&str>) -> Result<ClientConfig, String> {
    match ca_pem {
        None => everybody(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|_broken| "the trusted certificates are not PEM".to_owned())?;
                roots
                    .add(certificate)
                    .map_err(|_broken| "one of the trusted certificates cannot be read".to_owned())?;
            }
            if roots.is_empty() {
                return Err("the trusted certificates contain no certificate".to_owned());
            }
            trusting(roots)
        }
    }
}

/// Made once: reading the system's certificates takes milliseconds.
///
/// Both root sets are trusted: Mozilla's, so that a minimal image without certificates works, and the system's, so
/// that a company's own authority works.
fn everybody() -> Result<ClientConfig, String> {
    static MADE: OnceLock<Result<ClientConfig, String>> = OnceLock::new();
    MADE.get_or_init(|| {
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        let (_added, _ignored) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        trusting(roots)
    })
    .clone()
}

fn trusting(roots: RootCertStore) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn certificates_that_cannot_be_read_are_refused() {
        for pem in [
            "",
            "no certificate",
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            assert!(tls(Some(pem)).is_err(), "{pem}");
        }
    }
}
