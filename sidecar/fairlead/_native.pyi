"""The native core: engine, commit queue and front, in Rust. Import it through `fairlead.native` only.

Every method may be called from any thread; those that wait do so without holding the interpreter. After a fork every
method of a handle raises `EngineFault`.
"""

from typing import final

__all__ = ["ClosedError", "ConfigError", "Core", "EngineFault", "encode_events"]

class ConfigError(ValueError):
    """The configuration is not valid."""

    violations: list[tuple[str, str]]

class ClosedError(RuntimeError):
    """The front was started before, or is shut down."""

class EngineFault(RuntimeError):
    """What must not happen: bytes that cannot be decoded, stored records that cannot be understood, a fork."""

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
