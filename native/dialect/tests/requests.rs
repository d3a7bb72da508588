//! Requests: facts, bodies for targets of the same dialect, and translation between the dialects.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail loudly"
)]

#[path = "requests/facts.rs"]
mod facts;
#[path = "requests/golden.rs"]
mod golden;
#[path = "requests/hostile.rs"]
mod hostile;
#[path = "requests/same.rs"]
mod same;
#[path = "requests/there_and_back.rs"]
mod there_and_back;

use bytes::Bytes;
use fairlead_dialect::{Dialect, InvalidRequest, Request, Vendor, Wire};

fn request(dialect: Dialect, body: &str) -> Result<Request, InvalidRequest> {
    Request::parse(dialect, Bytes::copy_from_slice(body.as_bytes()))
}

fn wire(dialect: Dialect, max_output_tokens: i64) -> Wire<'static> {
    Wire {
        dialect,
        vendor: Vendor::OpenAiCompatible,
        upstream_model: "up",
        max_output_tokens,
        drop_untranslatable: false,
    }
}
