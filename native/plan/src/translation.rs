//! Translation: which of its dialects a provider is to be spoken to in. What a dialect cannot say is found out by whoever
//! reads bodies; here it only is a fact about the call.

use fairlead_wire::v1::{Dialect, Untranslatable};

use crate::compiled::Model;
use crate::facts::{CallFacts, UNKNOWN_CONTEXT};
use crate::units::Tokens;

/// What a provider speaks that does not say.
const DEFAULT_DIALECT: &str = "openai-chat";

/// Names of the dialects of a provider, the preferred one first; `None` stands for one that is not known.
pub(crate) fn names(dialects: &[i32]) -> impl Iterator<Item = Option<&'static str>> {
    let known = dialects.iter().map(|dialect| match Dialect::try_from(*dialect) {
        Ok(Dialect::OpenaiChat) => Some("openai-chat"),
        Ok(Dialect::OpenaiResponses) => Some("openai-responses"),
        Ok(Dialect::AnthropicMessages) => Some("anthropic-messages"),
        Ok(Dialect::Unspecified) | Err(_) => None,
    });
    known.chain(dialects.is_empty().then_some(Some(DEFAULT_DIALECT)))
}

impl Model {
    /// Most tokens the model reads: its context, or [`UNKNOWN_CONTEXT`] when it names none.
    #[must_use]
    pub fn window(&self) -> Tokens {
        self.context.unwrap_or(UNKNOWN_CONTEXT)
    }

    /// The dialect to speak to the model in: the request's own, else the first that can say all of it, else the first
    /// that lacks nothing but what may be left out. Empty for a call without a body.
    ///
    /// # Errors
    /// No dialect can say the request: the fields that the preferred one has no place for and that must not be left out.
    pub fn dialect_for<'a>(
        &self,
        facts: &CallFacts<'a>,
        drop_untranslatable: bool,
    ) -> Result<&'static str, Vec<&'a Untranslatable>> {
        if facts.dialect.is_empty() {
            return Ok("");
        }
        let own = self.dialects.iter().find(|spoken| **spoken == facts.dialect);
        let without = |leave_out: bool| {
            self.dialects
                .iter()
                .find(move |spoken| blocking(facts, spoken, leave_out).next().is_none())
        };
        own.or_else(|| without(false))
            .or_else(|| without(drop_untranslatable))
            .copied()
            .ok_or_else(|| {
                let preferred = self.dialects.first().copied().unwrap_or_default();
                blocking(facts, preferred, drop_untranslatable).collect()
            })
    }
}

/// What is in the way of saying the request in a dialect.
fn blocking<'a>(facts: &CallFacts<'a>, spoken: &str, leave_out: bool) -> impl Iterator<Item = &'a Untranslatable> {
    let said = facts.untranslatable.iter();
    said.filter(move |one| one.dialect == spoken && (one.essential || !leave_out))
}
