//! The same decision again, from its record and its configuration alone.
use std::fmt;
use std::sync::Arc;

use fairlead_plan::{Budget, CallFacts, Compiled, InputSize, InstanceKey, Pins, RateState, RecordedHealth, UnixNanos};
use fairlead_wire::v1::{AuditRecord, DecisionInputs, DecisionRecord, Reservation, audit_record::Body};
use prost::Message;

use crate::admit::timestamp;
use crate::amount::ZERO;
use crate::budget::View;
use crate::encode::Encoder;
use crate::engine::Engine;
use crate::judge::{BudgetCase, BudgetOf, Outcome, Question, RateCase};
use crate::pin;
use crate::record::{Asks, Content, DecisionFacts};
use crate::reply::{name_output_rules, reply};
use crate::ttl;

/// A decision that cannot be made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecomputeError {
    /// The record is not about a decision.
    NotADecision,
    /// The configuration is not the one of the decision.
    OtherConfig {
        /// The version that is needed.
        needed: String,
    },
    /// The record does not fit the configuration: one of them was changed.
    Mismatch(String),
}

impl fmt::Display for RecomputeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotADecision => f.write_str("the record is not about a decision"),
            Self::OtherConfig { needed } => write!(f, "the decision was made with configuration {needed}"),
            Self::Mismatch(what) => write!(f, "the record does not fit the configuration: {what}"),
        }
    }
}

impl std::error::Error for RecomputeError {}

impl Engine {
    /// Decides again what `record` says was decided. The result equals the record's decision, unless one of the two was
    /// tampered with.
    ///
    /// # Errors
    /// The record is no decision, or does not belong to this configuration.
    pub fn recompute(compiled: &Compiled, record: &AuditRecord) -> Result<DecisionRecord, RecomputeError> {
        let Some(Body::Decision(recorded)) = &record.body else {
            return Err(RecomputeError::NotADecision);
        };
        if record.config_version != compiled.version() {
            return Err(RecomputeError::OtherConfig {
                needed: record.config_version.clone(),
            });
        }
        let no_inputs = DecisionInputs::default();
        let inputs = recorded.inputs.as_ref().unwrap_or(&no_inputs);
        let facts = facts(record, inputs);
        let budgets = budgets(compiled, &facts, inputs)?;
        let rates = rates(compiled, &facts, inputs)?;
        let health = RecordedHealth::new(compiled, &inputs.health, &inputs.estimates);
        let now = UnixNanos(record.time_unix_nanos);
        let question = Question {
            compiled,
            facts: &facts,
            health: &health,
            budgets: &budgets,
            rates: &rates,
            cached: (!inputs.cached_model.is_empty()).then_some(&inputs.cached_model),
            agreed: inputs.agreed.as_ref(),
            now,
        };
        let mut judgement = question.judge();
        let mut reply = reply(compiled, &mut judgement);
        reply.invocation.clone_from(&record.invocation);
        let ttl = ttl::nanos(compiled, &judgement, inputs.settled_by_sidecar);
        let is_hit = matches!(judgement.outcome, Outcome::Cached);
        let session_switch = pin::switch(compiled, &judgement);
        let (mut held, mut expires_at, mut rejection) = (None, 0, None);
        let mut tiers = None;
        match judgement.outcome {
            Outcome::Granted(grant) => {
                name_output_rules(&mut reply, &compiled.output_rules_for(&facts, now));
                held = Some(grant.amount);
                expires_at = now.0.saturating_add(ttl);
                reply.reservation = Some(Reservation {
                    amount: held,
                    expires_at: Some(timestamp(expires_at)),
                });
                reply.max_output_tokens = grant.max_output;
                reply.clamped = grant.clamped;
            }
            Outcome::Cached => {
                name_output_rules(&mut reply, &compiled.output_rules_for(&facts, now));
                held = Some(ZERO);
            }
            Outcome::Ask(asking, grant) => {
                held = Some(grant.amount);
                expires_at = now.0.saturating_add(asking.tier.expires_after_nanos());
                reply.max_output_tokens = grant.max_output;
                reply.clamped = grant.clamped;
                tiers = Some(asking.tiers);
            }
            // Nothing is decided, and nothing recorded, while people are asked.
            Outcome::Waiting => return Err(RecomputeError::NotADecision),
            Outcome::Refused(refused) | Outcome::RateLimited { rejection: refused, .. } => {
                rejection = Some(refused.with("invocation", &record.invocation));
            }
        }
        let downgraded = judgement.downgraded_to.and_then(|id| compiled.model(id));
        let decision = DecisionFacts {
            compiled,
            facts: &facts,
            content: Content {
                request_digest: &inputs.request_digest,
                digest: &inputs.content_digest,
                bytes: inputs.content_bytes,
            },
            decision: &judgement.decision,
            budgets: &budgets,
            rates: &rates,
            reply: &reply,
            held,
            expires_at,
            rejection: rejection.as_ref(),
            settled_by_sidecar: inputs.settled_by_sidecar,
            downgraded_to: downgraded.map_or("", |model| &model.name),
            cached: question.cached.map(|model| (model, inputs.cached_invocation.as_str())),
            is_hit,
            session_switch,
            agreed: question.agreed,
            asks: tiers.as_deref().map(|tiers| Asks {
                approval: &recorded.approval,
                tiers,
            }),
            over: &judgement.over,
        };
        let mut bytes = Vec::new();
        decision.encode(&mut Encoder::new(&mut bytes));
        DecisionRecord::decode(bytes.as_slice()).map_err(|error| RecomputeError::Mismatch(error.to_string()))
    }
}

fn facts<'a>(record: &'a AuditRecord, inputs: &'a DecisionInputs) -> CallFacts<'a> {
    CallFacts {
        tenant: &record.tenant,
        agent: &record.agent,
        model: &inputs.model,
        workload: &inputs.workload,
        session: &inputs.session,
        session_labels: &inputs.session_labels,
        run: &inputs.run,
        root_run: &inputs.root_run,
        step: &inputs.step,
        // Recorded after the agent's labels were laid over the call's.
        labels: &inputs.labels,
        attributes: inputs.attributes.as_ref(),
        input: if inputs.stored_input {
            InputSize::Stored(inputs.input_bytes)
        } else if inputs.input_bytes == 0 {
            InputSize::Tokens(inputs.input_tokens)
        } else {
            InputSize::Bytes(inputs.input_bytes)
        },
        max_output_tokens: inputs.max_output_tokens,
        min_output_tokens: inputs.min_output_tokens,
        min_quality: inputs.min_quality,
        capabilities: &inputs.capabilities,
        stream: inputs.stream,
        choices: inputs.choices,
        split_key: &inputs.split_key,
        dialect: &inputs.dialect,
        untranslatable: &inputs.untranslatable,
        pins: Pins::Recorded(&inputs.pinned_model),
    }
}

/// The budgets that apply are found again; their state is the recorded one.
fn budgets(
    compiled: &Compiled,
    facts: &CallFacts<'_>,
    inputs: &DecisionInputs,
) -> Result<Vec<BudgetCase>, RecomputeError> {
    let configured = compiled
        .budgets_for(facts)
        .map(|(id, instance)| (BudgetOf::Config(id), instance));
    // What the run's own definition allows is on record: it is not in the configuration.
    let of_runs = inputs.run_budgets.iter().map(|one| {
        let budget = Budget::of_run(&one.budget, one.limit.unwrap_or_default());
        (BudgetOf::Run(Arc::new(budget)), InstanceKey(one.instance.clone()))
    });
    let found: Vec<(BudgetOf, InstanceKey)> = configured.chain(of_runs).collect();
    if found.len() != inputs.budgets.len() {
        return Err(RecomputeError::Mismatch("other budgets apply".to_owned()));
    }
    found
        .into_iter()
        .zip(&inputs.budgets)
        .map(|((of, instance), recorded)| {
            let name = of.get(compiled).map_or("", |budget| &budget.name);
            if name != recorded.budget || instance.as_str() != recorded.instance {
                return Err(RecomputeError::Mismatch(format!(
                    "budget `{name}` applies with `{instance}`"
                )));
            }
            let view = View {
                spent: recorded.spent.unwrap_or_default(),
                reserved: recorded.reserved.unwrap_or_default(),
                window_start: recorded.window_start_unix_nanos,
                resets_at: recorded.resets_at_unix_nanos,
            };
            Ok(BudgetCase {
                of,
                instance,
                place: None,
                view,
            })
        })
        .collect()
}

/// As [`budgets`], for rate limits.
fn rates(compiled: &Compiled, facts: &CallFacts<'_>, inputs: &DecisionInputs) -> Result<Vec<RateCase>, RecomputeError> {
    let found: Vec<(_, InstanceKey)> = compiled.rate_limits_for(facts).collect();
    if found.len() != inputs.rates.len() {
        return Err(RecomputeError::Mismatch("other rate limits apply".to_owned()));
    }
    found
        .into_iter()
        .zip(&inputs.rates)
        .map(|((id, instance), recorded)| {
            let name = compiled.rate_limit(id).map_or("", |limit| &limit.name);
            if name != recorded.limit || instance.as_str() != recorded.instance {
                return Err(RecomputeError::Mismatch(format!(
                    "rate limit `{name}` applies with `{instance}`"
                )));
            }
            let state = RateState {
                requests_tat: UnixNanos(recorded.requests_tat_unix_nanos),
                tokens_tat: UnixNanos(recorded.tokens_tat_unix_nanos),
                in_flight: u64::try_from(recorded.in_flight).unwrap_or(0),
            };
            Ok(RateCase { id, instance, state })
        })
        .collect()
}
