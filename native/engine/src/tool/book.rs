//! Calls that wait for people or are granted, and approvals that are pending or not used yet.
use std::collections::{BTreeSet, HashMap};

use fairlead_wire::internal::{ApprovalRecord, ToolCallRecord};
use fairlead_wire::v1::{ApprovalState, ToolCallState};

use crate::keys::{self, ApprovalId, ToolCallId};
use crate::share::PerTenant;

/// What ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// A grant, whose outcome is unknown then.
    Call(ToolCallId),
    /// An approval, and the call that waits for it.
    Approval(ApprovalId),
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct ToolBook {
    calls: HashMap<ToolCallId, ToolCallRecord>,
    /// How many of them each tenant has.
    tenants: PerTenant,
    /// By the key in the store.
    keys: HashMap<Vec<u8>, ToolCallId>,
    approvals: HashMap<ApprovalId, ApprovalRecord>,
    /// Bytes of the arguments of all approvals.
    argument_bytes: usize,
    /// INVARIANT (T3): has exactly the granted calls and the open approvals.
    expiries: BTreeSet<(i64, Due)>,
}

impl ToolBook {
    /// Calls that wait or are granted.
    pub(crate) fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Calls of a tenant that wait or are granted.
    pub(crate) fn calls_of(&self, tenant: &str) -> usize {
        self.tenants.of(tenant)
    }

    /// Calls that are granted.
    pub(crate) fn granted(&self) -> usize {
        self.expiries.len() - self.approvals.len()
    }

    /// Approvals that are pending or approved.
    pub(crate) fn approvals(&self) -> usize {
        self.approvals.len()
    }

    /// Bytes of the arguments that wait for people.
    pub(crate) fn argument_bytes(&self) -> usize {
        self.argument_bytes
    }

    pub(crate) fn call(&self, id: &ToolCallId) -> Option<&ToolCallRecord> {
        self.calls.get(id)
    }

    /// The call that has a key now; `key` as in the store.
    pub(crate) fn call_of(&self, key: &[u8]) -> Option<&ToolCallRecord> {
        self.calls.get(self.keys.get(key)?)
    }

    pub(crate) fn approval(&self, id: &ApprovalId) -> Option<&ApprovalRecord> {
        self.approvals.get(id)
    }

    pub(crate) fn put_call(&mut self, id: ToolCallId, record: ToolCallRecord) {
        self.take_call(&id);
        if record.state() == ToolCallState::Open {
            self.expiries.insert((record.expires_at_unix_nanos, Due::Call(id)));
        }
        self.keys
            .insert(keys::tool_key(&record.tenant, &record.idempotency_key), id);
        self.tenants.add(&record.tenant);
        self.calls.insert(id, record);
    }

    pub(crate) fn take_call(&mut self, id: &ToolCallId) -> Option<ToolCallRecord> {
        let record = self.calls.remove(id)?;
        self.tenants.remove(&record.tenant);
        let key = keys::tool_key(&record.tenant, &record.idempotency_key);
        if self.keys.get(&key) == Some(id) {
            self.keys.remove(&key);
        }
        self.expiries.remove(&(record.expires_at_unix_nanos, Due::Call(*id)));
        Some(record)
    }

    pub(crate) fn put_approval(&mut self, id: ApprovalId, record: ApprovalRecord) {
        self.take_approval(&id);
        self.argument_bytes = self.argument_bytes.saturating_add(argument_bytes(&record));
        self.expiries.insert((expires_at(&record), Due::Approval(id)));
        self.approvals.insert(id, record);
    }

    pub(crate) fn take_approval(&mut self, id: &ApprovalId) -> Option<ApprovalRecord> {
        let record = self.approvals.remove(id)?;
        self.argument_bytes = self.argument_bytes.saturating_sub(argument_bytes(&record));
        self.expiries.remove(&(expires_at(&record), Due::Approval(*id)));
        Some(record)
    }

    /// What ends next, and when.
    pub(crate) fn next_expiry(&self) -> Option<(i64, Due)> {
        self.expiries.first().copied()
    }

    /// INVARIANTS (T1) and (T3), as far as memory goes.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.keys.len() != self.calls.len() {
            return Err(format!("T1: {} calls have {} keys", self.calls.len(), self.keys.len()));
        }
        if self.tenants != self.calls.values().map(|call| call.tenant.as_str()).collect() {
            return Err("T1: the calls of a tenant are miscounted".to_owned());
        }
        let mut granted = 0;
        for (id, call) in &self.calls {
            match call.state() {
                ToolCallState::Open => {
                    granted += 1;
                    if !self.expiries.contains(&(call.expires_at_unix_nanos, Due::Call(*id))) {
                        return Err("T3: a grant never ends".to_owned());
                    }
                }
                ToolCallState::Pending => {
                    let approval = keys::approval_id(&call.approval).and_then(|id| self.approvals.get(&id));
                    if approval.is_none_or(|approval| approval.call != call.call) {
                        return Err("T3: a call waits for nobody".to_owned());
                    }
                }
                _ => return Err("T3: an ended call is open".to_owned()),
            }
        }
        for (id, record) in &self.approvals {
            let state = record.approval.as_ref().map(fairlead_wire::v1::Approval::state);
            let is_open = matches!(state, Some(ApprovalState::Pending | ApprovalState::Approved));
            if !is_open || !self.expiries.contains(&(expires_at(record), Due::Approval(*id))) {
                return Err("T3: an approval never ends".to_owned());
            }
        }
        if self.expiries.len() != granted + self.approvals.len() {
            return Err("T3: something ends that is not open".to_owned());
        }
        Ok(())
    }
}

fn argument_bytes(record: &ApprovalRecord) -> usize {
    record.approval.as_ref().map_or(0, |approval| approval.arguments.len())
}

/// When an approval expires, Unix nanoseconds.
pub(crate) fn expires_at(record: &ApprovalRecord) -> i64 {
    let time = record.approval.as_ref().and_then(|approval| approval.expire_time);
    time.map_or(0, |time| {
        time.seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(i64::from(time.nanos))
    })
}
