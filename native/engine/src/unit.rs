//! Commit units: what one command writes, as one batch.
use fairlead_wire::internal;

/// Column families, as numbered in the store.
pub mod family {
    /// Open invocations, tool calls and approvals, budget instances, sessions.
    pub const STATE: u32 = 0;
    /// Workflow runs, their steps and the index of their audit records.
    pub const RUNS: u32 = 1;
    /// The audit chain.
    pub const AUDIT: u32 = 2;
    /// Configuration versions; owned by the control services.
    pub const CONFIG: u32 = 3;
    /// Agent memory.
    pub const MEMORY: u32 = 4;
    /// Kept answers.
    pub const BLOBS: u32 = 5;
    /// What a request id did.
    pub const REQUESTS: u32 = 6;
    /// Invocations that have ended or were refused.
    pub const INVOCATIONS: u32 = 7;
    /// Tool calls that have ended, and the last call of every idempotency key.
    pub const TOOLS: u32 = 8;
    /// Every approval, by id.
    pub const APPROVALS: u32 = 9;
    /// Checkpoints of agent graphs; owned by the control services.
    pub const CHECKPOINTS: u32 = 10;
    /// Notifications; owned by the control services.
    pub const OUTBOX: u32 = 11;
    /// Results of workflow steps by their idempotency key.
    pub const KEYS: u32 = 12;
    /// Checkpoints of the audit log, and the texts that its records only commit to.
    pub const SEALS: u32 = 13;
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Column family, see [`family`].
    pub family: u32,
    /// Key.
    pub key: Vec<u8>,
    /// Value; `None` deletes.
    pub value: Option<Vec<u8>>,
}

impl Write {
    /// Puts a value.
    pub(crate) fn put(family: u32, key: Vec<u8>, value: Vec<u8>) -> Self {
        Self {
            family,
            key,
            value: Some(value),
        }
    }

    /// Deletes a key.
    pub(crate) fn delete(family: u32, key: Vec<u8>) -> Self {
        Self {
            family,
            key,
            value: None,
        }
    }
}

impl From<&internal::Write> for Write {
    fn from(write: &internal::Write) -> Self {
        Self {
            family: write.family,
            key: write.key.clone(),
            value: write.value.clone(),
        }
    }
}

/// All writes of one command, with its audit records already sequenced, hashed and encoded among them. Committed as one
/// batch, in the order the engine made the units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// Writes in order.
    pub writes: Vec<Write>,
    /// True: acknowledged only after an fsync.
    pub power: bool,
    /// Sequence of its first audit record; 0 when it has none.
    pub first_sequence: u64,
    /// Sequence of its last audit record; 0 when it has none.
    pub last_sequence: u64,
}
