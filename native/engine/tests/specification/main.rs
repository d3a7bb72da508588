//! What the engine promises, as given / when / then.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by failing"
)]

mod admission;
mod bench;
mod budgets;
mod cache;
mod configuration;
mod ending;
mod golden;
mod health;
mod machine;
mod model_approval_machine;
mod model_approvals;
mod model_overdrafts;
mod pins;
mod rates;
mod recovery;
mod requests;
mod shares;
mod sidecar;
mod tool_approvals;
mod tool_bench;
mod tool_edits;
mod tool_escalation;
mod tool_machine;
mod tool_repeats;
mod tools;
mod translation;
mod views;
mod windows;
mod workflow_bench;
mod workflow_effects;
mod workflow_faults;
mod workflow_money;
mod workflow_shapes;
mod workflow_simulation;
mod workflow_steering;
mod workflows;
