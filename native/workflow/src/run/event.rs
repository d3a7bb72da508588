//! What happens to a run, and what follows from it.

use std::fmt;

use fairlead_wire::v1::{Amount, EventKind, Failure, RunEvent, RunState, StepEvent};

use super::StepKey;

/// Names an attempt: what a worker says goes by all three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// The step.
    pub key: StepKey,
    /// Fencing number.
    pub epoch: u32,
    /// The lease.
    pub lease: &'a str,
}

/// Bounds of the configuration that the machine keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Largest payload in bytes.
    pub payload_bytes: usize,
    /// Most items of a forEach.
    pub for_each_items: usize,
}

/// What happens to a run.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// It begins, or waits for its start time.
    Start,
    /// A worker takes a ready step.
    Lease {
        /// The step.
        key: StepKey,
        /// Name of the worker.
        worker: &'a str,
        /// Agent whose credential the worker has; empty for the sidecar.
        agent: &'a str,
        /// Name of the attempt, unguessable.
        lease: String,
    },
    /// A worker is alive.
    Heartbeat(Attempt<'a>),
    /// An attempt has a result.
    Complete {
        /// The attempt.
        attempt: Attempt<'a>,
        /// JSON; empty is null.
        output: &'a [u8],
    },
    /// An attempt has no result.
    Fail {
        /// The attempt.
        attempt: Attempt<'a>,
        /// Stable code.
        code: &'a str,
        /// For people.
        message: &'a str,
        /// True: no further attempt.
        non_retryable: bool,
        /// True: nobody knows whether the effect has happened.
        outcome_unknown: bool,
        /// Earliest next attempt, nanoseconds from now; 0: as defined.
        retry_after_nanos: i64,
        /// True: given back without having begun.
        returned: bool,
    },
    /// The idempotency key of a ready step was looked up.
    KeyResolved {
        /// The step.
        key: StepKey,
        /// What is known.
        answer: KeyAnswer<'a>,
    },
    /// Time has passed: whatever is due happens.
    Due,
    /// The approval that a step waits for has its name.
    ApprovalOpened {
        /// The step.
        key: StepKey,
        /// Id of the approval.
        approval: String,
    },
    /// People have decided, or did not in time.
    Approval {
        /// The step.
        key: StepKey,
        /// Id of the approval; another one than the step waits for is ignored.
        approval: &'a str,
        /// What they said.
        verdict: Verdict<'a>,
    },
    /// People said what became of an attempt of unknown outcome.
    Resolved {
        /// The step.
        key: StepKey,
        /// Id of the approval; another one than the step waits for is ignored.
        approval: &'a str,
        /// What they said.
        resolution: Resolution<'a>,
    },
    /// A signal; kept until a step waits for it.
    Signal {
        /// Name.
        name: &'a str,
        /// JSON.
        payload: &'a [u8],
        /// Id of the request: taken once.
        request: &'a str,
    },
    /// A child run has ended, or could not begin.
    Child {
        /// The step.
        key: StepKey,
        /// Id of the child.
        child: &'a str,
        /// How.
        state: RunState,
        /// Its output, JSON.
        output: &'a [u8],
        /// Why it failed.
        failure: Option<&'a Failure>,
        /// What it cost.
        spent: Amount,
    },
    /// Something was settled inside the run.
    Spent {
        /// The step that it was for, when one is known.
        key: Option<StepKey>,
        /// The charge.
        amount: Amount,
        /// Id of the invocation.
        invocation: &'a str,
    },
    /// Somebody wants it to end.
    Cancel {
        /// Why.
        reason: &'a str,
    },
    /// Nothing new is to begin.
    Pause {
        /// Why.
        reason: &'a str,
    },
    /// It goes on.
    Resume,
}

/// What is known about an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAnswer<'a> {
    /// Nobody has acted under it; this step does now.
    Free,
    /// Another open step has it.
    Held,
    /// A step may have acted under it: nobody knows, and nobody has found out.
    Unknown {
        /// Id of its run.
        run: &'a str,
    },
    /// A step has acted under it.
    Recorded {
        /// Id of its run.
        run: &'a str,
        /// Its result, JSON.
        output: &'a [u8],
    },
}

/// What people said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Yes.
    Approved {
        /// What they saw last, JSON: as shown, or as somebody edited it.
        document: &'a [u8],
        /// Who.
        by: &'a [String],
    },
    /// No.
    Rejected {
        /// Why, for records.
        reason: &'a str,
        /// Why, for the step's result.
        text: &'a str,
        /// Who.
        by: &'a [String],
    },
    /// Nobody decided in time.
    Expired,
}

/// What became of an attempt of unknown outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution<'a> {
    /// It happened, and here is the result.
    Happened {
        /// JSON.
        output: &'a [u8],
    },
    /// It did not happen.
    DidNotHappen,
    /// Stop.
    Stop {
        /// Why.
        reason: &'a str,
    },
}

/// What follows from an event, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// A record about a step for the audit log.
    Step(EventKind, StepEvent),
    /// A record about the run for the audit log.
    Run(EventKind, RunEvent),
    /// People are to decide. Answered by [`Event::ApprovalOpened`].
    OpenApproval {
        /// The step.
        key: StepKey,
        /// Tier.
        tier: String,
        /// What it is about.
        title: String,
        /// What they are shown, JSON.
        document: Vec<u8>,
        /// True: the question is what became of an attempt.
        unknown: bool,
    },
    /// An approval is not needed any more.
    WithdrawApproval {
        /// Its id.
        approval: String,
        /// Why.
        reason: String,
    },
    /// An approved approval is used.
    ConsumeApproval {
        /// Its id.
        approval: String,
    },
    /// A child run is to begin, with exactly this id.
    StartChild {
        /// The step.
        key: StepKey,
        /// Name of the workflow.
        workflow: String,
        /// Input, JSON.
        input: Vec<u8>,
    },
    /// A child run is to end.
    CancelChild {
        /// Its id.
        child: String,
        /// Why.
        reason: String,
    },
    /// A step acted under its key: the result is there for every later one. The engine writes it in the same unit.
    RecordKey {
        /// The step.
        key: StepKey,
    },
    /// A step ends without anybody knowing whether it has acted under its key: later ones have to ask.
    LoseKey {
        /// The step.
        key: StepKey,
    },
    /// A step gives its key up: it has not acted.
    ReleaseKey {
        /// The step.
        key: StepKey,
    },
    /// The run has ended.
    Ended,
}

/// What [`Run::advance`](super::Run::advance) says when it does not refuse.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// What follows.
    pub effects: Vec<Effect>,
    /// True: the event had been taken before; nothing changed.
    pub repeated: bool,
    /// The attempt did not end well although it was reported as complete: the output violates its schema or is too
    /// large.
    pub refused_output: Option<Failure>,
    /// State of the run after the event: whoever keeps runs may forget one that has ended by it.
    pub run_state: RunState,
}

/// Why an event changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The attempt is not the current one.
    LeaseLost(String),
    /// The run or step is in a state in which this cannot happen.
    WrongState(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaseLost(message) | Self::WrongState(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Refused {}
