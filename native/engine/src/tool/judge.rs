//! The whole decision about one tool call, as a pure function of its inputs: the engine makes it from the live state, and
//! [`recompute_tool`](crate::Engine::recompute_tool) makes it again from a record.
use fairlead_plan::tool::approval::missing;
use fairlead_plan::tool::{GrantedArguments, Tier, ToolDecision, ToolFacts, ToolVerdict};
use fairlead_plan::{Compiled, UnixNanos};
use fairlead_wire::v1::{ApprovalState, ApprovalVote, Decision, ToolCallState, ToolEffect};

use crate::approval;
use crate::rejection::{Reason, Rejection};

/// How long to wait before asking again for a call that is under way: 1 s.
const OPEN_RETRY_NANOS: i64 = 1_000_000_000;

/// The earlier call with the same key, tool and arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Earlier<'a> {
    pub call: &'a str,
    pub state: ToolCallState,
    pub effect: ToolEffect,
    /// True when it is the same agent's.
    pub is_own: bool,
}

/// The approval that the call came back with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub approval: &'a str,
    pub state: ApprovalState,
    /// Those that count.
    pub votes: &'a [ApprovalVote],
    /// The tier that was asked in the end, and those that did not decide in time before.
    pub escalated_to: &'a str,
    pub escalated_from: &'a [String],
}

/// What a decision is about.
pub(crate) struct ToolQuestion<'a> {
    pub compiled: &'a Compiled,
    pub facts: ToolFacts<'a>,
    pub earlier: Option<Earlier<'a>>,
    pub asked: Option<Asked<'a>>,
    pub now: UnixNanos,
}

/// What was decided.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The call may be made.
    Granted(GrantedArguments),
    /// People have to be asked, about these arguments.
    Ask(Tier, GrantedArguments),
    /// People have been asked already.
    Waiting,
    /// The earlier call's result is given again.
    Replayed,
    Refused(Rejection),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub decision: Decision,
    pub outcome: Outcome,
}

impl ToolQuestion<'_> {
    /// Decides.
    pub(crate) fn judge(&self) -> Judgement {
        let decided = self.compiled.decide_tool(&self.facts, self.now);
        let mut reason = decided.reason.clone();
        let outcome = self.outcome(&decided, &mut reason);
        if let Outcome::Refused(rejection) = &outcome {
            reason.clone_from(&rejection.message);
        }
        Judgement {
            decision: Decision {
                config_version: self.compiled.version().to_owned(),
                rules: decided.rules.iter().map(ToString::to_string).collect(),
                deciding_rule: decided.deciding.map(|rule| rule.to_string()).unwrap_or_default(),
                reason,
                ..Decision::default()
            },
            outcome,
        }
    }

    fn outcome(&self, decided: &ToolDecision, reason: &mut String) -> Outcome {
        // A denial comes first: it holds for results of earlier calls as well.
        if let ToolVerdict::Denied(cause) = decided.verdict {
            return Outcome::Refused(denied(self.compiled, decided, cause, self.facts.tool));
        }
        if let Some(outcome) = self.earlier.and_then(|earlier| self.of_earlier(earlier, reason)) {
            return outcome;
        }
        let votes = match self.asked {
            None => Vec::new(),
            Some(asked) => match asked.state {
                ApprovalState::Pending => return Outcome::Waiting,
                ApprovalState::Approved => approval::standing(self.compiled, asked.votes),
                state => return Outcome::Refused(ended(asked, state)),
            },
        };
        match &decided.verdict {
            ToolVerdict::NeedsApproval(tier, arguments) => {
                let tier = self.standing_for(tier);
                let missing = missing(&tier.require(), &votes);
                if !missing.is_empty() {
                    if self.asked.is_some() {
                        *reason = format!("{reason}, which asks for more people than have agreed");
                    }
                    return Outcome::Ask(tier.clone(), arguments.clone());
                }
                // INVARIANT (A4): what people did not see is not used under their approval.
                if arguments.arguments.is_some() {
                    let changed = arguments.changed.join(", ");
                    *reason = format!("{reason}, and rules change what people have agreed to at {changed}");
                    return Outcome::Ask(tier.clone(), arguments.clone());
                }
                *reason = format!("{reason}, and {} have agreed", votes.len());
                Outcome::Granted(arguments.clone())
            }
            ToolVerdict::Granted(arguments) => Outcome::Granted(arguments.clone()),
            ToolVerdict::Denied(cause) => Outcome::Refused(denied(self.compiled, decided, cause, self.facts.tool)),
        }
    }

    /// The tier that was asked because this one did not decide in time, as it is now; else this one.
    fn standing_for<'t>(&'t self, tier: &'t Tier) -> &'t Tier {
        self.asked.map_or(tier, |asked| {
            approval::standing_for(self.compiled, tier, asked.escalated_to, asked.escalated_from)
        })
    }

    /// What follows from an earlier call with the same key; `None`: a new grant may follow.
    fn of_earlier(&self, earlier: Earlier<'_>, reason: &mut String) -> Option<Outcome> {
        match earlier.state {
            ToolCallState::Succeeded => {
                "a call with this key has succeeded, its result is given again".clone_into(reason);
                Some(Outcome::Replayed)
            }
            ToolCallState::Open => {
                let message = "a call with this key is under way: wait until it is completed";
                Some(Outcome::Refused(
                    in_the_way(earlier, message).retry_after(OPEN_RETRY_NANOS),
                ))
            }
            // INVARIANT (T1): nobody knows whether it happened, so it must not happen again by itself.
            ToolCallState::Unknown if self.has_side_effect(earlier) => {
                let message = "nobody knows whether the call with this key has happened: complete its grant as succeeded \
                               or failed first";
                Some(Outcome::Refused(in_the_way(earlier, message)))
            }
            ToolCallState::Pending if self.asked.is_some() => None,
            ToolCallState::Pending if earlier.is_own => Some(Outcome::Waiting),
            ToolCallState::Pending => {
                let message = "another agent's call with this key waits for people";
                Some(Outcome::Refused(in_the_way(earlier, message)))
            }
            ToolCallState::Failed if self.asked.is_some() => {
                let message = "the approved call has failed and its approval is used up: ask again without the ticket";
                Some(Outcome::Refused(in_the_way(earlier, message)))
            }
            _ => None,
        }
    }

    /// By the catalogue of then or of now, whichever is stricter.
    fn has_side_effect(&self, earlier: Earlier<'_>) -> bool {
        let is_repeatable = |effect| matches!(effect, ToolEffect::Read | ToolEffect::Write);
        !is_repeatable(earlier.effect) || !is_repeatable(self.compiled.tool(self.facts.tool).effect)
    }
}

/// A rule, or the default, says no.
pub(super) fn denied(compiled: &Compiled, decided: &ToolDecision, cause: &str, tool: &str) -> Rejection {
    Rejection::new(Reason::PolicyDenied, decided.reason.clone())
        .with("rule", decided.deciding.as_deref().unwrap_or(""))
        .with("cause", cause)
        .with("tool", tool)
        .with("config_version", compiled.version())
}

/// An earlier call is in the way. Its grant is for the agent that has it.
fn in_the_way(earlier: Earlier<'_>, message: &str) -> Rejection {
    let name = earlier.state.as_str_name();
    let state = name.strip_prefix("TOOL_CALL_STATE_").unwrap_or(name);
    let rejection = Rejection::new(Reason::InvalidState, message)
        .with("state", state)
        .with("field", "idempotency_key");
    if earlier.is_own {
        rejection.with("grant", earlier.call)
    } else {
        rejection
    }
}

/// The people have refused, or did not decide in time.
fn ended(asked: Asked<'_>, state: ApprovalState) -> Rejection {
    let name = state.as_str_name();
    let state = name.strip_prefix("APPROVAL_STATE_").unwrap_or(name);
    let last = asked.votes.last().map_or("", |vote| vote.reason.as_str());
    let message = format!("the approval is {state}, so the call is denied");
    Rejection::new(Reason::PolicyDenied, message)
        .with("approval", asked.approval)
        .with("state", state)
        .with("cause", "approval")
        .with("reason", last)
}
