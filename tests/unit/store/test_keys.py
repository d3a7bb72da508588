"""The key layouts, against the vectors that Rust checks too."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.store import keys

VECTORS = json.loads((Path(__file__).parents[2] / "golden" / "keys.json").read_text())["vectors"]


def made(vector: dict[str, Any]) -> bytes:
    invocation = keys.invocation_id_bytes(vector.get("invocation", "")) or b""
    tenant = vector.get("tenant", "")
    match vector["kind"]:
        case "open_invocation":
            return keys.open_invocation(tenant, invocation)
        case "invocation":
            return keys.invocation(tenant, invocation)
        case "open_tool_call":
            return keys.open_tool_call(tenant, keys.tool_call_id_bytes(vector["call"]) or b"")
        case "tool_call":
            return keys.tool_call(tenant, keys.tool_call_id_bytes(vector["call"]) or b"")
        case "tool_key":
            return keys.tool_key(tenant, vector["idempotency_key"])
        case "open_approval":
            return keys.open_approval(tenant, keys.approval_id_bytes(vector["approval"]) or b"")
        case "approval":
            return keys.approval(keys.approval_id_bytes(vector["ticket"]) or b"")
        case "session":
            return keys.session(tenant, vector["session"])
        case "budget_instance":
            return keys.budget_instance(tenant, vector["budget"], vector["instance"])
        case "sidecar_value":
            return keys.sidecar_value(vector["name"])
        case "subscriber":
            return keys.subscriber(vector["name"])
        case "audit":
            return keys.audit(vector["sequence"])
        case "request":
            return keys.request(vector["unix_hour"], tenant, vector["caller"], vector["method"], vector["request_id"])
        case "config_version":
            return keys.config_version(vector["version"])
        case "config_history":
            return keys.config_history(vector["counter"])
        case "run":
            return keys.run(tenant, run(vector))
        case "step":
            return keys.step(tenant, run(vector), vector["step"], vector["item"])
        case "run_event":
            return keys.run_event(tenant, run(vector), vector["sequence"])
        case "open_run":
            return keys.open_run(tenant, run(vector))
        case "run_payload":
            return keys.run_payload(tenant, run(vector), bytes.fromhex(vector["digest"]))
        case "definition":
            return keys.definition(vector["version"])
        case "step_key":
            return keys.step_key(tenant, vector["idempotency_key"])
        case "config_current":
            return keys.CONFIG_CURRENT
    raise AssertionError(vector["kind"])


def run(vector: dict[str, Any]) -> bytes:
    found = keys.run_id_bytes(vector["run"])
    assert found is not None
    return found


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['kind']}-{vector['key'][:24]}")
def test_layouts_match_the_golden_vectors(vector: dict[str, Any]) -> None:
    assert made(vector).hex() == vector["key"]


@given(st.lists(st.text(max_size=20), min_size=3, max_size=3), st.lists(st.text(max_size=20), min_size=3, max_size=3))
def test_different_budget_instances_have_different_keys(one: list[str], other: list[str]) -> None:
    assert (keys.budget_instance(*one) == keys.budget_instance(*other)) == (one == other)


@given(st.binary(max_size=6), st.binary(max_size=8))
def test_the_end_of_a_prefix_is_right_behind_its_last_key(prefix: bytes, rest: bytes) -> None:
    end = keys.after_prefix(prefix)
    assert end is None or prefix + rest < end
    if end is None:
        assert not prefix.strip(b"\xff")


@given(st.integers(1, 2**63), st.integers(1, 2**63))
def test_audit_keys_are_in_sequence_order(one: int, other: int) -> None:
    assert (keys.audit(one) < keys.audit(other)) == (one < other)
    assert keys.audit_sequence(keys.audit(one)) == one


@pytest.mark.parametrize(
    "name", ["", "inv_", "inv_" + "g" * 32, "inv_" + "A" * 32, "inv_" + "0" * 31, "inv_" + "0" * 33]
)
def test_what_is_no_invocation_id_has_no_bytes(name: str) -> None:
    assert keys.invocation_id_bytes(name) is None


@pytest.mark.parametrize("name", ["", "run_", "runs/run_" + "0" * 32, "run_" + "A" * 32, "inv_" + "0" * 32])
def test_what_is_no_run_id_has_no_bytes(name: str) -> None:
    assert keys.run_id_bytes(name) is None


@given(st.text(max_size=20), st.binary(min_size=16, max_size=16), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_the_steps_of_a_run_are_behind_its_prefix(tenant: str, run: bytes, place: int, item: int) -> None:
    key = keys.step(tenant, run, place, item)
    assert key.startswith(keys.of_runs(keys.STEP, tenant, run))
    assert keys.tenant_of_run(key) == tenant


def test_a_key_part_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="65535"):
        keys.text("x" * 65_536)


def test_an_audit_value_is_a_hash_and_the_hashed_bytes() -> None:
    assert keys.split_audit_value(b"h" * 32 + b"record") == (b"h" * 32, b"record")
    with pytest.raises(ValueError, match="shorter than its hash"):
        keys.split_audit_value(b"short")
