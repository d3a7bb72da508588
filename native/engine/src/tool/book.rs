//! Calls that wait for people or are granted.
use std::collections::{BTreeSet, HashMap};

use fairlead_wire::internal::ToolCallRecord;
use fairlead_wire::v1::ToolCallState;

use crate::approval::ApprovalBook;
use crate::keys::{self, ToolCallId};
use crate::share::PerTenant;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct ToolBook {
    calls: HashMap<ToolCallId, ToolCallRecord>,
    /// How many of them each tenant has.
    tenants: PerTenant,
    /// By the key in the store.
    keys: HashMap<Vec<u8>, ToolCallId>,
    /// INVARIANT (T2): has exactly the granted calls.
    expiries: BTreeSet<(i64, ToolCallId)>,
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
        self.expiries.len()
    }

    pub(crate) fn call(&self, id: &ToolCallId) -> Option<&ToolCallRecord> {
        self.calls.get(id)
    }

    /// The call that has a key now; `key` as in the store.
    pub(crate) fn call_of(&self, key: &[u8]) -> Option<&ToolCallRecord> {
        self.calls.get(self.keys.get(key)?)
    }

    pub(crate) fn put_call(&mut self, id: ToolCallId, record: ToolCallRecord) {
        self.take_call(&id);
        if record.state() == ToolCallState::Open {
            self.expiries.insert((record.expires_at_unix_nanos, id));
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
        self.expiries.remove(&(record.expires_at_unix_nanos, *id));
        Some(record)
    }

    /// Which grant ends next, and when, Unix nanoseconds.
    pub(crate) fn next_expiry(&self) -> Option<(i64, ToolCallId)> {
        self.expiries.first().copied()
    }

    /// INVARIANTS (T1) and (T2), as far as memory goes.
    pub(crate) fn check(&self, approvals: &ApprovalBook) -> Result<(), String> {
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
                    if !self.expiries.contains(&(call.expires_at_unix_nanos, *id)) {
                        return Err("T2: a grant never ends".to_owned());
                    }
                }
                ToolCallState::Pending => {
                    let approval = keys::approval_id(&call.approval).and_then(|id| approvals.get(&id));
                    if approval.is_none_or(|approval| approval.call != call.call) {
                        return Err("T2: a call waits for nobody".to_owned());
                    }
                }
                _ => return Err("T2: an ended call is open".to_owned()),
            }
        }
        if self.expiries.len() != granted {
            return Err("T2: something ends that is not open".to_owned());
        }
        Ok(())
    }
}
