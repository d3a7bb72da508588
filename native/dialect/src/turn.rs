//! One exchange with one target.

use bytes::Bytes;

use crate::{Dialect, Request, Vendor};

/// What a target speaks and expects.
#[derive(Clone, Copy, Debug)]
pub struct Wire<'a> {
    /// The dialect of its bodies.
    pub dialect: Dialect,
    /// Who it is; decides small differences inside a dialect.
    pub vendor: Vendor,
    /// The model's name there.
    pub upstream_model: &'a str,
    /// Most output tokens of one answer; 0 leaves the limit as the client set it.
    pub max_output_tokens: i64,
    /// Leave out what merely tunes and cannot be translated, instead of refusing.
    pub drop_untranslatable: bool,
}

/// One exchange with one target: what is sent, and how to read what comes back.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The dialect of the target.
    pub dialect: Dialect,
    /// The body to send.
    pub body: Bytes,
    /// Paths of the fields that were left out because the target's dialect has no place for them.
    pub dropped_fields: Vec<String>,
    /// What the client asked for.
    pub(crate) request: Request,
    /// Unix seconds of an answer whose provider tells none; 0 when unknown.
    pub(crate) created: i64,
}

impl Turn {
    /// Path below the provider's base URL, with a leading slash.
    #[must_use]
    pub fn path(&self) -> &'static str {
        self.dialect.path()
    }
}
