//! Keys in the store. Numbers are big-endian and of fixed width, strings carry their length in front, the tenant comes
//! first, so that no value can reach into its neighbour. Golden vectors, shared with Python: `tests/golden/keys.json`.
//!
//! | family | key | value |
//! |---|---|---|
//! | state | str(tenant) `o` id16 | `InvocationRecord`, hold open |
//! | state | str(tenant) `b` str(budget) str(instance) | `BudgetRecord` |
//! | state | str(tenant) `t` id16 | `ToolCallRecord`, pending or granted |
//! | state | str(tenant) `p` id16 | `ApprovalRecord`, pending or approved |
//! | state | str(tenant) `s` str(session) | `SessionRecord` |
//! | audit | u64 sequence | hash(32) ‖ `AuditRecord` |
//! | requests | u32 Unix hour ‖ 16 bytes of SHA-256(tenant 0 caller 0 method 0 request id) | `RequestRecord` |
//! | invocations | str(tenant) id16 | `InvocationRecord`, ended |
//! | tools | str(tenant) `c` id16 | `ToolCallRecord`, ended |
//! | tools | str(tenant) `k` SHA-256(idempotency key) | `ToolKeyRecord` |
//! | approvals | id16 | `ApprovalRecord` |
//! | runs | `o` str(tenant) id16 | empty: the run is open |
//! | runs | `r` str(tenant) id16 | `RunRecord` |
//! | runs | `s` str(tenant) id16 u32 step u32 item | `StepRecord` |
//! | runs | `h` str(tenant) id16 u64 sequence | empty: an audit record about the run |
//! | runs | `p` str(tenant) id16 SHA-256 | a payload |
//! | runs | `d` SHA-256 | `WorkflowDefinition` by its version |
//! | keys | str(tenant) SHA-256(idempotency key) | `StepKeyRecord` |
//! | seals | `v` SHA-256 | `ErasableValueRecord` by its commitment |
use sha2::{Digest, Sha256};

/// The 16 bytes of an invocation's id.
pub(crate) type InvocationId = [u8; 16];
/// The 16 bytes of a tool call's id.
pub(crate) type ToolCallId = [u8; 16];
/// The 16 bytes of an approval's id, which are those of its ticket.
pub(crate) type ApprovalId = [u8; 16];
/// The 16 bytes of a run's id.
pub(crate) type RunId = [u8; 16];
/// The part of a request key that does not depend on the time.
pub(crate) type RequestHash = [u8; 16];

const INVOCATION: &str = "inv_";
const TOOL_CALL: &str = "grt_";
const APPROVAL: &str = "apr_";
const TICKET: &str = "tkt_";
const RUN: &str = "run_";
const HEX: &[u8; 16] = b"0123456789abcdef";
/// Nanoseconds in an hour.
pub(crate) const HOUR_NANOS: i64 = 3_600_000_000_000;

/// An invocation whose hold is open.
pub(crate) fn open_invocation(tenant: &str, id: &InvocationId) -> Vec<u8> {
    tenant_and_id(tenant, b'o', id)
}

/// A budget instance.
pub(crate) fn budget_instance(tenant: &str, budget: &str, instance: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(tenant.len() + budget.len() + instance.len() + 7);
    text(&mut key, tenant);
    key.push(b'b');
    text(&mut key, budget);
    text(&mut key, instance);
    key
}

/// A tool call that waits for people or is granted.
pub(crate) fn open_tool_call(tenant: &str, id: &ToolCallId) -> Vec<u8> {
    tenant_and_id(tenant, b't', id)
}

/// An approval that is pending or approved.
pub(crate) fn open_approval(tenant: &str, id: &ApprovalId) -> Vec<u8> {
    tenant_and_id(tenant, b'p', id)
}

/// What is remembered of a session.
pub(crate) fn session(tenant: &str, session: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(tenant.len() + session.len() + 5);
    text(&mut key, tenant);
    key.push(b's');
    text(&mut key, session);
    key
}

/// A tool call that has ended.
pub(crate) fn tool_call(tenant: &str, id: &ToolCallId) -> Vec<u8> {
    tenant_and_id(tenant, b'c', id)
}

/// Which call had an idempotency key last.
pub(crate) fn tool_key(tenant: &str, idempotency_key: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(tenant.len() + 35);
    text(&mut key, tenant);
    key.push(b'k');
    key.extend_from_slice(&Sha256::digest(idempotency_key.as_bytes()));
    key
}

/// An approval, by its id alone: people look after those of all tenants, the newest first.
pub(crate) fn approval(id: &ApprovalId) -> Vec<u8> {
    id.to_vec()
}

/// Says that a run is open. In family `runs` the kind comes first, so that those that are open are found without the rest.
pub(crate) fn open_run(tenant: &str, id: &RunId) -> Vec<u8> {
    of_run(b'o', tenant, id)
}

/// A run without its steps.
pub(crate) fn run(tenant: &str, id: &RunId) -> Vec<u8> {
    of_run(b'r', tenant, id)
}

/// A step of a run, or an item of a forEach.
pub(crate) fn run_step(tenant: &str, id: &RunId, step: u32, item: u32) -> Vec<u8> {
    let mut key = of_run(b's', tenant, id);
    key.extend_from_slice(&step.to_be_bytes());
    key.extend_from_slice(&item.to_be_bytes());
    key
}

/// Says that an audit record is about a run.
pub(crate) fn run_history(tenant: &str, id: &RunId, sequence: u64) -> Vec<u8> {
    let mut key = of_run(b'h', tenant, id);
    key.extend_from_slice(&sequence.to_be_bytes());
    key
}

/// A payload of a run.
pub(crate) fn run_payload(tenant: &str, id: &RunId, digest: &[u8; 32]) -> Vec<u8> {
    let mut key = of_run(b'p', tenant, id);
    key.extend_from_slice(digest);
    key
}

/// A definition that runs keep to; `version` is its digest in hex.
pub(crate) fn run_definition(version: &str) -> Vec<u8> {
    let mut key = vec![b'd'];
    for pair in version.as_bytes().chunks_exact(2) {
        let [high, low] = pair else { continue };
        key.push(nibble(*high).unwrap_or(0) << 4 | nibble(*low).unwrap_or(0));
    }
    key
}

/// The result that steps with an idempotency key have.
pub(crate) fn step_key(tenant: &str, idempotency_key: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(tenant.len() + 34);
    text(&mut key, tenant);
    key.extend_from_slice(&Sha256::digest(idempotency_key.as_bytes()));
    key
}

/// A text that records only commit to.
pub(crate) fn erasable_value(digest: &[u8; 32]) -> Vec<u8> {
    let mut key = Vec::with_capacity(33);
    key.push(b'v');
    key.extend_from_slice(digest);
    key
}

fn of_run(kind: u8, tenant: &str, id: &RunId) -> Vec<u8> {
    let mut key = Vec::with_capacity(tenant.len() + 51);
    key.push(kind);
    text(&mut key, tenant);
    key.extend_from_slice(id);
    key
}

fn tenant_and_id(tenant: &str, kind: u8, id: &[u8; 16]) -> Vec<u8> {
    let mut key = Vec::with_capacity(tenant.len() + 19);
    text(&mut key, tenant);
    key.push(kind);
    key.extend_from_slice(id);
    key
}

/// An invocation that has ended.
pub(crate) fn invocation(tenant: &str, id: &InvocationId) -> Vec<u8> {
    let mut key = Vec::with_capacity(tenant.len() + 18);
    text(&mut key, tenant);
    key.extend_from_slice(id);
    key
}

/// A record of the chain.
pub(crate) fn audit(sequence: u64) -> Vec<u8> {
    sequence.to_be_bytes().to_vec()
}

/// What a request id did.
pub(crate) fn request(hour: u32, hash: &RequestHash) -> Vec<u8> {
    let mut key = Vec::with_capacity(20);
    key.extend_from_slice(&hour.to_be_bytes());
    key.extend_from_slice(hash);
    key
}

/// The part of a request key that does not depend on the time. `caller` is the agent's or the operator's name.
pub(crate) fn request_hash(tenant: &str, caller: &str, method: &str, request_id: &str) -> RequestHash {
    let mut hash = Sha256::new();
    for part in [tenant, caller, method] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.update(request_id.as_bytes());
    first16(&hash.finalize().into())
}

/// The Unix hour of a time; 0 before 1970.
pub(crate) fn hour(unix_nanos: i64) -> u32 {
    u32::try_from(unix_nanos / HOUR_NANOS).unwrap_or(0)
}

/// The first half of a hash.
pub(crate) fn first16(hash: &[u8; 32]) -> [u8; 16] {
    hash.first_chunk().copied().unwrap_or_default()
}

/// A UUIDv7 (RFC 9562): 48 bits of milliseconds, then bits of the chain's head, which no two admissions share. So the id
/// is as deterministic as everything else, and ids sort by time.
pub(crate) fn new_invocation(unix_nanos: i64, chain_head: &[u8; 32]) -> InvocationId {
    let mut id = first16(chain_head);
    let millis = u64::try_from(unix_nanos / 1_000_000).unwrap_or(0).to_be_bytes();
    for (to, from) in id.iter_mut().zip(millis.iter().skip(2)) {
        *to = *from;
    }
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut id;
    *version = (*version & 0x0f) | 0x70;
    *variant = (*variant & 0x3f) | 0x80;
    id
}

/// An id that is made beside another one from the same head: `purpose` tells them apart.
pub(crate) fn new_id(unix_nanos: i64, chain_head: &[u8; 32], purpose: &str) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(chain_head);
    hash.update(purpose.as_bytes());
    new_invocation(unix_nanos, &hash.finalize().into())
}

/// The id as in the API: `inv_` and 32 lower-case hex digits.
pub(crate) fn invocation_name(id: &InvocationId) -> String {
    name(INVOCATION, id)
}

/// The id of a tool call, which is the name of its grant: `grt_` and 32 lower-case hex digits.
pub(crate) fn tool_call_name(id: &ToolCallId) -> String {
    name(TOOL_CALL, id)
}

/// The id of an approval: `apr_` and 32 lower-case hex digits.
pub(crate) fn approval_name(id: &ApprovalId) -> String {
    name(APPROVAL, id)
}

/// The agent's name for an approval: `tkt_` and the same digits.
pub(crate) fn ticket_name(id: &ApprovalId) -> String {
    name(TICKET, id)
}

/// The bytes of an id as in the API; `None` when it is not one.
pub(crate) fn invocation_id(name: &str) -> Option<InvocationId> {
    id(INVOCATION, name)
}

/// As [`invocation_id`], of a tool call.
pub(crate) fn tool_call_id(name: &str) -> Option<ToolCallId> {
    id(TOOL_CALL, name)
}

/// As [`invocation_id`], of an approval.
pub(crate) fn approval_id(name: &str) -> Option<ApprovalId> {
    id(APPROVAL, name)
}

/// As [`invocation_id`], of the approval behind a ticket.
pub(crate) fn ticket_id(name: &str) -> Option<ApprovalId> {
    id(TICKET, name)
}

/// The id of a run: `run_` and 32 lower-case hex digits.
pub(crate) fn run_name(id: &RunId) -> String {
    name(RUN, id)
}

/// As [`invocation_id`], of a run.
pub(crate) fn run_id(name: &str) -> Option<RunId> {
    id(RUN, name)
}

fn name(prefix: &str, id: &[u8; 16]) -> String {
    let mut name = String::with_capacity(prefix.len() + 32);
    name.push_str(prefix);
    for byte in id {
        for nibble in [byte >> 4, byte & 0x0f] {
            name.push(HEX.get(usize::from(nibble)).map_or('0', |digit| char::from(*digit)));
        }
    }
    name
}

fn id(prefix: &str, name: &str) -> Option<[u8; 16]> {
    let digits = name.strip_prefix(prefix)?.as_bytes();
    let mut id = [0; 16];
    if digits.len() != id.len() * 2 {
        return None;
    }
    for (to, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *to = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(id)
}

fn nibble(digit: u8) -> Option<u8> {
    HEX.iter()
        .position(|hex| *hex == digit)
        .and_then(|value| u8::try_from(value).ok())
}

fn text(key: &mut Vec<u8>, value: &str) {
    // Names in keys are bounded far below 64 KiB by configuration and validation.
    key.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    key.extend_from_slice(value.as_bytes());
}

/// What a key of family `runs` is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RunsKey<'a> {
    /// A run without its steps.
    Run { tenant: &'a str, id: RunId },
    /// A step.
    Step { id: RunId },
    /// A payload.
    Payload { id: RunId, digest: [u8; 32] },
    /// A definition.
    Definition,
    /// A mark without a value.
    Mark,
}

/// Reads a key of family `runs`; `None` when it is broken.
pub(crate) fn parse_runs(key: &[u8]) -> Option<RunsKey<'_>> {
    let (kind, rest) = key.split_first()?;
    if *kind == b'd' {
        return (rest.len() == 32).then_some(RunsKey::Definition);
    }
    let (tenant, rest) = take_text(rest)?;
    let (id, rest) = rest.split_first_chunk::<16>()?;
    match kind {
        b'r' if rest.is_empty() => Some(RunsKey::Run { tenant, id: *id }),
        b's' if rest.len() == 8 => Some(RunsKey::Step { id: *id }),
        b'p' => Some(RunsKey::Payload {
            id: *id,
            digest: rest.try_into().ok()?,
        }),
        b'o' | b'h' => Some(RunsKey::Mark),
        _ => None,
    }
}

/// What a key of family `state` is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StateKey<'a> {
    /// An open invocation.
    Open { tenant: &'a str, id: InvocationId },
    /// A budget instance.
    Budget {
        tenant: &'a str,
        budget: &'a str,
        instance: &'a str,
    },
    /// A tool call that waits for people or is granted.
    ToolCall { tenant: &'a str, id: ToolCallId },
    /// An approval that is pending or approved.
    Approval { tenant: &'a str, id: ApprovalId },
    /// A session.
    Session { tenant: &'a str, session: &'a str },
    /// Something of the control services.
    Other,
}

/// Reads a key of family `state`; `None` when it is broken.
pub(crate) fn parse_state(key: &[u8]) -> Option<StateKey<'_>> {
    let (tenant, rest) = take_text(key)?;
    match rest.split_first() {
        Some((b'o', id)) => Some(StateKey::Open {
            tenant,
            id: id.try_into().ok()?,
        }),
        Some((b'b', rest)) => {
            let (budget, rest) = take_text(rest)?;
            let (instance, rest) = take_text(rest)?;
            rest.is_empty().then_some(StateKey::Budget {
                tenant,
                budget,
                instance,
            })
        }
        Some((b't', id)) => Some(StateKey::ToolCall {
            tenant,
            id: id.try_into().ok()?,
        }),
        Some((b'p', id)) => Some(StateKey::Approval {
            tenant,
            id: id.try_into().ok()?,
        }),
        Some((b's', rest)) => {
            let (session, rest) = take_text(rest)?;
            rest.is_empty().then_some(StateKey::Session { tenant, session })
        }
        Some(_) => Some(StateKey::Other),
        None => None,
    }
}

/// Reads a key of family `requests`; `None` when it is broken.
pub(crate) fn parse_request(key: &[u8]) -> Option<(u32, RequestHash)> {
    let (hour, hash) = key.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*hour), hash.try_into().ok()?))
}

/// Reads a key of family `audit`; `None` when it is broken.
pub(crate) fn parse_audit(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.try_into().ok()?))
}

fn take_text(key: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = key.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use serde_json::Value;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn keys_are_what_the_golden_vectors_say() {
        let golden = include_str!("../../../tests/golden/keys.json");
        let golden: Value = serde_json::from_str(golden).unwrap();
        let mut checked = 0;
        for vector in golden["vectors"].as_array().unwrap() {
            let text = |name: &str| vector[name].as_str().unwrap();
            let id = || invocation_id(text("invocation")).unwrap();
            let key = match text("kind") {
                "open_invocation" => open_invocation(text("tenant"), &id()),
                "invocation" => invocation(text("tenant"), &id()),
                "budget_instance" => budget_instance(text("tenant"), text("budget"), text("instance")),
                "open_tool_call" => open_tool_call(text("tenant"), &tool_call_id(text("call")).unwrap()),
                "tool_call" => tool_call(text("tenant"), &tool_call_id(text("call")).unwrap()),
                "tool_key" => tool_key(text("tenant"), text("idempotency_key")),
                "open_approval" => open_approval(text("tenant"), &approval_id(text("approval")).unwrap()),
                "approval" => approval(&ticket_id(text("ticket")).unwrap()),
                "session" => session(text("tenant"), text("session")),
                "audit" => audit(vector["sequence"].as_u64().unwrap()),
                "request" => {
                    let hour = u32::try_from(vector["unix_hour"].as_u64().unwrap()).unwrap();
                    request(
                        hour,
                        &request_hash(text("tenant"), text("caller"), text("method"), text("request_id")),
                    )
                }
                // The other layouts belong to the control services.
                _ => continue,
            };
            assert_eq!(hex(&key), text("key"), "{vector}");
            checked += 1;
        }
        assert!(checked >= 11);
    }

    #[test]
    fn names_and_ids_are_each_others_inverse() {
        let id = new_invocation(1_772_445_600_000_000_000, &[0xa5; 32]);
        let name = invocation_name(&id);
        assert_eq!(name, "inv_019cadfd890075a5a5a5a5a5a5a5a5a5");
        assert_eq!(invocation_id(&name), Some(id));
        for wrong in [
            "",
            "inv_",
            "inv_019CADE9870075A5A5A5A5A5A5A5A5A5",
            "019cade9870075a5a5a5a5a5a5a5a5a5a5",
        ] {
            assert_eq!(invocation_id(wrong), None);
        }
    }

    #[test]
    fn state_keys_are_read_as_written() {
        let id = [7; 16];
        assert_eq!(
            parse_state(&open_invocation("t", &id)),
            Some(StateKey::Open { tenant: "t", id })
        );
        let budget = StateKey::Budget {
            tenant: "t",
            budget: "b",
            instance: "run=1",
        };
        assert_eq!(parse_state(&budget_instance("t", "b", "run=1")), Some(budget));
        let session_key = StateKey::Session {
            tenant: "t",
            session: "s",
        };
        assert_eq!(parse_state(&session("t", "s")), Some(session_key));
        let call = StateKey::ToolCall { tenant: "t", id };
        assert_eq!(parse_state(&open_tool_call("t", &id)), Some(call));
        let open_approval_key = StateKey::Approval { tenant: "t", id };
        assert_eq!(parse_state(&open_approval("t", &id)), Some(open_approval_key));
        assert_eq!(parse_state(b"\0\0mformat"), Some(StateKey::Other));
        assert_eq!(parse_state(b"\0\x05t"), None);
    }
}
