"""The column families and their numbers.

The numbers travel in commit units and never change; a new family takes the next one.
"""

from enum import IntEnum


class Family(IntEnum):
    """One column family; the value is its number in a commit unit."""

    STATE = 0
    """Open invocations, tool calls and approvals, budget instances, sessions, and the sidecar's own values."""
    RUNS = 1
    """Workflow runs, their steps and the index of their audit records."""
    AUDIT = 2
    """The hash chain, by sequence."""
    CONFIG = 3
    """Configuration versions and their history."""
    MEMORY = 4
    """What agents keep."""
    BLOBS = 5
    """Answers that are kept for a repeated request id, by hour."""
    REQUESTS = 6
    """What each request id did, by hour."""
    INVOCATIONS = 7
    """Invocations that have ended."""
    TOOLS = 8
    """Tool calls that have ended, and the last call of every idempotency key."""
    APPROVALS = 9
    """Every approval, by id and hence by time."""
    CHECKPOINTS = 10
    """Checkpoints of agent graphs, by thread."""
    OUTBOX = 11
    """Notifications that wait for their receiver, and those that gave up."""
    KEYS = 12
    """Results of workflow steps by their idempotency key."""
    SEALS = 13
    """Signed checkpoints of the audit log, its Merkle tree, and values that can be erased."""

    @property
    def column_family(self) -> str:
        """Name of the column family in the database."""
        return self.name.lower()
