//! Instances: which one of a budget or rate limit a call belongs to.
//!
//! An instance is written as in resource names (`budget_service.proto`): `dimension=value` pairs joined by commas, values
//! percent-encoded (RFC 3986: everything but letters, digits and `-._~`), or `-` when the scope is the tenant alone. The
//! tenant is always part of an instance and never written, because it is in the resource name. The order of the pairs
//! does not depend on the order in the configuration, so that moving a dimension does not start every budget anew.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use crate::facts::CallFacts;

/// The instance of a scope that is the tenant alone.
const TENANT_ONLY: &str = "-";

/// One dimension besides the tenant. The order of the variants is the order in an instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// Agent.
    Agent,
    /// Kind of work.
    Workload,
    /// Conversation.
    Session,
    /// Run.
    Run,
    /// Step.
    Step,
    /// A label.
    Label(String),
}

impl Dimension {
    /// Reads a dimension as configured; the tenant is `Ok(None)`, because it always is one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        Ok(Some(match text {
            "tenant" => return Ok(None),
            "agent" => Self::Agent,
            "workload" => Self::Workload,
            "session" => Self::Session,
            "run" => Self::Run,
            "step" => Self::Step,
            _ => match text.strip_prefix("label:") {
                Some(name) if !name.is_empty() => Self::Label(name.to_owned()),
                _ => {
                    return Err(format!(
                        "`{text}` is not a dimension: write tenant, agent, session, run, step, workload or label:NAME"
                    ));
                }
            },
        }))
    }

    /// The call's value; `None` when it has none.
    fn value<'a>(&self, facts: &CallFacts<'a>) -> Option<&'a str> {
        let value = match self {
            Self::Agent => facts.agent,
            Self::Workload => facts.workload,
            Self::Session => facts.session,
            // What a run costs is its whole tree's.
            Self::Run if facts.root_run.is_empty() => facts.run,
            Self::Run => facts.root_run,
            Self::Step => facts.step,
            Self::Label(name) => facts.labels.get(name)?,
        };
        (!value.is_empty()).then_some(value)
    }

    fn write_name(&self, out: &mut String) {
        match self {
            Self::Agent => out.push_str("agent"),
            Self::Workload => out.push_str("workload"),
            Self::Session => out.push_str("session"),
            Self::Run => out.push_str("run"),
            Self::Step => out.push_str("step"),
            Self::Label(name) => {
                out.push_str("label:");
                encode(name, out);
            }
        }
    }
}

/// Dimensions of a budget or rate limit besides the tenant, in the order of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Vec<Dimension>);

impl Scope {
    /// A scope of these dimensions; their order and repetitions do not matter.
    #[must_use]
    pub fn new(mut dimensions: Vec<Dimension>) -> Self {
        dimensions.sort();
        dimensions.dedup();
        Self(dimensions)
    }

    /// The dimensions, in the order of an instance.
    #[must_use]
    pub fn dimensions(&self) -> &[Dimension] {
        &self.0
    }

    /// The instance that a call belongs to; `None` when the call has no value for a dimension, which means that the
    /// budget or rate limit does not apply to it.
    #[must_use]
    pub fn instance(&self, facts: &CallFacts<'_>) -> Option<InstanceKey> {
        let mut out = String::new();
        self.write_instance(facts, &mut out).then_some(InstanceKey(out))
    }

    /// As [`instance`](Self::instance), into a buffer that is cleared first; false means that it does not apply.
    pub fn write_instance(&self, facts: &CallFacts<'_>, out: &mut String) -> bool {
        out.clear();
        if self.0.is_empty() {
            out.push_str(TENANT_ONLY);
            return true;
        }
        for dimension in &self.0 {
            let Some(value) = dimension.value(facts) else {
                return false;
            };
            if !out.is_empty() {
                out.push(',');
            }
            dimension.write_name(out);
            out.push('=');
            encode(value, out);
        }
        true
    }
}

/// An instance, such as `run=r-17` or `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceKey(pub String);

impl InstanceKey {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Scope values by dimension, such as `run` → `r-17`; `None` when the text is not an instance.
    #[must_use]
    pub fn values(&self) -> Option<BTreeMap<String, String>> {
        if self.0 == TENANT_ONLY {
            return Some(BTreeMap::new());
        }
        let mut values = BTreeMap::new();
        for pair in self.0.split(',') {
            let (name, value) = pair.split_once('=')?;
            if name.is_empty() || value.is_empty() || values.insert(decode(name)?, decode(value)?).is_some() {
                return None;
            }
        }
        Some(values)
    }
}

impl Borrow<str> for InstanceKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn encode(text: &str, out: &mut String) {
    if text.bytes().all(is_unreserved) {
        out.push_str(text);
        return;
    }
    for byte in text.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

fn decode(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            octets.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            octets.push(byte);
        }
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use proptest::prelude::*;

    use super::*;
    use crate::facts::InputSize;

    fn facts<'a>(session: &'a str, run: &'a str, labels: &'a BTreeMap<String, String>) -> CallFacts<'a> {
        CallFacts {
            tenant: "acme",
            agent: "bot",
            model: "",
            workload: "",
            session,
            run,
            root_run: "",
            step: "",
            labels,
            attributes: None,
            input: InputSize::Tokens(1),
            max_output_tokens: 0,
            min_output_tokens: 0,
            min_quality: None,
            capabilities: &[],
            stream: false,
            choices: 1,
            session_labels: &[],
            split_key: "",
            dialect: "",
            untranslatable: &[],
            pins: crate::pin::Pins::None,
        }
    }

    fn scope(dimensions: &[&str]) -> Scope {
        Scope::new(
            dimensions
                .iter()
                .filter_map(|text| Dimension::parse(text).unwrap())
                .collect(),
        )
    }

    fn instance(dimensions: &[&str], facts: &CallFacts<'_>) -> Option<String> {
        scope(dimensions).instance(facts).map(|key| key.0)
    }

    #[test]
    fn an_instance_is_pairs_or_a_dash_for_the_tenant_alone() {
        let labels = BTreeMap::from([("team/x".to_owned(), "support".to_owned())]);
        let facts = facts("s-1", "r-17", &labels);
        assert_eq!(instance(&["tenant"], &facts).as_deref(), Some("-"));
        assert_eq!(instance(&[], &facts).as_deref(), Some("-"));
        assert_eq!(instance(&["run"], &facts).as_deref(), Some("run=r-17"));
        assert_eq!(
            instance(&["run", "tenant", "session"], &facts).as_deref(),
            Some("session=s-1,run=r-17")
        );
        assert_eq!(
            instance(&["label:team/x"], &facts).as_deref(),
            Some("label:team%2Fx=support")
        );
    }

    #[test]
    fn the_order_of_dimensions_in_the_configuration_does_not_matter() {
        let labels = BTreeMap::new();
        let facts = facts("s", "r", &labels);
        assert_eq!(instance(&["run", "agent"], &facts), instance(&["agent", "run"], &facts));
    }

    #[test]
    fn a_call_without_a_value_has_no_instance() {
        let labels = BTreeMap::from([("tier".to_owned(), String::new())]);
        let facts = facts("", "r", &labels);
        assert_eq!(instance(&["session"], &facts), None);
        assert_eq!(instance(&["run", "session"], &facts), None);
        assert_eq!(instance(&["label:tier"], &facts), None);
        assert_eq!(instance(&["label:other"], &facts), None);
    }

    #[test]
    fn separators_in_values_are_encoded() {
        let labels = BTreeMap::new();
        let facts = facts("a=b,c/d%20é", "r", &labels);
        let key = scope(&["session"]).instance(&facts).unwrap();
        assert_eq!(key.as_str(), "session=a%3Db%2Cc%2Fd%2520%C3%A9");
        assert_eq!(key.values().unwrap()["session"], "a=b,c/d%20é");
    }

    #[test]
    fn what_is_not_an_instance_is_refused() {
        for text in ["", "run", "run=", "=x", "run=a,run=b", "run=%", "run=%zz", "run=%ff"] {
            assert_eq!(InstanceKey(text.to_owned()).values(), None, "{text}");
        }
        assert_eq!(InstanceKey("-".to_owned()).values(), Some(BTreeMap::new()));
        assert!(Dimension::parse("label:").is_err() && Dimension::parse("planet").is_err());
    }

    proptest! {
        /// Two calls share an instance exactly when their values are the same: no value can pose as another.
        #[test]
        fn instances_are_unambiguous(a in ".{1,8}", b in ".{1,8}", c in ".{1,8}", d in ".{1,8}") {
            let labels = BTreeMap::new();
            let scope = scope(&["session", "run"]);
            let (first, second) = (scope.instance(&facts(&a, &b, &labels)).unwrap(), scope.instance(&facts(&c, &d, &labels)).unwrap());
            prop_assert_eq!(first == second, (&a, &b) == (&c, &d));
            let values = first.values().unwrap();
            prop_assert_eq!((&values["session"], &values["run"]), (&a, &b));
        }
    }
}
