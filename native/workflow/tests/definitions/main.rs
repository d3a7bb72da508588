//! What a definition means: what compiles, what is refused and with which words, and what its templates give.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod conditions;
mod configurations;
mod graphs;
mod keys;
mod kinds;
mod properties;
mod refusals;
mod support;
mod templates;
