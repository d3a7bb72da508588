//! Fairlead `plan`: what a call may do, where it goes and what it costs at most. Pure: no clock, no randomness, no I/O;
//! time is an argument and every answer follows from the arguments alone.
//!
//! The way of a call: [`Compiled::decide`] evaluates policy rules, finds the route, applies constraints, selects and
//! orders the plan. The engine then holds the worst case in the budgets of [`Compiled::budgets_for`], takes the rate
//! limits of [`Compiled::rate_limits_for`], and feeds the outcome of attempts back into the [`HealthBook`].
//!
//! ```text
//! EngineConfig ──compile──► Compiled (immutable, shared)      all violations at once, by YAML path
//! CallFacts ─┐
//! HealthBook ┼─ decide ───► PlanDecision { verdict, plan, dropped, … }
//! now ───────┘
//! ```
//!
//! | module | idea |
//! |---|---|
//! | `units`, `money` | checked integers with their unit; cost of usage, rounded up once |
//! | `compile` | configuration → [`Compiled`], or every violation |
//! | `matching`, `index` | literal conditions, and how ten thousand of them cost as much as ten |
//! | `policy`, `route`, `constraint`, `selection`, `decide` | the decision |
//! | `split` | the weighted draw |
//! | `pin` | which model a session or run keeps |
//! | `translation` | which dialect a provider is spoken to in |
//! | `health` | breaker, latency and learned input ratio per model |
//! | `rate` | GCRA |
//! | `scope` | instances of budgets and rate limits |
//! | `tool` | catalogue, policy and approval of tool calls |

mod applicable;
mod compile;
mod compiled;
mod constraint;
mod decide;
mod decision;
mod facts;
pub mod health;
mod ids;
mod index;
mod matching;
pub mod money;
mod output;
mod pin;
mod policy;
pub mod rate;
mod reason;
mod route;
mod scope;
mod selection;
pub mod split;
pub mod tool;
mod translation;
pub mod units;
mod variables;

pub use compiled::{
    Agent, Budget, Choice, Compiled, Durability, Model, OnExceed, PolicyRule, RateLimit, Route, RuleEffect, Sticky,
    Target, Violation, Window,
};
pub use decision::{DenyCause, DroppedCandidate, NoRouteCause, PlanDecision, PlannedModel, Verdict};
pub use facts::{CallFacts, InputSize, UNKNOWN_CONTEXT};
pub use health::{AttemptReport, HealthBook, HealthSource, Probe, RecordedHealth};
pub use ids::{BudgetId, ModelId, PolicyId, ProviderId, RateLimitId, RouteId, TierId};
pub use money::{Price, counted_tokens};
pub use output::OutputRule;
pub use pin::{Pinned, Pins};
pub use rate::{Gcra, RateCharge, RateExceeded, RateRefusal, RateRule, RateState};
pub use scope::{Dimension, InstanceKey, Scope};
pub use units::{NanoUsd, Overflow, Tokens, UnixNanos, millis_to_nanos};
