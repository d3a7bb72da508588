//! Health as a decision record kept it.

use fairlead_wire::v1::{BreakerState, HealthSnapshot, InputEstimate};

use super::HealthSource;
use crate::compiled::Compiled;
use crate::ids::ModelId;
use crate::units::{Tokens, UnixNanos};

/// Shows a decision what the recorded one saw.
#[derive(Clone, Debug, Default)]
pub struct RecordedHealth {
    /// By model; `None` was simply healthy.
    health: Vec<Option<HealthSnapshot>>,
    /// By model; `None` was not considered.
    bounds: Vec<Option<Tokens>>,
}

impl RecordedHealth {
    /// From `health` and `estimates` of the record's inputs. Models that are not named were healthy; names that the
    /// configuration does not have are ignored.
    #[must_use]
    pub fn new(compiled: &Compiled, health: &[HealthSnapshot], estimates: &[InputEstimate]) -> Self {
        let count = compiled.models().len();
        let mut recorded = Self {
            health: vec![None; count],
            bounds: vec![None; count],
        };
        for snapshot in health {
            let slot = compiled
                .model_id(&snapshot.model)
                .and_then(|id| recorded.health.get_mut(id.index()));
            if let Some(slot) = slot {
                *slot = Some(HealthSnapshot {
                    model: String::new(),
                    ..snapshot.clone()
                });
            }
        }
        for estimate in estimates {
            let slot = compiled
                .model_id(&estimate.model)
                .and_then(|id| recorded.bounds.get_mut(id.index()));
            if let Some(slot) = slot {
                *slot = Some(Tokens(estimate.tokens));
            }
        }
        recorded
    }
}

impl HealthSource for RecordedHealth {
    fn view(&self, model: ModelId, _now: UnixNanos) -> HealthSnapshot {
        let healthy = || HealthSnapshot {
            breaker: BreakerState::Closed.into(),
            admitted_per_mille: 1000,
            ..HealthSnapshot::default()
        };
        self.health
            .get(model.index())
            .cloned()
            .flatten()
            .unwrap_or_else(healthy)
    }

    fn input_bound(&self, model: ModelId, bytes: i64) -> Tokens {
        self.bounds
            .get(model.index())
            .copied()
            .flatten()
            .unwrap_or(Tokens(bytes))
    }
}
