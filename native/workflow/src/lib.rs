//! Fairlead `workflow`: what a workflow's definition says, and what its runs do. Pure: no clock, no randomness, no I/O.
//!
//! ```text
//! internal::WorkflowDefinition ──Definition::compile──► Definition (immutable, shared)   all violations at once, by path
//! Definition + Scope (a run's data) ──Template::render──► Json, or what failed and where
//!                                   ──Condition::holds──► bool
//! Schema + Json                     ──Schema::check─────► what is violated and where, never the content
//! ```
//!
//! | module | idea |
//! |---|---|
//! | `definition` | a DAG of steps, checked as a whole: names, needs, expressions, effects |
//! | `template` | JSON whose strings have `${…}` in them, and the expressions of a workflow |
//! | `schema` | JSON Schemas of inputs and outputs |
//! | `payload` | JSON from outside and from the store, bounded |
//! | [`run`] | the state machine of a run |

mod definition;
mod payload;
pub mod run;
mod schema;
mod template;

pub use definition::{
    Definition, ForEachDef, Known, ModelDef, OnUnknown, Retry, StepDef, StepEffect, TaskDef, TaskKind, Timeouts,
    WaitDef, compile_all, compile_config,
};
pub use fairlead_plan::Violation;
pub use fairlead_plan::tool::Json;
pub use payload::{MOST_PAYLOAD_DEPTH, MOST_PAYLOAD_VALUES, PayloadError, read_payload, read_stored};
pub use schema::{Schema, SchemaError};
pub use template::{Condition, MOST_RENDERED_BYTES, RenderError, RunFacts, Scope, Template};
