//! The core's clock: Unix nanoseconds that never run backwards inside the process.
//!
//! Wall time is anchored to the monotonic clock. When the wall is set back the anchored time goes on at its own rate; when
//! the wall is ahead by more than [`FOLLOW_NANOS`] (it was set forward, or the machine slept) the anchor follows. What a
//! step back between two starts means is the engine's rule, not the clock's.
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use fairlead_plan::UnixNanos;
use tokio::time::Instant;

/// How far the wall may be ahead of the anchored time before the anchor follows it: 200 ms.
const FOLLOW_NANOS: i64 = 200_000_000;

/// See the module.
pub struct Clock {
    origin: Instant,
    /// Unix nanoseconds at `origin`, moved forward when the wall is.
    base: AtomicI64,
    last: AtomicI64,
}

impl Clock {
    /// Anchors to the wall as it is now.
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
            base: AtomicI64::new(wall()),
            last: AtomicI64::new(0),
        }
    }

    /// Now; never less than any answer before, on any thread.
    pub fn now(&self) -> UnixNanos {
        let elapsed = i64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let base = self.base.load(Ordering::Relaxed);
        let next = follow(base, elapsed, wall());
        if next != base {
            // Whoever loses the race read the same wall; its next call sees the new base.
            let _ = self
                .base
                .compare_exchange(base, next, Ordering::Relaxed, Ordering::Relaxed);
        }
        let now = next.saturating_add(elapsed);
        UnixNanos(self.last.fetch_max(now, Ordering::Relaxed).max(now))
    }
}

/// The base to use from here on.
fn follow(base: i64, elapsed: i64, wall: i64) -> i64 {
    let ahead = wall.saturating_sub(base.saturating_add(elapsed));
    if ahead > FOLLOW_NANOS {
        base.saturating_add(ahead)
    } else {
        base
    }
}

fn wall() -> i64 {
    // A wall before 1970 is nonsense; zero makes the engine refuse until it is set.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_wall_set_back_does_not_move_the_anchor() {
        assert_eq!(follow(100 * SECOND, 10 * SECOND, 20 * SECOND), 100 * SECOND);
    }

    #[test]
    fn a_wall_set_forward_or_a_sleep_is_followed() {
        assert_eq!(follow(100 * SECOND, 10 * SECOND, 3710 * SECOND), 3700 * SECOND);
    }

    #[test]
    fn small_differences_are_left_alone() {
        assert_eq!(
            follow(100 * SECOND, 10 * SECOND, 110 * SECOND + FOLLOW_NANOS),
            100 * SECOND
        );
    }

    #[test]
    fn time_never_runs_backwards() {
        let clock = Clock::start();
        let mut last = 0;
        for _ in 0..1000 {
            let UnixNanos(now) = clock.now();
            assert!(now >= last);
            last = now;
        }
    }
}
