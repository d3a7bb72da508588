//! What is not in the dialect's body, from headers.
//!
//! | header | meaning |
//! |---|---|
//! | `x-fairlead-workload`, `-session`, `-run`, `-step` | as in `CallContext` |
//! | `x-fairlead-labels` | `k=v,k2=v2` |
//! | `x-fairlead-attributes` | a JSON object |
//! | `x-fairlead-min-quality` | 0 to 1 |
//! | `x-fairlead-min-output-tokens` | a number |
//! | `x-fairlead-request-id`, else `idempotency-key` | the same id returns the first answer for 24 h |
//! | `x-fairlead-ticket` | to go on with a call that people had to agree to |
//!
//! The body's `user` is the caller's word and never an identity: that comes from the credential.
use std::collections::BTreeMap;

use fairlead_engine::{FieldViolation, Rejection};
use fairlead_wire::v1::CallContext;
use http::HeaderMap;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use crate::model::{context_violations, labels};

/// Deepest nesting of attributes.
const DEPTH: usize = 16;

/// What headers say of a call.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    pub(super) context: CallContext,
    pub(super) request_id: String,
    pub(super) ticket: String,
}

/// The context, the request id and the ticket; all violations at once.
pub(super) fn read(headers: &HeaderMap) -> Result<Said, Rejection> {
    let mut reader = Reader {
        headers,
        violations: Vec::new(),
    };
    let mut context = CallContext {
        workload: reader.text("x-fairlead-workload"),
        session: reader.text("x-fairlead-session"),
        run: reader.text("x-fairlead-run"),
        step: reader.text("x-fairlead-step"),
        ..CallContext::default()
    };
    context.labels = reader
        .parsed(
            "x-fairlead-labels",
            "must be pairs such as `k=v,k2=v2`, each key once",
            labels,
        )
        .unwrap_or_default();
    context.attributes = reader.parsed(
        "x-fairlead-attributes",
        "must be a JSON object, at most 16 levels deep",
        attributes,
    );
    context.min_quality = reader.parsed("x-fairlead-min-quality", "must be a number from 0 to 1", |text| {
        text.parse::<f64>().ok().filter(|quality| (0.0..=1.0).contains(quality))
    });
    context.min_output_tokens = reader
        .parsed(
            "x-fairlead-min-output-tokens",
            "must be a whole number, not negative",
            |text| text.parse::<i64>().ok().filter(|tokens| *tokens >= 0),
        )
        .unwrap_or(0);
    let name = if headers.contains_key("x-fairlead-request-id") {
        "x-fairlead-request-id"
    } else {
        "idempotency-key"
    };
    let request_id = reader.text(name);
    let ticket = reader.text("x-fairlead-ticket");
    let mut violations = reader.violations;
    violations.extend(context_violations(&context, &request_id).into_iter().map(|violation| {
        // The only one that is left to find: the others were checked above.
        FieldViolation {
            field: name.to_owned(),
            ..violation
        }
    }));
    if violations.is_empty() {
        Ok(Said {
            context,
            request_id,
            ticket,
        })
    } else {
        Err(Rejection::invalid(violations))
    }
}

struct Reader<'a> {
    headers: &'a HeaderMap,
    violations: Vec<FieldViolation>,
}

impl Reader<'_> {
    /// The value of a header; empty when it is absent.
    fn text(&mut self, name: &str) -> String {
        let Some(value) = self.headers.get(name) else {
            return String::new();
        };
        match std::str::from_utf8(value.as_bytes()) {
            Ok(text) => text.trim().to_owned(),
            Err(_) => {
                self.add(name, "must be UTF-8");
                String::new()
            }
        }
    }

    fn parsed<T>(&mut self, name: &str, expected: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text(name);
        if text.is_empty() {
            return None;
        }
        let value = parse(&text);
        if value.is_none() {
            self.add(name, expected);
        }
        value
    }

    fn add(&mut self, field: &str, description: &str) {
        self.violations.push(FieldViolation {
            field: field.to_owned(),
            description: description.to_owned(),
        });
    }
}

fn attributes(text: &str) -> Option<Struct> {
    let serde_json::Value::Object(object) = serde_json::from_str(text).ok()? else {
        return None;
    };
    fields(object, DEPTH)
}

fn fields(object: serde_json::Map<String, serde_json::Value>, depth: usize) -> Option<Struct> {
    let fields = object
        .into_iter()
        .map(|(key, value)| Some((key, value_of(value, depth)?)))
        .collect::<Option<BTreeMap<String, Value>>>()?;
    Some(Struct { fields })
}

fn value_of(value: serde_json::Value, depth: usize) -> Option<Value> {
    let inner = depth.checked_sub(1)?;
    let kind = match value {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(value) => Kind::BoolValue(value),
        // A Struct has doubles only, as over gRPC.
        serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64()?),
        serde_json::Value::String(text) => Kind::StringValue(text),
        serde_json::Value::Array(values) => Kind::ListValue(ListValue {
            values: values
                .into_iter()
                .map(|value| value_of(value, inner))
                .collect::<Option<_>>()?,
        }),
        serde_json::Value::Object(object) => Kind::StructValue(fields(object, inner)?),
    };
    Some(Value { kind: Some(kind) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever a client writes into our headers is a context or violations that name them.
        #[test]
        fn hostile_headers(which in 0_usize..5, value in prop_oneof![
            "[ -~]{0,60}", "[a-z=, ]{0,60}", "(\\{\"a\":|\\[|\\]|\\}|1e999|null){0,40}",
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| bytes.iter().map(|byte| char::from(*byte)).collect::<String>()),
        ]) {
            let name = ["x-fairlead-labels", "x-fairlead-attributes", "x-fairlead-min-quality",
                "x-fairlead-min-output-tokens", "x-fairlead-request-id"][which];
            if let Ok(value) = http::HeaderValue::from_bytes(value.as_bytes()) {
                let headers = HeaderMap::from_iter([(http::HeaderName::from_static(name), value)]);
                if let Err(rejection) = read(&headers) {
                    prop_assert!(rejection.violations.iter().all(|violation| violation.field == name));
                }
            }
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn every_header_has_its_place() {
        let said = read(&headers(&[
            ("x-fairlead-workload", "classification"),
            ("x-fairlead-session", "s"),
            ("x-fairlead-run", "r"),
            ("x-fairlead-step", "t"),
            ("x-fairlead-labels", "tier=free,region=eu"),
            ("x-fairlead-attributes", r#"{"amount":12.5,"list":[1,null,{"a":true}]}"#),
            ("x-fairlead-min-quality", "0.85"),
            ("x-fairlead-min-output-tokens", "32"),
            ("idempotency-key", "other"),
            ("x-fairlead-request-id", "id-1"),
            ("x-fairlead-ticket", "tkt_1"),
        ]))
        .unwrap();
        let context = said.context;
        assert_eq!(
            (&*context.workload, &*context.session, &*context.run, &*context.step),
            ("classification", "s", "r", "t")
        );
        assert_eq!(context.labels["region"], "eu");
        assert_eq!(
            context.attributes.unwrap().fields["amount"].kind,
            Some(Kind::NumberValue(12.5))
        );
        assert_eq!((context.min_quality, context.min_output_tokens), (Some(0.85), 32));
        assert_eq!((said.request_id.as_str(), said.ticket.as_str()), ("id-1", "tkt_1"));
    }

    #[test]
    fn all_violations_come_at_once() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(20), "]".repeat(20));
        let rejection = read(&headers(&[
            ("x-fairlead-labels", "tier"),
            ("x-fairlead-attributes", &deep),
            ("x-fairlead-min-quality", "NaN"),
            ("x-fairlead-min-output-tokens", "-1"),
            ("idempotency-key", &"x".repeat(129)),
        ]))
        .unwrap_err();
        let fields: Vec<_> = rejection
            .violations
            .iter()
            .map(|violation| violation.field.as_str())
            .collect();
        assert_eq!(
            fields,
            [
                "x-fairlead-labels",
                "x-fairlead-attributes",
                "x-fairlead-min-quality",
                "x-fairlead-min-output-tokens",
                "idempotency-key"
            ]
        );
    }

    #[test]
    fn without_headers_there_is_an_empty_context() {
        assert_eq!(read(&HeaderMap::new()).unwrap(), Said::default());
    }
}
