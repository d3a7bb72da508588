//! The state machine of a run: [`advance`](Run::advance) takes one event and says what follows from it.
//!
//! A run is its records ([`RunRecord`], [`StepRecord`]) and the definition it keeps to; nothing else decides. The same run,
//! event and time give the same outcome. A refused event changes nothing.
//!
//! States of a step, and what moves it. `→` is the state after the event; every other pair of state and event is
//! declared in [`table`] as ignored, lost or wrong.
//!
//! | state | moves by |
//! |---|---|
//! | BLOCKED | the end of what it needs → READY, WAITING, WAITING_APPROVAL, SKIPPED |
//! | READY | `Lease` → LEASED; its time in the queue → FAILED; a recorded key → SUCCEEDED |
//! | LEASED | `Complete` → SUCCEEDED; `Fail`, lost lease → RETRY_WAIT, UNKNOWN, FAILED |
//! | RETRY_WAIT | its time → READY |
//! | WAITING | time, `Signal`, `Child`, the items of a forEach → SUCCEEDED, FAILED |
//! | WAITING_APPROVAL | `Approval` → SUCCEEDED, FAILED |
//! | UNKNOWN | `Resolved` → SUCCEEDED, READY, FAILED |
//! | SUCCEEDED | compensation → READY (compensating) → COMPENSATED |
//!
//! INVARIANT (W1): a step that is SUCCEEDED is never leased again, but to be compensated.
//! INVARIANT (W2): an event about an attempt counts only with the epoch and the lease of the current attempt.
//! INVARIANT (W7): a key is free again only when it is certain that nobody has acted under it.
//! INVARIANT (W3): every open run has a step that is ready or leased, or something that will come: a timer, an approval, a
//! child, a signal. No run is stuck ([`Run::check`]).

mod advance;
mod attempt;
mod begin;
mod ending;
mod event;
mod facts;
mod for_each;
mod record;
pub mod table;
mod waiting;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use fairlead_wire::internal::{KeyState, PayloadRecord, RunRecord, StepRecord};
use fairlead_wire::v1::{RunState, StepState};

pub use self::event::{Attempt, Bounds, Effect, Event, KeyAnswer, Outcome, Refused, Resolution, Verdict};
use self::facts::Items;
pub use self::record::{ancestor_path, payload, step_name};
use crate::definition::{Definition, StepDef, TaskKind};

/// Queue of the steps that the sidecar does itself: model calls.
pub const MODEL_QUEUE: &str = "$model";

/// Names a step of a run: its place in the definition, and the item of a forEach from 1, or 0 for the step itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepKey {
    /// Place in the definition, from 0.
    pub step: u32,
    /// Item, from 1; 0 is the step itself.
    pub item: u32,
}

impl StepKey {
    /// A step of the definition.
    #[must_use]
    pub fn of(step: usize) -> Self {
        Self {
            step: u32::try_from(step).unwrap_or(u32::MAX),
            item: 0,
        }
    }

    /// Place in the definition.
    #[must_use]
    pub fn index(self) -> usize {
        self.step as usize
    }

    /// True for an item of a forEach.
    #[must_use]
    pub fn is_item(self) -> bool {
        self.item > 0
    }

    /// The forEach of an item; the step itself otherwise.
    #[must_use]
    pub fn parent(self) -> Self {
        Self { item: 0, ..self }
    }
}

/// What a timer of a run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The run's start time or deadline.
    Run,
    /// Whatever the step waits for.
    Step(StepKey),
}

/// One open run; see the module.
#[derive(Debug, Clone)]
pub struct Run {
    definition: Arc<Definition>,
    record: RunRecord,
    /// In boxes: a node of the map has room for eleven, and most runs have fewer steps.
    steps: BTreeMap<StepKey, Box<StepRecord>>,
    /// When something happens by itself: has exactly what [`due`] says of each step, and the run's own time.
    timers: BTreeSet<(i64, Timer)>,
    /// How many steps and items are in each state.
    counts: [u32; STATES],
    /// Lists and facts of the forEach steps that are going on. Never stored: made again when they are not there.
    items: HashMap<u32, Arc<Items>>,
    /// Bytes of all inputs, outputs and signals.
    payload_bytes: usize,
    /// Changed since [`Run::take_changes`].
    changed: BTreeSet<StepKey>,
    /// The run's own record changed since then.
    header_changed: bool,
}

const STATES: usize = 13;

/// What has to be stored after an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The run's own record.
    pub header: bool,
    /// Steps and items.
    pub steps: Vec<StepKey>,
}

impl Run {
    /// A new run before its [`Event::Start`].
    #[must_use]
    pub fn new(definition: Arc<Definition>, record: RunRecord) -> Self {
        let steps = (0..definition.steps.len()).map(|at| {
            let key = StepKey::of(at);
            let blocked = StepRecord {
                step: key.step,
                state: StepState::Blocked as i32,
                ..StepRecord::default()
            };
            (key, Box::new(blocked))
        });
        let steps: BTreeMap<_, _> = steps.collect();
        let mut run = Self::assembled(definition, record, steps);
        run.record.set_state(RunState::Pending);
        run.record.steps_total = run.counts.iter().sum();
        run.changed = run.steps.keys().copied().collect();
        run.header_changed = true;
        run.reset_run_timer(0);
        run
    }

    /// A new run that has some results before it begins: those of a run that it repeats.
    #[must_use]
    pub fn with_results(definition: Arc<Definition>, record: RunRecord, results: Vec<StepRecord>) -> Self {
        let mut run = Self::new(definition, record);
        let ended = u32::try_from(results.len()).unwrap_or(u32::MAX);
        for result in results {
            let key = StepKey {
                step: result.step,
                item: 0,
            };
            run.edit(key, |step| *step = result);
        }
        run.edit_run(|run| run.steps_ended = ended);
        run
    }

    /// A run as it was stored. Every lease gets its whole length again: its worker could not say anything meanwhile.
    #[must_use]
    pub fn restore(definition: Arc<Definition>, record: RunRecord, steps: Vec<StepRecord>, now: i64) -> Self {
        let steps = steps.into_iter().map(|step| {
            let key = StepKey {
                step: step.step,
                item: step.item,
            };
            (key, Box::new(step))
        });
        let mut run = Self::assembled(definition, record, steps.collect());
        let leased: Vec<StepKey> = run.in_state(StepState::Leased).collect();
        for key in leased {
            let lease = run.lease_nanos(key);
            run.edit(key, |step| {
                step.lease_expires_at_unix_nanos = step.lease_expires_at_unix_nanos.max(now.saturating_add(lease));
            });
        }
        run.changed.clear();
        run.header_changed = false;
        run
    }

    fn assembled(definition: Arc<Definition>, record: RunRecord, steps: BTreeMap<StepKey, Box<StepRecord>>) -> Self {
        let mut run = Self {
            definition,
            record,
            steps,
            timers: BTreeSet::new(),
            counts: [0; STATES],
            items: HashMap::new(),
            payload_bytes: 0,
            changed: BTreeSet::new(),
            header_changed: false,
        };
        for (key, step) in &run.steps {
            if let Some(count) = run.counts.get_mut(state_index(step.state())) {
                *count += 1;
            }
            if let Some(at) = due(step) {
                run.timers.insert((at, Timer::Step(*key)));
            }
            run.payload_bytes += step_bytes(step);
        }
        run.payload_bytes += run_bytes(&run.record);
        if let Some(at) = run_due(&run.record) {
            run.timers.insert((at, Timer::Run));
        }
        run
    }

    /// The definition it keeps to.
    #[must_use]
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// The run's own record.
    #[must_use]
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// One step or item.
    #[must_use]
    pub fn step(&self, key: StepKey) -> Option<&StepRecord> {
        self.steps.get(&key).map(Box::as_ref)
    }

    /// All steps and items that there are, in order.
    pub fn steps(&self) -> impl Iterator<Item = (StepKey, &StepRecord)> {
        self.steps.iter().map(|(key, step)| (*key, step.as_ref()))
    }

    /// The step of a name such as `parse` or `score[17]`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<StepKey> {
        let key = record::parse_name(&self.definition, name)?;
        self.steps.contains_key(&key).then_some(key)
    }

    /// Name of a step, such as `parse` or `score[17]`.
    #[must_use]
    pub fn name(&self, key: StepKey) -> String {
        step_name(&self.definition, key)
    }

    /// True when it has ended.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        is_terminal_run(self.record.state())
    }

    /// When something happens by itself next.
    #[must_use]
    pub fn next_due(&self) -> Option<i64> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Steps and items that are in a state.
    pub fn in_state(&self, state: StepState) -> impl Iterator<Item = StepKey> {
        self.steps
            .iter()
            .filter(move |(_, step)| step.state() == state)
            .map(|(key, _)| *key)
    }

    /// How many steps and items are in a state.
    #[must_use]
    pub fn count(&self, state: StepState) -> u32 {
        self.counts.get(state_index(state)).copied().unwrap_or(0)
    }

    /// Bytes of all inputs, outputs and signals.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// The queue in which a step can be had now; `None` when it cannot be leased.
    #[must_use]
    pub fn queue(&self, key: StepKey) -> Option<&str> {
        let step = self.steps.get(&key)?;
        if step.state() != StepState::Ready || !self.may_begin(step.compensating) {
            return None;
        }
        let definition = self.definition.steps.get(key.index())?;
        if step.compensating {
            return definition.compensate.as_deref();
        }
        if !matches!(step.key_state(), KeyState::Unspecified | KeyState::Claimed) {
            return None;
        }
        match &definition.task.kind {
            TaskKind::Agent { queue } => Some(queue),
            TaskKind::Model(_) => Some(MODEL_QUEUE),
            TaskKind::Approval { .. } | TaskKind::Wait(_) | TaskKind::Workflow { .. } => None,
        }
    }

    /// What changed since the last call.
    pub fn take_changes(&mut self) -> Changes {
        Changes {
            header: std::mem::take(&mut self.header_changed),
            steps: std::mem::take(&mut self.changed).into_iter().collect(),
        }
    }

    /// Whether new work may begin.
    fn may_begin(&self, compensating: bool) -> bool {
        match self.record.state() {
            RunState::Running | RunState::Waiting => !compensating,
            RunState::Cancelling => compensating,
            _ => false,
        }
    }

    fn step_def(&self, key: StepKey) -> Option<&StepDef> {
        self.definition.steps.get(key.index())
    }

    fn lease_nanos(&self, key: StepKey) -> i64 {
        self.step_def(key).map_or(0, |step| step.task.timeouts.lease_nanos)
    }

    /// The one way to change a step: keeps timers, counts and what has to be stored.
    fn edit<T>(&mut self, key: StepKey, change: impl FnOnce(&mut StepRecord) -> T) -> Option<T> {
        let step = self.steps.get_mut(&key)?;
        let (state, at, bytes) = (step.state(), due(step), step_bytes(step));
        let result = change(step);
        let (new_state, new_at) = (step.state(), due(step));
        self.payload_bytes = self
            .payload_bytes
            .saturating_sub(bytes)
            .saturating_add(step_bytes(step));
        if at != new_at {
            if let Some(at) = at {
                self.timers.remove(&(at, Timer::Step(key)));
            }
            if let Some(at) = new_at {
                self.timers.insert((at, Timer::Step(key)));
            }
        }
        if state != new_state {
            self.count_moved(Some(state), new_state);
        }
        self.changed.insert(key);
        Some(result)
    }

    fn insert_step(&mut self, key: StepKey, step: StepRecord) {
        self.count_moved(None, step.state());
        self.payload_bytes = self.payload_bytes.saturating_add(step_bytes(&step));
        if let Some(at) = due(&step) {
            self.timers.insert((at, Timer::Step(key)));
        }
        self.steps.insert(key, Box::new(step));
        self.changed.insert(key);
    }

    fn count_moved(&mut self, from: Option<StepState>, to: StepState) {
        if let Some(count) = from.and_then(|state| self.counts.get_mut(state_index(state))) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = self.counts.get_mut(state_index(to)) {
            *count += 1;
        }
    }

    /// The one way to change the run's own record.
    fn edit_run(&mut self, change: impl FnOnce(&mut RunRecord)) {
        let (before, bytes) = (run_due(&self.record).unwrap_or(0), run_bytes(&self.record));
        change(&mut self.record);
        self.header_changed = true;
        self.payload_bytes = self
            .payload_bytes
            .saturating_sub(bytes)
            .saturating_add(run_bytes(&self.record));
        self.reset_run_timer(before);
    }

    fn reset_run_timer(&mut self, before: i64) {
        self.timers.remove(&(before, Timer::Run));
        if let Some(at) = run_due(&self.record) {
            self.timers.insert((at, Timer::Run));
        }
    }

    /// INVARIANT (W3), and that what is derived fits what it is derived from.
    ///
    /// # Errors
    /// Says what does not hold.
    pub fn check(&self) -> Result<(), String> {
        let again = Self::assembled(Arc::clone(&self.definition), self.record.clone(), self.steps.clone());
        if again.counts != self.counts {
            return Err("counts of states do not fit the steps".to_owned());
        }
        if again.payload_bytes != self.payload_bytes {
            return Err("payload bytes do not fit the steps".to_owned());
        }
        if again.timers != self.timers {
            return Err("timers do not fit the steps".to_owned());
        }
        let state = self.record.state();
        if self.is_ended() || matches!(state, RunState::Pending | RunState::Paused) {
            return Ok(());
        }
        let comes = [
            StepState::Ready,
            StepState::Leased,
            StepState::RetryWait,
            StepState::Waiting,
            StepState::WaitingApproval,
            StepState::Unknown,
        ];
        if comes.iter().all(|state| self.count(*state) == 0) {
            return Err(format!("W3: the run is {} and nothing will come", state.as_str_name()));
        }
        Ok(())
    }
}

fn json_bytes(payload: Option<&PayloadRecord>) -> usize {
    payload.map_or(0, |payload| payload.json.len())
}

fn step_bytes(step: &StepRecord) -> usize {
    json_bytes(step.input.as_ref()) + json_bytes(step.output.as_ref())
}

fn run_bytes(run: &RunRecord) -> usize {
    let signals: usize = run
        .signals
        .iter()
        .map(|signal| json_bytes(signal.payload.as_ref()))
        .sum();
    json_bytes(run.input.as_ref()) + json_bytes(run.output.as_ref()) + signals
}

fn state_index(state: StepState) -> usize {
    usize::try_from(state as i32).unwrap_or(0)
}

/// True when nothing happens to a run in this state any more.
#[must_use]
pub fn is_terminal_run(state: RunState) -> bool {
    matches!(
        state,
        RunState::Succeeded | RunState::Failed | RunState::Cancelled | RunState::Compensated
    )
}

/// True when a step in this state has ended; a SUCCEEDED one may still be compensated.
#[must_use]
pub fn is_terminal_step(state: StepState) -> bool {
    matches!(
        state,
        StepState::Succeeded | StepState::Failed | StepState::Skipped | StepState::Cancelled | StepState::Compensated
    )
}

/// When something happens to a step by itself.
#[must_use]
pub fn due(step: &StepRecord) -> Option<i64> {
    let first = |times: &[i64]| times.iter().copied().filter(|at| *at > 0).min();
    let total = step.total_expires_at_unix_nanos;
    match step.state() {
        StepState::Leased => first(&[
            step.lease_expires_at_unix_nanos,
            step.attempt_expires_at_unix_nanos,
            total,
        ]),
        StepState::Ready | StepState::RetryWait => first(&[step.due_at_unix_nanos, total]),
        StepState::Waiting => first(&[step.due_at_unix_nanos]),
        _ => None,
    }
}

fn run_due(run: &RunRecord) -> Option<i64> {
    match run.state() {
        RunState::Pending => Some(run.start_time_unix_nanos.max(1)).filter(|_| run.start_time_unix_nanos > 0),
        RunState::Running | RunState::Waiting | RunState::Paused => Some(run.deadline_unix_nanos).filter(|at| *at > 0),
        _ => None,
    }
}
