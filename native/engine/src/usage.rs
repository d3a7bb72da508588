//! What attempts are charged, from what was reported or, where nothing was, from what was held for them.
//!
//! | attempt | usage reported | charged |
//! |---|---|---|
//! | any | yes | what was reported, at the prices of the admission; estimated input at most the bound |
//! | succeeded | no | the most it can have used: the input bound and the output bound of its model |
//! | no connection | no | nothing: nothing was sent |
//! | otherwise failed | no | the input bound, when the provider bills failed attempts; else nothing |
use fairlead_plan::{Overflow, Price, Tokens, counted_tokens};
use fairlead_wire::internal::{InvocationRecord, PlannedPrice};
use fairlead_wire::v1::{Amount, Attempt, AttemptOutcome};

/// The sum over all attempts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Charged {
    /// With all input tokens.
    pub all: Amount,
    /// Tokens without those read from a cache.
    pub uncached_tokens: i64,
}

impl Charged {
    /// For a budget that counts cached input, or not.
    pub(crate) fn amount(&self, count_cached: bool) -> Amount {
        if count_cached {
            self.all
        } else {
            Amount {
                tokens: self.uncached_tokens,
                ..self.all
            }
        }
    }
}

/// What the attempts of an invocation are charged. A call is one request, unless nothing was tried.
pub(crate) fn charged(record: &InvocationRecord, attempts: &[Attempt]) -> Result<Charged, Overflow> {
    let mut sum = Charged::default();
    for attempt in attempts {
        let Some(planned) = record.prices.iter().find(|planned| planned.model == attempt.model) else {
            continue;
        };
        let one = charge_one(planned, attempt)?;
        sum.all.nano_usd = sum.all.nano_usd.checked_add(one.all.nano_usd).ok_or(Overflow)?;
        sum.all.tokens = sum.all.tokens.checked_add(one.all.tokens).ok_or(Overflow)?;
        sum.uncached_tokens = sum.uncached_tokens.checked_add(one.uncached_tokens).ok_or(Overflow)?;
    }
    sum.all.requests = i64::from(!attempts.is_empty());
    Ok(sum)
}

fn charge_one(planned: &PlannedPrice, attempt: &Attempt) -> Result<Charged, Overflow> {
    let price = Price::from(planned);
    if let Some(usage) = &attempt.usage {
        let mut usage = *usage;
        if usage.estimated {
            // Whoever estimates does not know the ratio that was held for; an estimate must not be an overdraft.
            usage.input = usage.input.min(planned.input_tokens_bound);
        }
        let usage = &usage;
        let all = Amount {
            nano_usd: price.cost(usage)?.0,
            tokens: counted_tokens(usage, true)?.0,
            requests: 0,
        };
        return Ok(Charged {
            all,
            uncached_tokens: counted_tokens(usage, false)?.0,
        });
    }
    let input = Tokens(planned.input_tokens_bound);
    let output = match attempt.outcome() {
        AttemptOutcome::Succeeded => Tokens(planned.output_tokens_bound),
        AttemptOutcome::ConnectFailed => return Ok(Charged::default()),
        _ if planned.failed_attempts_cost_input => Tokens::ZERO,
        _ => return Ok(Charged::default()),
    };
    let tokens = input.add(output)?.0;
    let all = Amount {
        nano_usd: price.worst_case(input, output)?.0,
        tokens,
        requests: 0,
    };
    Ok(Charged {
        all,
        uncached_tokens: tokens,
    })
}
