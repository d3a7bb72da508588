//! Recovery is a read: the engine is rebuilt from stored records, nothing is guessed.
//!
//! INVARIANT (I4): everything acknowledged is in the store, and everything in the store comes back here, so the recovered
//! state has every acknowledged command.
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use fairlead_plan::UnixNanos;
use fairlead_wire::internal::{
    ApprovalRecord, BudgetRecord, InvocationRecord, RunRecord, SessionRecord, StepRecord, ToolCallRecord,
    WorkflowDefinition,
};
use fairlead_wire::v1::{AuditRecord, InvocationState};
use prost::Message;

use crate::chain::{Chain, split_value};
use crate::engine::{Engine, Open};
use crate::keys::{self, InvocationId, RunId, RunsKey, StateKey};
use crate::unit::family;
use crate::workflow::StoredRun;

/// A stored record that cannot be understood. The data directory is damaged or of another version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoverError(String);

impl fmt::Display for RecoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RecoverError {}

/// What was recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    /// Open holds.
    pub open_reservations: usize,
    /// Budget instances.
    pub budget_instances: usize,
    /// Last audit sequence.
    pub sequence: u64,
}

/// What recovery has gathered so far.
#[derive(Debug, Default)]
pub(crate) struct Recovering {
    open: Vec<(InvocationId, InvocationRecord, Box<[u8]>)>,
    budgets: Vec<BudgetRecord>,
    runs: BTreeMap<RunId, StoredRun>,
}

impl Engine {
    /// Takes one stored record. Feed the whole family `state`, the keys of `requests` of the last 24 hours, of `runs` the
    /// definitions and everything of the open runs, and at least
    /// the last record of `audit`, in any order; other families are ignored.
    ///
    /// # Errors
    /// The record cannot be understood.
    pub fn recover(&mut self, family: u32, key: &[u8], value: &[u8]) -> Result<(), RecoverError> {
        match family {
            family::STATE => self.recover_state(key, value),
            family::REQUESTS => {
                let (hour, hash) = keys::parse_request(key).ok_or_else(|| broken("request key", key))?;
                let most = usize::try_from(self.compiled.limits().request_ids).unwrap_or(usize::MAX);
                self.requests.insert(hour, &hash, most);
                Ok(())
            }
            family::AUDIT => {
                let sequence = keys::parse_audit(key).ok_or_else(|| broken("audit key", key))?;
                if sequence <= self.chain.sequence() {
                    return Ok(());
                }
                let (hash, bytes) = split_value(value).ok_or_else(|| broken("audit record", key))?;
                let record = AuditRecord::decode(bytes).map_err(|_| broken("audit record", key))?;
                if record.sequence != sequence {
                    return Err(broken("audit record", key));
                }
                self.chain = Chain::at(sequence, *hash);
                self.last_time = self.last_time.max(record.time_unix_nanos);
                self.ran_before = record.config_version;
                Ok(())
            }
            family::RUNS => self.recover_runs(key, value),
            _ => Ok(()),
        }
    }

    fn recover_runs(&mut self, key: &[u8], value: &[u8]) -> Result<(), RecoverError> {
        match keys::parse_runs(key).ok_or_else(|| broken("run key", key))? {
            RunsKey::Run { tenant, id } => {
                let record = RunRecord::decode(value).map_err(|_| broken("run", key))?;
                if record.tenant != tenant || record.run != keys::run_name(&id) {
                    return Err(broken("run", key));
                }
                self.recovering.runs.entry(id).or_default().record = Some(record);
            }
            RunsKey::Step { id } => {
                let record = StepRecord::decode(value).map_err(|_| broken("step", key))?;
                self.recovering.runs.entry(id).or_default().steps.push(record);
            }
            RunsKey::Payload { id, digest } => {
                let payloads = &mut self.recovering.runs.entry(id).or_default().payloads;
                payloads.insert(digest, value.to_vec());
            }
            RunsKey::Definition => {
                let source = WorkflowDefinition::decode(value).map_err(|_| broken("workflow definition", key))?;
                self.runs.restore_definition(&source).map_err(RecoverError)?;
            }
            RunsKey::Mark => {}
        }
        Ok(())
    }

    fn recover_state(&mut self, key: &[u8], value: &[u8]) -> Result<(), RecoverError> {
        match keys::parse_state(key).ok_or_else(|| broken("state key", key))? {
            StateKey::Open { tenant, id } => {
                let record = InvocationRecord::decode(value).map_err(|_| broken("open invocation", key))?;
                let is_open = matches!(record.state(), InvocationState::Open | InvocationState::Pending);
                if record.tenant != tenant || !is_open {
                    return Err(broken("open invocation", key));
                }
                self.recovering.open.push((id, record, value.into()));
            }
            StateKey::Budget {
                tenant,
                budget,
                instance,
            } => {
                let record = BudgetRecord::decode(value).map_err(|_| broken("budget record", key))?;
                if (record.tenant.as_str(), record.budget.as_str(), record.instance.as_str())
                    != (tenant, budget, instance)
                {
                    return Err(broken("budget record", key));
                }
                self.recovering.budgets.push(record);
            }
            StateKey::Session { tenant, session } => {
                let record = SessionRecord::decode(value).map_err(|_| broken("session", key))?;
                if (record.tenant.as_str(), record.session.as_str()) != (tenant, session) {
                    return Err(broken("session", key));
                }
                self.sessions.restore(record);
            }
            StateKey::ToolCall { tenant, id } => {
                let record = ToolCallRecord::decode(value).map_err(|_| broken("tool call", key))?;
                if record.tenant != tenant || record.call != keys::tool_call_name(&id) {
                    return Err(broken("tool call", key));
                }
                self.tools.put_call(id, record);
            }
            StateKey::Approval { tenant, id } => {
                let record = ApprovalRecord::decode(value).map_err(|_| broken("approval", key))?;
                if record
                    .approval
                    .as_ref()
                    .is_none_or(|approval| approval.tenant != tenant)
                {
                    return Err(broken("approval", key));
                }
                self.approvals.put(id, record);
            }
            StateKey::Other => {}
        }
        Ok(())
    }

    /// Ends recovery: budgets, holds, rate limits and the chain stand as they were committed. Breakers and arrival times of
    /// rate limits begin anew.
    ///
    /// # Errors
    /// Never at present; a check that only the whole can fail belongs here.
    pub fn recover_end(&mut self, now: UnixNanos) -> Result<Recovered, RecoverError> {
        let gathered = std::mem::take(&mut self.recovering);
        // The last record may be ahead of the clock. Commands are refused then, but windows must not be taken back.
        let now = self.last_time.max(now.0);
        for (id, stored) in gathered.runs {
            // Steps and payloads of a run that has ended are not asked for; one without its record is damaged.
            self.runs.restore(id, stored, now).map_err(RecoverError)?;
        }
        for record in &gathered.budgets {
            self.ledger.restore(record, now);
        }
        for (id, record, bytes) in gathered.open {
            for charge in &record.charges {
                // INVARIANT (I2): what is held is the sum of open invocations.
                self.ledger.restore_hold(&record.tenant, charge, now);
            }
            self.rates.restore(&record);
            let expires_at = record.expires_at_unix_nanos;
            self.expiries.insert((expires_at, id));
            self.held_by.add(&record.tenant);
            let tenant = Arc::from(record.tenant);
            self.open.insert(
                id,
                Open {
                    tenant,
                    expires_at,
                    probe: None,
                    record: bytes,
                },
            );
        }
        Ok(Recovered {
            open_reservations: self.open_reservations(),
            budget_instances: self.budget_instances(),
            sequence: self.sequence(),
        })
    }
}

fn broken(what: &str, key: &[u8]) -> RecoverError {
    let shown: String = key.iter().take(64).map(|byte| format!("{byte:02x}")).collect();
    RecoverError(format!(
        "the stored {what} at key {shown} cannot be understood: the data directory is damaged"
    ))
}
