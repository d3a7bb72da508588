"""Random puts, copies, deletes and prunes on a real store, against the model in `checkpoints.py`, with crashes.

A crash is put between any two commit units of a change: the store is closed there and opened again, and what was left
in the middle is swept up. Then the change has either happened or not; of those that take several units, pruning and
deleting for runs, a part may have happened, and doing it again ends it. INVARIANT (K1) and the sizes are checked after
every step by looking at every key of the family.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fairlead.checkpoint import removing
from fairlead.checkpoint.service import CheckpointService
from fairlead.control.errors import Refusal
from fairlead.control.identity import Identity
from fairlead.store import open_store
from fairlead.v1 import checkpoint_service_pb2 as pb
from tests.property import checkpoints as model
from tests.unit.checkpoint import samples

CALLER = Identity(tenant="acme", agent="bot")
THREADS = st.sampled_from(["t", "t2", "u"])
NAMESPACES = st.sampled_from(["", "child"])
# As text: 1 < 10 < 2.
NAMES = st.sampled_from(["1", "10", "2", "3", "4", "5"])
RUNS = st.sampled_from(["", "r1", "r2"])
CHANNELS = st.sampled_from(["a", "b", "log"])
# The last one has two pieces.
VALUES = st.sampled_from([0, 1, 40, samples.PIECE_BYTES + 1]).map(bytes)


class CheckpointMachine(RuleBasedStateMachine):
    """Drives the service and the model side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="fairlead-checkpoints-"))
        self.threads: dict[str, model.Thread] = {}
        self.incarnations = itertools.count(1)
        self.loop = asyncio.new_event_loop()
        self.store: Any = None
        # Several units for little.
        self.step_writes, removing.STEP_WRITES = removing.STEP_WRITES, 3

    @initialize()
    def start(self) -> None:
        self.open()

    def open(self) -> None:
        self.store = open_store(self.directory)
        self.core = samples.WritingCore(self.store.write)
        self.service = CheckpointService(
            self.core,
            self.store,
            lambda: samples.SETTINGS,
            new_incarnation=lambda: next(self.incarnations).to_bytes(12, "big"),
        )
        self.run(self.service.sweep())

    def reopen(self) -> None:
        self.store.close()
        self.open()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        removing.STEP_WRITES = self.step_writes
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        if self.store is not None:
            self.store.close()
        shutil.rmtree(self.directory)

    # Rules -----------------------------------------------------------------------------------------------------------

    @rule(
        thread=THREADS,
        space=NAMESPACES,
        name=NAMES,
        parent=NAMES,
        run=RUNS,
        values=st.dictionaries(CHANNELS, st.none() | VALUES, max_size=3),
        unchanged=st.sets(CHANNELS),
        accumulating=st.sampled_from([frozenset(), frozenset({"log"}), frozenset({"log", "a"})]),
        crash=st.booleans(),
    )
    def put(
        self,
        thread: str,
        space: str,
        name: str,
        parent: str,
        run: str,
        values: dict[str, bytes | None],
        unchanged: set[str],
        accumulating: frozenset[str],
        crash: bool,
    ) -> None:
        here = self.threads.get(thread, {}).get(space, model.Namespace()).checkpoints
        before = here.get(parent)
        wanted = model.Checkpoint(parent, run, {}, accumulating)
        request = samples.checkpoint(name, thread=thread, namespace=space, parent=parent, run=run)
        request.checkpoint.accumulating_channels.extend(sorted(accumulating))
        missing = []
        for channel, value in values.items():
            wanted.channels[channel] = (f"{name}.new", value)
            say = samples.empty if value is None else samples.channel
            request.checkpoint.channels.append(say(channel, f"{name}.new", *([] if value is None else [value])))
        for channel in sorted(unchanged - values.keys()):
            version = "nowhere" if before is None else before.channels.get(channel, ("nowhere", None))[0]
            request.checkpoint.channels.append(samples.unchanged(channel, version))
            of_old = here[name].channels if name in here else {}
            if version != "nowhere":
                assert before is not None
                wanted.channels[channel] = before.channels[channel]
            elif channel in of_old and of_old[channel][0] == version:
                wanted.channels[channel] = of_old[channel]
            else:
                missing.append(channel)
        happened = self.change(lambda: self.service.put(request, CALLER), crash)
        if happened is not None:
            assert list(happened.missing_channels) == missing
            if not missing:
                self.namespace(thread, space).checkpoints[name] = wanted

    @rule(
        thread=THREADS,
        space=NAMESPACES,
        name=NAMES,
        task=st.sampled_from(["p", "q"]),
        index=st.sampled_from([-1, 0, 1]),
        value=VALUES,
        crash=st.booleans(),
    )
    def put_write(self, thread: str, space: str, name: str, task: str, index: int, value: bytes, crash: bool) -> None:
        request = samples.writes(name, samples.written(task, index, value), thread=thread, namespace=space)
        if self.change(lambda: self.service.put_writes(request, CALLER), crash) is not None:
            writes = self.namespace(thread, space).writes.setdefault(name, {})
            if index < 0 or (task, index) not in writes:
                writes[task, index] = value

    @rule(thread=THREADS, crash=st.integers(0, 3))
    def delete(self, thread: str, crash: int) -> None:
        request = pb.DeleteThreadRequest(thread=thread)
        units = crash if crash < 3 else None
        if self.change(lambda: self.service.delete(request, CALLER), units is not None, units or 0) is not None:
            self.threads.pop(thread, None)
        elif units and thread in self.threads:
            # The first unit is the one that counts; what comes after it is sweeping.
            self.threads.pop(thread)

    @rule(origin=THREADS, copied=THREADS, crash=st.integers(0, 4))
    @precondition(lambda self: self.threads)
    def copy(self, origin: str, copied: str, crash: int) -> None:
        request = pb.CopyThreadRequest(source=origin, target=copied)
        units = crash if crash < 4 else None
        possible = origin in self.threads and copied not in self.threads and origin != copied
        try:
            happened = self.change(lambda: self.service.copy(request, CALLER), units is not None, units or 0)
        except Refusal:
            assert not possible
            return
        if happened is not None and copied not in self.threads:
            assert possible
            self.threads[copied] = copy.deepcopy(self.threads[origin])

    @rule(thread=THREADS, crash=st.integers(0, 3))
    def prune(self, thread: str, crash: int) -> None:
        request = pb.PruneThreadsRequest(threads=[thread], strategy=samples.KEEP_LATEST)
        if crash < 3:
            self.change(lambda: self.service.prune(request, CALLER), True, crash)
        self.run(self.service.prune(request, CALLER))
        model.prune(self.threads.get(thread, {}))

    @rule(run=st.sampled_from(["r1", "r2"]), crash=st.integers(0, 3))
    def delete_for_runs(self, run: str, crash: int) -> None:
        request = pb.DeleteForRunsRequest(runs=[run])
        cut = False
        for thread in self.threads.values():
            for space, names in model.made_by(thread, run).items():
                kept = set(thread[space].checkpoints) - names
                cut = cut or bool(thread[space].closure(kept) & names)
        if cut:
            # It ends in the middle, where nobody can say, so it is not begun.
            return
        if crash < 3:
            self.change(lambda: self.service.delete_for_runs(request, CALLER), True, crash)
        self.run(self.service.delete_for_runs(request, CALLER))
        for thread in self.threads.values():
            for space, names in model.made_by(thread, run).items():
                thread[space].remove(names)
        self.threads = {n: t for n, t in self.threads.items() if not all(one.is_empty() for one in t.values())}

    @rule()
    def restart(self) -> None:
        self.reopen()

    # ---------------------------------------------------------------------------------------------------------------

    def change(self, call: Callable[[], Coroutine[Any, Any, Any]], crash: bool, units: int = 0) -> Any:
        """The answer; None when the process was killed after some units of it."""
        if crash:
            self.core.left = units
        try:
            return self.run(call())
        except Refusal as refusal:
            if refusal.reason != "STORE_UNAVAILABLE":
                raise
            return None
        finally:
            if crash:
                self.core.left = None
                self.reopen()

    def namespace(self, thread: str, space: str) -> model.Namespace:
        return self.threads.setdefault(thread, {}).setdefault(space, model.Namespace())

    @invariant()
    def everything_belongs_to_something(self) -> None:
        if self.store is not None:
            samples.check_whole(self.store, "acme")
            threads, size = self.service._ledger.usage.of("acme")
            records = list(self.service._ledger.threads.all("acme"))
            assert (threads, size) == (len(records), sum(record.size_bytes for _, record in records))
            assert threads == len(self.threads)

    @invariant()
    def every_checkpoint_is_read_as_it_was_put(self) -> None:
        for thread, spaces in self.threads.items():
            for space, namespace in spaces.items():
                found = self.list(thread, space)
                assert list(found) == sorted(namespace.checkpoints, reverse=True)
                for name, wanted in namespace.checkpoints.items():
                    one = found[name]
                    assert (one.parent, one.run) == (wanted.parent, wanted.run)
                    assert {c.name: (c.version, self.value(c)) for c in one.channels} == wanted.channels
                    writes = {(w.task, w.index): self.payload(w.value) for w in one.writes}
                    assert writes == namespace.writes.get(name, {})

    def list(self, thread: str, space: str) -> dict[str, pb.Checkpoint]:
        request = pb.ListCheckpointsRequest(thread=thread, namespace=space, page_size=2)
        found: dict[str, pb.Checkpoint] = {}
        while True:
            page = self.run(self.service.page(request, CALLER))
            found |= {one.checkpoint: one for one in page.checkpoints}
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def value(self, channel: pb.CheckpointChannel) -> bytes | None:
        return self.payload(channel.value) if channel.state == samples.SET else None

    def payload(self, payload: pb.CheckpointPayload) -> bytes:
        data = payload.data
        while len(data) < payload.size_bytes:
            request = pb.ReadPayloadRequest(handle=payload.handle, piece=len(data) // samples.PIECE_BYTES)
            data += self.run(self.service.piece(request, CALLER)).data
        return data


TestCheckpointMachine = CheckpointMachine.TestCase
TestCheckpointMachine.settings = settings(
    max_examples=15,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
