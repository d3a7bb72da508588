//! The record of a decision about a tool call.
use fairlead_plan::tool::Json;
use fairlead_wire::v1::{ToolDecisionRecord, ToolInputs};
use sha2::{Digest, Sha256};

use super::judge::{Judgement, Outcome, ToolQuestion};
use super::request::ToolArguments;

/// Audit content class that keeps arguments.
const FULL: &str = "full";

/// What beside the question goes on record.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Noted<'a> {
    pub request_digest: &'a [u8],
    /// As claimed by the caller; decides nothing.
    pub claimed_effect: i32,
    /// The key, as given or made.
    pub key: &'a str,
    /// What people agreed to, when that is not what was requested.
    pub agreed: Option<&'a ToolArguments>,
    /// True when people changed it.
    pub edited: bool,
}

/// Everything that the decision used.
pub(super) fn inputs(question: &ToolQuestion<'_>, arguments: &ToolArguments, noted: Noted<'_>) -> ToolInputs {
    let facts = &question.facts;
    let tool = question.compiled.tool(facts.tool);
    let is_kept = question.compiled.audit_content() == FULL;
    let (earlier, asked) = (question.earlier, question.asked);
    ToolInputs {
        request_digest: noted.request_digest.to_vec(),
        tool: facts.tool.to_owned(),
        arguments_digest: arguments.digest.to_vec(),
        arguments_bytes: i64::try_from(arguments.bytes.len()).unwrap_or(i64::MAX),
        arguments: if is_kept { arguments.bytes.clone() } else { Vec::new() },
        claimed_effect: noted.claimed_effect,
        effect: tool.effect as i32,
        risk: tool.risk as i32,
        idempotency_key: noted.key.to_owned(),
        session: facts.session.to_owned(),
        session_labels: facts.session_labels.to_vec(),
        run: facts.run.to_owned(),
        step: facts.step.to_owned(),
        labels: facts.labels.clone(),
        earlier_call: earlier.map_or_else(String::new, |earlier| earlier.call.to_owned()),
        earlier_state: earlier.map_or(0, |earlier| earlier.state as i32),
        earlier_effect: earlier.map_or(0, |earlier| earlier.effect as i32),
        earlier_is_own: earlier.is_some_and(|earlier| earlier.is_own),
        approval: asked.map_or_else(String::new, |asked| asked.approval.to_owned()),
        approval_state: asked.map_or(0, |asked| asked.state as i32),
        votes: asked.map_or_else(Vec::new, |asked| asked.votes.to_vec()),
        agreed_digest: noted.agreed.map_or_else(Vec::new, |agreed| agreed.digest.to_vec()),
        agreed_arguments: noted
            .agreed
            .filter(|_| is_kept)
            .map_or_else(Vec::new, |agreed| agreed.bytes.clone()),
        edited: noted.edited,
        escalated_to: asked.map_or_else(String::new, |asked| asked.escalated_to.to_owned()),
        escalated_from: asked.map_or_else(Vec::new, |asked| asked.escalated_from.to_vec()),
    }
}

/// What was said, as far as the question alone tells.
pub(super) fn record(inputs: ToolInputs, judgement: &Judgement) -> ToolDecisionRecord {
    let agreed = inputs.agreed_digest.clone();
    let mut record = ToolDecisionRecord {
        inputs: Some(inputs),
        decision: Some(judgement.decision.clone()),
        ..ToolDecisionRecord::default()
    };
    match &judgement.outcome {
        Outcome::Granted(granted) => {
            record.changed.clone_from(&granted.changed);
            record.granted_digest = granted.arguments.as_ref().map_or(agreed, digest);
        }
        Outcome::Ask(tier, granted) => {
            tier.name().clone_into(&mut record.tier);
            record.changed.clone_from(&granted.changed);
            record.granted_digest = granted.arguments.as_ref().map_or(agreed, digest);
        }
        Outcome::Refused(rejection) => {
            rejection.reason.as_str().clone_into(&mut record.rejection);
            record.rejection_metadata.clone_from(&rejection.metadata);
        }
        Outcome::Waiting | Outcome::Replayed => {}
    }
    record
}

fn digest(json: &Json) -> Vec<u8> {
    Sha256::digest(json.canonical().as_bytes()).to_vec()
}
