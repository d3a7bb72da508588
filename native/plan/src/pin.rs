//! Pins: a route that sticks by session or run keeps the model that answered last, so that its prompt cache stays warm.
//! Who answered last is remembered by the engine; here it only is a fact about the call.

use std::collections::BTreeMap;

use crate::compiled::{Route, Sticky};
use crate::facts::CallFacts;

/// Model by the name of the route.
pub type Pinned = BTreeMap<String, String>;

/// What the session and the run of a call are pinned to.
#[derive(Clone, Copy, Debug, Default)]
pub enum Pins<'a> {
    /// To nothing.
    #[default]
    None,
    /// As remembered.
    Known {
        /// By the session.
        session: &'a Pinned,
        /// By the run.
        run: &'a Pinned,
    },
    /// As recorded: the route of the record was pinned to this model; empty when to none.
    Recorded(&'a str),
}

impl Route {
    /// What calls that keep their model have in common: the session or the run; empty when the route keeps none.
    #[must_use]
    pub fn keeps_by<'a>(&self, facts: &CallFacts<'a>) -> &'a str {
        match self.sticky_by {
            Some(Sticky::Session) => facts.session,
            Some(Sticky::Run) => facts.run,
            Some(Sticky::Agent | Sticky::Tenant) | None => "",
        }
    }

    /// Name of the model that the call is pinned to, which the configuration may not have any more; empty when to none.
    pub(crate) fn pinned<'a>(&self, facts: &CallFacts<'a>) -> &'a str {
        if self.keeps_by(facts).is_empty() {
            return "";
        }
        let by_route = match (facts.pins, self.sticky_by) {
            (Pins::Recorded(model), _) => return model,
            (Pins::Known { session, .. }, Some(Sticky::Session)) => session,
            (Pins::Known { run, .. }, Some(Sticky::Run)) => run,
            _ => return "",
        };
        by_route.get(&*self.name).map_or("", String::as_str)
    }
}
