//! Where the front is in its life, and what that means for a new call.
//!
//! | phase | entered by | admissions, model calls, control calls | settle, release |
//! |---|---|---|---|
//! | `Starting` | construction | `NOT_READY` | `NOT_READY` |
//! | `Serving` | `set_serving(true)` | yes | yes |
//! | `Draining` | `set_serving(false)` after serving | `DRAINING` | yes: they give something back |
//! | `Stopping` | a shutdown | `DRAINING` | yes, on connections that are still open |
//!
//! `set_serving(true)` while draining serves again, unless a shutdown began: that one is for good.
use tokio::sync::watch;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not told to serve yet.
    Starting,
    /// Serving.
    Serving,
    /// Not serving any more, but could again.
    Draining,
    /// Shutting down.
    Stopping,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Serve,
    Drain,
    Stop,
}

impl Phase {
    /// For people and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
        }
    }

    fn on(self, event: Event) -> Self {
        match (self, event) {
            (_, Event::Stop) | (Self::Stopping, Event::Serve | Event::Drain) => Self::Stopping,
            (Self::Starting | Self::Serving | Self::Draining, Event::Serve) => Self::Serving,
            (Self::Starting, Event::Drain) => Self::Starting,
            (Self::Serving | Self::Draining, Event::Drain) => Self::Draining,
        }
    }
}

/// The phase, shared.
#[derive(Clone)]
pub struct Serving {
    phase: watch::Sender<Phase>,
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Starting),
        }
    }
}

impl Serving {
    /// The phase now.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Follows the phase.
    pub fn subscribe(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// What the daemon says.
    pub fn set(&self, serving: bool) {
        self.apply(if serving { Event::Serve } else { Event::Drain });
    }

    /// A shutdown began.
    pub fn stop(&self) {
        self.apply(Event::Stop);
    }

    fn apply(&self, event: Event) {
        self.phase.send_if_modified(|phase| {
            let next = phase.on(event);
            std::mem::replace(phase, next) != next
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_and_event() {
        use Event::{Drain, Serve, Stop};
        use Phase::{Draining, Serving, Starting, Stopping};
        for (phase, event, next) in [
            (Starting, Serve, Serving),
            (Starting, Drain, Starting),
            (Starting, Stop, Stopping),
            (Serving, Serve, Serving),
            (Serving, Drain, Draining),
            (Serving, Stop, Stopping),
            (Draining, Serve, Serving),
            (Draining, Drain, Draining),
            (Draining, Stop, Stopping),
            (Stopping, Serve, Stopping),
            (Stopping, Drain, Stopping),
            (Stopping, Stop, Stopping),
        ] {
            assert_eq!(phase.on(event), next, "{phase:?} on {event:?}");
        }
    }
}
