//! Selection: which of the models that can take a call goes first.

use crate::compiled::{Choice, Compiled, Route};
use crate::constraint::Fit;
use crate::ids::ModelId;
use crate::split::{self, Draw};
use crate::units::{NanoUsd, Tokens};

/// How a route picks, with what it needs to know of the call.
pub(crate) struct Picker<'a> {
    pub(crate) compiled: &'a Compiled,
    pub(crate) route: &'a Route,
    pub(crate) split_key: &'a str,
    pub(crate) choices: i64,
}

impl Choice {
    /// The models to pick from, in configuration order.
    pub(crate) fn models(&self) -> impl Iterator<Item = ModelId> + Clone {
        let (targets, candidates): (&[_], &[_]) = match self {
            Self::Weighted(targets) => (targets, &[]),
            Self::Cheapest(models) | Self::Fastest(models) | Self::Best(models) => (&[], models),
        };
        targets
            .iter()
            .map(|target| target.model)
            .chain(candidates.iter().copied())
    }

    /// How it picked, for people.
    pub(crate) fn how(&self) -> &'static str {
        match self {
            Self::Weighted(_) => "by weight",
            Self::Cheapest(_) => "as the cheapest",
            Self::Fastest(_) => "as the fastest",
            Self::Best(_) => "as the best",
        }
    }
}

impl Picker<'_> {
    /// The model to go first; `fits` are the models that can take the call, in configuration order.
    pub(crate) fn pick<'f>(&self, fits: &[&'f Fit]) -> Option<&'f Fit> {
        match &self.route.choice {
            Choice::Weighted(targets) => {
                let draw = Draw::new(&self.route.name, self.split_key);
                let fit_of = |model| fits.iter().copied().find(|fit| fit.planned.model == model);
                let first = split::pick(draw.first, targets.iter().map(|target| target.weight.get()));
                let drawn = first
                    .and_then(|at| targets.get(at))
                    .and_then(|target| fit_of(target.model));
                drawn.or_else(|| {
                    let weight = |fit: &&Fit| {
                        let target = targets.iter().find(|target| target.model == fit.planned.model);
                        target.map_or(0, |target| target.weight.get())
                    };
                    split::pick(draw.second, fits.iter().map(weight)).and_then(|at| fits.get(at).copied())
                })
            }
            Choice::Cheapest(_) => {
                let output = common_output(fits);
                fits.iter().copied().min_by_key(|fit| self.worst_case(fit, output))
            }
            Choice::Best(_) => {
                let output = common_output(fits);
                fits.iter()
                    .copied()
                    .min_by_key(|fit| (-fit.quality_per_mille, self.worst_case(fit, output)))
            }
            Choice::Fastest(_) => {
                let unknown = median_of_known(fits);
                fits.iter()
                    .copied()
                    .min_by_key(|fit| if fit.p50_millis > 0 { fit.p50_millis } else { unknown })
            }
        }
    }

    /// The most the call can cost at a model; what cannot be counted is dearest.
    fn worst_case(&self, fit: &Fit, output: Tokens) -> NanoUsd {
        let total = output.times(self.choices.max(1));
        let price = self.compiled.model(fit.planned.model).map(|model| model.price);
        match (price, total) {
            (Some(price), Ok(total)) => price.worst_case(fit.planned.input_bound, total).unwrap_or(NanoUsd::MAX),
            _ => NanoUsd::MAX,
        }
    }
}

/// Prices are compared for the same answer: a model must not look dear because it can answer at greater length.
fn common_output(fits: &[&Fit]) -> Tokens {
    fits.iter().map(|fit| fit.planned.max_output).min().unwrap_or_default()
}

/// The lower median of the known p50 latencies; 0 when none is known.
fn median_of_known(fits: &[&Fit]) -> i64 {
    let mut known: Vec<i64> = fits
        .iter()
        .map(|fit| fit.p50_millis)
        .filter(|millis| *millis > 0)
        .collect();
    known.sort_unstable();
    known
        .get(known.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or_default()
}
