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
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench import configuration
from bench.processes import LOAD, Sidecar, in_turns, load, running
from bench.results import Result
from fairlead.audit.model import GENESIS, StoredRecord, event_of, link
from fairlead.audit.transparency.bundle import bundle
from fairlead.audit.transparency.checkpoint import Checkpoint, SignedCheckpoint
from fairlead.audit.transparency.merkle import Frontier, leaf_hash
from fairlead.audit.transparency.note import SignerKey, VerifierKey
from fairlead.audit.transparency.proofs import Proofs
from fairlead.audit.transparency.sealing import EVERY_RECORDS, Sealing
from fairlead.audit.transparency.verify import BundleVerifier
from fairlead.internal.v1 import command_pb2
from fairlead.store import CommitFeed, Family, Store, keys, open_store
from fairlead.v1 import audit_record_pb2, audit_service_pb2, audit_service_pb2_grpc

RECORDS = 20_000
# What the collectors ask for in a response.
MAX_EVENTS = 1000
TURNS = 5


class StraightCore:
    """Writes to the store at once: what is measured is the signing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def apply(self, command: bytes) -> bytes:
        """Applies a control write."""
        writes = command_pb2.Command.FromString(command).control_write.writes
        self._store.write((write.family, write.key, write.value) for write in writes)
        return command_pb2.CommandResult(done=command_pb2.Done()).SerializeToString()

    def snapshot(self, query: bytes | None = None) -> bytes:
        """Nothing asks for it."""
        return b""


def in_process() -> list[Result]:
    """The tree, a signature, a log that is sealed, and its verification."""
    records = log(RECORDS)
    data = [record.record_bytes for record in records]
    tree = median(lambda: _grow(data))
    signer = SignerKey("fairlead.audit/" + "0" * 32, Ed25519PrivateKey.generate())
    checkpoint = Checkpoint(signer.name, RECORDS, bytes(32), bytes(32), 1)
    signing = median(lambda: [SignedCheckpoint.of(checkpoint, [signer]) for _ in range(200)])
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as name, open_store(Path(name)) as store:
        store.write((Family.AUDIT, keys.audit(one.sequence), one.record_hash + one.record_bytes) for one in records)
        sealing, key = asyncio.run(_seal(store))
        lines = [json.loads(line) for line in _bundle(store, records)]
        text = sum(len(json.dumps(line)) for line in lines)
    verifying = median(lambda: _verify(lines, key), turns=3)
    return [
        Result("Merkle tree, per record", tree / RECORDS * 1e6, "us"),
        Result("signature of a checkpoint", signing / 200 * 1e6, "us"),
        Result("the same, per record of 64", signing / 200 / EVERY_RECORDS * 1e6, "us"),
        Result("sealing all in all (read, check, hash, sign, write), per record", sealing / RECORDS * 1e6, "us"),
        Result(f"verification of a bundle ({text / RECORDS:,.0f} bytes a record)", RECORDS / verifying, "1/s"),
    ]


def log(count: int) -> list[StoredRecord]:
    """Records of the size of an ordinary decision."""
    found: list[StoredRecord] = []
    head = GENESIS
    for sequence in range(1, count + 1):
        decision = audit_record_pb2.DecisionRecord(tier="x" * 500)
        record = audit_record_pb2.AuditRecord(
            sequence=sequence, tenant="acme", agent="support-bot", config_version="0" * 64, decision=decision
        )
        raw = record.SerializeToString(deterministic=True)
        head = link(head, raw)
        found.append(StoredRecord(sequence, head, raw))
    return found


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


def _grow(data: list[bytes]) -> None:
    tree = Frontier()
    for raw in data:
        tree.append(leaf_hash(raw))


async def _seal(store: Store) -> tuple[float, VerifierKey]:
    """Seals a log as a busy sidecar does: 64 records a time; seconds, and the key."""
    feed = CommitFeed(asyncio.get_running_loop())
    sealing = Sealing(StraightCore(store), store, feed, time.time_ns)
    sealing.use(Ed25519PrivateKey.generate())
    await sealing.load()
    began = time.perf_counter()
    for end in range(EVERY_RECORDS, RECORDS + EVERY_RECORDS, EVERY_RECORDS):
        feed.publish(min(end, RECORDS))
        await sealing.seal()
    return time.perf_counter() - began, VerifierKey.parse(sealing.public_key)


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
