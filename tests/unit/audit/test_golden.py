"""The chain, against the vectors that Rust checks too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fairlead.audit.model import GENESIS, ChainVerifier, link, parse_record
from fairlead.audit.store import split_entry
from fairlead.store import keys

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "golden" / "chain.json").read_text())["vectors"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["sequence"]))
def test_each_hash(vector: dict[str, Any]) -> None:
    record_bytes = bytes.fromhex(vector["record"])
    assert link(bytes.fromhex(vector["prev_hash"]), record_bytes).hex() == vector["record_hash"]
    record = parse_record(record_bytes)
    assert record.sequence == vector["sequence"]
    assert record.SerializeToString(deterministic=True) == record_bytes


def test_the_whole_chain() -> None:
    verifier = ChainVerifier()
    for vector in VECTORS:
        value = bytes.fromhex(vector["record_hash"] + vector["record"])
        assert verifier.feed(split_entry(keys.audit(vector["sequence"]), value))
    result = verifier.finish(len(VECTORS))
    assert (result.valid, result.checked) == (True, len(VECTORS))
    assert VECTORS[0]["prev_hash"] == GENESIS.hex()
    assert result.head_hash.hex() == VECTORS[-1]["record_hash"]
