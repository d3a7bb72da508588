//! Instances of rate limits. Their state is not stored: after a restart the open invocations are charged again, what had
//! ended before is forgotten.
//!
//! Instances are bounded like those of budgets; one that no call occupies and whose arrival times have passed is as good
//! as new and may be dropped.
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use fairlead_plan::{
    Compiled, RateCharge, RateExceeded, RateLimitId, RateRefusal, RateRule, RateState, Tokens, UnixNanos,
};
use fairlead_wire::internal::{InvocationRecord, RateHold};

use crate::budget::Book;
use crate::share::{Bound, PerTenant};

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    state: RateState,
    stamp: u64,
}

/// All instances of one rate limit.
#[derive(Debug)]
struct RateBook {
    rule: RateRule,
    /// Only looked up, never iterated: its order is random.
    entries: HashMap<Arc<str>, Entry>,
    /// How many of them each tenant has.
    tenants: PerTenant,
    /// When an instance is as good as new, its stamp at that time, and its key. Entries whose stamp is old are skipped.
    idle: BTreeSet<(i64, u64, Arc<str>)>,
    stamp: u64,
}

impl RateBook {
    fn new(rule: RateRule) -> Self {
        Self {
            rule,
            entries: HashMap::new(),
            tenants: PerTenant::default(),
            idle: BTreeSet::new(),
            stamp: 0,
        }
    }

    /// Room for one more instance of a tenant; as many as it has when there is none.
    fn make_room(&mut self, tenant: &str, bound: &Bound, now: i64) -> Result<(), usize> {
        while !bound.has_room(self.entries.len(), self.tenants.of(tenant)) {
            if self.idle.first().is_none_or(|(at, _, _)| *at > now) {
                return Err(self.tenants.of(tenant));
            }
            if let Some((_, stamp, key)) = self.idle.pop_first()
                && self.entries.get(&key).is_some_and(|entry| entry.stamp == stamp)
            {
                self.entries.remove(&key);
                self.tenants.remove(tenant_of(&key));
            }
        }
        Ok(())
    }

    fn change(&mut self, key: &str, with: impl FnOnce(&RateRule, &mut RateState)) {
        self.stamp += 1;
        let stamp = self.stamp;
        let (state, key) = match self.entries.get_mut(key) {
            Some(entry) => {
                with(&self.rule, &mut entry.state);
                entry.stamp = stamp;
                let idle = entry.state.in_flight == 0;
                (
                    entry.state,
                    idle.then(|| self.entries.get_key_value(key).map(|(key, _)| Arc::clone(key)))
                        .flatten(),
                )
            }
            None => {
                let key: Arc<str> = Arc::from(key);
                let mut state = RateState::default();
                with(&self.rule, &mut state);
                self.tenants.add(tenant_of(&key));
                self.entries.insert(Arc::clone(&key), Entry { state, stamp });
                (state, (state.in_flight == 0).then_some(key))
            }
        };
        if let Some(key) = key {
            self.idle
                .insert((state.requests_tat.0.max(state.tokens_tat.0), stamp, key));
        }
        if self.idle.len() > 2 * self.entries.len() + 64 {
            let entries = &self.entries;
            self.idle
                .retain(|(_, stamp, key)| entries.get(key).is_some_and(|entry| entry.stamp == *stamp));
        }
    }
}

/// Why a call ends, for its rate limits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RateEnd {
    /// It went out and used so many tokens.
    Used(Tokens),
    /// It never went out.
    Released,
    /// Nobody knows; the estimate stays.
    Expired,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    books: Vec<RateBook>,
    /// Position of the book of every `RateLimitId` of the configuration in force.
    current: Vec<usize>,
    /// Also of removed limits, whose calls are still in flight.
    by_name: BTreeMap<String, usize>,
    scratch: String,
}

impl Rates {
    pub(crate) fn new(compiled: &Compiled) -> Self {
        let mut rates = Self::default();
        rates.follow(compiled);
        rates
    }

    /// Takes a new configuration over; instances stay.
    pub(crate) fn follow(&mut self, compiled: &Compiled) {
        self.current.clear();
        for limit in compiled.rate_limits() {
            let at = match self.by_name.get(&*limit.name).copied() {
                Some(at) => {
                    if let Some(book) = self.books.get_mut(at) {
                        book.rule = limit.rule;
                    }
                    at
                }
                None => {
                    let at = self.books.len();
                    self.books.push(RateBook::new(limit.rule));
                    self.by_name.insert(limit.name.to_string(), at);
                    at
                }
            };
            self.current.push(at);
        }
    }

    /// State of an instance before a decision.
    pub(crate) fn state(&mut self, id: RateLimitId, tenant: &str, instance: &str) -> RateState {
        Book::key(&mut self.scratch, tenant, instance);
        self.current
            .get(id.index())
            .and_then(|at| self.books.get(*at))
            .and_then(|book| book.entries.get(self.scratch.as_str()))
            .map_or_else(RateState::default, |entry| entry.state)
    }

    /// Makes room for an instance, if it is new.
    ///
    /// # Errors
    /// There is none; the tenant has so many.
    pub(crate) fn make_room(
        &mut self,
        id: RateLimitId,
        tenant: &str,
        instance: &str,
        bound: &Bound,
        now: i64,
    ) -> Result<(), usize> {
        Book::key(&mut self.scratch, tenant, instance);
        let Some(book) = self.current.get(id.index()).and_then(|at| self.books.get_mut(*at)) else {
            return Ok(());
        };
        if book.entries.contains_key(self.scratch.as_str()) {
            return Ok(());
        }
        book.make_room(tenant, bound, now)
    }

    /// Takes a call that was let through.
    pub(crate) fn take(&mut self, id: RateLimitId, tenant: &str, instance: &str, now: UnixNanos, tokens: Tokens) {
        Book::key(&mut self.scratch, tenant, instance);
        if let Some(book) = self.current.get(id.index()).and_then(|at| self.books.get_mut(*at)) {
            book.change(&self.scratch, |rule, state| rule.take(state, now, tokens));
        }
    }

    /// Takes the request of a call that nothing is sent for.
    pub(crate) fn take_request(&mut self, id: RateLimitId, tenant: &str, instance: &str, now: UnixNanos) {
        Book::key(&mut self.scratch, tenant, instance);
        if let Some(book) = self.current.get(id.index()).and_then(|at| self.books.get_mut(*at)) {
            book.change(&self.scratch, |rule, state| rule.take_request(state, now));
        }
    }

    /// Ends a call in all its instances.
    pub(crate) fn end(&mut self, now: UnixNanos, record: &InvocationRecord, end: RateEnd) {
        for hold in &record.rate_holds {
            let charge = charge(record, hold);
            self.with(&record.tenant, hold, |rule, state| match end {
                RateEnd::Used(actual) => rule.settle(state, now, charge, actual),
                RateEnd::Released => rule.release(state, now, charge),
                RateEnd::Expired => rule.settle(state, now, charge, charge.tokens),
            });
        }
    }

    /// Corrects the estimate of a call that had expired.
    pub(crate) fn correct(&mut self, now: UnixNanos, record: &InvocationRecord, actual: Tokens) {
        for hold in &record.rate_holds {
            let charge = charge(record, hold);
            self.with(&record.tenant, hold, |rule, state| {
                rule.correct(state, now, charge, actual)
            });
        }
    }

    /// Charges an open invocation again after a restart, so that what it gives back is its own.
    pub(crate) fn restore(&mut self, record: &InvocationRecord) {
        for hold in &record.rate_holds {
            let charge = charge(record, hold);
            self.with(&record.tenant, hold, |rule, state| {
                rule.take(state, charge.at, charge.tokens)
            });
        }
    }

    fn with(&mut self, tenant: &str, hold: &RateHold, change: impl FnOnce(&RateRule, &mut RateState)) {
        Book::key(&mut self.scratch, tenant, &hold.instance);
        if let Some(book) = self.by_name.get(&hold.limit).and_then(|at| self.books.get_mut(*at)) {
            book.change(&self.scratch, change);
        }
    }
}

/// Tenant of a key as [`Book::key`] makes it.
fn tenant_of(key: &str) -> &str {
    key.rsplit_once('\0').map_or("", |(tenant, _)| tenant)
}

fn charge(record: &InvocationRecord, hold: &RateHold) -> RateCharge {
    RateCharge {
        at: UnixNanos(record.create_time_unix_nanos),
        tokens: Tokens(hold.tokens),
    }
}

/// Which of several refusals to report: the one that holds the call back for longest.
pub(crate) fn severity(exceeded: &RateExceeded) -> (u8, i64) {
    match exceeded {
        RateExceeded::Tokens(RateRefusal::Never) | RateExceeded::Requests(RateRefusal::Never) => (2, 0),
        RateExceeded::Concurrent => (1, 0),
        RateExceeded::Requests(RateRefusal::Until(at)) | RateExceeded::Tokens(RateRefusal::Until(at)) => (0, at.0),
    }
}
