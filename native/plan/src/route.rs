//! Routing: the first route that matches, else the model that the call names.

use crate::compiled::{Compiled, Route, Sticky};
use crate::decision::NoRouteCause;
use crate::facts::CallFacts;
use crate::ids::{ModelId, RouteId};
use crate::matching;
use crate::variables::CallVariables;

/// Where a call goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way<'c> {
    /// Along a route.
    Route(RouteId, &'c Route),
    /// To the model it names.
    Direct(ModelId),
}

impl Compiled {
    /// Finds the way of a call.
    pub(crate) fn way(&self, facts: &CallFacts<'_>, variables: &CallVariables<'_>) -> Result<Way<'_>, NoRouteCause> {
        let values = matching::values(facts);
        for at in self.route_index.candidates(facts) {
            let id = RouteId(at);
            let Some(route) = self.route(id).filter(|route| route.matcher.fits(&values, facts.labels)) else {
                continue;
            };
            match route
                .when
                .as_ref()
                .map_or(Ok(true), |when| when.evaluate_bool(variables))
            {
                Ok(true) => return Ok(Way::Route(id, route)),
                Ok(false) => {}
                Err(error) => {
                    return Err(NoRouteCause::ExpressionFailed {
                        route: id,
                        error: error.to_string(),
                    });
                }
            }
        }
        match self.model_id(facts.model) {
            Some(model) => Ok(Way::Direct(model)),
            None if facts.model.is_empty() => Err(NoRouteCause::NoMatch),
            None => Err(NoRouteCause::UnknownModel),
        }
    }

    /// The key that the weighted draw of this route uses, for the record: the sticky dimension's value, else
    /// [`CallFacts::split_key`].
    #[must_use]
    pub fn split_key<'a>(&self, route: Option<RouteId>, facts: &CallFacts<'a>) -> &'a str {
        route
            .and_then(|id| self.route(id))
            .map_or(facts.split_key, |route| route.split_key(facts))
    }
}

impl Route {
    pub(crate) fn split_key<'a>(&self, facts: &CallFacts<'a>) -> &'a str {
        let sticky = match self.sticky_by {
            None => "",
            Some(Sticky::Session) => facts.session,
            Some(Sticky::Run) => facts.run,
            Some(Sticky::Agent) => facts.agent,
            Some(Sticky::Tenant) => facts.tenant,
        };
        if sticky.is_empty() { facts.split_key } else { sticky }
    }
}
