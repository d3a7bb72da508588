"""Feeds what is stored back into the core: recovery is a read, nothing is guessed."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from fairlead.store import keys
from fairlead.store.database import Store
from fairlead.store.families import Family

# Records per crossing. One crossing holds the interpreter for about a millisecond.
CHUNK_RECORDS = 2048
# The core remembers request ids for 24 h; the hour in which that ends is fed whole.
REQUEST_HOURS = 25


class RecoveringCore(Protocol):
    """The part of the core that recovery needs."""

    def recover(self, records: list[tuple[int, bytes, bytes]], last: bool, now_unix_nanos: int) -> None:
        """Takes records; `last` ends the recovery."""
        ...


@dataclass(frozen=True)
class Recovered:
    """What a recovery found."""

    records: int
    """Records that were fed."""
    sequence: int
    """Sequence of the last audit record; 0 when there is none."""


def recover(core: RecoveringCore, store: Store, now_unix_nanos: int) -> Recovered:
    """Rebuilds the core from the store. Raises StoreUnavailable, and what the core raises for a damaged record."""
    records = stored_records(store, now_unix_nanos)
    count = 0
    while chunk := list(islice(records, CHUNK_RECORDS)):
        core.recover(chunk, False, now_unix_nanos)
        count += len(chunk)
    core.recover([], True, now_unix_nanos)
    return Recovered(count, last_sequence(store))


def stored_records(store: Store, now_unix_nanos: int) -> Iterator[tuple[int, bytes, bytes]]:
    """What the core needs: all state, the request ids it still remembers, the open runs with all definitions, and the
    head of the chain."""
    for key, value in store.scan(Family.STATE):
        yield Family.STATE, key, value
    oldest = keys.request_hour(max(0, keys.hour(now_unix_nanos) - REQUEST_HOURS))
    for key, value in store.scan(Family.REQUESTS, start=oldest):
        yield Family.REQUESTS, key, value
    yield from open_runs(store)
    for key, value in store.scan(Family.AUDIT, reverse=True, limit=1):
        yield Family.AUDIT, key, value


def open_runs(store: Store) -> Iterator[tuple[int, bytes, bytes]]:
    """All definitions, then every open run: its record, its steps, and its large payloads. Ended runs stay where they
    are, however many there are."""
    for key, value in store.scan(Family.RUNS, prefix=keys.DEFINITION):
        yield Family.RUNS, key, value
    for open_run, _ in store.scan(Family.RUNS, prefix=keys.OPEN_RUN):
        of_run = open_run[len(keys.OPEN_RUN) :]
        record = store.get(Family.RUNS, keys.RUN + of_run)
        if record is not None:
            yield Family.RUNS, keys.RUN + of_run, record
        for letter in (keys.STEP, keys.RUN_PAYLOAD):
            for key, value in store.scan(Family.RUNS, prefix=letter + of_run):
                yield Family.RUNS, key, value


def last_sequence(store: Store) -> int:
    """Sequence of the last stored audit record; 0 when there is none."""
    return next((keys.audit_sequence(key) for key, _ in store.scan(Family.AUDIT, reverse=True, limit=1)), 0)
