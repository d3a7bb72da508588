//! The queue for rate limits: which call may try next, and who has to go when the queue is full.
//!
//! A line is one instance of one rate limit; it belongs to one tenant. Only the first in a line tries, at the time the
//! limit gave or when a call that occupied the limit ended; the others wait for their turn. A new call whose instance has
//! a line joins it instead of trying, so nobody overtakes.
//!
//! | rule | how |
//! |---|---|
//! | FIFO per instance | only the head tries; newcomers go to the tail |
//! | bounded | `limits.waitingCalls` over all lines |
//! | fair across tenants | when it is full, a newcomer of a tenant with fewer waiting calls takes the place of the newest call of the tenant with the most; wake-ups after a release go round the lines |
//!
//! Plain data under the core's lock; the calls themselves sleep outside ([`core`](crate::core)).
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use fairlead_plan::UnixNanos;
use tokio::sync::Notify;

/// Most heads that one release wakes; the others come round with the next one, or by their own timer.
const MOST_WOKEN: usize = 16;

/// One instance of one rate limit of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Line {
    /// Tenant.
    pub tenant: String,
    /// Name of the rate limit.
    pub limit: String,
    /// Instance.
    pub instance: String,
}

/// A place in a line.
pub type PlaceId = u64;

struct Place {
    id: PlaceId,
    wake: Arc<Notify>,
    /// When the limit has headroom; `None`: when a call ends.
    retry_at: Option<UnixNanos>,
}

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// First: it may try at this time, or when it is woken.
    Head(Option<UnixNanos>),
    /// Behind others.
    Behind,
    /// Its place was given to a tenant with fewer waiting calls.
    Evicted,
}

/// The queue is full, and this tenant has its share.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// See the module.
#[derive(Default)]
pub struct WaitQueue {
    lines: HashMap<Line, VecDeque<Place>>,
    /// Lines that are not empty, by tenant, in the order in which they are woken.
    tenants: HashMap<String, Tenant>,
    last: PlaceId,
    waiting: usize,
}

#[derive(Default)]
struct Tenant {
    waiting: usize,
    rounds: VecDeque<Line>,
}

impl WaitQueue {
    /// True when a call of this tenant waits: cheap, asked before every admission.
    pub fn has(&self, tenant: &str) -> bool {
        self.waiting > 0 && self.tenants.contains_key(tenant)
    }

    /// True when this line is not empty.
    pub fn has_line(&self, line: &Line) -> bool {
        self.lines.contains_key(line)
    }

    /// Calls that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Joins a line at its tail.
    pub fn join(
        &mut self,
        line: &Line,
        retry_at: Option<UnixNanos>,
        most: usize,
        wake: Arc<Notify>,
    ) -> Result<PlaceId, Full> {
        if self.waiting >= most && !self.make_room(&line.tenant) {
            return Err(Full);
        }
        self.last += 1;
        self.waiting += 1;
        let tenant = self.tenants.entry(line.tenant.clone()).or_default();
        tenant.waiting += 1;
        let places = self.lines.entry(line.clone()).or_default();
        if places.is_empty() {
            tenant.rounds.push_back(line.clone());
        }
        places.push_back(Place {
            id: self.last,
            wake,
            retry_at,
        });
        Ok(self.last)
    }

    /// Where a call stands now.
    pub fn standing(&self, line: &Line, id: PlaceId) -> Standing {
        let Some(places) = self.lines.get(line) else {
            return Standing::Evicted;
        };
        match places.front() {
            Some(head) if head.id == id => Standing::Head(head.retry_at),
            _ if places.iter().any(|place| place.id == id) => Standing::Behind,
            _ => Standing::Evicted,
        }
    }

    /// The head tried too early: it stays first, until then.
    pub fn postpone(&mut self, line: &Line, id: PlaceId, retry_at: Option<UnixNanos>) {
        if let Some(head) = self
            .lines
            .get_mut(line)
            .and_then(VecDeque::front_mut)
            .filter(|head| head.id == id)
        {
            head.retry_at = retry_at;
        }
    }

    /// Leaves a line, admitted or not; wakes the next one when it was the first. Harmless when it has left.
    pub fn leave(&mut self, line: &Line, id: PlaceId) {
        let Some(places) = self.lines.get_mut(line) else { return };
        let Some(index) = places.iter().position(|place| place.id == id) else {
            return;
        };
        places.remove(index);
        if index == 0
            && let Some(next) = places.front()
        {
            next.wake.notify_one();
        }
        let empty = places.is_empty();
        self.left(line, empty);
    }

    /// A call of this tenant ended: heads that wait for that may try, some lines at a time, going round.
    pub fn released(&mut self, tenant: &str) {
        let Some(entry) = self.tenants.get_mut(tenant) else {
            return;
        };
        for _ in 0..entry.rounds.len().min(MOST_WOKEN) {
            let Some(line) = entry.rounds.pop_front() else { return };
            if let Some(head) = self
                .lines
                .get(&line)
                .and_then(VecDeque::front)
                .filter(|head| head.retry_at.is_none())
            {
                head.wake.notify_one();
            }
            entry.rounds.push_back(line);
        }
    }

    /// Holds of any tenant ended by themselves.
    pub fn released_by_time(&mut self) {
        let tenants: Vec<String> = self.tenants.keys().cloned().collect();
        for tenant in tenants {
            self.released(&tenant);
        }
    }

    /// Takes the place of the newest call of the tenant with the most, if the newcomer's tenant would still have fewer.
    fn make_room(&mut self, newcomer: &str) -> bool {
        let own = self.tenants.get(newcomer).map_or(0, |tenant| tenant.waiting);
        let Some((largest, waiting)) = self
            .tenants
            .iter()
            .map(|(name, tenant)| (name.clone(), tenant.waiting))
            .max_by(|one, other| one.1.cmp(&other.1).then_with(|| other.0.cmp(&one.0)))
        else {
            return false;
        };
        if waiting <= own + 1 {
            return false;
        }
        let newest = self.tenants.get(&largest).and_then(|tenant| {
            tenant
                .rounds
                .iter()
                .filter_map(|line| Some((self.lines.get(line)?.back()?.id, line.clone())))
                .max_by_key(|(id, _)| *id)
        });
        let Some((_, line)) = newest else { return false };
        let Some(places) = self.lines.get_mut(&line) else {
            return false;
        };
        if let Some(evicted) = places.pop_back() {
            evicted.wake.notify_one();
        }
        let empty = places.is_empty();
        self.left(&line, empty);
        true
    }

    fn left(&mut self, line: &Line, empty: bool) {
        self.waiting = self.waiting.saturating_sub(1);
        if empty {
            self.lines.remove(line);
        }
        let Some(tenant) = self.tenants.get_mut(&line.tenant) else {
            return;
        };
        tenant.waiting = tenant.waiting.saturating_sub(1);
        if empty {
            tenant.rounds.retain(|other| other != line);
        }
        if tenant.waiting == 0 {
            self.tenants.remove(&line.tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use futures_util::FutureExt;

    fn line(tenant: &str, instance: &str) -> Line {
        Line {
            tenant: tenant.into(),
            limit: "per-agent".into(),
            instance: instance.into(),
        }
    }

    fn join(queue: &mut WaitQueue, line: &Line, most: usize) -> Result<(PlaceId, Arc<Notify>), Full> {
        let wake = Arc::new(Notify::new());
        queue.join(line, None, most, Arc::clone(&wake)).map(|id| (id, wake))
    }

    fn woken(wake: &Notify) -> bool {
        wake.notified().now_or_never().is_some()
    }

    #[test]
    fn a_line_is_first_in_first_out() {
        let mut queue = WaitQueue::default();
        let line = line("acme", "agent=a");
        let (first, _) = join(&mut queue, &line, 9).unwrap();
        let (second, wake) = join(&mut queue, &line, 9).unwrap();
        assert_eq!(queue.standing(&line, first), Standing::Head(None));
        assert_eq!(queue.standing(&line, second), Standing::Behind);
        assert!(!woken(&wake));
        queue.leave(&line, first);
        assert!(woken(&wake));
        assert_eq!(queue.standing(&line, second), Standing::Head(None));
        queue.leave(&line, second);
        queue.leave(&line, second);
        assert_eq!(
            (queue.waiting(), queue.has("acme"), queue.has_line(&line)),
            (0, false, false)
        );
    }

    #[test]
    fn a_full_queue_gives_the_place_of_the_largest_tenant_to_a_smaller_one() {
        let mut queue = WaitQueue::default();
        let (loud, quiet) = (line("loud", "-"), line("quiet", "-"));
        let (first, _) = join(&mut queue, &loud, 3).unwrap();
        join(&mut queue, &loud, 3).unwrap();
        let (newest, evicted) = join(&mut queue, &loud, 3).unwrap();
        assert_eq!(join(&mut queue, &loud, 3).err(), Some(Full));
        let (guest, _) = join(&mut queue, &quiet, 3).unwrap();
        assert!(woken(&evicted));
        assert_eq!(queue.standing(&loud, newest), Standing::Evicted);
        assert_eq!(queue.standing(&loud, first), Standing::Head(None));
        assert_eq!(queue.standing(&quiet, guest), Standing::Head(None));
        // Now loud has two and quiet one: quiet has its share.
        assert_eq!(join(&mut queue, &quiet, 3).err(), Some(Full));
        assert_eq!(queue.waiting(), 3);
    }

    #[test]
    fn a_release_wakes_heads_that_wait_for_one_and_goes_round() {
        let mut queue = WaitQueue::default();
        let mut wakes = Vec::new();
        for index in 0..MOST_WOKEN + 2 {
            wakes.push(
                join(&mut queue, &line("acme", &format!("session=s-{index}")), 99)
                    .unwrap()
                    .1,
            );
        }
        let timed = Arc::new(Notify::new());
        queue
            .join(&line("acme", "agent=timed"), Some(UnixNanos(5)), 99, Arc::clone(&timed))
            .unwrap();
        queue.released("other");
        assert!(!wakes.iter().any(|wake| woken(wake)));
        queue.released("acme");
        assert_eq!(wakes.iter().filter(|wake| woken(wake)).count(), MOST_WOKEN);
        queue.released("acme");
        assert!(woken(&wakes[MOST_WOKEN]) && woken(&wakes[MOST_WOKEN + 1]));
        assert!(!woken(&timed));
    }

    #[test]
    fn a_head_that_came_too_early_stays_first() {
        let mut queue = WaitQueue::default();
        let line = line("acme", "-");
        let (first, _) = join(&mut queue, &line, 9).unwrap();
        queue.postpone(&line, first, Some(UnixNanos(7)));
        assert_eq!(queue.standing(&line, first), Standing::Head(Some(UnixNanos(7))));
    }
}
