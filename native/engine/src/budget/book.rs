//! All instances of one budget.
//!
//! The number of instances is bounded. Room is made by dropping the one that has been idle and empty for longest; an
//! instance with something spent in its window, or held, is never dropped.
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use fairlead_plan::Overflow;
use fairlead_wire::internal::{BudgetBucket, BudgetRecord, FiredAlert};
use fairlead_wire::v1::{Amount, BudgetCharge};
use prost::Message;

use super::instance::{Bucket, InWindow, Instance, View};
use super::rule::Rule;
use super::window;
use crate::amount::{self, Measure};
use crate::keys;
use crate::share::{Bound, PerTenant};
use crate::unit::{Write, family};

/// Position of an instance in its book; valid until the instance is dropped.
pub(crate) type Slot = u32;

/// See the module.
#[derive(Debug)]
pub(crate) struct Book {
    pub rule: Rule,
    /// False: the budget is not in the configuration any more; its open holds still settle.
    pub active: bool,
    /// Only looked up, never iterated: its order is random.
    slots: HashMap<Arc<str>, Slot>,
    instances: Vec<Option<Instance>>,
    /// How many of them each tenant has.
    tenants: PerTenant,
    free: Vec<Slot>,
    /// When an instance may be dropped, its stamp at that time, and its slot. Entries whose stamp is old are skipped.
    idle: BTreeSet<(i64, u64, Slot)>,
    stamp: u64,
    /// Times that INVARIANT (I1) did not hold; zero for ever unless there is a fault.
    breaches: u64,
}

impl Book {
    pub(crate) fn new(rule: Rule, active: bool) -> Self {
        Self {
            rule,
            active,
            slots: HashMap::new(),
            instances: Vec::new(),
            tenants: PerTenant::default(),
            free: Vec::new(),
            idle: BTreeSet::new(),
            stamp: 0,
            breaches: 0,
        }
    }

    /// The key of an instance, into a buffer. The instance's name has no NUL (it is percent-encoded), so the last NUL
    /// separates.
    pub(crate) fn key(out: &mut String, tenant: &str, instance: &str) {
        out.clear();
        out.push_str(tenant);
        out.push('\0');
        out.push_str(instance);
    }

    pub(crate) fn find(&self, key: &str) -> Option<Slot> {
        self.slots.get(key).copied()
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Instance> {
        self.instances.get(usize::try_from(slot).ok()?)?.as_ref()
    }

    fn get_mut(&mut self, slot: Slot) -> Option<&mut Instance> {
        self.instances.get_mut(usize::try_from(slot).ok()?)?.as_mut()
    }

    /// The instance at `now`, or an empty one.
    pub(crate) fn view(&self, slot: Option<Slot>, now: i64) -> View {
        slot.and_then(|slot| self.get(slot)).map_or_else(
            || View::empty(self.rule.window, now),
            |instance| instance.view(self.rule.window, now),
        )
    }

    /// All instances, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().flatten()
    }

    /// All instances with their slots, by slot.
    pub(super) fn slots(&self) -> impl Iterator<Item = (Slot, &Instance)> {
        (0..)
            .zip(&self.instances)
            .filter_map(|(slot, place)| Some((slot, place.as_ref()?)))
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn breaches(&self) -> u64 {
        self.breaches
    }

    /// Makes room for one more instance of a tenant by dropping the oldest idle, empty ones.
    ///
    /// # Errors
    /// There is none; the tenant has so many.
    pub(super) fn make_room(
        &mut self,
        tenant: &str,
        bound: &Bound,
        now: i64,
        mut dropped: impl FnMut(&Rule, &Instance),
    ) -> Result<(), usize> {
        while !bound.has_room(self.slots.len(), self.tenants.of(tenant)) {
            let first = self.idle.first().copied().filter(|(at, ..)| *at <= now);
            let Some((_, stamp, slot)) = first else {
                return Err(self.tenants.of(tenant));
            };
            self.idle.pop_first();
            let window = self.rule.window;
            let droppable = self.get(slot).is_some_and(|instance| {
                instance.stamp == stamp && instance.evictable_at(window).is_some_and(|at| at <= now)
            });
            if droppable && let Some(instance) = self.drop_instance(slot) {
                dropped(&self.rule, &instance);
            }
        }
        Ok(())
    }

    /// Drops an instance in which nothing is held, whatever was spent.
    pub(super) fn forget(&mut self, slot: Slot) -> Option<Instance> {
        let is_held = !amount::is_zero(self.get(slot)?.reserved);
        if is_held { None } else { self.drop_instance(slot) }
    }

    fn drop_instance(&mut self, slot: Slot) -> Option<Instance> {
        let place = self.instances.get_mut(usize::try_from(slot).ok()?)?;
        let instance = place.take()?;
        self.slots.remove(&instance.key);
        self.tenants.remove(instance.tenant());
        self.free.push(slot);
        Some(instance)
    }

    /// A new instance; there must be none of this key. The caller has made room.
    pub(super) fn create(&mut self, key: &str, now: i64) -> Slot {
        let key: Arc<str> = Arc::from(key);
        let instance = Instance::new(Arc::clone(&key), self.rule.window, now);
        self.tenants.add(instance.tenant());
        let instance = Some(instance);
        let slot = if let Some(slot) = self.free.pop() {
            if let Some(place) = self.instances.get_mut(slot as usize) {
                *place = instance;
            }
            slot
        } else {
            self.instances.push(instance);
            // `limits.budgetInstances` is far below 2^32.
            Slot::try_from(self.instances.len() - 1).unwrap_or(Slot::MAX)
        };
        self.slots.insert(key, slot);
        slot
    }

    /// Changes an instance and keeps the books about it.
    fn change<T>(
        &mut self,
        slot: Slot,
        reason_on_record: bool,
        with: impl FnOnce(&mut Instance, &Rule) -> T,
    ) -> Option<T> {
        let place = self.instances.get_mut(usize::try_from(slot).ok()?)?;
        let instance = place.as_mut()?;
        let result = with(instance, &self.rule);
        // INVARIANT (I1): checked at every change.
        if instance.explain(&self.rule, reason_on_record) {
            self.breaches = self.breaches.saturating_add(1);
        }
        self.stamp += 1;
        instance.stamp = self.stamp;
        if self.active
            && let Some(at) = instance.evictable_at(self.rule.window)
        {
            self.idle.insert((at, instance.stamp, slot));
        }
        if self.idle.len() > 2 * self.slots.len() + 64 {
            let instances = &self.instances;
            self.idle.retain(|(_, stamp, slot)| {
                instances
                    .get(*slot as usize)
                    .is_some_and(|one| one.as_ref().is_some_and(|one| one.stamp == *stamp))
            });
        }
        Some(result)
    }

    /// Takes a hold that fits.
    pub(crate) fn hold(&mut self, slot: Slot, held: Amount, now: i64) {
        self.change(slot, false, |instance, rule| instance.hold(rule.window, held, now));
    }

    /// Takes a hold that goes over the limit: people have agreed to it, which is on record.
    pub(crate) fn hold_over(&mut self, slot: Slot, held: Amount, now: i64) {
        self.change(slot, true, |instance, rule| instance.hold(rule.window, held, now));
    }

    /// Whether a charge stays in range.
    pub(crate) fn can_spend(&self, slot: Slot, charged: Amount) -> Result<(), Overflow> {
        self.get(slot).map_or(Ok(()), |instance| instance.can_spend(charged))
    }

    /// Ends a hold; returns the window that was charged. More than was held is an overdraft, which goes on record.
    pub(crate) fn end(&mut self, slot: Slot, at: InWindow, held: Amount, charged: Amount, now: i64) -> InWindow {
        let overdraft = amount::min(charged, held) != charged;
        self.change(slot, overdraft, |instance, rule| {
            instance.end(rule.window, at, held, charged, now)
        })
        .unwrap_or(at)
    }

    /// Corrects the charge of a hold that ended before.
    pub(crate) fn correct(&mut self, slot: Slot, at: InWindow, delta: Amount, now: i64) {
        self.change(slot, true, |instance, rule| {
            instance.correct(rule.window, at, delta, now)
        });
    }

    /// Credits or debits; returns what was taken off.
    pub(crate) fn adjust(&mut self, slot: Slot, credit: Amount, now: i64) -> Option<Amount> {
        self.change(slot, true, |instance, rule| instance.adjust(rule.window, credit, now))
    }

    /// Alert thresholds that are passed for the first time.
    pub(crate) fn fire(&mut self, slot: Slot, including_held: bool) -> Vec<u32> {
        let Some(place) = self.instances.get_mut(slot as usize) else {
            return Vec::new();
        };
        place
            .as_mut()
            .map_or_else(Vec::new, |instance| instance.fire(&self.rule, including_held))
    }

    /// Puts back a hold that is open in the store.
    pub(super) fn restore_hold(&mut self, slot: Slot, charge: &BudgetCharge, now: i64) {
        let at = InWindow {
            start: charge.window_start_unix_nanos,
            code: charge.window_millis,
        };
        let held = charge.amount.unwrap_or_default();
        self.change(slot, true, |instance, rule| {
            instance.roll(rule.window, now);
            instance.restore_hold(rule.window, at, held);
        });
    }

    /// Takes a new rule over. True when the open holds have to be put back, because the kind of window has changed; what
    /// is stored of the old window is deleted then, so that changing the kind back does not bring it back either.
    pub(crate) fn follow(&mut self, rule: Rule, now: i64, writes: &mut Vec<Write>) -> bool {
        let other_window = window::code(self.rule.window) != window::code(rule.window);
        let other_scope = self.rule.scope != rule.scope;
        self.rule = rule;
        self.active = true;
        for slot in self.all_slots() {
            self.change(slot, true, |instance, rule| {
                if other_scope {
                    instance.stale = !rule.reaches(instance.name());
                }
                if other_window {
                    instance.restart(rule.window, now);
                    writes.extend(instance.deletion(rule));
                    instance.stored = false;
                }
            });
        }
        other_window
    }

    /// Forgets the open holds of all instances, for putting them back one by one.
    pub(crate) fn clear_holds(&mut self) {
        for instance in self.instances.iter_mut().flatten() {
            instance.clear_holds();
        }
    }

    /// The budget left the configuration.
    pub(crate) fn retire(&mut self) {
        self.active = false;
        self.idle.clear();
    }

    fn all_slots(&self) -> Vec<Slot> {
        (0..self.instances.len())
            .filter_map(|at| Slot::try_from(at).ok())
            .filter(|slot| self.get(*slot).is_some())
            .collect()
    }

    /// The write that stores an instance.
    pub(crate) fn store(&mut self, slot: Slot) -> Option<Write> {
        let (name, code) = (Arc::clone(&self.rule.name), window::code(self.rule.window));
        let rolling = code < 0;
        let instance = self.get_mut(slot)?;
        instance.stored = true;
        let buckets = if rolling {
            instance
                .buckets
                .iter()
                .map(|bucket| BudgetBucket {
                    start_unix_nanos: bucket.start,
                    spent: Some(bucket.spent),
                })
                .collect()
        } else {
            vec![BudgetBucket {
                start_unix_nanos: instance.window_start,
                spent: Some(instance.spent),
            }]
        };
        let record = BudgetRecord {
            budget: name.to_string(),
            tenant: instance.tenant().to_owned(),
            instance: instance.name().to_owned(),
            buckets,
            fired: instance
                .fired
                .iter()
                .map(|(percent, start)| FiredAlert {
                    threshold_percent: *percent,
                    window_start_unix_nanos: *start,
                })
                .collect(),
            used_at_unix_nanos: instance.used_at,
            window_millis: code,
        };
        let key = keys::budget_instance(&record.tenant, &record.budget, &record.instance);
        Some(Write::put(family::STATE, key, record.encode_to_vec()))
    }

    /// Takes an instance from the store. Another kind of window than the rule's means that the configuration was changed:
    /// nothing of the old one counts.
    pub(super) fn restore(&mut self, slot: Slot, record: &BudgetRecord, now: i64) {
        self.change(slot, true, |instance, rule| {
            instance.stored = true;
            instance.stale = !rule.reaches(instance.name());
            instance.used_at = record.used_at_unix_nanos;
            if record.window_millis != window::code(rule.window) {
                return;
            }
            instance.fired = record
                .fired
                .iter()
                .map(|one| (one.threshold_percent, one.window_start_unix_nanos))
                .collect();
            let buckets = record.buckets.iter().map(|bucket| Bucket {
                start: bucket.start_unix_nanos,
                spent: bucket.spent.unwrap_or_default(),
            });
            if record.window_millis < 0 {
                instance.buckets = buckets.collect();
                instance.spent = instance
                    .buckets
                    .iter()
                    .fold(amount::ZERO, |sum, one| amount::add_saturating(sum, one.spent));
            } else if let Some(only) = buckets.into_iter().next_back() {
                instance.window_start = only.start;
                instance.spent = only.spent;
            }
            instance.roll(rule.window, now);
        });
    }
}

impl Book {
    /// How far a hard instance is over its limit, as far as `delta` put it there.
    pub(crate) fn over(&self, slot: Slot, delta: Amount) -> Amount {
        let Some(instance) = self.get(slot).filter(|_| self.rule.hard) else {
            return amount::ZERO;
        };
        let used = amount::add_saturating(instance.spent, instance.reserved);
        let part = |measure: Measure| self.rule.limit.over(measure, used).min(measure.of(delta).max(0));
        Amount {
            nano_usd: part(Measure::NanoUsd),
            tokens: part(Measure::Tokens),
            requests: part(Measure::Requests),
        }
    }
}
