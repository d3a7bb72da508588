//! What a plan can cost at most, and how much output fits the budgets.
//!
//! With `k` attempts per model, at most one attempt answers; every other one may fail and be billed its input. So
//!
//! ```text
//! worst(T) = max over models m of [ full(m, T) − failed(m) ] + Σ over models of k × failed(m)
//! full(m, T)  all input at the dearest input price + min(T, the model's own maximum) × answers output tokens
//! failed(m)   all input, when the provider bills failed attempts; else nothing
//! ```
//!
//! An answer that a rule on `model.output` refuses is billed in full, too. Its model is not asked again, but the next one
//! may be: where such a rule and such a fallback meet, the maximum above is the sum over all models.
//!
//! Either is the most that any sequence of attempts can bill. It grows with `T`; the largest `T` that fits a budget has a
//! closed form for the maximum, and is searched for by halves in the sum.
use fairlead_plan::{Compiled, ModelId, NanoUsd, Overflow, PlannedModel, Price, Tokens};
use fairlead_wire::v1::Amount;

use crate::amount::Measure;

/// One model of a plan with what it can cost.
#[derive(Debug, Clone)]
pub(crate) struct Costed {
    pub planned: PlannedModel,
    pub price: Price,
    /// What one failed attempt is billed.
    pub failed: Amount,
    pub failed_attempts_cost_input: bool,
}

impl Costed {
    pub(crate) fn of(compiled: &Compiled, planned: &PlannedModel) -> Result<Option<Self>, Overflow> {
        let Some(model) = compiled.model(planned.model) else {
            return Ok(None);
        };
        let failed = if model.failed_attempts_cost_input {
            Amount {
                nano_usd: model.price.worst_case(planned.input_bound, Tokens::ZERO)?.0,
                tokens: planned.input_bound.0,
                requests: 0,
            }
        } else {
            Amount::default()
        };
        Ok(Some(Self {
            planned: planned.clone(),
            price: model.price,
            failed,
            failed_attempts_cost_input: model.failed_attempts_cost_input,
        }))
    }

    pub(crate) fn model(&self) -> ModelId {
        self.planned.model
    }

    /// Most output tokens per answer, when `limit` is granted to the whole plan.
    pub(crate) fn cap(&self, limit: i64) -> i64 {
        limit.min(self.planned.max_output.0)
    }

    /// Most output tokens of one attempt: what is held for it.
    pub(crate) fn output(&self, limit: i64, choices: i64) -> Result<Tokens, Overflow> {
        Tokens(self.cap(limit)).times(choices)
    }
}

/// How often a plan is tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tries {
    /// Attempts per model, at least 1.
    pub attempts: i64,
    /// Answers per attempt, at least 1.
    pub choices: i64,
    /// True when every model may give an answer that is refused, and billed.
    pub pays_for_refused: bool,
}

/// What all attempts together can be billed for failing.
fn all_failed(plan: &[Costed], measure: Measure, tries: Tries) -> Result<i64, Overflow> {
    plan.iter().try_fold(0_i64, |sum, one| {
        let failed = measure.of(one.failed).checked_mul(tries.attempts).ok_or(Overflow)?;
        sum.checked_add(failed).ok_or(Overflow)
    })
}

/// The most that a plan can cost with `limit` output tokens per answer.
pub(crate) fn worst_case(plan: &[Costed], limit: i64, tries: Tries) -> Result<Amount, Overflow> {
    let mut answers = Amount {
        nano_usd: 0,
        tokens: 0,
        requests: 1,
    };
    let or_next = |before: i64, next: i64| {
        if tries.pays_for_refused {
            before.checked_add(next).ok_or(Overflow)
        } else {
            Ok(before.max(next))
        }
    };
    for one in plan {
        let output = one.output(limit, tries.choices)?;
        let money = one.price.worst_case(one.planned.input_bound, output)?.0;
        let tokens = one.planned.input_bound.add(output)?.0;
        answers.nano_usd = or_next(
            answers.nano_usd,
            money.checked_sub(one.failed.nano_usd).ok_or(Overflow)?,
        )?;
        answers.tokens = or_next(answers.tokens, tokens.checked_sub(one.failed.tokens).ok_or(Overflow)?)?;
    }
    answers.nano_usd = answers
        .nano_usd
        .checked_add(all_failed(plan, Measure::NanoUsd, tries)?)
        .ok_or(Overflow)?;
    answers.tokens = answers
        .tokens
        .checked_add(all_failed(plan, Measure::Tokens, tries)?)
        .ok_or(Overflow)?;
    Ok(answers)
}

/// The largest output limit per answer, at most `wanted`, with which the plan's worst case stays within `room` of one
/// unit; `None` when not even the input does. Exact: one token more does not fit.
pub(crate) fn affordable(
    plan: &[Costed],
    measure: Measure,
    room: i64,
    wanted: i64,
    tries: Tries,
) -> Result<Option<i64>, Overflow> {
    if measure == Measure::Requests {
        return Ok((room >= 1).then_some(wanted));
    }
    if tries.pays_for_refused {
        return searched(plan, measure, room, wanted, tries);
    }
    let failing = all_failed(plan, measure, tries)?;
    let mut limit = wanted;
    for one in plan {
        let Some(left) = room
            .checked_sub(failing)
            .and_then(|left| left.checked_add(measure.of(one.failed)))
        else {
            return Ok(None);
        };
        let total = match measure {
            Measure::NanoUsd => one.price.affordable_output(one.planned.input_bound, NanoUsd(left)),
            _ => Some(Tokens(left.saturating_sub(one.planned.input_bound.0))).filter(|tokens| tokens.0 >= 0),
        };
        let Some(total) = total else { return Ok(None) };
        let each = total.0 / tries.choices.max(1);
        // What the model cannot produce anyway does not bind.
        if each < one.planned.max_output.0 {
            limit = limit.min(each);
        }
    }
    Ok(Some(limit))
}

/// [`affordable`] where several answers are paid for.
fn searched(plan: &[Costed], measure: Measure, room: i64, wanted: i64, tries: Tries) -> Result<Option<i64>, Overflow> {
    let fits = |limit| Ok(measure.of(worst_case(plan, limit, tries)?) <= room);
    if !fits(0)? {
        return Ok(None);
    }
    let (mut fitting, mut unknown) = (0, wanted.max(0));
    while fitting < unknown {
        let middle = unknown - (unknown - fitting) / 2;
        if fits(middle)? {
            fitting = middle;
        } else {
            unknown = middle - 1;
        }
    }
    Ok(Some(fitting))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn model(input: i64, max_output: i64, prices: (i64, i64, i64), bills_failures: bool) -> Costed {
        let price = Price::basic(prices.0, 0, prices.1, prices.2);
        let failed = if bills_failures {
            Amount {
                nano_usd: price.worst_case(Tokens(input), Tokens(0)).unwrap().0,
                tokens: input,
                requests: 0,
            }
        } else {
            Amount::default()
        };
        Costed {
            planned: PlannedModel {
                model: ModelId(0),
                input_bound: Tokens(input),
                max_output: Tokens(max_output),
                timeout: Duration::from_secs(1),
            },
            price,
            failed,
            failed_attempts_cost_input: bills_failures,
        }
    }

    #[test]
    fn the_worst_case_is_the_dearest_answer_after_everything_else_failed() {
        // Per token: 2 and 10 nano-USD, then 3 and 20.
        let plan = [
            model(100, 1000, (2_000, 0, 10_000), true),
            model(100, 1000, (3_000, 0, 20_000), true),
        ];
        let tries = Tries {
            attempts: 2,
            choices: 1,
            pays_for_refused: false,
        };
        let worst = worst_case(&plan, 50, tries).unwrap();
        // Two failures of the first (400), one of the second (300), and the second's answer (300 + 1000).
        assert_eq!(
            worst,
            Amount {
                nano_usd: 2_000,
                tokens: 450,
                requests: 1
            }
        );
        let refused = Tries {
            pays_for_refused: true,
            ..tries
        };
        // A failure of each (200 + 300), and an answer of each: the first one's (200 + 500) was refused.
        assert_eq!(worst_case(&plan, 50, refused).unwrap().nano_usd, 2_500);
        assert_eq!(affordable(&plan, Measure::NanoUsd, 2_000, 1000, tries), Ok(Some(50)));
        assert_eq!(affordable(&plan, Measure::NanoUsd, 1_999, 1000, tries), Ok(Some(49)));
        assert_eq!(affordable(&plan, Measure::NanoUsd, 999, 1000, tries), Ok(None));
    }

    fn costed() -> impl Strategy<Value = Costed> {
        (
            0..5_000_i64,
            1..2_000_i64,
            (0..9_000_i64, 0..9_000_i64, 0..9_000_i64),
            any::<bool>(),
        )
            .prop_map(|(input, output, prices, bills)| model(input, output, prices, bills))
    }

    proptest! {
        #[test]
        fn the_clamp_is_exact(
            plan in proptest::collection::vec(costed(), 1..4),
            room in 0..80_000_i64,
            wanted in 1..3_000_i64,
            attempts in 1..4_i64,
            choices in 1..4_i64,
            pays_for_refused in any::<bool>(),
        ) {
            let tries = Tries { attempts, choices, pays_for_refused };
            for measure in [Measure::NanoUsd, Measure::Tokens] {
                let fits = |limit| measure.of(worst_case(&plan, limit, tries).unwrap()) <= room;
                match affordable(&plan, measure, room, wanted, tries).unwrap() {
                    None => prop_assert!(!fits(0)),
                    Some(limit) => {
                        prop_assert!(fits(limit));
                        prop_assert!(limit == wanted || !fits(limit + 1), "{limit} is not the largest");
                    }
                }
            }
        }
    }
}
