//! The door of the agent endpoint: serving, not too many at once, and who it is. Every governed call passes it first.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fairlead_engine::Rejection;
use http::HeaderMap;
use prometheus::IntGauge;

use crate::auth::Identity;
use crate::front::Front;
use crate::refusal;
use crate::serving::Phase;

/// A call that is in.
pub struct Entry {
    /// Who calls.
    pub identity: Identity,
    /// Largest body, bytes.
    pub request_bytes: u64,
}

/// Counts the calls on the endpoint against `limits.streams`.
#[derive(Default)]
pub struct Door {
    inside: Arc<AtomicU64>,
}

/// One place inside; free again when dropped.
pub struct Place {
    inside: Arc<AtomicU64>,
    gauge: IntGauge,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.inside.fetch_sub(1, Ordering::Relaxed);
        self.gauge.dec();
    }
}

impl Door {
    /// Takes a place, if fewer than `most` are taken. The bound is read at every call, so that a reload changes it.
    pub fn enter(&self, most: u64, gauge: &IntGauge) -> Result<Place, Rejection> {
        let inside = self.inside.fetch_add(1, Ordering::Relaxed);
        gauge.inc();
        let place = Place {
            inside: Arc::clone(&self.inside),
            gauge: gauge.clone(),
        };
        if inside >= most {
            return Err(refusal::queue_full("limits.streams", most));
        }
        Ok(place)
    }
}

/// What a call is, as far as the door is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It begins something.
    Begin,
    /// It gives something back: also while draining.
    End,
}

/// Checks the phase and the credential.
pub fn enter(front: &Front, purpose: Purpose, headers: &HeaderMap) -> Result<Entry, Rejection> {
    match (front.serving.phase(), purpose) {
        (Phase::Serving, _) | (Phase::Draining | Phase::Stopping, Purpose::End) => {}
        (Phase::Starting, _) => return Err(refusal::not_ready()),
        (Phase::Draining | Phase::Stopping, Purpose::Begin) => return Err(refusal::draining()),
    }
    let running = front.core.running();
    let identity = running.credentials.identify(headers)?;
    Ok(Entry {
        identity,
        request_bytes: running.limits().request_bytes,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use fairlead_engine::Reason;

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let gauge = IntGauge::new("inside", "calls").unwrap();
        let door = Door::default();
        let first = door.enter(1, &gauge).unwrap();
        assert_eq!(door.enter(1, &gauge).err().unwrap().reason, Reason::QueueFull);
        assert_eq!(gauge.get(), 1);
        drop(first);
        assert!(door.enter(1, &gauge).is_ok());
    }
}
