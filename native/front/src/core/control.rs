//! Commands of the control services, and everything about the core that is not a call: configuration, expiry, views.
use std::sync::Arc;

use fairlead_engine::{BudgetUse, Caller, Engine, FieldViolation, Reason, Refusal, Rejection, Workflows};
use fairlead_plan::{Compiled, UnixNanos, Violation};
use fairlead_wire::internal::command::Kind;
use fairlead_wire::internal::command_result::Result as Outcome;
use fairlead_wire::internal::{
    self, BudgetKey, Command, CommandResult, Done, Known, LoadConfig, Snapshot, SnapshotQuery,
};
use fairlead_wire::v1::{AuditRecord, DecisionRecord};
use parking_lot::MutexGuard;

use super::queue::{Commit, Receipt};
use super::{Core, Decided, Running, compile, lost};

/// Most budget instances of one answer.
const MOST_BUDGETS: usize = 1_000;
/// Views of budget instances that are made in one hold of the lock: about a tenth of a millisecond.
const SLICE: usize = 100;

impl Core {
    /// Applies a command of the control services. With `wait` the thread blocks until the unit is committed, which needs a
    /// running writer and must not be called on a runtime's thread; without, the answer comes at once.
    pub fn apply(&self, command: Command, now: Option<UnixNanos>, known: Option<&Known>, wait: bool) -> CommandResult {
        let outcome = match command {
            Command {
                caller,
                kind: Some(Kind::LoadConfig(load)),
            } => self.load_config(&caller.unwrap_or_default(), load, now, wait),
            command => self.apply_plain(&command, now, known, wait),
        };
        outcome.unwrap_or_else(|rejection| refused(&rejection))
    }

    fn apply_plain(
        &self,
        command: &Command,
        now: Option<UnixNanos>,
        known: Option<&Known>,
        wait: bool,
    ) -> Result<CommandResult, Rejection> {
        let decided = self.enter(now, |engine, now| engine.apply(now, command, known))?;
        if matches!(command.kind, Some(Kind::Settle(_) | Kind::Release(_) | Kind::Expire(_))) {
            self.lock().waits.released_by_time();
        }
        let Decided {
            reply,
            last_sequence,
            receipt,
            ..
        } = decided;
        committed(receipt, wait)?;
        match reply {
            Ok(mut result) => {
                result.sequence = result.sequence.max(last_sequence);
                Ok(result)
            }
            Err(Refusal::Rejected(rejection)) => Err(rejection),
            Err(Refusal::NeedsRecord(needs)) => Ok(CommandResult {
                result: Some(Outcome::NeedsRecord(needs)),
                sequence: 0,
            }),
            Err(Refusal::Wait(_)) => Err(Rejection::new(
                Reason::Internal,
                "a command of the control services cannot wait for a rate limit",
            )),
        }
    }

    /// Compiles outside the engine's lock, switches the engine under it, and everything else after the commit. One at a
    /// time, so that what is in force last was committed last.
    fn load_config(
        &self,
        caller: &internal::Caller,
        load: LoadConfig,
        now: Option<UnixNanos>,
        wait: bool,
    ) -> Result<CommandResult, Rejection> {
        let _one_at_a_time = self.shared.loading.lock();
        let done = |sequence| CommandResult {
            result: Some(Outcome::Done(Done {})),
            sequence,
        };
        if load.secrets_only {
            let running = self.running().with_secrets(load.secrets.unwrap_or_default());
            self.replace(Arc::new(running));
            return Ok(done(0));
        }
        let config = load.config.unwrap_or_default();
        let (compiled, workflows) = compile(&config).map_err(|violations| invalid(&violations))?;
        if load.validate_only {
            return Ok(done(0));
        }
        let caller = Caller {
            tenant: &caller.tenant,
            agent: &caller.agent,
            operator: &caller.operator,
            traceparent: &caller.traceparent,
        };
        let next = Arc::new(Running::new(
            config,
            load.secrets.unwrap_or_default(),
            Arc::clone(&compiled),
            Arc::clone(&workflows),
        ));
        let decided = self.enter(now, |engine, now| {
            let applied = engine.load_config(now, caller, compiled, &load.source, &load.writes);
            if applied.reply.is_ok() {
                engine.set_workflows(workflows);
            }
            applied
        })?;
        let Decided {
            reply,
            last_sequence,
            receipt,
            ..
        } = decided;
        committed(receipt, wait)?;
        match reply {
            Ok(()) => {
                self.replace(next);
                Ok(done(last_sequence))
            }
            Err(Refusal::Rejected(rejection)) => Err(rejection),
            Err(Refusal::NeedsRecord(_) | Refusal::Wait(_)) => Err(Rejection::new(
                Reason::Internal,
                "a configuration cannot depend on a record",
            )),
        }
    }

    fn replace(&self, next: Arc<Running>) {
        self.shared.running.store(Arc::clone(&next));
        self.shared.changed.send_replace(next);
        // Limits may have become wider.
        self.lock().waits.released_by_time();
    }

    /// Ends the holds whose time has come. Nobody waits for the units; a full queue or a failed store leaves them to the
    /// next tick.
    pub fn expire(&self) {
        loop {
            let mut state = self.lock();
            let now = self.now();
            if state.engine.next_expiry().is_none_or(|at| at > now) {
                return;
            }
            let Ok(decided) = self.decide(&mut state, Some(now), Engine::expire) else {
                return;
            };
            let ended = decided.reply.unwrap_or(0);
            if ended > 0 {
                state.waits.released_by_time();
            }
            drop(state);
            if decided.receipt.is_some() {
                self.shared.queued.notify_one();
            }
            self.shared.metrics.expired(ended);
            if ended == 0 {
                return;
            }
        }
    }

    /// What a query of the control services asks for: budget instances, or the core itself without them.
    pub fn query(&self, query: &SnapshotQuery) -> Snapshot {
        if query.instance.is_empty() && query.limit == 0 {
            return self.snapshot();
        }
        if !query.instance.is_empty() {
            let state = self.lock();
            let found = state
                .engine
                .budget(self.now(), &query.tenant, &query.budget, &query.instance);
            return Snapshot {
                budgets: found.into_iter().collect(),
                ..Snapshot::default()
            };
        }
        let limit = usize::try_from(query.limit).map_or(MOST_BUDGETS, |limit| limit.min(MOST_BUDGETS));
        let mut page = Snapshot {
            next: query.after.clone(),
            ..Snapshot::default()
        };
        loop {
            let slice = SLICE.min(limit - page.budgets.len());
            let state = self.lock();
            let (views, next) =
                state
                    .engine
                    .budgets_page(self.now(), &query.tenant, &query.budget, page.next.as_ref(), slice);
            // Calls that wait for the lock go first.
            MutexGuard::unlock_fair(state);
            let is_short = views.len() < slice;
            page.budgets.extend(views);
            page.next = next;
            // A short slice has passed many tenants: that is enough for one answer.
            if page.next.is_none() || page.budgets.len() >= limit || is_short {
                return page;
            }
        }
    }

    /// Visits how much is used of the next `limit` budget instances behind `after`, holding the lock. Returns where to go on.
    pub(crate) fn visit_budgets(
        &self,
        after: Option<&BudgetKey>,
        limit: usize,
        visit: impl FnMut(BudgetUse<'_>),
    ) -> Option<BudgetKey> {
        let state = self.lock();
        let next = state.engine.visit_budgets(self.now(), after, limit, visit);
        // Calls that wait for the lock go first.
        MutexGuard::unlock_fair(state);
        next
    }

    /// Health and marks, as they are now, without budgets.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        let mut snapshot = state.engine.snapshot(self.now());
        drop(state);
        snapshot.store_available = *self.shared.available.borrow();
        snapshot
    }

    /// Units that wait for the writer, units that are not committed, and calls that wait for a rate limit.
    pub(crate) fn depths(&self) -> (usize, u64, usize) {
        let state = self.lock();
        (state.queue.waiting(), state.queue.depth(), state.waits.waiting())
    }

    /// What can be told of the engine's named invariants at once; the error says which is broken.
    pub(crate) fn check_invariants(&self) -> Result<(), String> {
        self.lock().engine.check_running()
    }

    /// Violations of a configuration; empty when it is valid.
    pub fn compile(config: &internal::EngineConfig) -> Vec<Violation> {
        let mut violations = Compiled::compile(config).err().unwrap_or_default();
        violations.extend(Workflows::compile(config).err().unwrap_or_default());
        violations
    }

    /// The decision of a record, made again from its inputs and its configuration.
    pub fn recompute(config: &internal::EngineConfig, record: &AuditRecord) -> Result<DecisionRecord, String> {
        let compiled = Compiled::compile(config).map_err(|violations| invalid(&violations).message)?;
        Engine::recompute(&compiled, record).map_err(|error| error.to_string())
    }
}

/// Blocks until the unit is committed, when asked to.
fn committed(receipt: Option<Receipt>, wait: bool) -> Result<(), Rejection> {
    match receipt {
        Some(receipt) if wait => match receipt.blocking_recv() {
            Ok(Commit::Done) => Ok(()),
            Ok(Commit::Lost) | Err(_) => Err(lost()),
        },
        _ => Ok(()),
    }
}

fn invalid(violations: &[Violation]) -> Rejection {
    Rejection::invalid(
        violations
            .iter()
            .map(|violation| FieldViolation {
                field: violation.path.clone(),
                description: violation.message.clone(),
            })
            .collect(),
    )
}

fn refused(rejection: &Rejection) -> CommandResult {
    CommandResult {
        result: Some(Outcome::Rejection(internal::Rejection::from(rejection))),
        sequence: 0,
    }
}
