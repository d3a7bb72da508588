//! One budget instance: what is spent and held in its current window.
//!
//! | hold made in | counts in `reserved` | its charge goes to |
//! |---|---|---|
//! | the current fixed window, or lifetime | yes | that window |
//! | an earlier fixed window | no | that earlier window: recorded, not counted any more |
//! | any time, rolling window | yes, while it is open | the sub-bucket in which it ends |
//! | a window of another kind (the configuration changed) | yes, while it is open | the current window |
//!
//! So nothing is ever under-counted, and a settlement after midnight does not eat the new day's budget.
use std::collections::VecDeque;
use std::sync::Arc;

use fairlead_plan::{Overflow, Window};
use fairlead_wire::v1::Amount;

use super::rule::Rule;
use super::window::{self, Span};
use crate::amount::{self, Measure, ZERO};
use crate::keys;
use crate::unit::{Write, family};

/// What was spent in one sub-bucket of a rolling window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub start: i64,
    pub spent: Amount,
}

/// An instance as a decision sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Settled in the window.
    pub spent: Amount,
    /// Held.
    pub reserved: Amount,
    /// Start of the window, or of the current sub-bucket; 0 for lifetime.
    pub window_start: i64,
    /// When the window ends, or something begins to leave a rolling one; 0 for lifetime.
    pub resets_at: i64,
}

impl View {
    /// What counts against the limit in one unit.
    pub(crate) fn used(&self, measure: Measure) -> i64 {
        measure.of(self.spent).saturating_add(measure.of(self.reserved))
    }

    /// An instance that was never used.
    pub(crate) fn empty(window: Window, now: i64) -> Self {
        let span = window::span(window, now);
        Self {
            window_start: span.start,
            resets_at: resets_at(window, span, None, now),
            ..Self::default()
        }
    }
}

/// Which window an amount belongs to, as in `BudgetCharge`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InWindow {
    /// Start.
    pub start: i64,
    /// Kind, see [`window::code`].
    pub code: i64,
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    /// `tenant`, NUL, `instance`: the key in the book.
    pub key: Arc<str>,
    /// Start of the fixed window that `spent` and `reserved` are about; of the last touched sub-bucket when rolling.
    pub window_start: i64,
    /// Settled in the window.
    pub spent: Amount,
    /// Held, as far as it counts in the window.
    pub reserved: Amount,
    /// The part of `reserved` that was held under another kind of window.
    pub foreign: Amount,
    /// Open holds, of any window.
    pub open: u32,
    /// Rolling only, oldest first; `spent` is their sum.
    pub buckets: VecDeque<Bucket>,
    /// Thresholds that fired, with the window they fired in.
    pub fired: Vec<(u32, i64)>,
    /// By how much `spent + reserved` may exceed the limit for a reason that is on record; see INVARIANT (I1).
    pub explained: Amount,
    /// Last use, Unix nanoseconds.
    pub used_at: i64,
    /// Number of the last change; tells whether an entry of the idle queue is still about this state.
    pub stamp: u64,
    /// True when the store has a record of it.
    pub stored: bool,
    /// True when the budget's scope was changed and no call can reach it any more.
    pub stale: bool,
}

impl Instance {
    pub(crate) fn new(key: Arc<str>, window: Window, now: i64) -> Self {
        Self {
            key,
            window_start: window::span(window, now).start,
            spent: ZERO,
            reserved: ZERO,
            foreign: ZERO,
            open: 0,
            buckets: VecDeque::new(),
            fired: Vec::new(),
            explained: ZERO,
            used_at: now,
            stamp: 0,
            stored: false,
            stale: false,
        }
    }

    /// The tenant.
    pub(crate) fn tenant(&self) -> &str {
        self.key.rsplit_once('\0').map_or("", |(tenant, _)| tenant)
    }

    /// The instance's name, such as `run=r-1`.
    pub(crate) fn name(&self) -> &str {
        self.key.rsplit_once('\0').map_or("", |(_, name)| name)
    }

    /// The write that takes it out of the store, when it is there.
    pub(super) fn deletion(&self, rule: &Rule) -> Option<Write> {
        let key = || keys::budget_instance(self.tenant(), &rule.name, self.name());
        self.stored.then(|| Write::delete(family::STATE, key()))
    }

    /// As it is at `now`; changes nothing.
    pub(crate) fn view(&self, window: Window, now: i64) -> View {
        let span = window::span(window, now);
        let (spent, reserved) = match window {
            Window::Rolling { nanos } => {
                let gone = self
                    .gone(nanos, now)
                    .fold(ZERO, |sum, bucket| amount::add_saturating(sum, bucket.spent));
                (amount::sub_floored(self.spent, gone), self.reserved)
            }
            _ if span.start == self.window_start => (self.spent, self.reserved),
            _ => (ZERO, self.foreign),
        };
        let oldest = match window {
            Window::Rolling { nanos } => self.buckets.get(self.gone(nanos, now).count()),
            _ => None,
        };
        View {
            spent,
            reserved,
            window_start: span.start,
            resets_at: resets_at(window, span, oldest, now),
        }
    }

    /// Buckets that have left a rolling window by `now`.
    fn gone(&self, nanos: i64, now: i64) -> impl Iterator<Item = &Bucket> {
        self.buckets
            .iter()
            .take_while(move |bucket| window::leaves_at(nanos, bucket.start) <= now)
    }

    /// Moves on to the window of `now`.
    pub(crate) fn roll(&mut self, window: Window, now: i64) {
        let start = window::span(window, now).start;
        if let Window::Rolling { nanos } = window {
            while self
                .buckets
                .front()
                .is_some_and(|first| window::leaves_at(nanos, first.start) <= now)
            {
                if let Some(left) = self.buckets.pop_front() {
                    self.spent = amount::sub_floored(self.spent, left.spent);
                }
            }
            self.fired.retain(|(_, at)| window::leaves_at(nanos, *at) > now);
        } else if start != self.window_start {
            self.spent = ZERO;
            self.reserved = self.foreign;
            self.fired.clear();
        }
        self.window_start = start;
    }

    /// Takes a hold in the current window. The caller has checked that it fits.
    pub(crate) fn hold(&mut self, window: Window, held: Amount, now: i64) {
        self.roll(window, now);
        self.reserved = amount::add_saturating(self.reserved, held);
        self.open = self.open.saturating_add(1);
        self.used_at = now;
    }

    /// Puts back a hold that is open in the store, at recovery or after the kind of window has changed.
    pub(crate) fn restore_hold(&mut self, window: Window, at: InWindow, held: Amount) {
        self.open = self.open.saturating_add(1);
        match self.place(window, at) {
            Place::Current => self.reserved = amount::add_saturating(self.reserved, held),
            Place::Past => {}
            Place::Foreign => {
                self.reserved = amount::add_saturating(self.reserved, held);
                self.foreign = amount::add_saturating(self.foreign, held);
            }
        }
    }

    /// Whether [`end`](Self::end) with this charge stays in range.
    pub(crate) fn can_spend(&self, charged: Amount) -> Result<(), Overflow> {
        let spent = amount::add(self.spent, charged)?;
        amount::add(spent, self.reserved).map(|_| ())
    }

    /// Ends a hold and charges; returns the window that was charged. A charge that leaves the range stays at its end:
    /// whoever can refuse has asked [`can_spend`](Self::can_spend).
    pub(crate) fn end(&mut self, window: Window, at: InWindow, held: Amount, charged: Amount, now: i64) -> InWindow {
        self.roll(window, now);
        self.used_at = now;
        // INVARIANT (I2): what leaves `reserved` is what `hold` or `restore_hold` put there.
        self.open = self.open.saturating_sub(1);
        match self.place(window, at) {
            Place::Past => return at,
            Place::Current => {}
            Place::Foreign => self.foreign = amount::sub_floored(self.foreign, held),
        }
        self.reserved = amount::sub_floored(self.reserved, held);
        self.spend(window, charged, now);
        InWindow {
            start: self.window_start,
            code: window::code(window),
        }
    }

    /// Corrects what an ended hold was charged by `delta`, in the window that was charged, if it still counts.
    pub(crate) fn correct(&mut self, window: Window, at: InWindow, delta: Amount, now: i64) {
        self.roll(window, now);
        self.used_at = now;
        if at.code != window::code(window) {
            return;
        }
        let moved = |spent: Amount| amount::each(spent, delta, |spent, delta| spent.saturating_add(delta).max(0));
        if let Window::Rolling { nanos } = window {
            let after = self.buckets.partition_point(|bucket| bucket.start < at.start);
            match self.buckets.get_mut(after).filter(|bucket| bucket.start == at.start) {
                Some(bucket) => bucket.spent = moved(bucket.spent),
                // The hold was released when it ended, so that nothing was spent there yet.
                None if window::leaves_at(nanos, at.start) > now => {
                    self.buckets.insert(
                        after,
                        Bucket {
                            start: at.start,
                            spent: moved(ZERO),
                        },
                    );
                }
                None => {}
            }
            self.spent = self
                .buckets
                .iter()
                .fold(ZERO, |sum, one| amount::add_saturating(sum, one.spent));
        } else if at.start == self.window_start {
            self.spent = moved(self.spent);
        }
    }

    /// Takes `credit` off what is spent, never below zero; a negative credit adds. Returns what was taken off.
    pub(crate) fn adjust(&mut self, window: Window, credit: Amount, now: i64) -> Amount {
        self.roll(window, now);
        self.used_at = now;
        let before = self.spent;
        let debit = amount::each(ZERO, credit, |_, credit| credit.saturating_neg().max(0));
        let mut left = amount::each(ZERO, credit, |_, credit| credit.max(0));
        if let Window::Rolling { .. } = window {
            // From the oldest: what stays counted is what leaves the window last.
            for bucket in &mut self.buckets {
                let taken = amount::min(bucket.spent, left);
                bucket.spent = amount::sub_floored(bucket.spent, taken);
                left = amount::sub_floored(left, taken);
                self.spent = amount::sub_floored(self.spent, taken);
            }
        } else {
            self.spent = amount::sub_floored(self.spent, left);
        }
        self.spend(window, debit, now);
        amount::each(before, self.spent, i64::saturating_sub)
    }

    /// Starts a window of another kind: what was spent counts no more; the caller puts the open holds back.
    pub(crate) fn restart(&mut self, window: Window, now: i64) {
        self.window_start = window::span(window, now).start;
        self.spent = ZERO;
        self.buckets.clear();
        self.fired.clear();
        self.clear_holds();
    }

    /// Forgets the holds, for putting them back one by one.
    pub(crate) fn clear_holds(&mut self) {
        self.reserved = ZERO;
        self.foreign = ZERO;
        self.open = 0;
    }

    /// Keeps book of INVARIANT (I1): a hard instance is over its limit only by what is explained. True when it is not.
    pub(crate) fn explain(&mut self, rule: &Rule, reason_on_record: bool) -> bool {
        if !rule.hard {
            return false;
        }
        let used = amount::add_saturating(self.spent, self.reserved);
        let over = Amount {
            nano_usd: rule.limit.over(Measure::NanoUsd, used),
            tokens: rule.limit.over(Measure::Tokens, used),
            requests: rule.limit.over(Measure::Requests, used),
        };
        let unexplained = !reason_on_record && amount::min(over, self.explained) != over;
        self.explained = over;
        unexplained
    }

    /// Alert thresholds that are passed for the first time in this window, now marked as fired.
    pub(crate) fn fire(&mut self, rule: &Rule, including_held: bool) -> Vec<u32> {
        let used = if including_held {
            amount::add_saturating(self.spent, self.reserved)
        } else {
            self.spent
        };
        let fired: Vec<u32> = rule
            .thresholds(including_held)
            .filter(|percent| rule.limit.reached(*percent, used, including_held))
            .filter(|percent| !self.fired.iter().any(|(before, _)| before == percent))
            .collect();
        self.fired
            .extend(fired.iter().map(|percent| (*percent, self.window_start)));
        fired
    }

    /// When nothing of it counts any more and it may be forgotten; `None` while something holds it.
    pub(crate) fn evictable_at(&self, window: Window) -> Option<i64> {
        if self.open > 0 {
            None
        } else if self.stale || amount::is_zero(self.spent) {
            Some(self.used_at)
        } else {
            match window {
                Window::Lifetime => None,
                Window::Rolling { nanos } => self.buckets.back().map(|last| window::leaves_at(nanos, last.start)),
                _ => Some(window::span(window, self.window_start).end),
            }
        }
    }

    fn spend(&mut self, window: Window, charged: Amount, now: i64) {
        self.spent = amount::add_saturating(self.spent, charged);
        if let Window::Rolling { .. } = window
            && !amount::is_zero(charged)
        {
            let start = window::span(window, now).start;
            match self.buckets.back_mut() {
                Some(last) if last.start == start => last.spent = amount::add_saturating(last.spent, charged),
                _ => self.buckets.push_back(Bucket { start, spent: charged }),
            }
        }
    }

    fn place(&self, window: Window, at: InWindow) -> Place {
        if at.code != window::code(window) {
            Place::Foreign
        } else if matches!(window, Window::Lifetime | Window::Rolling { .. }) || at.start == self.window_start {
            Place::Current
        } else {
            Place::Past
        }
    }
}

/// Where a hold counts; see the module's table.
enum Place {
    Current,
    Past,
    Foreign,
}

fn resets_at(window: Window, span: Span, oldest: Option<&Bucket>, now: i64) -> i64 {
    match window {
        Window::Lifetime => 0,
        Window::Rolling { nanos } => oldest.map_or_else(
            || now.saturating_add(nanos),
            |bucket| window::leaves_at(nanos, bucket.start),
        ),
        _ => span.end,
    }
}
