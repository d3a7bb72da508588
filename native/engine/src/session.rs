//! Sessions: labels that tools gave them, and the model that each route keeps to.
//!
//! A session is remembered from the first thing that there is to remember until `reservations.sessionTtl` after its last
//! use. Its last use is written coarsely, so that using a session costs a write now and then only; so a session may be
//! forgotten up to a thirty-second of that time too early after a restart, never later than it should.
//!
//! INVARIANT (S1): labels are only ever added, and a session with labels is forgotten by its time alone: no call can get
//! rid of what it has seen by filling the book. Where there is no room, the call that would need it is refused.
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use fairlead_wire::internal::SessionRecord;
use prost::Message;

use crate::keys;
use crate::share::Bound;
use crate::unit::{Write, family};

/// A use is written when the one before is older than the time to live divided by this.
const COARSENESS: i64 = 32;

/// Last written use, tenant, session.
type Place = (i64, Arc<str>, Arc<str>);

/// What is remembered of one session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Session {
    /// Sorted.
    pub labels: Vec<String>,
    /// Model by route.
    pub pins: BTreeMap<String, String>,
    used_at: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct SessionBook {
    tenants: HashMap<Arc<str>, HashMap<Arc<str>, Session>>,
    labelled: BTreeSet<Place>,
    /// Without labels: these may go when there is no room.
    plain: BTreeSet<Place>,
    /// The same by tenant, and then by last written use.
    plain_of: BTreeSet<(Arc<str>, i64, Arc<str>)>,
    ttl: i64,
}

impl SessionBook {
    /// An empty book of sessions that live for `ttl` nanoseconds after their last use.
    pub(crate) fn new(ttl: i64) -> Self {
        Self { ttl, ..Self::default() }
    }

    /// Another time to live, which holds for all sessions at once.
    pub(crate) fn follow(&mut self, ttl: i64) {
        self.ttl = ttl;
    }

    /// Sessions that are remembered.
    pub(crate) fn len(&self) -> usize {
        self.labelled.len() + self.plain.len()
    }

    /// Sessions of a tenant that are remembered.
    pub(crate) fn of(&self, tenant: &str) -> usize {
        self.tenants.get(tenant).map_or(0, HashMap::len)
    }

    /// What is remembered of a session; nothing when its time is over.
    pub(crate) fn get(&self, now: i64, tenant: &str, session: &str) -> Option<&Session> {
        self.tenants
            .get(tenant)?
            .get(session)
            .filter(|one| now < one.used_at.saturating_add(self.ttl))
    }

    /// Labels of a session, sorted.
    pub(crate) fn labels(&self, now: i64, tenant: &str, session: &str) -> &[String] {
        self.get(now, tenant, session).map_or(&[], |one| &one.labels)
    }

    /// A session was used: the write that says so, when the last one is too old.
    pub(crate) fn touch(&mut self, now: i64, tenant: &str, session: &str) -> Option<Write> {
        let used_at = self.get(now, tenant, session)?.used_at;
        if now.saturating_sub(used_at) < self.ttl / COARSENESS {
            return None;
        }
        Some(self.change(now, tenant, session, |_| ()))
    }

    /// Room for a session. A session without labels gives way, the one that was not used for longest, and one of the
    /// tenant's own when the tenant has its share; its deletion goes to `deletions`. False: there is no room.
    pub(crate) fn make_room(
        &mut self,
        now: i64,
        tenant: &str,
        session: &str,
        bound: &Bound,
        deletions: &mut Vec<Write>,
    ) -> bool {
        let is_known = self
            .tenants
            .get(tenant)
            .is_some_and(|sessions| sessions.contains_key(session));
        if is_known || bound.has_room(self.len(), self.of(tenant)) {
            return true;
        }
        if self.len() == 0 {
            return false;
        }
        if !bound.has_share(self.of(tenant)) {
            return self.make_room_among_own(now, tenant, bound, deletions);
        }
        if self.first_over(now).is_none()
            && let Some(place) = self.plain.first().cloned()
        {
            deletions.push(self.forget(&place));
            return true;
        }
        let gone = self.forget_expired(now, 1);
        let has_room = !gone.is_empty();
        deletions.extend(gone);
        has_room
    }

    fn make_room_among_own(&mut self, now: i64, tenant: &str, bound: &Bound, deletions: &mut Vec<Write>) -> bool {
        let from = (Arc::from(tenant), i64::MIN, Arc::from(""));
        let oldest = self.plain_of.range(from..).next().filter(|(of, ..)| **of == *tenant);
        if let Some((tenant, used_at, session)) = oldest.cloned() {
            deletions.push(self.forget(&(used_at, tenant, session)));
            return true;
        }
        while !bound.has_share(self.of(tenant))
            && let Some(place) = self.first_over(now)
        {
            deletions.push(self.forget(&place));
        }
        bound.has_share(self.of(tenant))
    }

    /// Changes a session, which is made when it is not there or its time is over; the caller has made room. Returns its
    /// write, which belongs into the unit of the change.
    pub(crate) fn change(&mut self, now: i64, tenant: &str, session: &str, change: impl FnOnce(&mut Session)) -> Write {
        let mut one = self.take(tenant, session);
        if now >= one.used_at.saturating_add(self.ttl) {
            one = Session::default();
        }
        change(&mut one);
        one.used_at = now;
        let record = SessionRecord {
            tenant: tenant.to_owned(),
            session: session.to_owned(),
            labels: one.labels.clone(),
            pins: one.pins.clone(),
            used_at_unix_nanos: now,
        };
        self.put(Arc::from(tenant), Arc::from(session), one);
        Write::put(family::STATE, keys::session(tenant, session), record.encode_to_vec())
    }

    /// As stored.
    pub(crate) fn restore(&mut self, record: SessionRecord) {
        let session = Session {
            labels: record.labels,
            pins: record.pins,
            used_at: record.used_at_unix_nanos,
        };
        self.put(Arc::from(record.tenant), Arc::from(record.session), session);
    }

    /// When the next session is to be forgotten, Unix nanoseconds.
    pub(crate) fn next_expiry(&self) -> Option<i64> {
        let oldest = [self.labelled.first(), self.plain.first()].into_iter().flatten();
        oldest.map(|(used_at, ..)| used_at.saturating_add(self.ttl)).min()
    }

    /// Forgets sessions whose time is over, at most `most`.
    pub(crate) fn forget_expired(&mut self, now: i64, most: usize) -> Vec<Write> {
        let mut gone = Vec::new();
        while gone.len() < most
            && let Some(place) = self.first_over(now)
        {
            gone.push(self.forget(&place));
        }
        gone
    }

    /// INVARIANT (S1), and that every session has its end before it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let known: usize = self.tenants.values().map(HashMap::len).sum();
        if known != self.len() {
            return Err(format!(
                "S1: {known} sessions are known but {} will be forgotten",
                self.len()
            ));
        }
        if self.plain.len() != self.plain_of.len() {
            return Err("S1: sessions without labels are miscounted".to_owned());
        }
        for (tenant, sessions) in &self.tenants {
            for (session, one) in sessions {
                let place = (one.used_at, Arc::clone(tenant), Arc::clone(session));
                if !self.places(one).contains(&place) {
                    return Err("S1: a session is not forgotten at its time".to_owned());
                }
            }
        }
        Ok(())
    }

    fn first_over(&self, now: i64) -> Option<Place> {
        let is_over = |place: &&Place| now >= place.0.saturating_add(self.ttl);
        let labelled = self.labelled.first().filter(is_over);
        labelled.or_else(|| self.plain.first().filter(is_over)).cloned()
    }

    fn places(&self, session: &Session) -> &BTreeSet<Place> {
        if session.labels.is_empty() {
            &self.plain
        } else {
            &self.labelled
        }
    }

    fn put(&mut self, tenant: Arc<str>, session: Arc<str>, one: Session) {
        let place = (one.used_at, Arc::clone(&tenant), Arc::clone(&session));
        if one.labels.is_empty() {
            self.plain_of
                .insert((Arc::clone(&tenant), one.used_at, Arc::clone(&session)));
            self.plain.insert(place);
        } else {
            self.labelled.insert(place);
        }
        self.tenants.entry(tenant).or_default().insert(session, one);
    }

    fn take(&mut self, tenant: &str, session: &str) -> Session {
        let Some(sessions) = self.tenants.get_mut(tenant) else {
            return Session::default();
        };
        let Some(one) = sessions.remove(session) else {
            return Session::default();
        };
        if sessions.is_empty() {
            self.tenants.remove(tenant);
        }
        let place = (one.used_at, Arc::from(tenant), Arc::from(session));
        if one.labels.is_empty() {
            self.plain.remove(&place);
            let (used_at, tenant, session) = place;
            self.plain_of.remove(&(tenant, used_at, session));
        } else {
            self.labelled.remove(&place);
        }
        one
    }

    fn forget(&mut self, (_, tenant, session): &Place) -> Write {
        self.take(tenant, session);
        Write::delete(family::STATE, keys::session(tenant, session))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    const TTL: i64 = 3_200;

    fn label(book: &mut SessionBook, now: i64, session: &str, label: &str) -> Write {
        book.change(now, "acme", session, |one| one.labels.push(label.to_owned()))
    }

    #[test]
    fn labels_stay_until_the_session_was_not_used_for_its_time() {
        let mut book = SessionBook::new(TTL);
        label(&mut book, 0, "s", "saw_untrusted");
        assert_eq!(book.labels(TTL - 1, "acme", "s"), ["saw_untrusted"]);
        assert!(book.labels(TTL, "acme", "s").is_empty() && book.labels(0, "other", "s").is_empty());
        assert!(
            book.touch(TTL / COARSENESS - 1, "acme", "s").is_none(),
            "not worth a write"
        );
        assert!(book.touch(1_000, "acme", "s").is_some());
        assert_eq!(book.labels(TTL + 999, "acme", "s"), ["saw_untrusted"]);
        assert_eq!(book.next_expiry(), Some(TTL + 1_000));
        assert_eq!(book.forget_expired(TTL + 999, 10), []);
        assert_eq!(book.forget_expired(TTL + 1_000, 10).len(), 1);
        assert_eq!((book.len(), book.next_expiry()), (0, None));
    }

    #[test]
    fn a_session_comes_back_as_it_was_written() {
        let mut book = SessionBook::new(TTL);
        let write = label(&mut book, 7, "s", "read_private");
        let mut again = SessionBook::new(TTL);
        again.restore(SessionRecord::decode(write.value.unwrap().as_slice()).unwrap());
        assert_eq!(again.get(8, "acme", "s"), book.get(8, "acme", "s"));
        again.check().unwrap();
    }

    #[test]
    fn without_room_the_oldest_session_without_labels_goes_and_a_labelled_one_never_does() {
        let mut book = SessionBook::new(TTL);
        label(&mut book, 0, "labelled", "x");
        for (at, session) in ["older", "newer"].into_iter().enumerate() {
            book.change(at as i64 + 1, "acme", session, |one| {
                one.pins.insert("route".to_owned(), "model".to_owned());
            });
        }
        let mut deletions = Vec::new();
        assert!(
            book.make_room(5, "acme", "newer", &Bound::alone(3), &mut deletions) && deletions.is_empty(),
            "it has its room"
        );
        assert!(book.make_room(5, "acme", "next", &Bound::alone(3), &mut deletions));
        assert_eq!(
            deletions,
            [Write::delete(family::STATE, keys::session("acme", "older"))]
        );
        label(&mut book, 6, "next", "x");
        label(&mut book, 6, "newer", "x");
        assert!(!book.make_room(7, "acme", "one more", &Bound::alone(3), &mut deletions));
        assert!(
            book.make_room(TTL, "acme", "one more", &Bound::alone(3), &mut deletions),
            "the first one's time is over"
        );
        assert_eq!(book.len(), 2);
        book.check().unwrap();
    }
}
