//! The language, as tables: an expression on the left, what it gives on the right. Results are compared in their written
//! form, so that `1` and `1.0` differ.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod comprehensions;
mod errors;
mod facts;
mod functions;
mod guards;
mod operators;
mod support;
mod times;
