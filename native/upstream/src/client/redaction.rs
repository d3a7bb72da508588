//! Takes a provider's secrets out of what comes back, should anybody ever echo them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::settings::ProviderSettings;

const REDACTED: &[u8] = b"[redacted]";

/// The secrets of one provider, the longest first: one may be a part of another.
pub(super) struct Redaction(Vec<Vec<u8>>);

impl Redaction {
    pub(super) fn of(settings: &ProviderSettings) -> Self {
        let mut secrets: Vec<Vec<u8>> = Vec::new();
        let mut add = |secret: &[u8]| {
            let secret = secret.trim_ascii();
            if !secret.is_empty() && !secrets.iter().any(|known| known == secret) {
                secrets.push(secret.to_vec());
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

/// `None` when the secret does not occur.
fn replaced(text: &[u8], secret: &[u8]) -> Option<Bytes> {
    let (mut found, mut length) = position(text, secret)?;
    let mut kept = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        let (before, from) = rest.split_at_checked(found)?;
        kept.extend_from_slice(before);
        kept.extend_from_slice(REDACTED);
        rest = from.get(length..)?;
        let Some(next) = position(rest, secret) else {
            kept.extend_from_slice(rest);
            return Some(kept.into());
        };
        (found, length) = next;
    }
}

/// Where the secret stands, however JSON spells it, and how many bytes it takes there.
fn position(text: &[u8], secret: &[u8]) -> Option<(usize, usize)> {
    (0..text.len()).find_map(|at| Some((at, spelled(text.get(at..)?, secret)?)))
}

/// How many bytes the secret takes at the beginning of a text.
fn spelled(text: &[u8], secret: &[u8]) -> Option<usize> {
    secret.iter().try_fold(0_usize, |at, byte| {
        let taken = spelled_byte(text.get(at..)?, *byte)?;
        at.checked_add(taken)
    })
}

/// A byte as it is, or behind a backslash, or by its number.
fn spelled_byte(text: &[u8], byte: u8) -> Option<usize> {
    match text {
        [b'\\', b'u', b'0', b'0', high, low, ..] => {
            let digit = |hex: u8| char::from(hex).to_digit(16);
            let number = digit(*high)?.checked_mul(16)?.checked_add(digit(*low)?)?;
            (number == u32::from(byte) && byte.is_ascii()).then_some(6)
        }
        [b'\\', escaped, ..] if *escaped == byte && matches!(byte, b'"' | b'/' | b'\\') => Some(2),
        [first, ..] if *first == byte => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn a_secret_is_found_however_json_spells_it() {
        let redaction = Redaction(vec![b"sk-1/\"x".to_vec()]);
        for spelled in [
            r#"sk-1/"x"#,
            r#"sk-1\/\"x"#,
            r#"\u0073k\u002d1/\u0022x"#,
            r#"sk\u002D1\/\"x"#,
        ] {
            let text = Bytes::from(format!("a {spelled} b sk-1 {spelled}"));
            assert_eq!(
                &redaction.applied_to(text)[..],
                b"a [redacted] b sk-1 [redacted]",
                "{spelled}"
            );
        }
        let plain = Bytes::from_static(b"\\u0073 sk-1/ \\");
        assert_eq!(redaction.applied_to(plain.clone()), plain);
    }
}
