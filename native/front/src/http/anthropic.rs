//! Refusals as Anthropic error objects.
//!
//! The statuses are those of the OpenAI dialects ([`super::error`]), which both SDKs act on alike; only the words differ.
use fairlead_engine::{Reason, Rejection};
use serde_json::{Map, Value, json};

/// The error object: Anthropic's members, and the facts for programs beside them. `request_id` may be empty.
pub(super) fn object(rejection: &Rejection, request_id: &str) -> Value {
    let facts: Map<String, Value> = rejection
        .metadata
        .iter()
        .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
        .collect();
    // Anthropic has no member for the field, so the message names it.
    let message = match rejection.violations.first() {
        Some(violation) => format!("{}: {}", violation.field, violation.description),
        None => rejection.message.clone(),
    };
    json!({
        "type": "error",
        "error": {
            "type": kind(rejection.reason),
            "message": message,
            "reason": rejection.reason.as_str(),
            "metadata": facts,
        },
        "request_id": (!request_id.is_empty()).then_some(request_id),
    })
}

/// Anthropic's `type`.
fn kind(reason: Reason) -> &'static str {
    match reason {
        Reason::RateLimited | Reason::QueueFull => "rate_limit_error",
        Reason::BudgetExhausted => "billing_error",
        Reason::PolicyDenied | Reason::ApprovalPending => "permission_error",
        Reason::CredentialMissing | Reason::CredentialInvalid => "authentication_error",
        Reason::NotFound | Reason::NoRoute => "not_found_error",
        Reason::PayloadTooLarge => "request_too_large",
        Reason::TargetsExhausted | Reason::Draining | Reason::NotReady | Reason::StoreUnavailable => "overloaded_error",
        Reason::DeadlineExceeded => "timeout_error",
        Reason::Internal => "api_error",
        Reason::InvalidArgument | Reason::InvalidState | Reason::LeaseLost | Reason::EtagMismatch => {
            "invalid_request_error"
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn every_reason_has_its_type() {
        for (reason, expected) in [
            (Reason::RateLimited, "rate_limit_error"),
            (Reason::BudgetExhausted, "billing_error"),
            (Reason::PolicyDenied, "permission_error"),
            (Reason::ApprovalPending, "permission_error"),
            (Reason::CredentialMissing, "authentication_error"),
            (Reason::NoRoute, "not_found_error"),
            (Reason::PayloadTooLarge, "request_too_large"),
            (Reason::TargetsExhausted, "overloaded_error"),
            (Reason::InvalidArgument, "invalid_request_error"),
            (Reason::DeadlineExceeded, "timeout_error"),
            (Reason::Internal, "api_error"),
        ] {
            let object = object(&Rejection::new(reason, "no"), "inv_1");
            assert_eq!(object["error"]["type"], expected, "{reason:?}");
            assert_eq!(
                (&object["type"], &object["request_id"]),
                (&"error".into(), &"inv_1".into())
            );
        }
    }

    #[test]
    fn a_violation_names_the_field_in_the_message() {
        let violation = fairlead_engine::FieldViolation {
            field: "max_tokens".into(),
            description: "is required".into(),
        };
        let object = object(&Rejection::invalid(vec![violation]), "");
        assert_eq!(object["error"]["message"], "max_tokens: is required");
        assert_eq!(object["request_id"], Value::Null);
    }
}
