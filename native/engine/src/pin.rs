//! Pinned sessions and runs: the model that answered last is kept, so that its prompt cache stays warm.
use fairlead_plan::Compiled;
use fairlead_wire::internal::InvocationRecord;
use fairlead_wire::v1::{DropReason, SessionSwitch};

use crate::engine::{Engine, UnitBuilder};
use crate::judge::{Judgement, Outcome};
use crate::share::Bound;

/// That a call leaves the model it was pinned to, and why; `None` when it keeps it or goes nowhere.
pub(crate) fn switch(compiled: &Compiled, judgement: &Judgement) -> Option<SessionSwitch> {
    let decision = &judgement.decision;
    if decision.pinned.is_empty() || !matches!(judgement.outcome, Outcome::Granted(_)) {
        return None;
    }
    let pinned = compiled.model_id(&decision.pinned);
    let first = judgement.plan.first()?.model();
    if pinned == Some(first) {
        return None;
    }
    let dropped = decision.dropped.iter().find(|one| Some(one.model) == pinned);
    let is_planned = judgement.plan.iter().any(|one| Some(one.model()) == pinned);
    let (reason, detail) = match dropped {
        Some(dropped) if dropped.reason != DropReason::NotSelected => (dropped.reason, dropped.detail.clone()),
        // It fits and was not kept: only a ramp does that.
        Some(_) => (DropReason::Unhealthy, RAMPS.to_owned()),
        None if is_planned => (DropReason::Unhealthy, RAMPS.to_owned()),
        None => (
            DropReason::NotSelected,
            "the route does not have it any more".to_owned(),
        ),
    };
    Some(SessionSwitch {
        from_model: decision.pinned.clone(),
        reason: reason as i32,
        detail,
    })
}

const RAMPS: &str = "ramps up after an outage and takes a share of the calls only";

impl Engine {
    /// Remembers which model answered, for the next call of the session or run. Written only when it is another one than
    /// before. Where there is no room, the next call is simply drawn again.
    pub(crate) fn keep(&mut self, unit: &mut UnitBuilder, now: i64, record: &InvocationRecord, model: &str) {
        let (tenant, sticky) = (record.tenant.as_str(), record.keeps_by.as_str());
        let route = record.admitted.as_ref().and_then(|admitted| admitted.decision.as_ref());
        let route = route.map_or("", |decision| &decision.route);
        if sticky.is_empty() || model.is_empty() || route.is_empty() {
            return;
        }
        let known = self.sessions.get(now, tenant, sticky);
        if known.is_some_and(|known| known.pins.get(route).is_some_and(|pinned| pinned == model)) {
            unit.writes.extend(self.sessions.touch(now, tenant, sticky));
            return;
        }
        let bound = Bound::new(&self.compiled, "sessions", self.compiled.limits().sessions);
        if !self.sessions.make_room(now, tenant, sticky, &bound, &mut unit.writes) {
            return;
        }
        let routes = self.compiled.routes();
        let write = self.sessions.change(now, tenant, sticky, |session| {
            // Routes come and go with configurations; what is remembered of them is bounded by those that there are.
            session
                .pins
                .retain(|name, _| routes.iter().any(|route| *route.name == **name));
            session.pins.insert(route.to_owned(), model.to_owned());
        });
        unit.writes.push(write);
    }
}
