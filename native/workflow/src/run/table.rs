//! The declared pairs of states and events. [`Run::advance`](super::Run::advance) asks here first, so that what is not
//! declared cannot happen; a test walks all pairs.

use fairlead_wire::v1::{RunState, StepState};

use super::event::Event;

/// Kind of an event about one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepEventKind {
    /// A worker takes it.
    Lease,
    /// What a worker says about its attempt.
    Attempt,
    /// Its key was looked up.
    KeyResolved,
    /// People decided.
    Approval,
    /// People said what became of it.
    Resolved,
    /// Its child run ended.
    Child,
}

/// Kind of an event about the whole run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEventKind {
    /// It begins.
    Start,
    /// Time has passed.
    Due,
    /// A signal came.
    Signal,
    /// It is to end.
    Cancel,
    /// Nothing new is to begin.
    Pause,
    /// It goes on.
    Resume,
    /// Something was settled.
    Spent,
    /// Anything about one step.
    Step,
}

/// What an event does in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// It is looked at.
    Applies,
    /// It comes too late or too early and changes nothing; not an error.
    Ignored,
    /// Whoever says it has no lease.
    LeaseLost,
    /// It is refused.
    WrongState,
}

/// All states of a step.
pub const STEP_STATES: [StepState; 12] = [
    StepState::Blocked,
    StepState::Ready,
    StepState::Leased,
    StepState::WaitingApproval,
    StepState::Waiting,
    StepState::RetryWait,
    StepState::Unknown,
    StepState::Succeeded,
    StepState::Failed,
    StepState::Skipped,
    StepState::Cancelled,
    StepState::Compensated,
];

/// All states of a run.
pub const RUN_STATES: [RunState; 9] = [
    RunState::Pending,
    RunState::Running,
    RunState::Waiting,
    RunState::Paused,
    RunState::Cancelling,
    RunState::Succeeded,
    RunState::Failed,
    RunState::Cancelled,
    RunState::Compensated,
];

/// All kinds of events about a run.
pub const RUN_EVENTS: [RunEventKind; 8] = [
    RunEventKind::Start,
    RunEventKind::Due,
    RunEventKind::Signal,
    RunEventKind::Cancel,
    RunEventKind::Pause,
    RunEventKind::Resume,
    RunEventKind::Spent,
    RunEventKind::Step,
];

/// All kinds of events about a step.
pub const STEP_EVENTS: [StepEventKind; 6] = [
    StepEventKind::Lease,
    StepEventKind::Attempt,
    StepEventKind::KeyResolved,
    StepEventKind::Approval,
    StepEventKind::Resolved,
    StepEventKind::Child,
];

/// What an event about a step does in the step's state.
#[must_use]
pub fn step_rule(state: StepState, event: StepEventKind) -> Rule {
    use StepEventKind as E;
    use StepState as S;
    match (state, event) {
        (S::Unspecified, _) => Rule::WrongState,
        (S::Ready, E::Lease | E::KeyResolved)
        | (S::Leased, E::Attempt)
        // A repeated completion is told from a late one by its lease.
        | (S::Succeeded | S::Compensated, E::Attempt)
        | (S::WaitingApproval, E::Approval)
        | (S::Unknown, E::Resolved)
        | (S::Waiting, E::Child) => Rule::Applies,
        (_, E::Lease) => Rule::WrongState,
        (_, E::Attempt) => Rule::LeaseLost,
        (_, E::KeyResolved | E::Approval | E::Resolved | E::Child) => Rule::Ignored,
    }
}

/// What an event does in the run's state.
#[must_use]
pub fn run_rule(state: RunState, event: RunEventKind) -> Rule {
    use RunEventKind as E;
    use RunState as S;
    match (state, event) {
        (S::Unspecified, _) => Rule::WrongState,
        (S::Pending, E::Start)
        | (S::Pending, E::Due | E::Cancel | E::Signal | E::Spent)
        | (S::Running | S::Waiting, E::Due | E::Signal | E::Cancel | E::Pause | E::Step | E::Spent)
        | (S::Paused, E::Due | E::Signal | E::Cancel | E::Resume | E::Step | E::Spent)
        | (S::Cancelling, E::Due | E::Step | E::Spent) => Rule::Applies,
        // Said again: it is so already.
        (S::Paused, E::Pause) | (S::Cancelling, E::Cancel) | (S::Running | S::Waiting, E::Resume) => Rule::Ignored,
        (S::Pending, E::Step) => Rule::WrongState,
        (S::Pending, E::Pause | E::Resume) => Rule::WrongState,
        (S::Cancelling, E::Signal | E::Pause | E::Resume) => Rule::WrongState,
        (S::Running | S::Waiting | S::Paused | S::Cancelling, E::Start) => Rule::WrongState,
        (S::Succeeded | S::Failed | S::Cancelled | S::Compensated, E::Due | E::Spent) => Rule::Ignored,
        (S::Succeeded | S::Failed | S::Cancelled | S::Compensated, E::Step) => Rule::LeaseLost,
        (S::Succeeded | S::Failed | S::Cancelled | S::Compensated, _) => Rule::WrongState,
    }
}

impl Event<'_> {
    /// The kind for [`run_rule`].
    #[must_use]
    pub fn run_kind(&self) -> RunEventKind {
        match self {
            Event::Start => RunEventKind::Start,
            Event::Due => RunEventKind::Due,
            Event::Signal { .. } => RunEventKind::Signal,
            Event::Cancel { .. } => RunEventKind::Cancel,
            Event::Pause { .. } => RunEventKind::Pause,
            Event::Resume => RunEventKind::Resume,
            Event::Spent { .. } => RunEventKind::Spent,
            Event::Lease { .. }
            | Event::Heartbeat(_)
            | Event::Complete { .. }
            | Event::Fail { .. }
            | Event::KeyResolved { .. }
            | Event::ApprovalOpened { .. }
            | Event::Approval { .. }
            | Event::Resolved { .. }
            | Event::Child { .. } => RunEventKind::Step,
        }
    }
}
