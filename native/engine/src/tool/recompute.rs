//! A decision about a tool call again, from its record, its arguments and its configuration alone.
use fairlead_plan::tool::ToolFacts;
use fairlead_plan::{Compiled, UnixNanos};
use fairlead_wire::v1::{AuditRecord, ToolCallState, ToolDecisionRecord, audit_record::Body};

use super::answer;
use super::judge::{Asked, Earlier, ToolQuestion};
use super::request::{self, ToolArguments};
use crate::engine::Engine;
use crate::recompute::RecomputeError;

impl Engine {
    /// Decides again what `record` says was decided about a tool call: rules, decision, changes and refusal equal the
    /// record's, unless one of them was tampered with. `arguments` are those of the call, `agreed` those that people agreed
    /// to where these are others; empty takes those on record, which are there with `audit.content: full`. Ids and times of
    /// what followed are the record's.
    ///
    /// # Errors
    /// The record is no such decision, does not belong to this configuration, or has other arguments.
    pub fn recompute_tool(
        compiled: &Compiled,
        record: &AuditRecord,
        arguments: &[u8],
        agreed: &[u8],
    ) -> Result<ToolDecisionRecord, RecomputeError> {
        let Some(Body::Tool(recorded)) = &record.body else {
            return Err(RecomputeError::NotADecision);
        };
        if record.config_version != compiled.version() {
            return Err(RecomputeError::OtherConfig {
                needed: record.config_version.clone(),
            });
        }
        let inputs = recorded.inputs.clone().unwrap_or_default();
        let arguments = matching(arguments, &inputs.arguments, &inputs.arguments_digest)?;
        let agreed = if inputs.agreed_digest.is_empty() {
            None
        } else {
            Some(matching(agreed, &inputs.agreed_arguments, &inputs.agreed_digest)?)
        };
        let agreed = agreed.as_ref().map(|agreed| &agreed.json);
        let question = ToolQuestion {
            compiled,
            facts: ToolFacts {
                tenant: &record.tenant,
                agent: &record.agent,
                tool: &inputs.tool,
                arguments: agreed.filter(|_| inputs.edited).unwrap_or(&arguments.json),
                agreed: agreed.filter(|_| !inputs.edited),
                session: &inputs.session,
                session_labels: &inputs.session_labels,
                run: &inputs.run,
                step: &inputs.step,
                idempotency_key: request::given_key(&inputs.idempotency_key),
                labels: &inputs.labels,
            },
            earlier: (inputs.earlier_state() != ToolCallState::Unspecified).then(|| Earlier {
                call: &inputs.earlier_call,
                state: inputs.earlier_state(),
                effect: inputs.earlier_effect(),
                is_own: inputs.earlier_is_own,
            }),
            asked: (!inputs.approval.is_empty()).then(|| Asked {
                approval: &inputs.approval,
                state: inputs.approval_state(),
                votes: &inputs.votes,
                escalated_to: &inputs.escalated_to,
                escalated_from: &inputs.escalated_from,
            }),
            now: UnixNanos(record.time_unix_nanos),
        };
        let again = answer::record(inputs.clone(), &question.judge());
        Ok(ToolDecisionRecord {
            expires_at_unix_nanos: recorded.expires_at_unix_nanos,
            added_labels: recorded.added_labels.clone(),
            approval: recorded.approval.clone(),
            ..again
        })
    }
}

/// The arguments that a digest on record is of.
fn matching(given: &[u8], recorded: &[u8], digest: &[u8]) -> Result<ToolArguments, RecomputeError> {
    let bytes = if given.is_empty() { recorded } else { given };
    let arguments = ToolArguments::parse(bytes).map_err(|rejection| RecomputeError::Mismatch(rejection.message))?;
    if arguments.digest.as_slice() == digest {
        Ok(arguments)
    } else {
        let message = "these are not the arguments of the call, or not those that people agreed to";
        Err(RecomputeError::Mismatch(message.to_owned()))
    }
}
