"""A store and a core in memory, with the semantics of the real ones that the services rely on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fairlead.audit.model import StoredRecord
from fairlead.internal.v1 import command_pb2, state_pb2
from fairlead.native import Tree
from fairlead.store import Family, StoreUnavailable, keys


class FakeStore:
    """Families of sorted keys; `broken` makes every read fail."""

    def __init__(self) -> None:
        self.families: dict[int, dict[bytes, bytes]] = {}
        self.broken = False
        self.largest_scan = 0

    def get(self, family: Family, key: bytes) -> bytes | None:
        self._check()
        return self.families.get(family, {}).get(key)

    def scan(
        self,
        family: Family,
        *,
        prefix: bytes = b"",
        start: bytes | None = None,
        end: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        self._check()
        found = [
            (key, value)
            for key, value in sorted(self.families.get(family, {}).items(), reverse=reverse)
            if key.startswith(prefix) and key >= (start or b"") and (end is None or key < end)
        ][:limit]
        self.largest_scan = max(self.largest_scan, len(found))
        return iter(found)

    def put(self, family: int, key: bytes, value: bytes | None) -> None:
        if value is None:
            self.families.get(family, {}).pop(key, None)
        else:
            self.families.setdefault(family, {})[key] = value

    def write(self, writes: Iterable[tuple[int, bytes, bytes | None]]) -> None:
        self._check()
        for family, key, value in writes:
            self.put(family, key, value)

    def delete_ranges(self, ranges: Iterable[tuple[int, bytes, bytes]]) -> None:
        self._check()
        for family, start, end in ranges:
            for key in [key for key in self.families.get(family, {}) if start <= key < end]:
                self.put(family, key, None)

    def close_log(self) -> None:
        self._check()

    def append(self, records: Iterable[StoredRecord]) -> None:
        for record in records:
            self.put(Family.AUDIT, keys.audit(record.sequence), record.record_hash + record.record_bytes)

    def put_invocation(self, record: state_pb2.InvocationRecord, *, is_open: bool = False) -> None:
        raw_id = keys.invocation_id_bytes(record.invocation)
        assert raw_id is not None
        make = keys.open_invocation if is_open else keys.invocation
        family = Family.STATE if is_open else Family.INVOCATIONS
        self.put(family, make(record.tenant, raw_id), record.SerializeToString())

    def _check(self) -> None:
        if self.broken:
            raise StoreUnavailable("reading audit failed: injected")


def _key(one: command_pb2.BudgetView | command_pb2.BudgetKey) -> tuple[str, str, str]:
    return one.tenant, one.budget, one.instance


class FakeCore:
    """Applies control writes and adjustments to a store at once; `reject` makes it refuse."""

    def __init__(self, store: FakeStore) -> None:
        self.store = store
        self.budgets: list[command_pb2.BudgetView] = []
        self.applied: list[command_pb2.Command] = []
        self.reject: command_pb2.Rejection | None = None
        self.queries: list[command_pb2.SnapshotQuery] = []
        # A page may end before its limit.
        self.most_at_once = 1000

    def apply(self, command: bytes) -> bytes:
        decoded = command_pb2.Command.FromString(command)
        if self.reject is not None:
            return command_pb2.CommandResult(rejection=self.reject).SerializeToString()
        self.applied.append(decoded)
        kind = decoded.WhichOneof("kind")
        if kind == "control_write":
            self._write(decoded.control_write.writes)
            return command_pb2.CommandResult(done=command_pb2.Done()).SerializeToString()
        assert kind == "adjust_budget"
        return command_pb2.CommandResult(budget=self._adjust(decoded.adjust_budget)).SerializeToString()

    def grow(self, tree: Tree, last: int) -> Tree:
        """Keeps no records: all of them are read from the store."""
        return tree

    def snapshot(self, query: bytes | None = None) -> bytes:
        wanted = command_pb2.SnapshotQuery.FromString(query or b"")
        assert wanted.limit <= 1000
        self.queries.append(wanted)
        if wanted.instance:
            exact = (wanted.tenant, wanted.budget, wanted.instance)
            return command_pb2.Snapshot(budgets=[v for v in self.budgets if _key(v) == exact]).SerializeToString()
        found = sorted(
            (
                view
                for view in self.budgets
                if wanted.tenant in ("", view.tenant)
                and wanted.budget in ("", view.budget)
                and (not wanted.HasField("after") or _key(view) > _key(wanted.after))
            ),
            key=_key,
        )
        page = found[: min(wanted.limit, self.most_at_once)]
        snapshot = command_pb2.Snapshot(budgets=page)
        if len(page) < len(found) and page:
            last = page[-1]
            snapshot.next.tenant, snapshot.next.budget, snapshot.next.instance = _key(last)
        return snapshot.SerializeToString()

    def _adjust(self, adjust: command_pb2.AdjustBudget) -> command_pb2.BudgetView:
        wanted = (adjust.tenant, adjust.budget, adjust.instance)
        view = next(view for view in self.budgets if (view.tenant, view.budget, view.instance) == wanted)
        view.spent.nano_usd = max(0, view.spent.nano_usd - adjust.credit.nano_usd)
        self._write(adjust.writes)
        return view

    def _write(self, writes: Iterable[command_pb2.Write]) -> None:
        for write in writes:
            self.store.put(write.family, write.key, write.value if write.HasField("value") else None)
