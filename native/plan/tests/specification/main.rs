//! What the plan promises, through its public interface.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod applicable;
mod compile;
mod constraints;
mod health;
mod outputs;
mod pins;
mod policy;
mod properties;
mod recorded;
mod routing;
mod selection;
mod tools;
mod translation;
mod world;
