//! Idempotency keys of steps: looked up in the store before the step may be leased.
use fairlead_plan::UnixNanos;
use fairlead_wire::internal::{Known, NeedsRecord, ResolveStepKey, StepKeyRecord};
use fairlead_workflow::run::{Event, KeyAnswer};

use crate::command::{Applied, Refusal};
use crate::engine::{Engine, UnitBuilder};
use crate::keys;

impl Engine {
    /// The next step whose key has to be looked up, as the command that does it.
    #[must_use]
    pub fn next_unresolved_key(&self) -> Option<ResolveStepKey> {
        let (id, key) = self.runs.next_unresolved()?;
        let open = self.runs.get(&id)?;
        Some(ResolveStepKey {
            tenant: open.tenant.to_string(),
            run: open.run.record().run.clone(),
            step: open.run.name(key),
        })
    }

    /// Looks up a step's key: a recorded result is the step's own from then on, a key that another open step holds is
    /// waited for (W6). Says whether there was something to look up.
    pub fn resolve_step_key(&mut self, now: UnixNanos, command: &ResolveStepKey, known: Option<&Known>) -> Applied<()> {
        match self.try_resolve(now, command, known) {
            Ok(applied) => applied,
            Err(refusal) => Applied::refused(refusal),
        }
    }

    fn try_resolve(
        &mut self,
        now: UnixNanos,
        command: &ResolveStepKey,
        known: Option<&Known>,
    ) -> Result<Applied<()>, Refusal> {
        let now = self.tick(now)?;
        let nothing = || Ok(Applied::done((), None));
        let Some(id) = keys::run_id(&command.run) else {
            return nothing();
        };
        let Some(open) = self.runs.get(&id) else {
            return nothing();
        };
        let Some(key) = open.run.find(&command.step) else {
            return nothing();
        };
        let Some(step) = open.run.step(key) else {
            return nothing();
        };
        if step.key_state() != fairlead_wire::internal::KeyState::Unresolved {
            return nothing();
        }
        let idempotency_key = step.idempotency_key.clone();
        let stored = keys::step_key(&open.tenant, &idempotency_key);
        let tenant = open.tenant.to_string();
        if self.runs.holder(&stored).is_some_and(|holder| holder != (id, key)) {
            return Ok(self.answer_key(now, &id, key, KeyAnswer::Held));
        }
        let Some(known) = known else {
            return Err(Refusal::NeedsRecord(NeedsRecord {
                step_key: stored,
                ..NeedsRecord::default()
            }));
        };
        let recorded: Option<&StepKeyRecord> = known.step_key.as_ref().filter(|record| {
            known.step_key_found && record.tenant == tenant && record.idempotency_key == idempotency_key
        });
        let answer = match recorded {
            Some(record) if record.outcome_unknown => KeyAnswer::Unknown { run: &record.run },
            Some(record) => KeyAnswer::Recorded {
                run: &record.run,
                output: &record.output,
            },
            None => KeyAnswer::Free,
        };
        Ok(self.answer_key(now, &id, key, answer))
    }

    fn answer_key(
        &mut self,
        now: i64,
        id: &keys::RunId,
        key: fairlead_workflow::run::StepKey,
        answer: KeyAnswer<'_>,
    ) -> Applied<()> {
        let mut unit = UnitBuilder::new();
        let event = Event::KeyResolved { key, answer };
        match self.drive(&mut unit, now, id, &event) {
            // A claim that a loss of power takes away was not leased either: the lease is a later unit.
            Ok(_) => Applied::done((), Some(self.seal(unit, false))),
            Err(_) => Applied::done((), None),
        }
    }
}
