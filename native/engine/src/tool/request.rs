//! What a tool call has to look like before anybody decides on it.
use fairlead_plan::tool::{Json, JsonError, MOST_ARGUMENT_BYTES};
use fairlead_wire::v1::{AuthorizeToolRequest, CompleteToolRequest, ToolOutcome};
use sha2::{Digest, Sha256};

use crate::approval::Document;
use crate::keys;
use crate::rejection::{FieldViolation, Reason, Rejection};
use crate::validate::{Check, MOST_ID_CHARS};

/// Longest name of a tool, in characters.
const MOST_TOOL_CHARS: usize = 256;
/// Longest idempotency key, in characters.
const MOST_KEY_CHARS: usize = 256;

/// The arguments of a tool call, read once: outside the lock, since it takes as long as they are large.
#[derive(Debug, Clone)]
pub struct ToolArguments {
    pub(crate) json: Json,
    /// As requested.
    pub(crate) bytes: Vec<u8>,
    /// Canonical text.
    pub(crate) canonical: String,
    /// SHA-256 of the canonical text.
    pub(crate) digest: [u8; 32],
}

impl ToolArguments {
    /// Reads arguments; none are `{}`.
    ///
    /// # Errors
    /// They are too large, no JSON object, or no JSON that can be decided on.
    pub fn parse(bytes: &[u8]) -> Result<Self, Rejection> {
        Self::parse_as("arguments", bytes)
    }

    /// As [`parse`](Self::parse), of a field of another name.
    pub(crate) fn parse_as(field: &str, bytes: &[u8]) -> Result<Self, Rejection> {
        if bytes.len() > MOST_ARGUMENT_BYTES {
            let message = format!(
                "{field} has {} bytes, at most {MOST_ARGUMENT_BYTES} are taken",
                bytes.len()
            );
            return Err(Rejection::new(Reason::PayloadTooLarge, message)
                .with("field", field)
                .with("limit", MOST_ARGUMENT_BYTES));
        }
        let bytes = if bytes.is_empty() { b"{}" } else { bytes };
        let json = Json::parse(bytes)
            .map_err(|JsonError { pointer, message }| invalid(&format!("{field}{pointer}"), &message))?;
        if !matches!(json, Json::Object(_)) {
            return Err(invalid(field, "must be a JSON object"));
        }
        let canonical = json.canonical();
        Ok(Self {
            digest: Sha256::digest(canonical.as_bytes()).into(),
            bytes: bytes.to_vec(),
            canonical,
            json,
        })
    }

    /// As people are shown them.
    pub(crate) fn document(&self) -> Document {
        Document {
            bytes: self.bytes.clone(),
            canonical: self.canonical.clone(),
        }
    }
}

/// The field that a pointer into the arguments is about.
pub(super) fn place(pointer: &str) -> String {
    format!("arguments{pointer}")
}

/// The key that the caller gave, which is what rules see: a key that was made has the form of a grant's name.
pub(super) fn given_key(key: &str) -> &str {
    if keys::tool_call_id(key).is_some() { "" } else { key }
}

/// One bad field.
pub(super) fn invalid(field: &str, description: &str) -> Rejection {
    Rejection::invalid(vec![FieldViolation {
        field: field.to_owned(),
        description: description.to_owned(),
    }])
}

/// A request for a tool call; its arguments are checked by themselves.
pub(super) fn authorize(request: &AuthorizeToolRequest) -> Result<(), Rejection> {
    let mut check = Check::default();
    check.request_id(&request.request_id, true);
    if request.tool.is_empty() {
        check.fail("tool", "is required: the name of the tool");
    }
    check.text("tool", &request.tool, MOST_TOOL_CHARS);
    check.text("idempotency_key", &request.idempotency_key, MOST_KEY_CHARS);
    if given_key(&request.idempotency_key) != request.idempotency_key && request.ticket.is_empty() {
        check.fail(
            "idempotency_key",
            "must not have the form of a grant, which is kept for keys that are made",
        );
    }
    check.text("session", &request.session, MOST_ID_CHARS);
    check.text("run", &request.run, MOST_ID_CHARS);
    check.text("step", &request.step, MOST_ID_CHARS);
    check.labels(&request.labels);
    check.ticket(&request.ticket);
    check.done()
}

/// A completion. A result that is too large to be kept is not looked at.
pub(super) fn complete(request: &CompleteToolRequest, most_kept: u64) -> Result<(), Rejection> {
    let mut check = Check::default();
    check.request_id(&request.request_id, true);
    if keys::tool_call_id(&request.grant).is_none() {
        check.fail("grant", "must be the id of a grant: grt_ and 32 hexadecimal digits");
    }
    if request.outcome() == ToolOutcome::Unspecified {
        check.fail("outcome", "must say how the call ended");
    }
    let is_kept = request.result.len() as u64 <= most_kept;
    if is_kept && !request.result.is_empty() && !Json::is_valid(&request.result) {
        check.fail("result", "must be a JSON value");
    }
    check.done()
}
