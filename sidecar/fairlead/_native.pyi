"""The native core: engine, commit queue and front, in Rust. Import it through `fairlead.native` only.

Every method may be called from any thread; those that wait do so without holding the interpreter. After a fork every
method of a handle raises `EngineFault`.
"""

from typing import final

__all__ = [
    "ClosedError",
    "ConfigError",
    "Core",
    "DoesNotFit",
    "EngineFault",
    "SigningKey",
    "Tree",
    "encode_events",
    "is_signed",
]

class ConfigError(ValueError):
    """The configuration is not valid."""

    violations: list[tuple[str, str]]

class ClosedError(RuntimeError):
    """The front was started before, or is shut down."""

class DoesNotFit(ValueError):
    """A record does not follow the ones before it, or the hashes are none of a tree."""

class EngineFault(RuntimeError):
    """What must not happen: bytes that cannot be decoded, stored records that cannot be understood, a fork."""

@final
class Tree:
    """The Merkle tree and the chain over the first records of an audit log. Never changes: growing it makes another."""

    def __new__(cls, size: int = 0, frontier: list[bytes] = ..., head: bytes = ..., record_bytes: int = 0) -> Tree:
        """Goes on from a stored one: a hash for each bit of the size, the largest subtree first, and the last record's
        hash. Raises DoesNotFit.
        """

    @property
    def size(self) -> int:
        """Number of records, and the sequence of the last one."""

    @property
    def frontier(self) -> list[bytes]:
        """Roots of the perfect trees that it is made of, the largest first."""

    @property
    def root(self) -> bytes:
        """Root of the Merkle tree."""

    @property
    def head(self) -> bytes:
        """Hash of the last record in the chain."""

    @property
    def record_bytes(self) -> int:
        """Bytes of all records in it, without their hashes."""

    @property
    def leaves(self) -> bytes:
        """Hashes of the leaves that were added since it was made or settled, 32 bytes each."""

    @property
    def tiles(self) -> list[tuple[int, bytes]]:
        """Number and root of every 256 leaves that became whole since then."""

    def settled(self) -> Tree:
        """The same tree as if nothing had been added."""

    def grown(self, records: list[tuple[bytes, bytes]]) -> Tree:
        """With the records that follow, as the log stores them: key, and hash with bytes. Raises DoesNotFit, which says
        what does not.
        """

@final
class SigningKey:
    """An Ed25519 key that signs."""

    def __new__(cls, pem: str) -> SigningKey:
        """The key of a PEM text (PKCS #8, not encrypted). Raises ValueError, which says why it is none, never what it
        is.
        """

    @property
    def public(self) -> bytes:
        """Its public half, 32 bytes."""

    def sign(self, text: bytes) -> bytes:
        """The signature of a text, 64 bytes."""

def is_signed(public: bytes, text: bytes, signature: bytes) -> bool:
    """True when the signature is that of the text with this public Ed25519 key."""

@final
class Core:
    """The engine with its commit queue, and the front that serves it."""

    def __new__(cls, config: bytes, secrets: bytes) -> Core:
        """From `internal.EngineConfig` and `internal.Secrets`. Raises ConfigError with every violation."""

    def recover(self, records: list[tuple[int, bytes, bytes]], last: bool, now_unix_nanos: int) -> None:
        """Feeds stored records as (family, key, value).

        The first call after construction or `fail_store` begins with an empty engine; with `last` commands are taken
        from then on. Raises EngineFault.
        """

    def apply(
        self,
        command: bytes,
        now_unix_nanos: int | None = None,
        known: bytes | None = None,
        wait: bool = True,
    ) -> bytes:
        """`internal.Command` → `internal.CommandResult`. A time of None is the core's clock.

        With `wait` it returns when the unit is committed, which needs a running writer; without, at once.
        """

    def next_batch(
        self, max_units: int, timeout_millis: int
    ) -> tuple[int, bool, list[tuple[int, bytes, bytes | None]]] | None:
        """Number of the last unit, whether a unit asks for an fsync, and all writes as (family, key, value or None to
        delete); None when no unit came within the time.
        """

    def acknowledge(self, written: int, durable: int, write_micros: int, flush_micros: int) -> None:
        """All units up to `written` are in the log, all up to `durable` are synced: lets their replies go.

        The times are for the metrics; 0 means that this step did not run.
        """

    def fail_store(self, reason: str) -> None:
        """A write failed: refuses everything unacknowledged, and all commands until `recover` ends again."""

    def grow(self, tree: Tree, last: int) -> Tree:
        """The tree with the committed records that follow it, up to the sequence `last`, as far as the core still has
        them; the same one when the next record has to be read from the store.
        """

    @staticmethod
    def compile(config: bytes) -> list[tuple[str, str]]:
        """Violations of an `internal.EngineConfig` as (path, message); empty when it is valid."""

    def start(self, options: str | bytes) -> tuple[int, int]:
        """Binds both endpoints and serves; returns the ports of agents and health.

        Options are JSON: `agent`, `health` ("host:port"), `control_socket`, `control_key`, `worker_threads`.
        Raises OSError when an address cannot be bound, ValueError for options, ClosedError when it was started before.
        """

    def set_serving(self, serving: bool) -> None:
        """Takes new calls, or answers them DRAINING (NOT_READY before the first time)."""

    def snapshot(self, query: bytes | None = None) -> bytes:
        """`internal.SnapshotQuery` → `internal.Snapshot`: without a query of the core itself, with one of at most 1,000
        budget instances.
        """

    def shutdown(self, grace_millis: int) -> bool:
        """Stops accepting, says GOAWAY, lets calls in flight end within the grace, cuts the rest and joins all threads.
        True when nothing was cut. The commit queue must be served until it returns. Later calls return the same.
        """

    @staticmethod
    def recompute(config: bytes, record: bytes) -> bytes:
        """Decides a recorded call again: `internal.EngineConfig` and `v1.AuditRecord` → `v1.DecisionRecord`."""

def encode_events(
    entries: list[tuple[bytes, bytes]],
    sequence: int,
    record_hash: bytes,
    filter: bytes,
    max_events: int,
    max_bytes: int,
    values: list[tuple[int, list[bytes]]],
) -> tuple[list[bytes], int, bytes, list[int], str | None]:
    """Entries of the audit log, as stored, → messages `v1.WatchEventsResponse`.

    They begin behind the record `sequence`, whose hash is empty when it is not known. `filter` is a `v1.EventFilter`.
    With `max_events` so many come together, in at most `max_bytes` unless one alone is larger; 0 gives one in a
    response. `values` are messages `v1.ErasableValue` by the record that commits to them.

    Returns the responses, sequence and hash of the last record that was looked at, the records that seem to commit to
    values and have none in `values`, and what is wrong with the next entry: None when nothing is, empty when it is
    missing. Raises EngineFault when the filter cannot be decoded.
    """
