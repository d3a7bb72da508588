//! The core: the engine and its commit queue under one lock, and everybody's way to them.
//!
//! ```text
//! call ─► enter: lock · phase · bound · engine.command(now) · queue.push ─► unlock ─► wait for the commit ─► reply
//!                                                  │
//!                      writer thread: next_batch ──┘── write ── acknowledge ─► replies
//! ```
//!
//! INVARIANT (C1): one order. A unit is queued under the same lock hold in which the engine made it, so the store sees the
//! units in the order of the decisions.
//!
//! INVARIANT (C2): reply after commit. An answer that comes with a unit leaves only when the unit is as durable as its
//! class asks; when the store fails before, the answer is `STORE_UNAVAILABLE` (the write may still be found afterwards,
//! the request id tells) and the engine is rebuilt from the store before it decides again.
//!
//! A caller that goes away between decision and commit changes nothing: the unit is committed all the same. What an
//! admission held then stays held until it is settled by a repetition's answer, released, or expires.
//!
//! | module | idea |
//! |---|---|
//! | `queue` | numbered units, batches, two marks |
//! | `store` | phases of the store; recovery, the writer's side |
//! | `calls` | admit, settle, release: the async side |
//! | `tools` | tool calls |
//! | `runs`, `workers` | steps of workflows, and who waits for them |
//! | `waiting` | calls that wait for a rate limit |
//! | `sealing` | audit records that are committed and in no checkpoint yet |
//! | `control` | commands of the control services; configuration |
//! | `clock`, `running` | time, the configuration in force |
mod calls;
mod clock;
mod control;
pub mod queue;
mod running;
mod runs;
mod sealing;
mod store;
mod tools;
mod waiting;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use fairlead_engine::{Applied, Engine, Reason, Refusal, Rejection, Salts, Workflows};
use fairlead_plan::Compiled;
use fairlead_seal::Unsealed;
use fairlead_wire::internal::{EngineConfig, Known, NeedsRecord, Secrets};
use futures_util::future::BoxFuture;
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::{Notify, oneshot, watch};

pub use self::calls::Admitted;
pub use fairlead_plan::{UnixNanos, Violation};

use self::clock::Clock;
use self::queue::{CommitQueue, Receipt};
pub use self::running::Running;
use self::store::Phase;
pub use self::store::RecoverError;
pub use self::waiting::Patience;
use self::workers::WaitingWorkers;
use crate::metrics::{Metrics, Stage};
use crate::refusal;
use crate::wait::WaitQueue;

/// How long a decision may be ahead of the reload that it was made with: as long as an fsync takes on a slow disk.
const RELOAD_LIMIT: Duration = Duration::from_secs(5);

/// Answers what the engine has to know from the store.
pub trait StoreReader: Send + Sync {
    /// Reads the records. Everything that was committed before the call must be visible.
    fn read<'a>(&'a self, needs: &'a NeedsRecord) -> BoxFuture<'a, Result<Known, Rejection>>;
}

/// See the module. Clones share everything.
#[derive(Clone)]
pub struct Core {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// A unit was queued.
    queued: Condvar,
    clock: Clock,
    metrics: Arc<Metrics>,
    /// Read by every call; the channel beside it tells who wants to know of changes.
    running: ArcSwap<Running>,
    changed: watch::Sender<Arc<Running>>,
    available: watch::Sender<bool>,
    /// One command at a time may depend on what the store has.
    slow: tokio::sync::Mutex<()>,
    reader: ArcSwapOption<Arc<dyn StoreReader>>,
    /// One configuration at a time.
    loading: Mutex<()>,
    /// Never held while something is hashed.
    unsealed: Mutex<Unsealed>,
    /// Model steps are ready.
    models_ready: Notify,
    /// Idempotency keys of steps have to be looked up.
    keys_waiting: Notify,
    /// Something is due earlier than before.
    due_earlier: Notify,
}

struct State {
    engine: Engine,
    phase: Phase,
    queue: CommitQueue,
    waits: WaitQueue,
    workers: WaitingWorkers,
}

/// What the engine decided, and the receipt of its unit.
pub(crate) struct Decided<T> {
    reply: Result<T, Refusal>,
    replayed: bool,
    last_sequence: u64,
    receipt: Option<Receipt>,
    /// What the store said on the way to it.
    known: Option<Known>,
}

/// Why there is no core.
#[derive(Debug)]
pub enum NewError {
    /// The configuration is not valid: all violations.
    Config(Vec<Violation>),
    /// A fault of the program.
    Fault(String),
}

impl Core {
    /// A core that recovers before it decides: see [`Core::recover`].
    pub fn new(config: EngineConfig, secrets: Secrets) -> Result<Self, NewError> {
        let (compiled, workflows) = compile(&config).map_err(NewError::Config)?;
        let metrics = Arc::new(Metrics::new().map_err(|error| NewError::Fault(error.to_string()))?);
        let running = Arc::new(Running::new(
            config,
            secrets,
            Arc::clone(&compiled),
            Arc::clone(&workflows),
        ));
        let engine = new_engine(&running).map_err(NewError::Fault)?;
        Ok(Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    engine,
                    phase: Phase::Empty,
                    queue: CommitQueue::default(),
                    waits: WaitQueue::default(),
                    workers: WaitingWorkers::default(),
                }),
                queued: Condvar::new(),
                clock: Clock::start(),
                metrics,
                running: ArcSwap::new(Arc::clone(&running)),
                changed: watch::Sender::new(running),
                available: watch::Sender::new(false),
                slow: tokio::sync::Mutex::new(()),
                reader: ArcSwapOption::empty(),
                loading: Mutex::new(()),
                unsealed: Mutex::new(Unsealed::new(sealing::MOST_BYTES)),
                models_ready: Notify::new(),
                keys_waiting: Notify::new(),
                due_earlier: Notify::new(),
            }),
        })
    }

    /// Now, on the core's clock.
    pub fn now(&self) -> UnixNanos {
        self.shared.clock.now()
    }

    /// The configuration in force.
    pub fn running(&self) -> Arc<Running> {
        self.shared.running.load_full()
    }

    /// The configuration with this version, which a decision names: the one in force, or the one that is about to be. A
    /// decision may be acknowledged shortly before the reload that it was made with. None: it did not come in time.
    pub async fn running_as(&self, version: &str) -> Option<Arc<Running>> {
        let mut changed = self.subscribe();
        let running = changed.wait_for(|running| running.compiled.version() == version);
        let running = tokio::time::timeout(RELOAD_LIMIT, running).await.ok()?.ok()?;
        Some(Arc::clone(&running))
    }

    /// Follows the configuration and its secrets.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Running>> {
        self.shared.changed.subscribe()
    }

    /// Follows whether the store takes writes.
    pub fn store_available(&self) -> watch::Receiver<bool> {
        self.shared.available.subscribe()
    }

    /// The metrics of this core and its front.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.shared.metrics
    }

    /// Who answers what the store has, while the front runs.
    pub(crate) fn attach_reader(&self, reader: Arc<dyn StoreReader>) {
        self.shared.reader.store(Some(Arc::new(reader)));
    }

    /// The front does not run any more.
    pub(crate) fn detach_reader(&self) {
        self.shared.reader.store(None);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock()
    }

    /// The one way of a command into the engine (C1). `now`: `None` is the core's clock, read under the lock, so that the
    /// order of times is the order of decisions.
    fn enter<T>(
        &self,
        now: Option<UnixNanos>,
        command: impl FnOnce(&mut Engine, UnixNanos) -> Applied<T>,
    ) -> Result<Decided<T>, Rejection> {
        let started = std::time::Instant::now();
        let mut state = self.lock();
        let decided = self.decide(&mut state, now, command)?;
        drop(state);
        self.shared.metrics.stage(Stage::Decide, started.elapsed());
        if decided.receipt.is_some() {
            self.shared.queued.notify_one();
        }
        Ok(decided)
    }

    /// [`Core::enter`], and for a decision without a unit of its own what it has to wait for: what it was decided on may
    /// be on its way to the store still, and fail there.
    fn enter_behind<T>(
        &self,
        command: impl FnOnce(&mut Engine, UnixNanos) -> Applied<T>,
    ) -> Result<(Decided<T>, Vec<Receipt>), Rejection> {
        let started = std::time::Instant::now();
        let mut state = self.lock();
        let decided = self.decide(&mut state, None, command)?;
        let barrier = match &decided.receipt {
            Some(_) => Vec::new(),
            None => state.queue.barrier(),
        };
        drop(state);
        self.shared.metrics.stage(Stage::Decide, started.elapsed());
        if decided.receipt.is_some() {
            self.shared.queued.notify_one();
        }
        Ok((decided, barrier))
    }

    /// Tells everybody what a command has made ready. What is told of may not be committed yet: whoever takes it is
    /// committed behind it (C1).
    fn tell(&self, state: &mut State) {
        let wakes = state.engine.take_wakes();
        state.workers.wake(&wakes);
        if wakes.models {
            self.shared.models_ready.notify_one();
        }
        if wakes.keys {
            self.shared.keys_waiting.notify_one();
        }
        if wakes.timer {
            self.shared.due_earlier.notify_one();
        }
    }

    /// [`Core::enter`] for who holds the lock already; the writer still has to be notified.
    fn decide<T>(
        &self,
        state: &mut State,
        now: Option<UnixNanos>,
        command: impl FnOnce(&mut Engine, UnixNanos) -> Applied<T>,
    ) -> Result<Decided<T>, Rejection> {
        state.phase.admits()?;
        let most = self.shared.running.load().limits().queue_depth;
        if state.queue.depth() >= most {
            return Err(refusal::queue_full("limits.queueDepth", most));
        }
        let now = now.unwrap_or_else(|| self.now());
        let applied = command(&mut state.engine, now);
        self.tell(state);
        let mut decided = Decided {
            reply: applied.reply,
            replayed: applied.replayed,
            last_sequence: 0,
            receipt: None,
            known: None,
        };
        if let Some(unit) = applied.unit {
            let (waiter, receipt) = oneshot::channel();
            decided.last_sequence = unit.last_sequence;
            decided.receipt = Some(receipt);
            state.queue.push(unit, Some(waiter));
        }
        Ok(decided)
    }
}

/// A configuration in the two forms that the engine uses.
fn compile(config: &EngineConfig) -> Result<(Arc<Compiled>, Arc<Workflows>), Vec<Violation>> {
    let compiled = Compiled::compile(config)?;
    let workflows = Workflows::compile(config)?;
    Ok((Arc::new(compiled), Arc::new(workflows)))
}

/// An empty engine of a configuration, with salts that nobody can guess: without them there is no engine.
fn new_engine(running: &Running) -> Result<Engine, String> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| format!("the operating system gives no random bytes: {error}"))?;
    let mut engine = Engine::new(Arc::clone(&running.compiled), Salts::new(seed));
    engine.set_workflows(Arc::clone(&running.workflows));
    Ok(engine)
}

/// The store failed while a unit was on its way.
fn lost() -> Rejection {
    refusal::retry(
        Reason::StoreUnavailable,
        "the store failed on the way: it is not certain that the change was written, try again with the same request id",
        Duration::from_secs(1),
    )
}

/// An engine's "no" where waiting and look-ups have been dealt with.
fn rejected(refusal: Refusal) -> Rejection {
    match refusal {
        Refusal::Rejected(rejection) => rejection,
        // INVARIANT: callers resolve these two first; an engine that asks twice for the same thing is a fault.
        Refusal::NeedsRecord(_) | Refusal::Wait(_) => {
            refusal::of(Reason::Internal, "the engine asked for something it was given")
        }
    }
}
