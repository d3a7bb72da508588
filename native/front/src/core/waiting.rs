//! An admission's way through the rate limits: at once, or in line.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fairlead_engine::{AdmitExtra, Caller, RateWait, Refusal, Rejection};
use fairlead_plan::{CallFacts, Compiled, InputSize, Pins, UnixNanos};
use fairlead_wire::internal::Known;
use fairlead_wire::v1::admit_request::Input;
use fairlead_wire::v1::{AdmitRequest, AdmitResponse};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::{Core, Decided, State};
use crate::metrics::Stage;
use crate::refusal;
use crate::wait::{Line, PlaceId, Standing};

/// A head that waits for a call to end looks by itself this often, should a release have woken others only.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// One call on its way.
#[derive(Clone, Copy)]
struct Call<'a> {
    caller: Caller<'a>,
    request: &'a AdmitRequest,
    extra: AdmitExtra<'a>,
    arrived: UnixNanos,
    patience: Patience<'a>,
}

/// How long a caller waits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Patience<'a> {
    /// Never past this.
    pub deadline: Option<Instant>,
    /// Notified when the caller goes away: a call that has not been decided yet gives up its place.
    pub gone: Option<&'a Notify>,
}

impl From<Option<Instant>> for Patience<'_> {
    fn from(deadline: Option<Instant>) -> Self {
        Self { deadline, gone: None }
    }
}

/// What an arrival leads to.
enum Arrival {
    Decided(Box<Decided<AdmitResponse>>),
    InLine(Ticket),
}

/// A place in a line; leaves it when dropped, so that a client that goes away frees it.
struct Ticket {
    core: Core,
    line: Line,
    id: PlaceId,
    wake: Arc<Notify>,
    give_up: UnixNanos,
}

impl Ticket {
    fn is_for(&self, wait: &RateWait) -> bool {
        wait.limit == self.line.limit && wait.instance == self.line.instance
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.core.lock().waits.leave(&self.line, self.id);
    }
}

impl Core {
    /// Decides, after the look-up a repeated request id needs and after waiting where a rate limit lets the call wait. A
    /// call that is sent to look something up while it is in line loses its place; it tries right after the look-up.
    pub(super) async fn arrive(
        &self,
        caller: Caller<'_>,
        request: &AdmitRequest,
        extra: AdmitExtra<'_>,
        patience: Patience<'_>,
    ) -> Result<Decided<AdmitResponse>, Rejection> {
        let started = std::time::Instant::now();
        let arrived = self.now();
        let call = Call {
            caller,
            request,
            extra,
            arrived,
            patience,
        };
        let mut arrival = self.try_first(call)?;
        let mut waited = false;
        loop {
            arrival = match arrival {
                Arrival::InLine(ticket) => {
                    waited = true;
                    self.stand(call, ticket).await?
                }
                Arrival::Decided(decided) => match &decided.reply {
                    Err(Refusal::NeedsRecord(_)) if decided.known.is_none() => self.try_in_turn(call).await?,
                    _ => {
                        if waited {
                            self.shared.metrics.stage(Stage::Wait, started.elapsed());
                        }
                        return Ok(*decided);
                    }
                },
            };
        }
    }

    /// The first try. A call whose line is not empty joins it untried: nobody overtakes.
    fn try_first(&self, call: Call<'_>) -> Result<Arrival, Rejection> {
        let started = std::time::Instant::now();
        let mut state = self.lock();
        if state.waits.has(call.caller.tenant) && state.phase.admits().is_ok() {
            let compiled = Arc::clone(state.engine.compiled());
            if let Some((line, max_wait)) =
                line_of(&compiled, call.caller, call.request, |line| state.waits.has_line(line))
            {
                let give_up = self.give_up(call, max_wait);
                return self.join(&mut state, line, None, give_up).map(Arrival::InLine);
            }
        }
        let arrival = self.attempt(&mut state, call, true, None)?;
        drop(state);
        self.notify(&arrival);
        self.shared.metrics.stage(Stage::Decide, started.elapsed());
        Ok(arrival)
    }

    /// The try with what the store has. The index is asked again once it is this call's turn: another call with the same
    /// id may have been admitted while this one waited, and what was to be read before does not name that one.
    async fn try_in_turn(&self, call: Call<'_>) -> Result<Arrival, Rejection> {
        let turn = self.turn().await;
        let arrival = self.attempt(&mut self.lock(), call, true, None)?;
        if let Arrival::Decided(decided) = &arrival
            && let Err(Refusal::NeedsRecord(needs)) = &decided.reply
        {
            let looked_up = self.look_up(turn, needs).await?;
            return self.try_known(call, looked_up.known);
        }
        self.notify(&arrival);
        Ok(arrival)
    }

    /// The try after a look-up.
    fn try_known(&self, call: Call<'_>, known: Known) -> Result<Arrival, Rejection> {
        let mut state = self.lock();
        let mut arrival = self.attempt(&mut state, call, true, Some(&known))?;
        drop(state);
        self.notify(&arrival);
        if let Arrival::Decided(decided) = &mut arrival {
            decided.known = Some(known);
        }
        Ok(arrival)
    }

    /// Applies the admission; a call that has to wait joins its line.
    fn attempt(
        &self,
        state: &mut State,
        call: Call<'_>,
        may_wait: bool,
        known: Option<&Known>,
    ) -> Result<Arrival, Rejection> {
        let extra = AdmitExtra {
            wait_allowed: may_wait,
            known,
            ..call.extra
        };
        let decided = self.decide(state, None, |engine, now| {
            engine.admit(now, call.caller, call.request, extra)
        })?;
        let wait = match decided.reply {
            Err(Refusal::Wait(wait)) => wait,
            _ => return Ok(Arrival::Decided(Box::new(decided))),
        };
        let give_up = self.give_up(call, wait.max_wait);
        if wait.retry_at.is_some_and(|at| at > give_up) || self.now() >= give_up {
            // Its time would come too late, or is over: refused at once, and recorded.
            return self.attempt(state, call, false, known);
        }
        let line = Line {
            tenant: call.caller.tenant.to_owned(),
            limit: wait.limit,
            instance: wait.instance,
        };
        self.join(state, line, wait.retry_at, give_up).map(Arrival::InLine)
    }

    /// Stands in line until it is decided, or has to stand in another one.
    async fn stand(&self, call: Call<'_>, ticket: Ticket) -> Result<Arrival, Rejection> {
        let mut standing = self.lock().waits.standing(&ticket.line, ticket.id);
        loop {
            tokio::select! {
                biased;
                // Its ticket is dropped, so that the next one moves up now.
                () = left(call.patience) => return Err(refusal::caller_gone()),
                () = self.sleep(standing, &ticket) => {}
            }
            let mut state = self.lock();
            let now = self.now();
            standing = state.waits.standing(&ticket.line, ticket.id);
            let gives_up = now >= ticket.give_up;
            match standing {
                Standing::Evicted => return Err(self.full()),
                Standing::Behind if !gives_up => continue,
                Standing::Head(Some(at)) if at > now && !gives_up => continue,
                Standing::Head(_) | Standing::Behind => {}
            }
            let extra = AdmitExtra {
                wait_allowed: !gives_up,
                ..call.extra
            };
            let decided = self.decide(&mut state, None, |engine, now| {
                engine.admit(now, call.caller, call.request, extra)
            })?;
            let arrival = match decided.reply {
                Err(Refusal::Wait(wait)) if ticket.is_for(&wait) => {
                    state.waits.postpone(&ticket.line, ticket.id, wait.retry_at);
                    standing = Standing::Head(wait.retry_at);
                    continue;
                }
                // Another limit holds it back now: it goes to the end of that line.
                Err(Refusal::Wait(wait)) => {
                    let give_up = self.give_up(call, wait.max_wait);
                    let line = Line {
                        tenant: call.caller.tenant.to_owned(),
                        limit: wait.limit,
                        instance: wait.instance,
                    };
                    self.join(&mut state, line, wait.retry_at, give_up)
                        .map(Arrival::InLine)?
                }
                _ => Arrival::Decided(Box::new(decided)),
            };
            drop(state);
            self.notify(&arrival);
            return Ok(arrival);
        }
    }

    async fn sleep(&self, standing: Standing, ticket: &Ticket) {
        let now = self.now();
        let until = match standing {
            Standing::Evicted => return,
            Standing::Behind => ticket.give_up,
            Standing::Head(Some(at)) => at.min(ticket.give_up),
            Standing::Head(None) => now
                .plus_nanos(i64::try_from(LOOK_AGAIN.as_nanos()).unwrap_or(i64::MAX))
                .min(ticket.give_up),
        };
        // A moment more than asked for: timers are as coarse as a millisecond, and too early costs a whole round.
        let nanos = u64::try_from(until.since(now)).unwrap_or(0);
        let at = Instant::now() + Duration::from_nanos(nanos);
        // Woken or timed out: the caller looks either way.
        let _ = timeout_at(at, ticket.wake.notified()).await;
    }

    fn join(
        &self,
        state: &mut State,
        line: Line,
        retry_at: Option<UnixNanos>,
        give_up: UnixNanos,
    ) -> Result<Ticket, Rejection> {
        let most = usize::try_from(self.shared.running.load().limits().waiting_calls).unwrap_or(usize::MAX);
        let wake = Arc::new(Notify::new());
        let id = state
            .waits
            .join(&line, retry_at, most, Arc::clone(&wake))
            .map_err(|_| self.full())?;
        Ok(Ticket {
            core: self.clone(),
            line,
            id,
            wake,
            give_up,
        })
    }

    /// Until when a call waits: the limit's bound, or the caller's deadline.
    fn give_up(&self, call: Call<'_>, max_wait: i64) -> UnixNanos {
        let bound = call.arrived.plus_nanos(max_wait);
        let Some(deadline) = call.patience.deadline else {
            return bound;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        bound.min(
            self.now()
                .plus_nanos(i64::try_from(left.as_nanos()).unwrap_or(i64::MAX)),
        )
    }

    fn full(&self) -> Rejection {
        refusal::queue_full("limits.waitingCalls", self.shared.running.load().limits().waiting_calls)
    }

    fn notify(&self, arrival: &Arrival) {
        if matches!(arrival, Arrival::Decided(decided) if decided.receipt.is_some()) {
            self.shared.queued.notify_one();
        }
    }
}

/// Returns when the caller goes away.
async fn left(patience: Patience<'_>) {
    match patience.gone {
        Some(gone) => gone.notified().await,
        None => std::future::pending().await,
    }
}

/// The first line, in configuration order, that is not empty and that this call would have to stand in; with the longest
/// it may wait there, nanoseconds.
fn line_of(
    compiled: &Compiled,
    caller: Caller<'_>,
    request: &AdmitRequest,
    occupied: impl Fn(&Line) -> bool,
) -> Option<(Line, i64)> {
    let mut labels: BTreeMap<String, String> = request.labels.clone();
    compiled.merge_labels(caller.tenant, caller.agent, &mut labels);
    let facts = CallFacts {
        tenant: caller.tenant,
        agent: caller.agent,
        model: &request.model,
        workload: &request.workload,
        session: &request.session,
        run: &request.run,
        root_run: "",
        step: &request.step,
        labels: &labels,
        attributes: request.attributes.as_ref(),
        input: match request.input {
            Some(Input::InputTokens(tokens)) => InputSize::Tokens(tokens),
            Some(Input::InputBytes(bytes)) => InputSize::Bytes(bytes),
            None => InputSize::Tokens(0),
        },
        max_output_tokens: request.max_output_tokens,
        min_output_tokens: request.min_output_tokens,
        min_quality: request.min_quality,
        capabilities: &request.capabilities,
        stream: request.stream,
        choices: 1,
        session_labels: &[],
        split_key: &request.request_id,
        dialect: "",
        untranslatable: &[],
        pins: Pins::None,
    };
    compiled.rate_limits_for(&facts).find_map(|(id, instance)| {
        let limit = compiled.rate_limit(id)?;
        let line = Line {
            tenant: caller.tenant.to_owned(),
            limit: limit.name.to_string(),
            instance: instance.to_string(),
        };
        (limit.max_wait_nanos > 0 && occupied(&line)).then_some((line, limit.max_wait_nanos))
    })
}
