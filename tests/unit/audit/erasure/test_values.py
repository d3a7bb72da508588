"""Commitments in every field that may have one: what Rust writes, Python reads."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from fairlead.audit.erasure.finding import Unknown, Values
from fairlead.audit.erasure.model import ERASABLE, ERASED, MARK, commitment, digests, revealed
from fairlead.audit.erasure.reading import Texts
from fairlead.internal.v1 import state_pb2, workflow_pb2
from fairlead.store import Family, keys
from fairlead.v1 import approval_service_pb2, audit_record_pb2, audit_service_pb2, run_pb2
from tests.unit.audit.fakes import FakeStore

VECTORS = Path(__file__).parents[3] / "golden" / "erasable.json"
PLACES = [(body, path) for body, paths in ERASABLE.items() for path in paths]
WRITTEN = st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable())


def test_vectors_shared_with_rust() -> None:
    for vector in json.loads(VECTORS.read_text())["vectors"]:
        said, kept = commitment(vector["text"], bytes.fromhex(vector["salt"]))
        assert said == vector["commitment"]
        assert (kept.family, kept.key.hex(), kept.value.hex()) == (Family.SEALS, vector["key"], vector["stored"])


def put(message: Message, path: list[str], text: str) -> None:
    """Puts a text where the path says, behind what is there."""
    name, *rest = path
    inner = getattr(message, name)
    if not rest and isinstance(inner, str):
        setattr(message, name, text)
    elif not rest:
        inner[f"n{len(inner)}"] = text
    else:
        put(inner if isinstance(inner, Message) else inner.add(), rest, text)


@given(st.sampled_from(sorted(ERASABLE)), st.data())
def test_texts_come_back_until_they_are_erased(body: str, data: st.DataObject) -> None:
    store = FakeStore()
    plain, record = audit_record_pb2.AuditRecord(), audit_record_pb2.AuditRecord()
    written: list[tuple[str, bytes]] = []
    for path in ERASABLE[body]:
        for text in data.draw(st.lists(WRITTEN, max_size=2)):
            said, kept = commitment(text, hashlib.sha256(str(len(written)).encode()).digest()[:16])
            # A sentence of the sidecar around it, where it makes such.
            around = "{}" if not path.endswith("message") else data.draw(st.sampled_from(["{}", "it said: {}, twice"]))
            put(plain, [body, *path.split(".")], around.format(text))
            put(record, [body, *path.split(".")], around.format(said))
            written.append((text, kept.key[1:]))
            store.put(kept.family, kept.key, kept.value)
    found = list(digests(record, record.SerializeToString()))
    assert set(found) <= {digest for _, digest in written}
    assert MARK not in str(Texts(store).record(record, record.SerializeToString()))
    assert Texts(store).record(record, record.SerializeToString()) == plain
    gone = set(data.draw(st.lists(st.sampled_from(found), unique=True))) if found else set()
    for digest in gone:
        store.put(Family.SEALS, b"v" + digest, None)
    shown = str(Texts(store).record(record, record.SerializeToString()))
    assert shown.count(ERASED) >= len(gone) and MARK not in shown


def test_what_is_shown_is_no_longer_what_is_stored() -> None:
    store = FakeStore()
    said, kept = commitment("Jane Doe asked", bytes(16))
    store.put(kept.family, kept.key, kept.value)
    approval = approval_service_pb2.Approval(tool=said, votes=[approval_service_pb2.ApprovalVote(reason=said)])
    run = run_pb2.Run(
        failure=run_pb2.Failure(code="A", message=f"child run run_1: a {said}"),
        steps=[run_pb2.Step(id="a", failure=run_pb2.Failure(code="B", message=said)), run_pb2.Step(id="b")],
    )
    Texts(store).fill_in(approval)
    Texts(store).fill_in(run)
    assert (approval.tool, approval.votes[0].reason) == ("Jane Doe asked", "Jane Doe asked")
    assert run.failure.message == "child run run_1: a Jane Doe asked"
    assert run.steps[0].failure.message == "Jane Doe asked" and not run.steps[1].HasField("failure")


def test_another_value_under_the_digest_is_none() -> None:
    store = FakeStore()
    said, kept = commitment("Jane Doe asked", bytes(16))
    _, other = commitment("nobody asked", bytes(16))
    store.put(kept.family, kept.key, other.value)
    record = audit_record_pb2.AuditRecord(run=audit_record_pb2.RunEvent(reason=said))
    assert Texts(store).record(record, record.SerializeToString()).run.reason == ERASED


def test_what_is_quoted_is_one_text_each() -> None:
    said, _ = commitment("broke", bytes(16))
    record = audit_record_pb2.AuditRecord(
        step=audit_record_pb2.StepEvent(failure=run_pb2.Failure(message=f"{said} and {said}, not {said}0"))
    )
    (digest,) = digests(record, record.SerializeToString())
    values = [audit_service_pb2.ErasableValue(digest=digest, value="broke")]
    event = audit_service_pb2.AuditEvent(record=record, record_bytes=record.SerializeToString(), values=values)
    assert revealed(event).step.failure.message == f"broke and broke, not {said}0"


def test_what_only_the_state_has_is_found_by_its_name() -> None:
    store = FakeStore()
    said = [commitment(f"{what} by Jane", bytes([salt]) * 16) for salt, what in enumerate(("voted", "failed", "asked"))]
    run, approval, asked = bytes(range(16)), bytes(16), state_pb2.ApprovalRecord()
    asked.approval.votes.add(reason=said[0][0])
    store.put(Family.APPROVALS, keys.approval(approval), asked.SerializeToString())
    name = f"run_{run.hex()}"
    record = workflow_pb2.RunRecord(run=name, tenant="acme", failure=run_pb2.Failure(message=f"a {said[1][0]}"))
    step = workflow_pb2.StepRecord(failure=run_pb2.Failure(message=said[2][0]), approval=f"apr_{approval.hex()}")
    store.put(Family.RUNS, keys.run("acme", run), record.SerializeToString())
    store.put(Family.RUNS, keys.step("acme", run, 0, 0), step.SerializeToString())
    digest = {kept.key[1:] for _, kept in said}
    values = Values(store)
    assert values.of_name(f"approvals/apr_{approval.hex()}", []) == [said[0][1].key[1:]]
    assert set(values.of_name(name, [])) == digest
    for unknown in ("runs/", "runs/run_1", f"runs/run_{bytes(16).hex()}", "approvals/x", "inv_1", "Jane"):
        with pytest.raises(Unknown):
            values.of_name(unknown, [])
