//! What output rules do, as a client and a configuration see it.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod arguments;
mod properties;
mod rules;
mod streams;
mod support;
mod whole;
