"""The vectors that Rust checks too, recomputed here from their definitions, so that neither side can drift alone.

Keys and the hash chain have theirs in tests/unit/store and tests/unit/audit, beside the Python code that uses them.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
TWO_64 = 1 << 64


def vectors(name: str) -> list[Any]:
    found: list[Any] = json.loads((HERE / f"{name}.json").read_text())
    assert found
    return found


def by_name(vector: Any) -> str:
    return str(vector["name"])


def pick(position: int, weights: list[int]) -> int | None:
    left = position * sum(weights) // TWO_64
    for index, weight in enumerate(weights):
        if left < weight:
            return index
        left -= weight
    return None


@pytest.mark.parametrize("vector", vectors("split"), ids=by_name)
def test_a_weighted_draw_is_a_hash_of_route_and_key(vector: Any) -> None:
    digest = hashlib.sha256(b"fairlead/split/v1\0" + vector["route"].encode() + b"\0" + vector["key"].encode()).digest()
    first, second = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big")
    assert (str(first), str(second)) == (vector["first"], vector["second"])
    target = pick(first, vector["weights"])
    if target is not None and not vector["available"][target]:
        usable = [weight if ok else 0 for weight, ok in zip(vector["weights"], vector["available"], strict=True)]
        target = pick(second, usable)
    assert target == vector["target"]


# What is not priced apart costs as much as what it is a part of.
_PART_OF = {
    "cache_write_1h": "cache_write",
    "audio_input": "input",
    "image_input": "input",
    "audio_output": "output",
    "reasoning": "output",
}


@pytest.mark.parametrize("vector", vectors("money"), ids=by_name)
def test_money_is_exact_and_rounded_up_once(vector: Any) -> None:
    price, usage = vector["price_pico"], vector["usage"]
    pico = sum(tokens * price.get(kind, price[_PART_OF.get(kind, kind)]) for kind, tokens in usage.items())
    nano = -(-pico // 1000)
    representable = min(usage.values()) >= 0 and nano < 1 << 63
    assert vector["expected_nano_usd"] == (str(nano) if representable else None)
