//! What commands take and give.
use fairlead_plan::UnixNanos;
use fairlead_wire::internal::{Known, NeedsRecord};
use fairlead_wire::v1::{AttemptRef, Untranslatable};

use crate::erasable;
use crate::rejection::Rejection;
use crate::unit::Unit;

/// Who gives a command, from the credential, never from the request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Caller<'a> {
    /// Tenant; empty for the sidecar itself.
    pub tenant: &'a str,
    /// Agent; empty when an operator or the sidecar acts.
    pub agent: &'a str,
    /// Operator; empty when an agent or the sidecar acts.
    pub operator: &'a str,
    /// W3C trace context of the call; empty when there is none.
    pub traceparent: &'a str,
}

impl<'a> Caller<'a> {
    /// An agent.
    #[must_use]
    pub const fn agent(tenant: &'a str, agent: &'a str) -> Self {
        Self {
            tenant,
            agent,
            operator: "",
            traceparent: "",
        }
    }

    /// An operator.
    #[must_use]
    pub const fn operator(operator: &'a str) -> Self {
        Self {
            tenant: "",
            agent: "",
            operator,
            traceparent: "",
        }
    }

    /// The sidecar itself.
    #[must_use]
    pub fn sidecar() -> Self {
        Self::default()
    }
}

/// Method a request id belongs to; part of the request's key in the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// `GateService.Admit`.
    #[default]
    Admit,
    /// `ModelService.Generate`.
    Generate,
    /// `ModelService.StreamGenerate`.
    StreamGenerate,
}

impl Method {
    /// The name in the key.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admit => "Admit",
            Self::Generate => "Generate",
            Self::StreamGenerate => "StreamGenerate",
        }
    }
}

/// What an admission needs beside the request.
#[derive(Debug, Clone, Copy, Default)]
pub struct AdmitExtra<'a> {
    /// Method of the request id.
    pub method: Method,
    /// SHA-256 of the content (the dialect's body); `None` in decision mode.
    pub content_digest: Option<[u8; 32]>,
    /// Size of the content in bytes; 0 in decision mode.
    pub content_bytes: i64,
    /// Answers asked for (`n`); 0 means 1.
    pub choices: i64,
    /// SHA-256 of the request without its id; `None`: the engine computes it from the `AdmitRequest`.
    pub request_digest: Option<[u8; 32]>,
    /// True: the request id is stored and a repetition gets the first answer. With false an empty id is allowed and a
    /// given one only serves as the key of the weighted draw.
    pub remember: bool,
    /// True: a call that only a rate limit holds back, and may wait for it, comes back as [`Refusal::Wait`] with nothing
    /// recorded. Apply again, with false when its time is over.
    pub wait_allowed: bool,
    /// True when the sidecar makes the call: its hold lasts as long as the call may, and no agent can end it.
    pub settled_by_sidecar: bool,
    /// Dialect of the body, such as `openai-chat`; empty in decision mode.
    pub dialect: &'a str,
    /// True when the model also reads what its provider has stored: the size of the request is no bound of its input.
    pub stored_input: bool,
    /// What the other dialects that providers speak cannot say of the body.
    pub untranslatable: &'a [Untranslatable],
    /// The answer that the response cache has for the call. When the call may be answered by its model the reply has no
    /// reservation: it has ended, was charged nothing, and the cached answer is to be given. A reply with a reservation
    /// says that the answer in the cache cannot be used, and the call is admitted like any other.
    pub cached: Option<Cached<'a>>,
    /// What the store has, after a [`Refusal::NeedsRecord`].
    pub known: Option<&'a Known>,
}

/// An answer that the response cache has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cached<'a> {
    /// Name of the model that gave it.
    pub model: &'a str,
    /// Configuration that it was looked for under, and which its answer has passed. Under another one, which may have
    /// come while the call waited in a line, it is not there.
    pub config_version: &'a str,
    /// Invocation that it is from.
    pub invocation: &'a str,
    /// SHA-256 of its bytes.
    pub content_digest: [u8; 32],
    /// Its size in bytes.
    pub content_bytes: i64,
}

/// What a settlement or a release needs beside the request.
#[derive(Debug, Clone, Copy, Default)]
pub struct EndExtra<'a> {
    /// SHA-256 of the answer's bytes; `None` in decision mode.
    pub content_digest: Option<[u8; 32]>,
    /// Size of the answer in bytes; 0 in decision mode.
    pub content_bytes: i64,
    /// Kept for a repetition of the request id of the admission: written as it is to family `BLOBS` under the key of the
    /// request, in the unit of the settlement. Ignored when the admission was not remembered, and by a release. The
    /// caller bounds it by `limits.kept_answer_bytes`.
    pub answer: Option<&'a [u8]>,
    /// True when the attempts were already given to [`Engine::report_attempt`](crate::Engine::report_attempt), as the
    /// front does in proxy mode; otherwise the settlement feeds health with them.
    pub attempts_reported: bool,
    /// True when the sidecar itself ends a hold of a call that it makes; nobody else may.
    pub by_sidecar: bool,
    /// The step of a workflow whose result the answer is: it ends in the same unit (W4).
    pub step: Option<StepResult<'a>>,
    /// What the store has, after a [`Refusal::NeedsRecord`].
    pub known: Option<&'a Known>,
}

/// The result of a model step.
#[derive(Debug, Clone, Copy)]
pub struct StepResult<'a> {
    /// Tenant of the run.
    pub tenant: &'a str,
    /// The attempt.
    pub attempt: &'a AttemptRef,
    /// The result, JSON.
    pub output: &'a [u8],
}

/// The call may go on when a rate limit has headroom. Nothing was recorded or taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateWait {
    /// Name of the rate limit.
    pub limit: String,
    /// Its instance; with the limit and the tenant it names the queue to stand in.
    pub instance: String,
    /// When there will be headroom; `None` when only the end of another call makes room (concurrency).
    pub retry_at: Option<UnixNanos>,
    /// Longest a call may wait, nanoseconds, from its arrival.
    pub max_wait: i64,
}

/// Why a command has no answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// No.
    Rejected(Rejection),
    /// The store has to be asked: wait until everything queued is committed, read the records, apply again with `known`.
    /// Such commands go one at a time.
    NeedsRecord(NeedsRecord),
    /// See [`RateWait`].
    Wait(RateWait),
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// The outcome of a command. The reply may leave only when the unit is committed; a refusal can have a unit, too.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a dropped unit loses committed state"]
pub struct Applied<T> {
    /// Answer or refusal.
    pub reply: Result<T, Refusal>,
    /// What to commit; `None` when nothing changed.
    pub unit: Option<Unit>,
    /// True when this is the first answer to a repeated request id: nothing was done this time, so make no upstream call.
    pub replayed: bool,
}

impl<T> Applied<T> {
    /// An answer with its unit.
    pub(crate) fn done(reply: T, unit: Option<Unit>) -> Self {
        Self {
            reply: Ok(reply),
            unit,
            replayed: false,
        }
    }

    /// A refusal that changes nothing.
    pub(crate) fn refused(refusal: impl Into<Refusal>) -> Self {
        Self {
            reply: Err(refusal.into()),
            unit: None,
            replayed: false,
        }
    }

    /// A refusal that is recorded.
    pub(crate) fn recorded(refusal: impl Into<Refusal>, unit: Unit) -> Self {
        Self {
            reply: Err(refusal.into()),
            unit: Some(unit),
            replayed: false,
        }
    }

    /// The first answer again.
    pub(crate) fn replay(reply: T) -> Self {
        Self {
            reply: Ok(reply),
            unit: None,
            replayed: true,
        }
    }

    /// The same outcome, whose refusal shows its caller the texts that the record only commits to.
    pub(crate) fn revealed(mut self, known: Option<&Known>) -> Self {
        if let Err(Refusal::Rejected(rejection)) = &mut self.reply {
            erasable::reveal(rejection, known);
        }
        self
    }

    /// The same outcome with another answer type.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Applied<U> {
        Applied {
            reply: self.reply.map(change),
            unit: self.unit,
            replayed: self.replayed,
        }
    }
}
