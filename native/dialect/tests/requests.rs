//! Requests between the dialects: vectors, and what holds for all requests.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail loudly"
)]

#[path = "requests/golden.rs"]
mod golden;
