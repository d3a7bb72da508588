//! Open runs, and what is derived from them: queues, timers, keys.
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use fairlead_wire::internal::KeyState;
use fairlead_wire::v1::{RunState, StepState};
use fairlead_workflow::run::{MODEL_QUEUE, Run, StepKey};

use super::definitions::{Kept, Workflows};
use crate::keys::RunId;
use crate::share::PerTenant;

/// A step of an open run.
pub(super) type Place = (RunId, StepKey);
/// Higher priority first, then who was ready first.
type Order = (Reverse<i32>, u64);

/// An open run and what is noted about it elsewhere.
#[derive(Debug)]
pub(super) struct OpenRun {
    pub(super) run: Run,
    pub(super) tenant: Arc<str>,
    /// Digests of the payloads that are stored for it.
    pub(super) stored: HashSet<[u8; 32]>,
    due: Option<i64>,
    /// Where its ready steps stand.
    ready: BTreeMap<StepKey, (QueueName, Order)>,
    state: RunState,
    bytes: usize,
    leased: usize,
}

/// A queue of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct QueueName {
    pub(super) tenant: Arc<str>,
    pub(super) queue: Box<str>,
}

/// What the surroundings have to be told of after a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wakes {
    /// Queues that have steps now, as tenant and queue.
    pub queues: Vec<(Arc<str>, Box<str>)>,
    /// Model steps are ready.
    pub models: bool,
    /// Idempotency keys have to be looked up.
    pub keys: bool,
    /// Something is due earlier than before.
    pub timer: bool,
    /// Runs or steps that somebody may watch have changed.
    pub changed: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct RunBook {
    pub(super) workflows: Arc<Workflows>,
    pub(super) kept: Kept,
    /// In boxes: a table of what they are made of would have to be moved as it grows.
    runs: HashMap<RunId, Box<OpenRun>>,
    tenants: PerTenant,
    /// INVARIANT (W5).
    due: BTreeSet<(i64, RunId)>,
    queues: HashMap<QueueName, BTreeMap<Order, Place>>,
    /// Tenants with ready model steps, in the order in which they have their turn.
    model_turns: VecDeque<Arc<str>>,
    sequence: u64,
    /// Steps whose key has to be looked up.
    unresolved: BTreeSet<Place>,
    /// Who holds a key, by its key in the store. INVARIANT (W6).
    claims: HashMap<Vec<u8>, Place>,
    /// Who waits for a key that another one holds.
    waiters: HashMap<Vec<u8>, BTreeSet<Place>>,
    bytes: usize,
    ready_steps: usize,
    leased_steps: usize,
    wakes: Wakes,
}

impl RunBook {
    pub(crate) fn set_workflows(&mut self, workflows: Arc<Workflows>) {
        self.workflows = workflows;
    }

    pub(crate) fn len(&self) -> usize {
        self.runs.len()
    }

    pub(crate) fn of_tenant(&self, tenant: &str) -> usize {
        self.tenants.of(tenant)
    }

    /// Bytes of all payloads of open runs.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Steps that may be leased.
    pub(crate) fn ready_steps(&self) -> usize {
        self.ready_steps
    }

    /// Steps that are leased.
    pub(crate) fn leased_steps(&self) -> usize {
        self.leased_steps
    }

    pub(super) fn get(&self, id: &RunId) -> Option<&OpenRun> {
        self.runs.get(id).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, id: &RunId) -> Option<&mut OpenRun> {
        self.runs.get_mut(id).map(Box::as_mut)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &RunId> {
        self.runs.keys()
    }

    /// When something happens to a run by itself next.
    pub(crate) fn next_due(&self) -> Option<(i64, RunId)> {
        self.due.first().copied()
    }

    /// The next step whose key has to be looked up.
    pub(crate) fn next_unresolved(&self) -> Option<Place> {
        self.unresolved.first().copied()
    }

    pub(crate) fn take_wakes(&mut self) -> Wakes {
        std::mem::take(&mut self.wakes)
    }

    pub(super) fn insert(&mut self, id: RunId, run: Run, stored: HashSet<[u8; 32]>) {
        let tenant: Arc<str> = Arc::from(run.record().tenant.as_str());
        self.tenants.add(&tenant);
        let state = run.record().state();
        let open = OpenRun {
            run,
            tenant,
            stored,
            due: None,
            ready: BTreeMap::new(),
            state,
            bytes: 0,
            leased: 0,
        };
        self.runs.insert(id, Box::new(open));
        let all: Vec<StepKey> = self
            .runs
            .get(&id)
            .map(|open| open.run.steps().map(|(key, _)| key).collect())
            .unwrap_or_default();
        self.follow(&id, &all);
    }

    /// Takes an ended run out.
    pub(super) fn remove(&mut self, id: &RunId) -> Option<Run> {
        let keys: Vec<StepKey> = self.runs.get(id)?.run.steps().map(|(key, _)| key).collect();
        self.follow(id, &keys);
        let open = self.runs.remove(id)?;
        self.tenants.remove(&open.tenant);
        self.bytes = self.bytes.saturating_sub(open.bytes);
        self.leased_steps = self.leased_steps.saturating_sub(open.leased);
        if let Some(at) = open.due {
            self.due.remove(&(at, *id));
        }
        Some(open.run)
    }

    /// Brings what is derived in line with a run of which these steps have changed.
    pub(super) fn follow(&mut self, id: &RunId, changed: &[StepKey]) {
        let Some(mut open) = self.runs.remove(id) else { return };
        let state = open.run.record().state();
        if state != open.state {
            // What could be had may not be had any more, or the other way round.
            let ready: Vec<StepKey> = open
                .run
                .in_state(StepState::Ready)
                .chain(open.ready.keys().copied())
                .collect();
            open.state = state;
            for key in ready {
                self.follow_step(id, &mut open, key);
            }
        }
        for key in changed {
            self.follow_step(id, &mut open, *key);
        }
        let due = open.run.next_due();
        if due != open.due {
            if let Some(at) = open.due {
                self.due.remove(&(at, *id));
            }
            if let Some(at) = due {
                self.wakes.timer |= self.due.first().is_none_or(|(first, _)| at < *first);
                self.due.insert((at, *id));
            }
            open.due = due;
        }
        let bytes = open.run.payload_bytes();
        self.bytes = self.bytes.saturating_sub(open.bytes).saturating_add(bytes);
        open.bytes = bytes;
        let leased = open.run.count(StepState::Leased) as usize;
        self.leased_steps = self.leased_steps.saturating_sub(open.leased) + leased;
        open.leased = leased;
        self.wakes.changed = true;
        self.runs.insert(*id, open);
    }

    fn follow_step(&mut self, id: &RunId, open: &mut OpenRun, key: StepKey) {
        let place = (*id, key);
        let queue = open.run.queue(key);
        let stands = open.ready.get(&key).map(|(name, _)| &*name.queue);
        if queue != stands {
            if let Some((name, order)) = open.ready.remove(&key) {
                self.leave(&name, order);
            }
            if let Some(queue) = queue {
                let name = QueueName {
                    tenant: Arc::clone(&open.tenant),
                    queue: queue.into(),
                };
                self.sequence += 1;
                let order = (Reverse(open.run.record().priority), self.sequence);
                self.stand(name.clone(), order, place);
                open.ready.insert(key, (name, order));
            }
        }
        let Some(step) = open.run.step(key) else { return };
        let key_state = step.key_state();
        let is_open = !fairlead_workflow::run::is_terminal_step(step.state());
        if key_state == KeyState::Unresolved && step.state() == StepState::Ready && is_open {
            if self.unresolved.insert(place) {
                self.wakes.keys = true;
            }
        } else {
            self.unresolved.remove(&place);
        }
        if step.idempotency_key.is_empty() {
            return;
        }
        let stored = crate::keys::step_key(&open.tenant, &step.idempotency_key);
        if key_state == KeyState::Claimed && is_open {
            self.claims.insert(stored, place);
        } else if key_state == KeyState::HeldByAnother && is_open {
            self.waiters.entry(stored).or_default().insert(place);
        } else if let Some(waiters) = self.waiters.get_mut(&stored) {
            waiters.remove(&place);
            if waiters.is_empty() {
                self.waiters.remove(&stored);
            }
        }
    }

    fn stand(&mut self, name: QueueName, order: Order, place: Place) {
        if &*name.queue == MODEL_QUEUE {
            self.wakes.models = true;
            if !self.model_turns.contains(&name.tenant) {
                self.model_turns.push_back(Arc::clone(&name.tenant));
            }
        } else {
            self.wakes.queues.push((Arc::clone(&name.tenant), name.queue.clone()));
        }
        self.ready_steps += 1;
        self.queues.entry(name).or_default().insert(order, place);
    }

    fn leave(&mut self, name: &QueueName, order: Order) {
        if let Some(queue) = self.queues.get_mut(name) {
            if queue.remove(&order).is_some() {
                self.ready_steps = self.ready_steps.saturating_sub(1);
            }
            if queue.is_empty() {
                self.queues.remove(name);
            }
        }
    }

    /// The next step of some queues of a tenant.
    pub(super) fn next_ready(&self, tenant: &str, queues: &[String]) -> Option<Place> {
        let tenant: Arc<str> = Arc::from(tenant);
        let firsts = queues.iter().filter_map(|queue| {
            let name = QueueName {
                tenant: Arc::clone(&tenant),
                queue: queue.as_str().into(),
            };
            let (order, place) = self.queues.get(&name)?.first_key_value()?;
            Some((*order, *place))
        });
        firsts.min_by_key(|(order, _)| *order).map(|(_, place)| place)
    }

    /// The next model step, one tenant after the other.
    pub(super) fn next_model_step(&mut self) -> Option<Place> {
        for _ in 0..self.model_turns.len() {
            let tenant = self.model_turns.pop_front()?;
            let name = QueueName {
                tenant: Arc::clone(&tenant),
                queue: MODEL_QUEUE.into(),
            };
            if let Some((_, place)) = self.queues.get(&name).and_then(BTreeMap::first_key_value) {
                let place = *place;
                self.model_turns.push_back(tenant);
                return Some(place);
            }
        }
        None
    }

    /// Who holds a key.
    pub(super) fn holder(&self, stored: &[u8]) -> Option<Place> {
        self.claims.get(stored).copied()
    }

    /// Notes who holds a key.
    pub(super) fn claim(&mut self, stored: Vec<u8>, place: Place) {
        self.claims.insert(stored, place);
    }

    /// Notes who waits for a key.
    pub(super) fn wait_for(&mut self, stored: &[u8], waiters: impl Iterator<Item = Place>) {
        let mut waiters = waiters.peekable();
        if waiters.peek().is_some() {
            self.waiters.entry(stored.to_vec()).or_default().extend(waiters);
        }
    }

    /// Gives a key up; returns who waits for it.
    pub(super) fn give_up(&mut self, stored: &[u8]) -> BTreeSet<Place> {
        self.claims.remove(stored);
        self.waiters.remove(stored).unwrap_or_default()
    }

    /// INVARIANTS (W3), (W5), (W6).
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut due = BTreeSet::new();
        let mut ready = 0;
        for (id, open) in &self.runs {
            open.run
                .check()
                .map_err(|wrong| format!("{}: {wrong}", open.run.record().run))?;
            due.extend(open.run.next_due().map(|at| (at, *id)));
            for (key, step) in open.run.steps() {
                let queue = open.run.queue(key);
                if queue.is_some() {
                    ready += 1;
                }
                if queue != open.ready.get(&key).map(|(name, _)| &*name.queue) {
                    return Err(format!(
                        "W5: {} of {} does not stand where it has to",
                        open.run.name(key),
                        open.run.record().run
                    ));
                }
                if step.key_state() == KeyState::Claimed && !fairlead_workflow::run::is_terminal_step(step.state()) {
                    let stored = crate::keys::step_key(&open.tenant, &step.idempotency_key);
                    if self.claims.get(&stored) != Some(&(*id, key)) {
                        return Err(format!(
                            "W6: {} of {} has a key that it does not hold",
                            open.run.name(key),
                            open.run.record().run
                        ));
                    }
                }
            }
        }
        if due != self.due {
            return Err("W5: timers do not fit the runs".to_owned());
        }
        let standing: usize = self.queues.values().map(BTreeMap::len).sum();
        if standing != ready || self.ready_steps != ready {
            return Err(format!(
                "W5: {ready} steps are ready, {standing} stand in queues, {} are counted",
                self.ready_steps
            ));
        }
        Ok(())
    }
}
