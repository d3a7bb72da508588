//! Takes a provider's secrets out of what comes back, should anybody ever echo them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::settings::ProviderSettings;

const REDACTED: &[u8] = b"[redacted]";

/// The secrets of one provider as they are and as JSON writes them, the longest first: one may be a part of another.
pub(super) struct Redaction(Vec<Vec<u8>>);

impl Redaction {
    pub(super) fn of(settings: &ProviderSettings) -> Self {
        let mut secrets: Vec<Vec<u8>> = Vec::new();
        let mut add = |secret: &[u8]| {
            let secret = secret.trim_ascii();
            let in_json = escaped(secret, b"\"\\");
            // Some encoders escape slashes as well; to whoever reads the JSON it is the same.
            let with_slashes = escaped(secret, b"\"\\/");
            for written in [secret.to_vec(), in_json, with_slashes] {
                if !written.is_empty() && !secrets.contains(&written) {
                    secrets.push(written);
                }
            }
        };
        if let Some(key) = &settings.api_key {
            add(key.expose().as_bytes());
        }
        for (_, value) in &settings.secret_headers {
            add(value.expose().as_bytes());
        }
        let proxy = settings.proxy.as_ref().and_then(|proxy| proxy.authorization.as_ref());
        if let Some(authorization) = proxy {
            let value = authorization.expose();
            add(value.as_bytes());
            if let Some((_scheme, credential)) = value.split_once(' ') {
                add(credential.as_bytes());
                let decoded = STANDARD.decode(credential.trim()).unwrap_or_default();
                if let Some(colon) = decoded.iter().position(|byte| *byte == b':') {
                    add(&decoded);
                    add(decoded.get(colon.saturating_add(1)..).unwrap_or_default());
                }
            }
        }
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// The text without the secrets; untouched when there is none in it.
    pub(super) fn applied_to(&self, text: Bytes) -> Bytes {
        self.0
            .iter()
            .fold(text, |text, secret| replaced(&text, secret).unwrap_or(text))
    }
}

/// The text with a backslash before each of these bytes.
fn escaped(text: &[u8], special: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        if special.contains(byte) {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out
}

/// `None` when the secret does not occur.
fn replaced(text: &[u8], secret: &[u8]) -> Option<Bytes> {
    let mut found = position(text, secret)?;
    let mut kept = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        let (before, from) = rest.split_at_checked(found)?;
        kept.extend_from_slice(before);
        kept.extend_from_slice(REDACTED);
        rest = from.get(secret.len()..)?;
        let Some(next) = position(rest, secret) else {
            kept.extend_from_slice(rest);
            return Some(kept.into());
        };
        found = next;
    }
}

fn position(text: &[u8], secret: &[u8]) -> Option<usize> {
    text.windows(secret.len()).position(|part| part == secret)
}
