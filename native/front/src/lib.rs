//! Fairlead `front`: the agent endpoint, the commit queue between the engine and the store, and the way to the control
//! services. Everything that waits or talks to a network lives here; decisions are the engine's.
//!
//! | module | idea |
//! |---|---|
//! | [`core`] | the engine and its commit queue; admit, settle, release as futures that answer after the commit |
//! | [`wait`] | who may try next when a rate limit is out of headroom |
//! | [`serve`] | one port: HTTP/2 and HTTP/1.1, the door, the dispatcher |
//! | [`gate`], [`model`], [`worker`], [`workflow`], [`http`] | the services that Rust serves |
//! | [`forward`] | everything else is Python's |
//! | [`auth`], `trace`, [`deadline`], [`refusal`], [`status`] | who, in which trace, until when, and how to say no |
//! | [`monitor`], [`metrics`], [`telemetry`] | health, numbers, logs |
//! | [`runtime`], [`serving`], [`tasks`], [`front`], [`options`] | start, phases, supervision, shutdown |
pub mod auth;
pub mod core;
pub mod deadline;
pub mod forward;
pub mod front;
pub mod gate;
pub mod http;
pub mod metrics;
pub mod model;
pub mod monitor;
pub mod options;
pub mod refusal;
pub mod runtime;
pub mod serve;
pub mod serving;
pub mod status;
pub mod tasks;
pub mod telemetry;
mod trace;
pub mod wait;
pub mod worker;
pub mod workflow;

/// Services generated from the protos; the messages come from `fairlead-wire`.
#[allow(missing_docs, clippy::all)]
pub mod grpc {
    include!(concat!(env!("OUT_DIR"), "/fairlead.v1.rs"));
}
