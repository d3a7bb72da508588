//! What people are shown, and the digest of what they agree to.
use fairlead_plan::tool::{Json, JsonError, MOST_ARGUMENT_BYTES};
use fairlead_wire::v1::Approval;
use sha2::{Digest, Sha256};

use crate::rejection::{FieldViolation, Reason, Rejection};

/// A JSON value that people are shown, read once.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// Exactly these bytes are shown.
    pub bytes: Vec<u8>,
    /// Canonical text, which the digest is of.
    pub canonical: String,
}

impl Document {
    /// Reads a JSON value; `field` names it in violations.
    ///
    /// # Errors
    /// It is too large, or no JSON that can be decided on.
    pub(crate) fn parse(field: &str, bytes: &[u8]) -> Result<Self, Rejection> {
        if bytes.len() > MOST_ARGUMENT_BYTES {
            let message = format!(
                "{field} has {} bytes, at most {MOST_ARGUMENT_BYTES} can be shown to people",
                bytes.len()
            );
            return Err(Rejection::new(Reason::PayloadTooLarge, message)
                .with("field", field)
                .with("limit", MOST_ARGUMENT_BYTES));
        }
        let json = Json::parse(bytes).map_err(|JsonError { pointer, message }| {
            Rejection::invalid(vec![FieldViolation {
                field: format!("{field}{pointer}"),
                description: message,
            }])
        })?;
        Ok(Self {
            bytes: bytes.to_vec(),
            canonical: json.canonical(),
        })
    }
}

/// What people agree to: SHA-256 (hex) over canonical JSON. `arguments` is the canonical text of what they are shown.
pub(super) fn digest(approval: &Approval, arguments: &str) -> String {
    let text = |text: &str| Json::String(text.to_owned()).canonical();
    let price = approval.price.map_or_else(
        || "null".to_owned(),
        |price| {
            format!(
                r#"{{"nano_usd":{},"requests":{},"tokens":{}}}"#,
                price.nano_usd, price.requests, price.tokens
            )
        },
    );
    let canonical = format!(
        r#"{{"agent":{},"arguments":{arguments},"price":{price},"run":{},"step":{},"tenant":{},"tool":{}}}"#,
        text(&approval.agent),
        text(&approval.run),
        text(&approval.step),
        text(&approval.tenant),
        text(&approval.tool),
    );
    let digest = Sha256::digest(canonical.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use fairlead_wire::v1::Amount;

    use super::*;

    fn approval() -> Approval {
        Approval {
            tenant: "acme".to_owned(),
            agent: "bot".to_owned(),
            run: "r".to_owned(),
            step: "s".to_owned(),
            tool: "pay".to_owned(),
            ..Approval::default()
        }
    }

    #[test]
    fn the_digest_is_of_every_part() {
        let amount = |nano_usd| {
            Some(Amount {
                nano_usd,
                ..Amount::default()
            })
        };
        let first = digest(&approval(), "{}");
        let text = r#"{"agent":"bot","arguments":{},"price":null,"run":"r","step":"s","tenant":"acme","tool":"pay"}"#;
        let expected: String = Sha256::digest(text.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(first, expected);
        let changes: [fn(&mut Approval); 5] = [
            |one| one.tenant.push('x'),
            |one| one.agent.push('x'),
            |one| one.run.push('x'),
            |one| one.step.push('x'),
            |one| one.tool.push('x'),
        ];
        let mut digests = vec![first, digest(&approval(), "[]")];
        for change in changes {
            let mut changed = approval();
            change(&mut changed);
            digests.push(digest(&changed, "{}"));
        }
        for nano_usd in [0, 1] {
            let price = amount(nano_usd);
            digests.push(digest(&Approval { price, ..approval() }, "{}"));
        }
        let all = digests.len();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), all, "each part makes another digest");
    }

    #[test]
    fn a_document_is_bounded_json() {
        assert_eq!(Document::parse("show", b" [1.0] ").unwrap().canonical, "[1]");
        let broken = Document::parse("show", br#"{"a": nope}"#).unwrap_err();
        assert!(broken.violations[0].field.starts_with("show"));
        let large = Document::parse("show", &vec![b' '; MOST_ARGUMENT_BYTES + 1]).unwrap_err();
        assert_eq!(large.reason, Reason::PayloadTooLarge);
    }
}
