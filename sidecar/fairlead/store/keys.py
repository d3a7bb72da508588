"""Keys of the families.

Numbers are big-endian and of fixed width, so that byte order is number order. Strings carry their length in front
(`u16` big-endian), so that no value can reach into its neighbour. The tenant comes first where a record belongs to
one; the sidecar's own values stand under the empty tenant. Rust and Python check the same vectors of them:
`tests/golden/keys.json`.

Family RUNS begins with a letter instead, so that open runs and definitions are read without the rest; behind it the
tenant comes first as everywhere.
"""

import hashlib
import re

_INVOCATION = re.compile(r"inv_([0-9a-f]{32})\Z")
_TOOL_CALL = re.compile(r"grt_([0-9a-f]{32})\Z")
# A ticket is the agent's name for the approval.
_APPROVAL = re.compile(r"(?:apr|tkt)_([0-9a-f]{32})\Z")
_RUN = re.compile(r"run_([0-9a-f]{32})\Z")
_HASH_BYTES = 32
SECONDS_PER_HOUR = 3600


def text(value: str) -> bytes:
    """A string with its length in front.

    Raises ValueError when it is longer than 65,535 bytes.
    """
    encoded = value.encode()
    if len(encoded) > 0xFFFF:
        raise ValueError(f"a key part of {len(encoded)} bytes is longer than 65535")
    return len(encoded).to_bytes(2, "big") + encoded


def tenant_of(key: bytes) -> str:
    """The tenant that a key begins with."""
    return key[2 : 2 + int.from_bytes(key[:2], "big")].decode()


# Family STATE -------------------------------------------------------------------------------------------------------


def open_invocation(tenant: str, invocation: bytes) -> bytes:
    """An invocation whose hold is open; `invocation` is the 16 bytes of its id."""
    return text(tenant) + b"o" + invocation


def budget_instance(tenant: str, budget: str, instance: str) -> bytes:
    """A budget instance; `instance` as in its resource name, such as `run=r-1`, or `-`."""
    return text(tenant) + b"b" + text(budget) + text(instance)


def open_tool_call(tenant: str, call: bytes) -> bytes:
    """A tool call that waits for people or is granted and not completed; `call` is the 16 bytes of its id."""
    return text(tenant) + b"t" + call


def open_approval(tenant: str, approval: bytes) -> bytes:
    """An approval that is pending, or approved and not used yet; `approval` is the 16 bytes of its id."""
    return text(tenant) + b"p" + approval


def session(tenant: str, name: str) -> bytes:
    """What is remembered of a session."""
    return text(tenant) + b"s" + text(name)


def sidecar_value(name: str) -> bytes:
    """A value of the sidecar itself, such as `format`."""
    return text("") + b"m" + name.encode()


def subscriber(name: str) -> bytes:
    """How far a subscriber of the audit log has come."""
    return text("") + b"a" + text(name)


FORMAT = sidecar_value("format")
"""The version of all these layouts."""
RESTORED = sidecar_value("restored")
"""A `RestoreRecord`, from a restore to the next start."""


# Family AUDIT -------------------------------------------------------------------------------------------------------


def audit(sequence: int) -> bytes:
    """A record of the chain, by its sequence from 1."""
    return sequence.to_bytes(8, "big")


def audit_sequence(key: bytes) -> int:
    """The sequence of a key of family AUDIT."""
    return int.from_bytes(key, "big")


def split_audit_value(value: bytes) -> tuple[bytes, bytes]:
    """The record's hash and the bytes that were hashed after the previous hash.

    Raises ValueError when the value is shorter than a hash.
    """
    if len(value) < _HASH_BYTES:
        raise ValueError(f"an audit value of {len(value)} bytes is shorter than its hash")
    return value[:_HASH_BYTES], value[_HASH_BYTES:]


# Family CONFIG ------------------------------------------------------------------------------------------------------

CONFIG_CURRENT = b"current"
"""The version that runs."""


def config_version(version: str) -> bytes:
    """The canonical text of a version."""
    return b"v" + version.encode()


def config_history(counter: int) -> bytes:
    """One change of the running version, by a counter that grows."""
    return b"h" + counter.to_bytes(8, "big")


# Families REQUESTS and BLOBS ----------------------------------------------------------------------------------------


def hour(unix_nanos: int) -> int:
    """The Unix hour of a time."""
    return unix_nanos // 1_000_000_000 // SECONDS_PER_HOUR


def request_hour(unix_hour: int) -> bytes:
    """What the keys of one hour begin with."""
    return unix_hour.to_bytes(4, "big")


def request(unix_hour: int, tenant: str, caller: str, method: str, request_id: str) -> bytes:
    """What a request id did, or the answer that is kept for it; `caller` is the agent's or the operator's name."""
    identity = b"\0".join(part.encode() for part in (tenant, caller, method, request_id))
    return request_hour(unix_hour) + hashlib.sha256(identity).digest()[:16]


# Family INVOCATIONS -------------------------------------------------------------------------------------------------


def invocation(tenant: str, invocation_id: bytes) -> bytes:
    """An invocation that has ended; the 16 bytes of its id."""
    return text(tenant) + invocation_id


def invocation_id_bytes(name: str) -> bytes | None:
    """The 16 bytes of an id such as `inv_0197…`; none when it is not one."""
    match = _INVOCATION.match(name)
    return bytes.fromhex(match[1]) if match else None


# Family TOOLS -------------------------------------------------------------------------------------------------------


def tool_call(tenant: str, call: bytes) -> bytes:
    """A tool call that has ended; the 16 bytes of its id."""
    return text(tenant) + b"c" + call


def tool_key(tenant: str, idempotency_key: str) -> bytes:
    """Which call had an idempotency key last."""
    return text(tenant) + b"k" + hashlib.sha256(idempotency_key.encode()).digest()


def tool_call_id_bytes(name: str) -> bytes | None:
    """The 16 bytes of an id such as `grt_0197…`; none when it is not one."""
    match = _TOOL_CALL.match(name)
    return bytes.fromhex(match[1]) if match else None


# Family APPROVALS ---------------------------------------------------------------------------------------------------


def approval(approval_id: bytes) -> bytes:
    """An approval, by the 16 bytes of its id alone: people look after those of all tenants, the newest first."""
    return approval_id


def approval_id_bytes(name: str) -> bytes | None:
    """The 16 bytes of an id such as `apr_0197…`, or of a ticket such as `tkt_0197…`; none when it is neither."""
    match = _APPROVAL.match(name)
    return bytes.fromhex(match[1]) if match else None


# Families RUNS and KEYS ----------------------------------------------------------------------------------------------

RUN, STEP, RUN_EVENT, OPEN_RUN, RUN_PAYLOAD, DEFINITION = b"r", b"s", b"h", b"o", b"p", b"d"
"""The letters that keys of family RUNS begin with."""


def run(tenant: str, run_id: bytes) -> bytes:
    """A run, open or ended; `run_id` is the 16 bytes of its id."""
    return RUN + text(tenant) + run_id


def step(tenant: str, run_id: bytes, place: int, item: int) -> bytes:
    """A step by its place in the definition, from 0; of a forEach the item from 1, 0 for the step itself."""
    return STEP + text(tenant) + run_id + place.to_bytes(4, "big") + item.to_bytes(4, "big")


def run_event(tenant: str, run_id: bytes, sequence: int) -> bytes:
    """That the audit record of this sequence is about a run."""
    return RUN_EVENT + text(tenant) + run_id + sequence.to_bytes(8, "big")


def open_run(tenant: str, run_id: bytes) -> bytes:
    """That a run is open."""
    return OPEN_RUN + text(tenant) + run_id


def run_payload(tenant: str, run_id: bytes, digest: bytes) -> bytes:
    """A large payload of a run, by its SHA-256."""
    return RUN_PAYLOAD + text(tenant) + run_id + digest


def definition(version: str) -> bytes:
    """A workflow's definition by its version, 64 hexadecimal digits."""
    return DEFINITION + bytes.fromhex(version)


def of_runs(letter: bytes, tenant: str, run_id: bytes = b"") -> bytes:
    """What all keys of this kind begin with, of a tenant, or of one of its runs."""
    return letter + text(tenant) + run_id


def tenant_of_run(key: bytes) -> str:
    """The tenant of a key of family RUNS that has one."""
    return tenant_of(key[1:])


def run_id_bytes(name: str) -> bytes | None:
    """The 16 bytes of an id such as `run_0197…`; none when it is not one."""
    match = _RUN.match(name)
    return bytes.fromhex(match[1]) if match else None


def step_key(tenant: str, idempotency_key: str) -> bytes:
    """The recorded result of a step's idempotency key."""
    return text(tenant) + hashlib.sha256(idempotency_key.encode()).digest()


# Family OUTBOX ------------------------------------------------------------------------------------------------------


def outbox_cursor(receiver: str) -> bytes:
    """How far the outbox has come in the audit log for a receiver."""
    return b"c" + text(receiver)


def outbox_delivery(receiver: str, sequence: int, *, dead: bool) -> bytes:
    """A notification about an audit record, that waits for a receiver or was given up."""
    return outbox_deliveries(receiver, dead=dead) + sequence.to_bytes(8, "big")


def outbox_deliveries(receiver: str, *, dead: bool) -> bytes:
    """What the keys of a receiver's notifications begin with."""
    return (b"d" if dead else b"p") + text(receiver)


OUTBOX_CURSORS = b"c"
"""What the keys of all cursors begin with."""


# Family SEALS -------------------------------------------------------------------------------------------------------

SEAL_STATE = b"s"
"""Which log it is, its Merkle frontier, and who signs."""
SEAL_BEGINNING = b"b"
"""Where the audit log begins since it was trimmed."""
SEAL_CHECKPOINT = b"c"
"""What the keys of all signed checkpoints begin with."""


def seal_checkpoint(size: int) -> bytes:
    """A signed checkpoint, by the number of its records."""
    return SEAL_CHECKPOINT + size.to_bytes(8, "big")


def seal_tile(number: int) -> bytes:
    """The root of 256 leaves of the tree."""
    return b"t" + number.to_bytes(8, "big")


SEAL_TRIMMED_VALUE = b"w"
"""What the keys begin with that say of a value that a record that commits to it was trimmed."""


def trimmed_value(digest: bytes) -> bytes:
    """That a record was trimmed that commits to a value which stays, by the commitment's 32 bytes."""
    return SEAL_TRIMMED_VALUE + digest


def erasable_value(digest: bytes) -> bytes:
    """A value that an audit record only commits to, by the commitment's 32 bytes."""
    return b"v" + digest


# Family CHECKPOINTS ---------------------------------------------------------------------------------------------------
#
# Everything in a thread lies under its incarnation, 12 bytes that no other thread ever has: a thread is gone with its
# one record, however much there was in it. The keys of payloads end with the number of a piece.


def checkpoint_thread(tenant: str, thread: str) -> bytes:
    """A thread: which incarnation is in force."""
    return checkpoint_threads(tenant) + text(thread)


def checkpoint_threads(tenant: str) -> bytes:
    """What the keys of a tenant's threads begin with."""
    return text(tenant) + b"t"


def checkpoint_data(tenant: str, incarnation: bytes) -> bytes:
    """What the keys of everything in a thread begin with."""
    return text(tenant) + b"d" + incarnation


def checkpoints(tenant: str, incarnation: bytes) -> bytes:
    """What the keys of a thread's checkpoints begin with."""
    return checkpoint_data(tenant, incarnation) + b"c"


def checkpoint(tenant: str, incarnation: bytes, namespace: str, checkpoint_id: str) -> bytes:
    """A checkpoint. The id is last and without its length, so that the order of keys is that of the ids."""
    return checkpoints(tenant, incarnation) + text(namespace) + checkpoint_id.encode()


def checkpoint_writes(tenant: str, incarnation: bytes, namespace: str) -> bytes:
    """What the keys of the writes of a namespace begin with; those of a checkpoint go on with its id."""
    return checkpoint_data(tenant, incarnation) + b"w" + text(namespace)


def checkpoint_write(task: str, index: int) -> bytes:
    """How the key of a write goes on after that of its checkpoint; `index` is an int32."""
    return text(task) + (index + (1 << 31)).to_bytes(4, "big")


def checkpoint_values(tenant: str, incarnation: bytes, namespace: str) -> bytes:
    """What the keys of the values of a namespace begin with."""
    return checkpoint_data(tenant, incarnation) + b"v" + text(namespace)


def checkpoint_value(channel: str, digest: bytes) -> bytes:
    """How the key of a value goes on after that of its namespace; `digest` is 16 bytes."""
    return text(channel) + digest


def checkpoint_piece(piece: int) -> bytes:
    """How the key of a piece ends, from 0."""
    return piece.to_bytes(4, "big")


def checkpoint_run(tenant: str, run: str, incarnation: bytes = b"", namespace: str | None = None) -> bytes:
    """A checkpoint that a run made goes on with its id; without a namespace, what those of the run begin with."""
    made_by = text(tenant) + b"r" + text(run) + incarnation
    return made_by if namespace is None else made_by + text(namespace)


def checkpoint_garbage(tenant: str, incarnation: bytes = b"") -> bytes:
    """An incarnation that is no thread's and has to be deleted; without one, what all of them begin with."""
    return text(tenant) + b"g" + incarnation


def after_prefix(prefix: bytes) -> bytes | None:
    """The first key after all keys that begin with `prefix`; none when there is no end to them."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else None
