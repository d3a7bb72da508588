//! Tool calls: what the catalogue knows, what rules say, who has to agree.

pub mod approval;
mod canonical;
mod catalogue;
mod constrain;
mod json;
mod pointer;
mod policy;
mod value;
mod variables;

pub use approval::Tier;
pub use catalogue::Tool;
pub(crate) use constrain::{Constraint, Kind};
pub use json::{Json, JsonError, MOST_ARGUMENT_BYTES, MOST_ARGUMENT_DEPTH, push_pointer_step};
pub(crate) use pointer::Pointer;
pub use policy::{GrantedArguments, ToolDecision, ToolFacts, ToolVerdict};
pub(crate) use policy::{ToolRule, ToolRuleEffect, Tools};
pub(crate) use variables::SCHEMA;
