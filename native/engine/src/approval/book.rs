//! Approvals that are pending, or approved and not used yet.
use std::collections::{BTreeSet, HashMap};

use fairlead_plan::Compiled;
use fairlead_plan::tool::MOST_ARGUMENT_BYTES;
use fairlead_wire::internal::ApprovalRecord;
use fairlead_wire::v1::{Approval, ApprovalState};

use crate::keys::ApprovalId;
use crate::rejection::Rejection;
use crate::share::{Bound, PerTenant};

/// Bytes that people may be shown, for each approval that may be open.
const SHOWN_BYTES_PER_APPROVAL: u64 = 1024;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct ApprovalBook {
    approvals: HashMap<ApprovalId, ApprovalRecord>,
    /// How many of them each tenant has.
    tenants: PerTenant,
    /// Bytes of what people are shown of all approvals.
    shown_bytes: usize,
    /// Model calls that people are asked about, by what tells a repetition.
    model_calls: HashMap<Vec<u8>, ApprovalId>,
    /// INVARIANT (A2): has exactly the open approvals.
    expiries: BTreeSet<(i64, ApprovalId)>,
}

impl ApprovalBook {
    /// Approvals that are pending or approved.
    pub(crate) fn len(&self) -> usize {
        self.approvals.len()
    }

    pub(crate) fn get(&self, id: &ApprovalId) -> Option<&ApprovalRecord> {
        self.approvals.get(id)
    }

    /// Model calls that people are asked about, or have agreed to.
    pub(crate) fn model_calls(&self) -> usize {
        self.model_calls.len()
    }

    /// The approval of the model call with a key.
    pub(crate) fn model_call(&self, key: &[u8]) -> Option<ApprovalId> {
        self.model_calls.get(key).copied()
    }

    pub(crate) fn put(&mut self, id: ApprovalId, record: ApprovalRecord) {
        self.take(&id);
        self.shown_bytes = self.shown_bytes.saturating_add(shown_bytes(&record));
        self.tenants.add(tenant(&record));
        self.expiries.insert((expires_at(&record), id));
        if let Some(call) = &record.model_call {
            self.model_calls.insert(call.key.clone(), id);
        }
        self.approvals.insert(id, record);
    }

    pub(crate) fn take(&mut self, id: &ApprovalId) -> Option<ApprovalRecord> {
        let record = self.approvals.remove(id)?;
        self.shown_bytes = self.shown_bytes.saturating_sub(shown_bytes(&record));
        self.tenants.remove(tenant(&record));
        self.expiries.remove(&(expires_at(&record), *id));
        if let Some(call) = &record.model_call
            && self.model_calls.get(&call.key) == Some(id)
        {
            self.model_calls.remove(&call.key);
        }
        Some(record)
    }

    /// What expires next, and when, Unix nanoseconds.
    pub(crate) fn next_expiry(&self) -> Option<(i64, ApprovalId)> {
        self.expiries.first().copied()
    }

    /// Room for one more approval of a tenant that shows people so many bytes, which are in memory as long as it is open.
    pub(crate) fn has_room(&self, compiled: &Compiled, tenant: &str, bytes: usize) -> Result<(), Rejection> {
        let most = compiled.limits().open_approvals;
        let bound = Bound::new(compiled, "openApprovals", most);
        let own = self.tenants.of(tenant);
        if !bound.has_room(self.approvals.len(), own) {
            return Err(bound.reached(own));
        }
        self.has_room_for(compiled, tenant, bytes)
    }

    /// Room for so many bytes more, of an approval that may be there already.
    pub(crate) fn has_room_for(&self, compiled: &Compiled, tenant: &str, bytes: usize) -> Result<(), Rejection> {
        let approvals = compiled.limits().open_approvals;
        let most = approvals
            .saturating_mul(SHOWN_BYTES_PER_APPROVAL)
            .max(MOST_ARGUMENT_BYTES as u64);
        if self.shown_bytes.saturating_add(bytes) as u64 <= most {
            return Ok(());
        }
        let bound = Bound::new(compiled, "openApprovals", approvals);
        let mut reached = bound.reached(self.tenants.of(tenant)).with("argument_bytes", most);
        reached.message = format!(
            "what waits for people takes the {most} bytes that limits.openApprovals leaves it: decide some, try again \
             later or raise it"
        );
        Err(reached)
    }

    /// INVARIANT (A2), as far as memory goes.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.expiries.len() != self.approvals.len() {
            return Err(format!(
                "A2: {} approvals are open but {} will expire",
                self.approvals.len(),
                self.expiries.len()
            ));
        }
        if self.tenants != self.approvals.values().map(tenant).collect() {
            return Err("A2: the approvals of a tenant are miscounted".to_owned());
        }
        if self.shown_bytes != self.approvals.values().map(shown_bytes).sum::<usize>() {
            return Err("A2: what people are shown is miscounted".to_owned());
        }
        let calls = self.approvals.values().filter(|record| record.model_call.is_some());
        if self.model_calls.len() != calls.count() {
            return Err("A2: an approval of a model call is not found".to_owned());
        }
        for (id, record) in &self.approvals {
            let state = record.approval.as_ref().map(Approval::state);
            let is_open = matches!(state, Some(ApprovalState::Pending | ApprovalState::Approved));
            if !is_open || !self.expiries.contains(&(expires_at(record), *id)) {
                return Err("A2: an approval never ends".to_owned());
            }
        }
        Ok(())
    }
}

fn tenant(record: &ApprovalRecord) -> &str {
    record.approval.as_ref().map_or("", |approval| &approval.tenant)
}

fn shown_bytes(record: &ApprovalRecord) -> usize {
    record.approval.as_ref().map_or(0, |approval| {
        let resolved = approval.resolution.as_ref().map_or(0, |one| one.result.len());
        approval.arguments.len() + approval.requested_arguments.len() + resolved
    })
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
