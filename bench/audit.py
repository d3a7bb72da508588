"""The audit log on its way out: what signing costs, how fast a bundle is verified, and whether collectors are felt.

The tree, the signatures and the verification are measured in process; collectors beside a daemon under load, one of
them stalled: it has opened its stream and never reads. They are a lean program, because they share the two cores with
what is measured: what they do with a record is not the sidecar's. How fast one reads a log that is there is measured
with a collector in Python.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from bench import configuration
from bench.processes import LOAD, Sidecar, in_turns, load, running
from bench.results import Result
from fairlead.audit.model import GENESIS, StoredRecord, event_of
from fairlead.audit.store import AuditLog
from fairlead.audit.transparency.bundle import bundle
from fairlead.audit.transparency.checkpoint import Checkpoint, SignedCheckpoint
from fairlead.audit.transparency.keys import pem_of, private_key
from fairlead.audit.transparency.note import SignerKey, VerifierKey
from fairlead.audit.transparency.proofs import Proofs
from fairlead.audit.transparency.sealing import EVERY_RECORDS, Sealing
from fairlead.audit.transparency.verify import BundleVerifier
from fairlead.config.engine import to_engine_bytes
from fairlead.config.loader import Loader
from fairlead.internal.v1 import command_pb2, engine_config_pb2
from fairlead.native import Core, Tree
from fairlead.store import CommitFeed, Family, Store, keys, open_store, recovery
from fairlead.v1 import audit_record_pb2, audit_service_pb2, audit_service_pb2_grpc

RECORDS = 20_000
# What the collectors ask for in a response.
MAX_EVENTS = 1000
TURNS = 5


class StraightCore:
    """The native core over a store that is written on the caller's thread: what is measured is the signing."""

    def __init__(self, store: Store, feed: CommitFeed) -> None:
        self._store = store
        self._feed = feed
        loaded = Loader(None, dev=True).load(None)
        secrets = engine_config_pb2.Secrets().SerializeToString()
        self._core = Core(to_engine_bytes(loaded.config, loaded.version), secrets)
        feed.publish(recovery.recover(self._core, store, time.time_ns()).sequence)

    def apply(self, command: bytes) -> bytes:
        """Applies a command and writes it."""
        result = self._core.apply(command, None, None, False)
        self.commit()
        return result

    def record(self, count: int) -> None:
        """Commits records of the size of an ordinary decision."""
        record = audit_record_pb2.ControlChanged(subject="bench.record")
        record.detail.update({"text": "x" * 500})
        command = command_pb2.Command(control_write=command_pb2.ControlWrite(record=record)).SerializeToString()
        for _ in range(count):
            self._core.apply(command, None, None, False)
        self.commit()

    def commit(self) -> None:
        """What the writer does."""
        while (batch := self._core.next_batch(512, 0)) is not None:
            unit, _, writes = batch
            self._store.write(writes)
            self._core.acknowledge(unit, unit, 0, 0)
            committed = (keys.audit_sequence(key) for family, key, _ in reversed(writes) if family == Family.AUDIT)
            self._feed.publish(next(committed, 0))

    def grow(self, tree: Tree, last: int) -> Tree:
        """Of the core."""
        return self._core.grow(tree, last)

    def snapshot(self, query: bytes | None = None) -> bytes:
        """Of the core."""
        return self._core.snapshot(query)


def in_process() -> list[Result]:
    """The tree, a signature, a log that is sealed, and its verification."""
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as name, open_store(Path(name)) as store:
        sealing, key = asyncio.run(_seal(store))
        records = AuditLog(store).after(0, RECORDS + 1, 1 << 40)
        lines = [json.loads(line) for line in _bundle(store, records)]
        text = sum(len(json.dumps(line)) for line in lines)
    entries = [(keys.audit(one.sequence), one.record_hash + one.record_bytes) for one in records]
    tree = median(lambda: Tree().grown(entries))
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as name, open_store(Path(name)) as store:
        store.write((Family.AUDIT, key, value) for key, value in entries)
        reading = asyncio.run(_catch_up(store))
    signer = SignerKey("fairlead.audit/" + "0" * 32, private_key(pem_of(bytes(32))))
    checkpoint = Checkpoint(signer.name, RECORDS, bytes(32), bytes(32), 1)
    signing = median(lambda: [SignedCheckpoint.of(checkpoint, [signer]) for _ in range(200)])
    verifying = median(lambda: _verify(lines, key), turns=3)
    return [
        Result("chain and Merkle tree, per record", tree / RECORDS * 1e6, "us"),
        Result("signature of a checkpoint", signing / 200 * 1e6, "us"),
        Result("sealing all in all, per checkpoint of 64 records", sealing / RECORDS * EVERY_RECORDS * 1e6, "us"),
        Result("sealing all in all (check, hash, sign, write), per record of 64", sealing / RECORDS * 1e6, "us"),
        Result("sealing a log that is read back from the store, per record", reading / RECORDS * 1e6, "us"),
        Result(f"verification of a bundle ({text / RECORDS:,.0f} bytes a record)", RECORDS / verifying, "1/s"),
    ]


def collectors(sidecar: Sidecar) -> list[Result]:
    """Admit with three collectors beside it, one of them stalled, and without; then one collector alone."""

    def admit() -> dict[str, float]:
        return load("admit", sidecar.address, configuration.TOKEN, 1, 1, 2)

    def watched() -> dict[str, float]:
        with attached(sidecar):
            return admit()

    none, three = in_turns(admit, watched)
    ratio = three["p50"] / none["p50"]
    return [
        Result("Admit p50, no collector", none["p50"], "us"),
        Result("Admit p50, three collectors, one stalled", three["p50"], "us", "none", ratio, "<= 1.2 x", ratio <= 1.2),
        Result("Admit p99, three collectors, one stalled", three["p99"], "us", "none", three["p99"] / none["p99"]),
        Result("records to one collector, up to 1,000 in a response", _rate(sidecar, MAX_EVENTS), "1/s"),
        Result("records to one collector, one in a response", _rate(sidecar, 0), "1/s"),
    ]


@contextmanager
def attached(sidecar: Sidecar) -> Iterator[None]:
    """Three collectors: two that read and acknowledge, one that never reads."""
    command = [str(LOAD), "collect", str(sidecar.data / "admin.sock"), "2", "1", str(MAX_EVENTS)]
    with running(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        text, _ = process.communicate()
        assert process.returncode == 0 and json.loads(text)["records"] > 0


def _rate(sidecar: Sidecar, max_events: int) -> float:
    """Records a second of a collector in Python that reads what is there, at most 50,000 of them."""
    with stub(sidecar) as audit:
        head = min(audit.GetAuditLog(audit_service_pb2.GetAuditLogRequest()).head_sequence, 50_000)
        began, count = time.perf_counter(), 0
        stream = audit.WatchEvents(audit_service_pb2.WatchEventsRequest(from_start=True, max_events=max_events))
        for response in stream:
            count += len(response.events) or 1
            if count >= head:
                break
        stream.cancel()
        return count / (time.perf_counter() - began)


@contextmanager
def stub(sidecar: Sidecar) -> Iterator[audit_service_pb2_grpc.AuditServiceStub]:
    """The operator socket."""
    options = [("grpc.default_authority", "localhost")]
    with grpc.insecure_channel(f"unix:{sidecar.data}/admin.sock", options=options) as channel:
        yield audit_service_pb2_grpc.AuditServiceStub(channel)


def median(work: Callable[[], object], turns: int = TURNS) -> float:
    """Median time in seconds."""
    times = []
    for _ in range(turns):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


async def _seal(store: Store) -> tuple[float, VerifierKey]:
    """Seals a log as it grows, 64 records a time; seconds of the sealing alone, and the key."""
    core, sealing = await _sealed(store)
    seconds = 0.0
    for end in range(EVERY_RECORDS, RECORDS + EVERY_RECORDS, EVERY_RECORDS):
        core.record(min(EVERY_RECORDS, RECORDS + EVERY_RECORDS - end))
        began = time.perf_counter()
        await sealing.seal()
        seconds += time.perf_counter() - began
    return seconds, VerifierKey.parse(sealing.public_key)


async def _catch_up(store: Store) -> float:
    """Seals a whole log at once, as after a start; seconds."""
    _, sealing = await _sealed(store)
    began = time.perf_counter()
    await sealing.seal()
    seconds = time.perf_counter() - began
    assert sealing.size == RECORDS, sealing.problem
    return seconds


async def _sealed(store: Store) -> tuple[StraightCore, Sealing]:
    feed = CommitFeed(asyncio.get_running_loop())
    core = StraightCore(store, feed)
    sealing = Sealing(core, store, feed, time.time_ns)
    sealing.use(private_key(pem_of(bytes(32))))
    await sealing.load()
    return core, sealing


def _bundle(store: Store, records: list[StoredRecord]) -> Iterator[str]:
    proofs = Proofs(store)
    request = audit_service_pb2.ListLogCheckpointsRequest(page_size=1000)
    befores = [GENESIS, *(record.record_hash for record in records)]
    events = (event_of(record, before) for record, before in zip(records, befores, strict=False))
    return bundle(proofs.identity(), events, proofs.page(request).ranges)


def _verify(lines: list[dict[str, object]], key: VerifierKey) -> None:
    verifier = BundleVerifier([key])
    for line in lines[1:]:
        verifier.feed(line)
    result = verifier.finish()
    assert result.valid and result.chain.checked == RECORDS, result.chain.problem


def measured(sidecar: Sidecar) -> list[Result]:
    """Everything."""
    return in_process() + collectors(sidecar)
