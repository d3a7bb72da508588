//! The tool catalogue: what is known about a tool, never what a caller claims.

use std::fmt;
use std::sync::LazyLock;

use fairlead_wire::v1::{ToolEffect, ToolRisk};
use jsonschema::Validator;

use crate::matching::Pattern;

/// Most violations of a schema that are told.
const MOST_VIOLATIONS: usize = 16;

/// An entry of the catalogue.
pub struct Tool {
    pub(crate) pattern: Pattern,
    /// What a call does at most.
    pub effect: ToolEffect,
    /// How bad a wrong call can be.
    pub risk: ToolRisk,
    pub(crate) schema: Option<Validator>,
    /// Labels that the session has once a call was granted, sorted.
    pub session_labels: Vec<String>,
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool")
            .field("pattern", &self.pattern)
            .field("effect", &self.effect)
            .field("risk", &self.risk)
            .finish_non_exhaustive()
    }
}

/// A tool that the catalogue does not have: nobody knows what it does.
pub(crate) static UNKNOWN: LazyLock<Tool> = LazyLock::new(|| Tool {
    pattern: Pattern::parse("*"),
    effect: ToolEffect::SideEffect,
    risk: ToolRisk::Destructive,
    schema: None,
    session_labels: Vec::new(),
});

impl Tool {
    /// What the arguments violate of the schema: JSON pointers and the keywords that they violate, never the arguments
    /// themselves. Empty: nothing.
    #[must_use]
    pub fn violations(&self, arguments: &[u8]) -> Vec<(String, String)> {
        let Some(schema) = &self.schema else {
            return Vec::new();
        };
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(arguments) else {
            return vec![(String::new(), "is not JSON".to_owned())];
        };
        schema
            .iter_errors(&value)
            .take(MOST_VIOLATIONS)
            .map(|error| {
                let violated = error.schema_path().as_str();
                (
                    error.instance_path().as_str().to_owned(),
                    format!("violates the tool's argument schema at {violated}"),
                )
            })
            .collect()
    }
}

/// Names of effects in expressions.
pub(crate) fn effect_name(effect: ToolEffect) -> &'static str {
    match effect {
        ToolEffect::Read => "read",
        ToolEffect::Write => "write",
        ToolEffect::SideEffect | ToolEffect::Unspecified => "side_effect",
    }
}

/// Names of risks in expressions.
pub(crate) fn risk_name(risk: ToolRisk) -> &'static str {
    match risk {
        ToolRisk::Low => "low",
        ToolRisk::Medium => "medium",
        ToolRisk::High => "high",
        ToolRisk::Destructive | ToolRisk::Unspecified => "destructive",
    }
}
