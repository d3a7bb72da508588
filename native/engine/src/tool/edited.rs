//! A tool call with the arguments that people put in the place of those that were requested.
use std::collections::BTreeMap;
use std::sync::Arc;

use fairlead_plan::UnixNanos;
use fairlead_plan::tool::{ToolFacts, ToolVerdict};
use fairlead_wire::internal::ApprovalRecord;

use super::judge::denied;
use super::request::{self, ToolArguments};
use crate::approval::{Document, EditedCall};
use crate::engine::Engine;
use crate::rejection::{FieldViolation, Rejection};

/// The field of an edit.
const FIELD: &str = "edited_arguments";

impl Engine {
    /// What the rules of the moment say about an edit: the call as it would be made, or why it may not.
    ///
    /// # Errors
    /// It is no JSON object, violates the tool's schema, or a rule denies it.
    pub(crate) fn edited_call(
        &self,
        now: i64,
        record: &ApprovalRecord,
        edited: &[u8],
    ) -> Result<EditedCall, Rejection> {
        let arguments = ToolArguments::parse_as(FIELD, edited)?;
        let approval = record.approval.clone().unwrap_or_default();
        let compiled = Arc::clone(&self.compiled);
        let violations = compiled.tool(&approval.tool).violations(&arguments.bytes).into_iter();
        let violations: Vec<_> = violations
            .map(|(pointer, description)| FieldViolation {
                field: format!("{FIELD}{pointer}"),
                description,
            })
            .collect();
        if !violations.is_empty() {
            return Err(Rejection::invalid(violations).with("tool", &approval.tool));
        }
        let mut labels: BTreeMap<String, String> = record.labels.clone();
        compiled.merge_labels(&approval.tenant, &approval.agent, &mut labels);
        let facts = ToolFacts {
            tenant: &approval.tenant,
            agent: &approval.agent,
            tool: &approval.tool,
            arguments: &arguments.json,
            agreed: None,
            session: &approval.session,
            session_labels: self.sessions.labels(now, &approval.tenant, &approval.session),
            run: &approval.run,
            step: &approval.step,
            idempotency_key: request::given_key(&approval.idempotency_key),
            labels: &labels,
        };
        let decided = compiled.decide_tool(&facts, UnixNanos(now));
        let (asks, granted) = match &decided.verdict {
            ToolVerdict::Denied(cause) => return Err(denied(&compiled, &decided, cause, &approval.tool)),
            ToolVerdict::Granted(granted) => (None, granted),
            ToolVerdict::NeedsApproval(tier, granted) => {
                let rule = decided.deciding.as_ref().map(ToString::to_string);
                (Some((tier.clone(), rule.unwrap_or_default())), granted)
            }
        };
        let document = match &granted.arguments {
            Some(changed) => Document {
                bytes: changed.to_text().into_bytes(),
                canonical: changed.canonical(),
            },
            None => arguments.document(),
        };
        Ok(EditedCall {
            document,
            changed: granted.changed.clone(),
            asks,
        })
    }
}
