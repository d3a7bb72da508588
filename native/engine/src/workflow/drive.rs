//! An event into a run, and everything that follows from it, in one unit.
use std::collections::{BTreeSet, VecDeque};

use fairlead_wire::internal::{RunRecord, StepKeyRecord};
use fairlead_wire::v1::{ApprovalSubject, EventKind, audit_record::Body};
use fairlead_workflow::run::{Bounds, Effect, Event, KeyAnswer, Outcome, Refused, Resolution, Run, StepKey, Verdict};
use prost::Message;

use super::record::{step_bytes, stored_run};
use crate::approval::{Document, NewApproval, Waiting};
use crate::command::Caller;
use crate::engine::{Engine, UnitBuilder};
use crate::keys::{self, RunId};
use crate::rejection::{Reason, Rejection};
use crate::unit::{Unit, Write, family};

/// Who wanted what happens, where somebody did: an agent or an operator that steers a run.
#[derive(Debug, Clone)]
struct Author {
    agent: String,
    operator: String,
}

/// Runs that one command has touched, and what they still have to lead to.
#[derive(Debug, Default)]
pub(super) struct Wave {
    author: Option<Author>,
    touched: BTreeSet<RunId>,
    ended: BTreeSet<RunId>,
    effects: VecDeque<(RunId, Effect)>,
}

impl Engine {
    /// Bounds of the machine, from the configuration.
    pub(super) fn bounds(&self) -> Bounds {
        let limits = self.compiled.limits();
        Bounds {
            payload_bytes: usize::try_from(limits.payload_bytes).unwrap_or(usize::MAX),
            for_each_items: usize::try_from(limits.for_each_items).unwrap_or(usize::MAX),
        }
    }

    /// Closes a unit: the deletions that are pending come first, and only with a unit that is committed for certain.
    pub(super) fn seal(&mut self, mut unit: UnitBuilder, power: bool) -> Unit {
        let mut whole = self.begin();
        whole.writes.append(&mut unit.writes);
        whole.sequences.append(&mut unit.sequences);
        whole.done(power)
    }

    /// Gives an event to an open run and follows it to its end: approvals, children, keys and the records of all of it
    /// are in the unit (W4).
    ///
    /// # Errors
    /// The run refuses the event; nothing has changed.
    pub(super) fn drive(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        id: &RunId,
        event: &Event<'_>,
    ) -> Result<Outcome, Refused> {
        let mut wave = Wave::default();
        let outcome = self.push(&mut wave, now, id, event)?;
        self.follow_through(unit, now, wave);
        Ok(outcome)
    }

    /// As [`drive`](Self::drive), for a caller who steers the run: the records of what was wanted say who wanted it.
    ///
    /// # Errors
    /// The run refuses the event; nothing has changed.
    pub(super) fn drive_for(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        caller: Caller<'_>,
        id: &RunId,
        event: &Event<'_>,
    ) -> Result<Outcome, Refused> {
        let mut wave = Wave {
            author: Some(Author {
                agent: caller.agent.to_owned(),
                operator: caller.operator.to_owned(),
            }),
            ..Wave::default()
        };
        let outcome = self.push(&mut wave, now, id, event)?;
        self.follow_through(unit, now, wave);
        Ok(outcome)
    }

    /// Gives an event to a run; what follows from it waits in the wave.
    fn push(&mut self, wave: &mut Wave, now: i64, id: &RunId, event: &Event<'_>) -> Result<Outcome, Refused> {
        let bounds = self.bounds();
        let Some(open) = self.runs.get_mut(id) else {
            return Err(Refused::LeaseLost("the run has ended, or never was".to_owned()));
        };
        let mut outcome = open.run.advance(event, now, bounds)?;
        wave.touched.insert(*id);
        let effects = std::mem::take(&mut outcome.effects);
        wave.effects.extend(effects.into_iter().map(|effect| (*id, effect)));
        Ok(outcome)
    }

    /// An event that the run may be past: then there is nothing to do.
    fn push_quietly(&mut self, wave: &mut Wave, now: i64, id: &RunId, event: &Event<'_>) {
        // A refusal says that the run has moved on by itself; the event has nothing to change there.
        let _ = self.push(wave, now, id, event);
    }

    /// What is due in a run happens.
    pub(crate) fn run_due(&mut self, unit: &mut UnitBuilder, now: i64, id: &RunId) {
        if self.drive(unit, now, id, &Event::Due).is_err() {
            // A run that is in the book has not ended: it cannot refuse. Were it to, it would not be asked for ever.
            self.runs.remove(id);
        }
    }

    /// Puts a new run into the book and begins it.
    pub(super) fn begin_run(&mut self, unit: &mut UnitBuilder, now: i64, id: RunId, run: Run) {
        let mut wave = Wave::default();
        self.admit_run(unit, &mut wave, now, id, run);
        self.follow_through(unit, now, wave);
    }

    fn admit_run(&mut self, unit: &mut UnitBuilder, wave: &mut Wave, now: i64, id: RunId, run: Run) {
        let definition = std::sync::Arc::clone(run.definition());
        if self.runs.kept.keep(&definition) {
            let value = definition.source.encode_to_vec();
            unit.writes.push(Write::put(
                family::RUNS,
                keys::run_definition(&definition.version),
                value,
            ));
        }
        let key = keys::open_run(&run.record().tenant, &id);
        unit.writes.push(Write::put(family::RUNS, key, Vec::new()));
        self.runs.insert(id, run, std::collections::HashSet::new());
        self.push_quietly(wave, now, &id, &Event::Start);
    }

    fn follow_through(&mut self, unit: &mut UnitBuilder, now: i64, mut wave: Wave) {
        while let Some((id, effect)) = wave.effects.pop_front() {
            self.follow_effect(unit, &mut wave, now, &id, effect);
        }
        for id in std::mem::take(&mut wave.touched) {
            self.write_run(unit, &id);
        }
        for id in std::mem::take(&mut wave.ended) {
            self.runs.remove(&id);
        }
    }

    fn follow_effect(&mut self, unit: &mut UnitBuilder, wave: &mut Wave, now: i64, id: &RunId, effect: Effect) {
        match effect {
            Effect::Step(kind, event) => self.append_run(unit, now, id, kind, Body::Step(event)),
            Effect::Run(kind, event) => {
                let author = wave.author.as_ref().filter(|_| is_wanted(kind));
                self.append_run_by(unit, now, id, kind, Body::Run(event), author);
            }
            Effect::OpenApproval {
                key,
                tier,
                title,
                document,
                unknown,
            } => self.ask_about_step(unit, wave, now, id, key, &tier, &title, &document, unknown),
            Effect::WithdrawApproval { approval, reason } => {
                if let Some(approval) = keys::approval_id(&approval) {
                    self.withdraw_approval(unit, now, &approval, Caller::sidecar(), &reason);
                }
            }
            Effect::ConsumeApproval { approval } => {
                if let Some(approval) = keys::approval_id(&approval) {
                    self.consume_approval(unit, now, &approval, Caller::sidecar(), "the step went on");
                }
            }
            Effect::StartChild { key, workflow, input } => {
                self.start_child(unit, wave, now, id, key, &workflow, input);
            }
            Effect::CancelChild { child, reason } => {
                if let Some(child) = keys::run_id(&child) {
                    self.push_quietly(wave, now, &child, &Event::Cancel { reason: &reason });
                }
            }
            Effect::RecordKey { key } => self.record_key(unit, wave, now, id, key),
            Effect::LoseKey { key } => self.lose_key(unit, wave, now, id, key),
            Effect::ReleaseKey { key } => self.release_key(wave, now, id, key),
            Effect::Ended => self.run_ended(unit, wave, now, id),
        }
    }

    /// A record about a run, which belongs to its tenant and to who started it, and its place in the run's history.
    pub(super) fn append_run(&mut self, unit: &mut UnitBuilder, now: i64, id: &RunId, kind: EventKind, body: Body) {
        self.append_run_by(unit, now, id, kind, body, None);
    }

    /// As [`append_run`](Self::append_run), of what somebody wanted.
    fn append_run_by(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        id: &RunId,
        kind: EventKind,
        body: Body,
        author: Option<&Author>,
    ) {
        let Some(open) = self.runs.get(id) else { return };
        let record = open.run.record();
        let tenant = record.tenant.clone();
        let traceparent = record.traceparent.clone();
        let (agent, operator) = match author {
            Some(author) => (author.agent.clone(), author.operator.clone()),
            None if matches!(kind, EventKind::RunStarted) => (record.agent.clone(), record.operator.clone()),
            None => (record.agent.clone(), String::new()),
        };
        let caller = Caller {
            tenant: &tenant,
            agent: &agent,
            operator: &operator,
            traceparent: &traceparent,
        };
        let mut audit = self.record(now, kind, caller, "");
        audit.body = Some(body);
        unit.append(&mut self.chain, audit);
        let key = keys::run_history(&tenant, id, self.chain.sequence());
        unit.writes.push(Write::put(family::RUNS, key, Vec::new()));
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one effect, used once")]
    fn ask_about_step(
        &mut self,
        unit: &mut UnitBuilder,
        wave: &mut Wave,
        now: i64,
        id: &RunId,
        key: StepKey,
        tier: &str,
        title: &str,
        document: &[u8],
        unknown: bool,
    ) {
        match self.open_step_approval(unit, now, id, key, tier, title, document, unknown) {
            Ok(approval) => {
                let approval = keys::approval_name(&approval);
                self.push_quietly(wave, now, id, &Event::ApprovalOpened { key, approval });
            }
            // Fail closed: what cannot be asked is not agreed to.
            Err(rejection) => {
                let reason = rejection.message;
                let event = if unknown {
                    Event::Resolved {
                        key,
                        approval: "",
                        resolution: Resolution::Stop { reason: &reason },
                    }
                } else {
                    Event::Approval {
                        key,
                        approval: "",
                        verdict: Verdict::Rejected {
                            reason: &reason,
                            text: &reason,
                            by: &[],
                        },
                    }
                };
                self.push_quietly(wave, now, id, &event);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one effect, used once")]
    fn open_step_approval(
        &mut self,
        unit: &mut UnitBuilder,
        now: i64,
        id: &RunId,
        key: StepKey,
        tier: &str,
        title: &str,
        document: &[u8],
        unknown: bool,
    ) -> Result<keys::ApprovalId, Rejection> {
        let compiled = std::sync::Arc::clone(&self.compiled);
        let Some(tier) = compiled.tier(tier) else {
            let message = format!("approval tier `{tier}` is not in the configuration any more: nobody can be asked");
            return Err(Rejection::new(Reason::InvalidState, message));
        };
        let document = Document::parse("show", document)?;
        let Some(open) = self.runs.get(id) else {
            return Err(Rejection::new(Reason::InvalidState, "the run has ended"));
        };
        let run = open.run.record().clone();
        let (step, idempotency_key) = (
            open.run.name(key),
            open.run
                .step(key)
                .map(|step| step.idempotency_key.clone())
                .unwrap_or_default(),
        );
        self.has_room_for_approval(&run.tenant, document.bytes.len())?;
        // A title is a template: it may have what the run is about in it.
        let title = &match title {
            "" => step.clone(),
            title if unknown => title.to_owned(),
            title => self.salts.commit(&mut unit.writes, title),
        };
        Ok(self.open_approval(
            unit,
            now,
            NewApproval {
                subject: if unknown {
                    ApprovalSubject::UnknownStep
                } else {
                    ApprovalSubject::Step
                },
                tenant: &run.tenant,
                agent: &run.agent,
                requested_by_operator: Some(run.operator.as_str()).filter(|operator| !operator.is_empty()),
                traceparent: &run.traceparent,
                session: &run.session,
                run: &run.run,
                step: &step,
                tool: title,
                document: &document,
                idempotency_key: &idempotency_key,
                rule: "",
                tier,
                price: None,
                waiting: Waiting::Step,
            },
        ))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one effect, used once")]
    fn start_child(
        &mut self,
        unit: &mut UnitBuilder,
        wave: &mut Wave,
        now: i64,
        id: &RunId,
        key: StepKey,
        workflow: &str,
        input: Vec<u8>,
    ) {
        let Some(open) = self.runs.get(id) else { return };
        let parent = open.run.record().clone();
        let (step, epoch) = (open.run.name(key), open.run.step(key).map_or(0, |step| step.epoch));
        let child = keys::new_id(now, self.chain.head(), &format!("child {step} {epoch}"));
        let name = keys::run_name(&child);
        if let Some(open) = self.runs.get_mut(id) {
            open.run.set_child(key, &name);
        }
        let begun = self.child_run(&parent, &step, epoch, workflow, input, &name, now);
        match begun {
            Ok(run) => {
                self.admit_run(unit, wave, now, child, run);
                wave.touched.insert(child);
            }
            Err(failure) => {
                let event = Event::Child {
                    key,
                    child: &name,
                    state: fairlead_wire::v1::RunState::Failed,
                    output: b"null",
                    failure: Some(&failure),
                    spent: crate::amount::ZERO,
                };
                self.push_quietly(wave, now, id, &event);
            }
        }
    }

    /// A step has acted under its key: whoever comes later gets its result, those who wait for it at once.
    fn record_key(&mut self, unit: &mut UnitBuilder, wave: &mut Wave, now: i64, id: &RunId, key: StepKey) {
        let Some(open) = self.runs.get(id) else { return };
        let Some(step) = open.run.step(key) else { return };
        let stored = keys::step_key(&open.tenant, &step.idempotency_key);
        let output = step
            .output
            .as_ref()
            .map(|output| output.json.clone())
            .unwrap_or_default();
        let record = StepKeyRecord {
            tenant: open.tenant.to_string(),
            idempotency_key: step.idempotency_key.clone(),
            run: open.run.record().run.clone(),
            step: open.run.name(key),
            output,
            time_unix_nanos: now,
            input_digest: step
                .input
                .as_ref()
                .map(|input| input.digest.clone())
                .unwrap_or_default(),
            outcome_unknown: false,
        };
        unit.writes
            .push(Write::put(family::KEYS, stored.clone(), record.encode_to_vec()));
        for (run, key) in self.runs.give_up(&stored) {
            let answer = KeyAnswer::Recorded {
                run: &record.run,
                output: &record.output,
            };
            self.push_quietly(wave, now, &run, &Event::KeyResolved { key, answer });
        }
    }

    /// Nobody knows whether a step has acted under its key: whoever comes later, or waits, has to ask people (W7).
    fn lose_key(&mut self, unit: &mut UnitBuilder, wave: &mut Wave, now: i64, id: &RunId, key: StepKey) {
        let Some(open) = self.runs.get(id) else { return };
        let Some(step) = open.run.step(key) else { return };
        let stored = keys::step_key(&open.tenant, &step.idempotency_key);
        let record = StepKeyRecord {
            tenant: open.tenant.to_string(),
            idempotency_key: step.idempotency_key.clone(),
            run: open.run.record().run.clone(),
            step: open.run.name(key),
            time_unix_nanos: now,
            outcome_unknown: true,
            ..StepKeyRecord::default()
        };
        unit.writes
            .push(Write::put(family::KEYS, stored.clone(), record.encode_to_vec()));
        let mut waiters = self.runs.give_up(&stored).into_iter();
        // One of them asks, the others wait for what people say.
        while let Some((run, key)) = waiters.next() {
            let answer = KeyAnswer::Unknown { run: &record.run };
            let event = Event::KeyResolved { key, answer };
            if self
                .push(wave, now, &run, &event)
                .is_ok_and(|outcome| !outcome.repeated)
            {
                self.runs.claim(stored.clone(), (run, key));
                self.runs.wait_for(&stored, waiters);
                return;
            }
        }
    }

    /// A step gives its key up without a result: the next one that waits has it.
    fn release_key(&mut self, wave: &mut Wave, now: i64, id: &RunId, key: StepKey) {
        let Some(open) = self.runs.get(id) else { return };
        let Some(step) = open.run.step(key) else { return };
        let stored = keys::step_key(&open.tenant, &step.idempotency_key);
        if self.runs.holder(&stored) != Some((*id, key)) {
            return;
        }
        let mut waiters = self.runs.give_up(&stored).into_iter();
        while let Some((run, key)) = waiters.next() {
            let event = Event::KeyResolved {
                key,
                answer: KeyAnswer::Free,
            };
            if self
                .push(wave, now, &run, &event)
                .is_ok_and(|outcome| !outcome.repeated)
            {
                self.runs.claim(stored.clone(), (run, key));
                self.runs.wait_for(&stored, waiters);
                return;
            }
        }
    }

    fn run_ended(&mut self, unit: &mut UnitBuilder, wave: &mut Wave, now: i64, id: &RunId) {
        wave.ended.insert(*id);
        let Some(open) = self.runs.get(id) else { return };
        let record: RunRecord = open.run.record().clone();
        self.forget_run_budget(unit, id);
        unit.writes
            .push(Write::delete(family::RUNS, keys::open_run(&record.tenant, id)));
        let Some(parent) = keys::run_id(&record.parent) else {
            return;
        };
        let Some(key) = self
            .runs
            .get(&parent)
            .and_then(|open| open.run.find(&record.parent_step))
        else {
            return;
        };
        let output = record.output.as_ref().map_or(b"null".as_slice(), |output| &output.json);
        let event = Event::Child {
            key,
            child: &record.run,
            state: record.state(),
            output,
            failure: record.failure.as_ref(),
            spent: record.spent.unwrap_or_default(),
        };
        self.push_quietly(wave, now, &parent, &event);
    }

    /// Writes what has changed in a run, and brings what is derived in line.
    pub(super) fn write_run(&mut self, unit: &mut UnitBuilder, id: &RunId) {
        let Some(open) = self.runs.get_mut(id) else { return };
        let changes = open.run.take_changes();
        let tenant = std::sync::Arc::clone(&open.tenant);
        let mut payloads = Vec::new();
        if changes.header {
            let record = stored_run(open.run.record(), &mut payloads);
            unit.writes
                .push(Write::put(family::RUNS, keys::run(&tenant, id), record.encode_to_vec()));
        }
        for key in &changes.steps {
            if let Some(step) = open.run.step(*key) {
                let value = step_bytes(step, &open.run.record().run, &mut payloads);
                let key = keys::run_step(&tenant, id, key.step, key.item);
                unit.writes.push(Write::put(family::RUNS, key, value));
            }
        }
        for (digest, json) in payloads {
            if open.stored.insert(digest) {
                let key = keys::run_payload(&tenant, id, &digest);
                unit.writes.push(Write::put(family::RUNS, key, json));
            }
        }
        self.runs.follow(id, &changes.steps);
    }
}

/// What happens to a run because somebody wants it.
fn is_wanted(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::RunPaused | EventKind::RunResumed | EventKind::RunCancelling | EventKind::RunSignalled
    )
}
