//! Refusals as error objects of the dialects: the one place that maps a [`Reason`] to a status. The codes are OpenAI's;
//! Anthropic's words are in [`super::anthropic`].
//!
//! | reason | status | code | SDKs |
//! |---|---|---|---|
//! | `RATE_LIMITED`, `QUEUE_FULL` | 429 | `rate_limit_exceeded` | retry after `Retry-After` |
//! | `BUDGET_EXHAUSTED` | 429 | `insufficient_quota` | do not retry |
//! | `POLICY_DENIED` | 403 | `policy_denied` | do not retry |
//! | `APPROVAL_PENDING` | 403 | `approval_pending`; `x-fairlead-ticket` | do not retry |
//! | `CREDENTIAL_…` | 401 | `invalid_api_key` | |
//! | `NO_ROUTE` | 404 | `model_not_found` | |
//! | `TARGETS_EXHAUSTED`, `DRAINING`, `NOT_READY`, `STORE_UNAVAILABLE` | 503 | the reason in lower case | retry |
//! | `INVALID_ARGUMENT` | 400 | `invalid_argument` | |
//! | `PAYLOAD_TOO_LARGE` | 413 | `payload_too_large` | do not retry |
//! | `INVALID_STATE` | 409 | `invalid_state` | do not retry |
use std::time::Duration;

use fairlead_engine::{Reason, Rejection};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use tonic::body::Body;

use super::{Family, anthropic, put, put_head};
use crate::model::Refused;
use crate::status::REASON_HEADER;

const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// The response of a refusal.
pub(super) fn refused(refused: &Refused, family: Family) -> Response<Body> {
    let Refused { rejection, head } = refused;
    let object = match family {
        Family::OpenAi => object(rejection),
        Family::Anthropic => {
            let known = rejection.metadata.get("invocation").map(String::as_str);
            let invocation = head.as_ref().map(|head| head.invocation.as_str()).or(known);
            anthropic::object(rejection, invocation.unwrap_or_default())
        }
    };
    let mut response = super::json(status(rejection.reason), object.to_string());
    let headers = response.headers_mut();
    if let Some(head) = head {
        put_head(headers, head);
    }
    for (fact, name) in [
        ("invocation", super::INVOCATION),
        ("config_version", super::CONFIG_VERSION),
        ("ticket", super::TICKET),
    ] {
        if let Some(value) = rejection.metadata.get(fact).filter(|_| !headers.contains_key(&name)) {
            put(headers, name, value);
        }
    }
    put(headers, REASON_HEADER, rejection.reason.as_str());
    if final_answer(rejection.reason) {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    if let Some(nanos) = rejection.retry_after {
        let after = Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
        // Rounded up: whoever obeys must not come a moment too early.
        let millis = after.as_nanos().div_ceil(1_000_000);
        put(headers, header::RETRY_AFTER, &millis.div_ceil(1000).to_string());
        put(headers, RETRY_AFTER_MS, &millis.to_string());
    }
    response
}

/// The error object: OpenAI's four members, and the facts for programs beside them.
fn object(rejection: &Rejection) -> Value {
    let param = match rejection.reason {
        Reason::NoRoute => Some("model"),
        _ => rejection.violations.first().map(|violation| violation.field.as_str()),
    };
    let facts: serde_json::Map<String, Value> = rejection
        .metadata
        .iter()
        .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
        .collect();
    json!({"error": {
        "message": rejection.message,
        "type": kind(rejection.reason),
        "param": param,
        "code": code(rejection.reason),
        "reason": rejection.reason.as_str(),
        "metadata": facts,
    }})
}

fn status(reason: Reason) -> StatusCode {
    match reason {
        Reason::BudgetExhausted | Reason::RateLimited | Reason::QueueFull => StatusCode::TOO_MANY_REQUESTS,
        Reason::PolicyDenied | Reason::ApprovalPending => StatusCode::FORBIDDEN,
        Reason::CredentialMissing | Reason::CredentialInvalid => StatusCode::UNAUTHORIZED,
        Reason::NotFound | Reason::NoRoute => StatusCode::NOT_FOUND,
        Reason::TargetsExhausted | Reason::Draining | Reason::NotReady | Reason::StoreUnavailable => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Reason::LeaseLost | Reason::EtagMismatch | Reason::InvalidState => StatusCode::CONFLICT,
        Reason::InvalidArgument => StatusCode::BAD_REQUEST,
        Reason::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Reason::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// OpenAI's `type`.
fn kind(reason: Reason) -> &'static str {
    match reason {
        Reason::BudgetExhausted => "insufficient_quota",
        Reason::RateLimited | Reason::QueueFull => "requests",
        _ if status(reason).is_server_error() => "server_error",
        _ => "invalid_request_error",
    }
}

/// OpenAI's `code` where it has one, else the reason in its spelling.
fn code(reason: Reason) -> String {
    match reason {
        Reason::BudgetExhausted => "insufficient_quota".to_owned(),
        Reason::RateLimited => "rate_limit_exceeded".to_owned(),
        Reason::CredentialMissing | Reason::CredentialInvalid => "invalid_api_key".to_owned(),
        Reason::NoRoute => "model_not_found".to_owned(),
        other => other.as_str().to_ascii_lowercase(),
    }
}

/// SDKs retry 409 and 429 on their own; these stay what they are.
fn final_answer(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::BudgetExhausted
            | Reason::InvalidState
            | Reason::PayloadTooLarge
            | Reason::PolicyDenied
            | Reason::ApprovalPending
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn answer(rejection: Rejection) -> (u16, http::HeaderMap, Value) {
        let response = refused(
            &Refused {
                rejection: rejection.clone(),
                head: None,
            },
            Family::OpenAi,
        );
        (
            response.status().as_u16(),
            response.headers().clone(),
            object(&rejection),
        )
    }

    #[test]
    fn a_rate_limit_tells_when_to_come_back() {
        let (status, headers, object) = answer(Rejection::new(Reason::RateLimited, "slow").retry_after(1_200_000_001));
        assert_eq!(status, 429);
        assert_eq!(
            (&headers["retry-after"], &headers["retry-after-ms"]),
            (&"2".parse().unwrap(), &"1201".parse().unwrap())
        );
        assert_eq!(object["error"]["code"], "rate_limit_exceeded");
        assert!(!headers.contains_key("x-should-retry"));
    }

    #[test]
    fn a_budget_is_not_retried() {
        let rejection = Rejection::new(Reason::BudgetExhausted, "spent")
            .with("budget", "run")
            .with("invocation", "inv_1");
        let (status, headers, object) = answer(rejection);
        assert_eq!((status, &headers["x-should-retry"]), (429, &"false".parse().unwrap()));
        assert_eq!(
            (&headers["x-fairlead-reason"], &headers["x-fairlead-invocation"]),
            (&"BUDGET_EXHAUSTED".parse().unwrap(), &"inv_1".parse().unwrap())
        );
        assert_eq!(
            (&object["error"]["code"], &object["error"]["type"]),
            (&"insufficient_quota".into(), &"insufficient_quota".into())
        );
        assert_eq!(object["error"]["metadata"]["budget"], "run");
    }

    #[test]
    fn a_call_that_waits_for_people_names_its_ticket() {
        let (status, headers, object) = answer(Rejection::new(Reason::ApprovalPending, "wait").with("ticket", "tkt_1"));
        assert_eq!((status, &headers["x-should-retry"]), (403, &"false".parse().unwrap()));
        assert_eq!(headers["x-fairlead-ticket"], "tkt_1");
        assert_eq!(object["error"]["code"], "approval_pending");
    }

    #[test]
    fn every_reason_has_its_status_and_code() {
        for (reason, expected, code) in [
            (Reason::PolicyDenied, 403, "policy_denied"),
            (Reason::CredentialMissing, 401, "invalid_api_key"),
            (Reason::CredentialInvalid, 401, "invalid_api_key"),
            (Reason::NoRoute, 404, "model_not_found"),
            (Reason::TargetsExhausted, 503, "targets_exhausted"),
            (Reason::StoreUnavailable, 503, "store_unavailable"),
            (Reason::Draining, 503, "draining"),
            (Reason::NotReady, 503, "not_ready"),
            (Reason::InvalidArgument, 400, "invalid_argument"),
            (Reason::PayloadTooLarge, 413, "payload_too_large"),
            (Reason::InvalidState, 409, "invalid_state"),
            (Reason::QueueFull, 429, "queue_full"),
            (Reason::NotFound, 404, "not_found"),
            (Reason::DeadlineExceeded, 504, "deadline_exceeded"),
            (Reason::Internal, 500, "internal"),
        ] {
            let (status, headers, object) = answer(Rejection::new(reason, "no"));
            assert_eq!(
                (status, &object["error"]["code"]),
                (expected, &code.into()),
                "{reason:?}"
            );
            assert_eq!(headers["x-fairlead-reason"], reason.as_str());
        }
    }

    #[test]
    fn a_violation_names_the_parameter() {
        let violation = fairlead_engine::FieldViolation {
            field: "messages".into(),
            description: "is required".into(),
        };
        let (_, _, object) = answer(Rejection::invalid(vec![violation]));
        assert_eq!(object["error"]["param"], "messages");
    }
}
