"""Data directories that earlier versions wrote: this one opens them, and all that is in them is there.

`store/make.py` made the archives: `format-1.tar.gz` by the version with thirteen families,
`format-1-ten-families.tar.gz` by one that had no checkpoints, notifications and keys of steps. An archive is never made
anew, or nothing would be tested: a version that changes the layout adds one of the last version before it.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead.approval.store import Approvals
from fairlead.audit.explain import explain
from fairlead.audit.store import AuditLog, Invocations
from fairlead.audit.verification import verify_store
from fairlead.config import Loader, to_engine_bytes
from fairlead.config.versions import ConfigVersions
from fairlead.control.store_service import known
from fairlead.internal.v1 import command_pb2, engine_config_pb2
from fairlead.native import Core
from fairlead.store import Family, Store, StoreError, keys, open_store, recovery
from fairlead.v1 import approval_service_pb2, audit_record_pb2
from tests.golden.store.make import ENVIRONMENT

HERE = Path(__file__).parent / "store"
ARCHIVES = sorted(path.name for path in HERE.glob("*.tar.gz"))
INVOCATION, CALL, APPROVAL = (
    audit_record_pb2.InvocationState,
    audit_record_pb2.ToolCallState,
    approval_service_pb2.ApprovalState,
)


@pytest.fixture(params=ARCHIVES)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """The data directory of an archive, and what is in it."""
    with tarfile.open(HERE / request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "data", json.loads((tmp_path / "contents.json").read_text())


@pytest.fixture(params=["opened", "only read"])
def store(request: pytest.FixtureRequest, written: tuple[Path, dict[str, Any]]) -> Iterator[Store]:
    """Its store, in both ways there are to open it."""
    data, _ = written
    if request.param == "only read":
        (data / "daemon.lock").touch()
    with open_store(data, read_only=request.param == "only read") as store:
        yield store


def test_there_is_an_archive_with_fewer_families_and_one_with_all() -> None:
    assert ARCHIVES == ["format-1-ten-families.tar.gz", "format-1.tar.gz"]


def test_the_log_holds_and_everything_is_there(store: Store, written: tuple[Path, dict[str, Any]]) -> None:
    _, contents = written
    verification = verify_store(store)
    assert verification.valid, verification.problem
    assert verification.checked == verification.head_sequence == contents["audit_sequence"]
    log, invocations = AuditLog(store), Invocations(store)
    for name, state in (
        ("settled", INVOCATION.INVOCATION_STATE_SETTLED),
        ("released", INVOCATION.INVOCATION_STATE_RELEASED),
        ("open", INVOCATION.INVOCATION_STATE_OPEN),
    ):
        explained = explain(log, invocations, contents["invocations"][name])
        assert explained is not None and explained.state == state and explained.events, name
    for name, call in (
        ("succeeded", CALL.TOOL_CALL_STATE_SUCCEEDED),
        ("failed", CALL.TOOL_CALL_STATE_FAILED),
        ("unknown", CALL.TOOL_CALL_STATE_UNKNOWN),
        ("granted", CALL.TOOL_CALL_STATE_OPEN),
    ):
        explained = explain(log, invocations, contents["calls"][name])
        assert explained is not None and explained.tool_call_state == call and explained.events, name
    for name, approval in (
        ("consumed", APPROVAL.APPROVAL_STATE_CONSUMED),
        ("rejected", APPROVAL.APPROVAL_STATE_REJECTED),
        ("approved", APPROVAL.APPROVAL_STATE_APPROVED),
        ("pending", APPROVAL.APPROVAL_STATE_PENDING),
    ):
        raw_id = keys.approval_id_bytes(contents["approvals"][name].removeprefix("approvals/"))
        assert raw_id is not None
        record = Approvals(store).get(raw_id)
        assert record is not None and record.approval.state == approval and record.approval.votes, name
    assert ConfigVersions(store).current() == contents["config_version"]
    assert ConfigVersions(store).text(contents["config_version"])


def test_idempotency_keys_find_their_results(store: Store, written: tuple[Path, dict[str, Any]]) -> None:
    _, contents = written
    for name in ("succeeded", "failed", "unknown"):
        found = known(store, command_pb2.NeedsRecord(tool_key=keys.tool_key("acme", name)))
        assert found.tool_key_found and found.call_found
        assert found.call.call == contents["calls"][name]
    assert known(store, command_pb2.NeedsRecord(tool_key=keys.tool_key("acme", "succeeded"))).call.result == (
        b'{"refund": "r-1"}'
    )


def test_the_core_comes_back_as_it_was(store: Store, written: tuple[Path, dict[str, Any]]) -> None:
    data, contents = written
    loaded = Loader(Core.compile, ENVIRONMENT).load_text((data.parent / "fairlead.yaml").read_text())
    config = to_engine_bytes(loaded.config, loaded.version)
    core = Core(config, engine_config_pb2.Secrets().SerializeToString())
    assert recovery.recover(core, store, contents["now"]).sequence == contents["audit_sequence"]
    snapshot = command_pb2.Snapshot.FromString(core.snapshot())
    for counted in ("open_reservations", "open_tool_calls", "open_approvals", "sessions"):
        assert getattr(snapshot, counted) == contents[counted] > 0, counted
    query = command_pb2.SnapshotQuery(limit=10).SerializeToString()
    budgets = {view.budget: view for view in command_pb2.Snapshot.FromString(core.snapshot(query)).budgets}
    assert budgets["life"].spent.nano_usd == contents["spent_nano_usd"]
    assert budgets["life"].reserved.nano_usd > 0
    assert budgets["run"].spent.tokens == 50


def test_another_format_is_refused_with_its_version(written: tuple[Path, dict[str, Any]]) -> None:
    data, _ = written
    with open_store(data) as store:
        store.write([(Family.STATE, keys.FORMAT, b"2")])
    for read_only in (False, True):
        with pytest.raises(StoreError, match="has format version '2'; this program knows '1'"):
            open_store(data, read_only=read_only)


def test_an_opened_directory_has_all_families_and_opens_again(written: tuple[Path, dict[str, Any]]) -> None:
    data, contents = written
    with open_store(data) as store:
        store.write([(family, b"\xff-new", b"v") for family in Family])
    with open_store(data, read_only=True) as store:
        assert all(store.get(family, b"\xff-new") == b"v" for family in Family)
        assert verify_store(store).checked == contents["audit_sequence"]
