"""A model of checkpoints in plain dictionaries: whole values in every checkpoint, nothing shared, nothing clever."""

from __future__ import annotations

from dataclasses import dataclass, field

Write = tuple[str, int]
"""Task and index."""


@dataclass
class Checkpoint:
    """One checkpoint as it must be read back; a channel without a value has None."""

    parent: str = ""
    run: str = ""
    channels: dict[str, tuple[str, bytes | None]] = field(default_factory=dict)
    accumulating: frozenset[str] = frozenset()

    def open(self) -> set[str]:
        """Accumulating channels without a value."""
        return {name for name in self.accumulating if self.channels.get(name, ("", None))[1] is None}


@dataclass
class Namespace:
    """Checkpoints by id, and writes by the id of their checkpoint."""

    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    writes: dict[str, dict[Write, bytes]] = field(default_factory=dict)

    def needed_by(self, name: str) -> set[str]:
        """Every ancestor that a checkpoint needs to add its channels up, and what those need."""
        needed: set[str] = set()
        for channel in self.checkpoints[name].open():
            cursor = self.checkpoints[name].parent
            walked = set()
            while cursor in self.checkpoints and cursor not in walked:
                walked.add(cursor)
                if self.checkpoints[cursor].channels.get(channel, ("", None))[1] is not None:
                    break
                cursor = self.checkpoints[cursor].parent
            needed |= walked
        return needed

    def closure(self, names: set[str]) -> set[str]:
        """The names and everything that they need."""
        closed = set(names)
        while more := set().union(*(self.needed_by(name) for name in closed)) - closed:
            closed |= more
        return closed

    def remove(self, names: set[str]) -> None:
        """Checkpoints with their writes."""
        for name in names:
            self.checkpoints.pop(name, None)
            self.writes.pop(name, None)

    def is_empty(self) -> bool:
        """Neither checkpoints nor writes."""
        return not self.checkpoints and not any(self.writes.values())


Thread = dict[str, Namespace]


def prune(thread: Thread) -> None:
    """Keeps the latest of every namespace and what it needs."""
    for namespace in thread.values():
        if namespace.checkpoints:
            latest = max(namespace.checkpoints)
            kept = namespace.closure({latest})
            early = {name for name in namespace.writes if name not in namespace.checkpoints and name > latest}
            namespace.remove((set(namespace.checkpoints) | set(namespace.writes)) - kept - early)


def made_by(thread: Thread, run: str) -> dict[str, set[str]]:
    """Checkpoints of a run, by namespace."""
    found = {space: {n for n, c in one.checkpoints.items() if c.run == run} for space, one in thread.items()}
    return {space: names for space, names in found.items() if names}
