//! What makes two calls the same call.
//!
//! The body counts as its JSON says, not as it is written: members are sorted, strings unescaped, white space is dropped.
//! Numbers stay as they are written, so `1` and `1.0` are two: reading them as floating point could make two into one.
use std::collections::BTreeMap;

use fairlead_dialect::{Dialect, Request};
use fairlead_wire::v1::CallContext;
use http::HeaderMap;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// Largest body that is compared. Each level of nesting is read once more, so both are bounded.
const MOST_BODY_BYTES: usize = 1 << 20;
const MOST_DEPTH: usize = 32;

/// SHA-256 over everything that may change the answer.
pub(crate) type Key = [u8; 32];

/// A call, as far as its answer depends on it.
pub(crate) struct Asked<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) config_version: &'a str,
    pub(crate) request: &'a Request,
    pub(crate) context: &'a CallContext,
    /// Labels of the agent over those of the call.
    pub(crate) labels: &'a BTreeMap<String, String>,
    /// Headers that providers of the same dialect get.
    pub(crate) headers: &'a HeaderMap,
}

impl Asked<'_> {
    /// The key; `None` for a call whose answer depends on more than is in it, or whose body is too large to compare.
    pub(crate) fn key(&self) -> Option<Key> {
        let body = self.request.body();
        if body.len() > MOST_BODY_BYTES {
            return None;
        }
        let facts = self.request.facts();
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(b"fairlead/cache/v1");
        part(self.tenant.as_bytes());
        part(self.config_version.as_bytes());
        part(self.request.dialect().name().as_bytes());
        part(&[u8::from(facts.stream)]);
        part(self.context.workload.as_bytes());
        part(&self.context.min_output_tokens.to_be_bytes());
        part(&self.context.min_quality.unwrap_or(-1.0).to_be_bytes());
        part(&(self.labels.len() as u64).to_be_bytes());
        for (name, value) in self.labels {
            part(name.as_bytes());
            part(value.as_bytes());
        }
        let mut headers: Vec<_> = self.headers.iter().collect();
        headers.sort_unstable_by_key(|(name, value)| (name.as_str(), value.as_bytes()));
        for (name, value) in headers {
            part(name.as_str().as_bytes());
            part(value.as_bytes());
        }
        let mut canonical = Vec::with_capacity(body.len());
        write_body(self.request.dialect(), body, &mut canonical)?;
        part(&canonical);
        Some(hash.finalize().into())
    }
}

/// Who asks on whose behalf: nothing that a model reads. In Responses these are part of the answer, so they stay.
fn is_identity(dialect: Dialect, member: &str) -> bool {
    match dialect {
        Dialect::OpenAiChat => matches!(member, "user" | "safety_identifier"),
        Dialect::AnthropicMessages => member == "metadata",
        Dialect::OpenAiResponses => false,
    }
}

/// What makes the answer depend on what the provider keeps.
fn is_stateful(member: &str) -> bool {
    member == "conversation"
}

fn write_body(dialect: Dialect, body: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut members: Members<'_> = serde_json::from_slice(body).ok()?;
    if members.0.iter().any(|(name, _)| is_stateful(name)) {
        return None;
    }
    members.0.retain(|(name, _)| !is_identity(dialect, name));
    write_members(members, MOST_DEPTH, out)
}

/// The members of an object as they are written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collects;
        impl<'de> Visitor<'de> for Collects {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Collects).map(Members)
    }
}

fn write_value(value: &RawValue, depth: usize, out: &mut Vec<u8>) -> Option<()> {
    let text = value.get();
    match text.as_bytes().first()? {
        b'{' => write_members(serde_json::from_str(text).ok()?, depth.checked_sub(1)?, out),
        b'[' => {
            let depth = depth.checked_sub(1)?;
            let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            out.push(b'[');
            for element in elements {
                write_value(element, depth, out)?;
                out.push(b',');
            }
            out.push(b']');
            Some(())
        }
        b'"' => write_text(&serde_json::from_str::<String>(text).ok()?, out),
        _ => {
            out.extend_from_slice(text.as_bytes());
            Some(())
        }
    }
}

/// Sorted by name. A name that comes twice is not compared: whoever reads it may take the first or the last.
fn write_members(mut members: Members<'_>, depth: usize, out: &mut Vec<u8>) -> Option<()> {
    members.0.sort_by(|(one, _), (other, _)| one.cmp(other));
    out.push(b'{');
    let mut before: Option<&str> = None;
    for (name, value) in &members.0 {
        if before.replace(name) == Some(name) {
            return None;
        }
        write_text(name, out)?;
        out.push(b':');
        write_value(value, depth, out)?;
        out.push(b',');
    }
    out.push(b'}');
    Some(())
}

fn write_text(text: &str, out: &mut Vec<u8>) -> Option<()> {
    serde_json::to_writer(out, text).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use bytes::Bytes;

    use super::*;

    const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"h\u0069"}],"temperature":1}"#;

    fn request(body: &str) -> Request {
        Request::parse(Dialect::OpenAiChat, Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    fn key_with(body: &str, change: impl FnOnce(&mut Asked<'_>, &mut CallContext)) -> Option<Key> {
        let (request, none, headers) = (request(body), BTreeMap::new(), HeaderMap::new());
        let mut context = CallContext::default();
        let fixed = CallContext::default();
        let mut asked = Asked {
            tenant: "acme",
            config_version: "v1",
            request: &request,
            context: &fixed,
            labels: &none,
            headers: &headers,
        };
        change(&mut asked, &mut context);
        Asked {
            context: &context,
            ..asked
        }
        .key()
    }

    fn key(body: &str) -> Option<Key> {
        key_with(body, |_, _| ())
    }

    #[test]
    fn the_same_json_is_the_same_call_however_it_is_written() {
        let other = r#" { "temperature" : 1, "messages":[{"content":"hi","role":"user"}], "model":"m" } "#;
        assert!(key(BODY).is_some() && key(BODY) == key(other));
    }

    #[test]
    fn who_asks_for_whom_is_not_part_of_the_call_and_everything_else_is() {
        let with = |member: &str| key(&BODY.replacen('{', &format!("{{{member},"), 1)).unwrap();
        assert_eq!(with(r#""user":"u-1""#), key(BODY).unwrap());
        for member in [r#""seed":1"#, r#""n":2"#, r#""metadata":{}"#, r#""stream":true"#] {
            assert_ne!(with(member), key(BODY).unwrap(), "{member}");
        }
        assert_ne!(
            key(&BODY.replace("\"temperature\":1", "\"temperature\":1.0")),
            key(BODY)
        );
    }

    #[test]
    fn tenant_configuration_and_what_routes_the_call_are_part_of_it() {
        let labels = BTreeMap::from([("tier".to_owned(), "free".to_owned())]);
        let mut beta = HeaderMap::new();
        beta.insert("anthropic-beta", "x".parse().unwrap());
        let others = [
            key_with(BODY, |asked, _| asked.tenant = "globex"),
            key_with(BODY, |asked, _| asked.config_version = "v2"),
            key_with(BODY, |_, context| context.workload = "chat".to_owned()),
            key_with(BODY, |_, context| context.min_quality = Some(0.0)),
        ];
        for (at, other) in others.iter().enumerate() {
            assert_ne!(*other, key(BODY), "{at}");
        }
        let (request, headers, context) = (request(BODY), HeaderMap::new(), CallContext::default());
        let asked = Asked {
            tenant: "acme",
            config_version: "v1",
            request: &request,
            context: &context,
            labels: &labels,
            headers: &headers,
        };
        assert_ne!(asked.key(), key(BODY));
        let none = BTreeMap::new();
        let asked = Asked {
            labels: &none,
            headers: &beta,
            ..asked
        };
        assert_ne!(asked.key(), key(BODY));
    }

    #[test]
    fn what_cannot_be_compared_has_no_key() {
        let twice = r#"{"model":"m","messages":[{"role":"user","content":"a"}],"x":{"a":1,"a":2}}"#;
        assert_eq!(key(twice), None);
        let deep = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}],"x":{}1{}}}"#,
            "[".repeat(40),
            "]".repeat(40)
        );
        assert_eq!(key(&deep), None);
        assert_eq!(key(&BODY.replacen('{', r#"{"conversation":"c","#, 1)), None);
        let large = BODY.replace("\\u0069", &"i".repeat(MOST_BODY_BYTES));
        assert_eq!(key(&large), None);
    }
}
