//! OpenAI Chat Completions.

pub(crate) mod answer;
mod content;
pub(crate) mod event;
pub(crate) mod event_read;
pub(crate) mod event_write;
pub(crate) mod request;
mod usage;
pub(crate) mod whole;
