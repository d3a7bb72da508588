//! The one place that turns a refusal into a gRPC status.
//!
//! Every status carries exactly one `ErrorInfo` with domain `fairlead`; clients key on its reason, because codes are
//! ambiguous (grpc-core says `RESOURCE_EXHAUSTED` for oversize metadata, too). All details together stay under
//! [`MOST_DETAIL_BYTES`], so that they fit the 8 KiB of headers that grpc-core accepts, base64 included.
use std::collections::HashMap;
use std::time::Duration;

use fairlead_engine::{FieldViolation, Reason, Rejection};
use http::{HeaderName, HeaderValue, Response};
use tonic::body::Body;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Code, Status};
use tonic_types::{
    BadRequest, ErrorDetail, ErrorDetails, ErrorInfo, FieldViolation as BadField, QuotaFailure, QuotaViolation,
    RetryInfo, StatusExt,
};

/// Domain of every `ErrorInfo`.
pub const DOMAIN: &str = "fairlead";
/// Repeats the reason, for proxies and logs that do not decode details; also on the HTTP dialects.
pub const REASON_HEADER: HeaderName = HeaderName::from_static(REASON_NAME);
const REASON_NAME: &str = "x-fairlead-reason";
/// House cap of the encoded details.
pub const MOST_DETAIL_BYTES: usize = 4096;

/// What metadata, violations and message may take together; the rest is framing.
const MOST_TEXT_BYTES: usize = 3000;
const MOST_MESSAGE_BYTES: usize = 400;
const MOST_VALUE_BYTES: usize = 512;

/// The status of a refusal. `ErrorInfo` is the first detail.
pub fn of(rejection: &Rejection) -> Status {
    let message = cut(&rejection.message, MOST_MESSAGE_BYTES).to_owned();
    let mut room = MOST_TEXT_BYTES.saturating_sub(2 * message.len());
    let facts = metadata(rejection, &mut room);
    let mut details: Vec<ErrorDetail> = vec![ErrorInfo::new(rejection.reason.as_str(), DOMAIN, facts).into()];
    if let Some(nanos) = rejection.retry_after {
        let delay = Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
        details.push(RetryInfo::new(Some(delay)).into());
    }
    if matches!(rejection.reason, Reason::BudgetExhausted | Reason::RateLimited) {
        let subject = subject(rejection);
        let violation = QuotaViolation::new(cut(&subject, MOST_VALUE_BYTES), message.clone());
        details.push(QuotaFailure::new(vec![violation]).into());
    }
    if rejection.reason == Reason::InvalidArgument && !rejection.violations.is_empty() {
        details.push(BadRequest::new(violations(&rejection.violations, &mut room)).into());
    }
    let mut headers = MetadataMap::new();
    headers.insert(REASON_NAME, AsciiMetadataValue::from_static(rejection.reason.as_str()));
    Status::with_error_details_vec_and_metadata(code(rejection.reason), message, details, headers)
}

/// The status as a whole response without a message.
pub fn respond(rejection: &Rejection) -> Response<Body> {
    response(of(rejection))
}

/// There is no such method. Not a [`Reason`] of a decision, but an answer that carries details like all others.
pub fn unimplemented(message: &str) -> Response<Body> {
    let details = ErrorDetails::with_error_info("UNIMPLEMENTED", DOMAIN, HashMap::new());
    response(Status::with_error_details(Code::Unimplemented, message, details))
}

fn response(status: Status) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if status.add_header(response.headers_mut()).is_err() {
        // Percent-encoding leaves nothing that a header cannot hold; the code alone is still an answer.
        response
            .headers_mut()
            .insert(Status::GRPC_STATUS, HeaderValue::from_static("13"));
    }
    response
}

/// The code of a reason, as fixed by the API.
pub fn code(reason: Reason) -> Code {
    match reason {
        Reason::BudgetExhausted | Reason::RateLimited | Reason::QueueFull => Code::ResourceExhausted,
        Reason::PolicyDenied => Code::PermissionDenied,
        Reason::CredentialMissing | Reason::CredentialInvalid => Code::Unauthenticated,
        Reason::NotFound => Code::NotFound,
        Reason::NoRoute | Reason::InvalidState | Reason::ApprovalPending => Code::FailedPrecondition,
        Reason::LeaseLost | Reason::EtagMismatch => Code::Aborted,
        Reason::InvalidArgument | Reason::PayloadTooLarge => Code::InvalidArgument,
        Reason::TargetsExhausted | Reason::Draining | Reason::NotReady | Reason::StoreUnavailable => Code::Unavailable,
        Reason::DeadlineExceeded => Code::DeadlineExceeded,
        Reason::Internal => Code::Internal,
    }
}

/// What the quota is on: the budget's or rate limit's instance.
fn subject(rejection: &Rejection) -> String {
    let fact = |key: &str| rejection.metadata.get(key);
    match (
        fact("budget"),
        fact("rate_limit").or_else(|| fact("limit")),
        fact("instance"),
    ) {
        (Some(budget), _, Some(instance)) => format!("budgets/{budget}/instances/{instance}"),
        (Some(budget), _, None) => format!("budgets/{budget}"),
        (None, Some(limit), Some(instance)) => format!("rateLimits/{limit}/instances/{instance}"),
        (None, Some(limit), None) => format!("rateLimits/{limit}"),
        (None, None, _) => rejection.reason.as_str().to_owned(),
    }
}

/// The facts that fit, in key order; `truncated` tells when some do not.
fn metadata(rejection: &Rejection, room: &mut usize) -> HashMap<String, String> {
    let mut facts = HashMap::new();
    let mut truncated = false;
    for (key, value) in &rejection.metadata {
        let short = cut(value, MOST_VALUE_BYTES);
        truncated |= short.len() < value.len();
        let size = key.len() + short.len() + 8;
        if size > *room {
            truncated = true;
            continue;
        }
        *room -= size;
        facts.insert(key.clone(), short.to_owned());
    }
    if truncated {
        facts.insert("truncated".to_owned(), "true".to_owned());
    }
    facts
}

/// The violations that fit; the last one tells how many do not.
fn violations(all: &[FieldViolation], room: &mut usize) -> Vec<BadField> {
    let mut fitting = Vec::new();
    for (index, one) in all.iter().enumerate() {
        let field = cut(&one.field, MOST_VALUE_BYTES);
        let description = cut(&one.description, MOST_VALUE_BYTES);
        let size = field.len() + description.len() + 8;
        if size > *room {
            fitting.push(BadField::new(
                "",
                format!("{} more violations are not shown", all.len() - index),
            ));
            break;
        }
        *room -= size;
        fitting.push(BadField::new(field, description));
    }
    fitting
}

/// The longest prefix of at most `most` bytes that ends between characters.
fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn every_reason_has_its_code_and_one_error_info() {
        for (reason, expected) in [
            (Reason::BudgetExhausted, Code::ResourceExhausted),
            (Reason::RateLimited, Code::ResourceExhausted),
            (Reason::QueueFull, Code::ResourceExhausted),
            (Reason::PolicyDenied, Code::PermissionDenied),
            (Reason::ApprovalPending, Code::FailedPrecondition),
            (Reason::CredentialMissing, Code::Unauthenticated),
            (Reason::CredentialInvalid, Code::Unauthenticated),
            (Reason::NotFound, Code::NotFound),
            (Reason::NoRoute, Code::FailedPrecondition),
            (Reason::TargetsExhausted, Code::Unavailable),
            (Reason::LeaseLost, Code::Aborted),
            (Reason::EtagMismatch, Code::Aborted),
            (Reason::InvalidState, Code::FailedPrecondition),
            (Reason::InvalidArgument, Code::InvalidArgument),
            (Reason::PayloadTooLarge, Code::InvalidArgument),
            (Reason::Draining, Code::Unavailable),
            (Reason::NotReady, Code::Unavailable),
            (Reason::StoreUnavailable, Code::Unavailable),
            (Reason::DeadlineExceeded, Code::DeadlineExceeded),
            (Reason::Internal, Code::Internal),
        ] {
            let status = of(&Rejection::new(reason, "no").with("fact", 1));
            assert_eq!(status.code(), expected, "{reason:?}");
            let info = status.get_details_error_info().unwrap();
            assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason.as_str(), DOMAIN));
            assert_eq!(info.metadata["fact"], "1");
        }
    }

    #[test]
    fn a_budget_names_what_is_used_up() {
        let rejection = Rejection::new(Reason::BudgetExhausted, "no")
            .with("budget", "run")
            .with("instance", "run=r-1");
        let quota = of(&rejection).get_details_quota_failure().unwrap();
        assert_eq!(quota.violations[0].subject, "budgets/run/instances/run=r-1");
    }

    #[test]
    fn the_error_info_comes_first() {
        let status = of(&Rejection::new(Reason::RateLimited, "slow").retry_after(1));
        let details = status.get_error_details_vec();
        assert_eq!(details.len(), 3);
        assert!(matches!(details[0], ErrorDetail::ErrorInfo(_)));
    }

    #[test]
    fn a_retry_hint_is_kept() {
        let status = of(&Rejection::new(Reason::RateLimited, "slow").retry_after(1_500_000_000));
        assert_eq!(
            status.get_details_retry_info().unwrap().retry_delay,
            Some(Duration::from_millis(1500))
        );
    }

    #[test]
    fn details_stay_under_the_cap_whatever_is_in_them() {
        let mut rejection = Rejection::new(Reason::InvalidArgument, "ä".repeat(20_000));
        for index in 0..200 {
            rejection = rejection.with(&format!("key-{index:03}"), "x".repeat(5_000));
            rejection.violations.push(FieldViolation {
                field: format!("labels[{index}]"),
                description: "ß".repeat(900),
            });
        }
        let status = of(&rejection);
        assert!(status.details().len() < MOST_DETAIL_BYTES, "{}", status.details().len());
        assert_eq!(status.get_details_error_info().unwrap().metadata["truncated"], "true");
        assert!(status.message().len() <= MOST_MESSAGE_BYTES);
    }

    #[test]
    fn few_violations_are_all_there() {
        let violation = |field: &str| FieldViolation {
            field: field.into(),
            description: "must be positive".into(),
        };
        let rejection = Rejection::invalid(vec![violation("input_tokens"), violation("max_output_tokens")]);
        let fields: Vec<_> = of(&rejection)
            .get_details_bad_request()
            .unwrap()
            .field_violations
            .into_iter()
            .map(|one| one.field)
            .collect();
        assert_eq!(fields, ["input_tokens", "max_output_tokens"]);
    }
}
