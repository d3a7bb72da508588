//! Which rules on `model.output` an answer has to pass. Decided with the call, before there is an answer: the record of
//! the decision names them, and the same facts name the same rules again.

use std::sync::Arc;

use fairlead_expr::Program;
use fairlead_screen::Rule;

use crate::compiled::Compiled;
use crate::facts::CallFacts;
use crate::matching::{self, Matcher};
use crate::units::UnixNanos;
use crate::variables::CallVariables;

/// A policy rule on `model.output`.
#[derive(Debug)]
pub struct OutputRule {
    /// Name.
    pub name: Arc<str>,
    /// Literal conditions, of the call.
    pub(crate) matcher: Matcher,
    /// Condition, of the call.
    pub(crate) when: Option<Program>,
    /// What it looks for and what follows.
    pub rule: Arc<Rule>,
}

impl Compiled {
    /// The rules that the answer of a call has to pass, in configuration order. A rule whose expression fails counts:
    /// nobody can say that it does not apply.
    #[must_use]
    pub fn output_rules_for(&self, facts: &CallFacts<'_>, now: UnixNanos) -> Vec<&OutputRule> {
        if self.outputs.is_empty() {
            return Vec::new();
        }
        let values = matching::values(facts);
        let variables = CallVariables::new(facts, now);
        self.output_index
            .candidates(facts)
            .filter_map(|at| self.outputs.get(usize::try_from(at).ok()?))
            .filter(|rule| rule.matcher.fits(&values, facts.labels))
            .filter(|rule| {
                rule.when
                    .as_ref()
                    .is_none_or(|when| when.evaluate_bool(&variables).unwrap_or(true))
            })
            .collect()
    }

    /// The rules of these names, in configuration order.
    #[must_use]
    pub fn output_rules_named(&self, names: &[String]) -> Vec<Arc<Rule>> {
        self.outputs
            .iter()
            .filter(|rule| names.iter().any(|name| **name == *rule.name))
            .map(|rule| Arc::clone(&rule.rule))
            .collect()
    }
}
