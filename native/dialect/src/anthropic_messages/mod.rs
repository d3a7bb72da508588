//! Anthropic Messages.

pub(crate) mod answer;
pub(crate) mod event;
pub(crate) mod event_read;
pub(crate) mod event_write;
pub(crate) mod request;
mod usage;
pub(crate) mod whole;
