//! OpenAI Chat Completions.

mod chat;
mod content;
pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod request;
mod usage;
pub(crate) mod whole;

pub use chat::ChatRequest;
