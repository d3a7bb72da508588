"""A log that somebody has tampered with is found out, always, and the first bad record is named.

The tamperer has everything but the signing key: the store, the bundle and this program. What he cannot do is to sign.
"""

from __future__ import annotations

import asyncio
import base64
import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.audit.model import GENESIS
from fairlead.audit.transparency.merkle import leaf_hash
from tests.unit.audit.transparency.logs import grown, rewritten, verified

SIZES = st.lists(st.integers(1, 9), min_size=2, max_size=5)
EXAMPLES = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "30")),
)


def places(lines: list[dict[str, Any]]) -> list[int]:
    """Where the lines of records are."""
    return [number for number, line in enumerate(lines) if "sequence" in line]


def chain_from(lines: list[dict[str, Any]], start: int) -> None:
    """Makes all hashes from a line on anew, so that the chain holds."""
    before = GENESIS
    for number in places(lines):
        if number >= start:
            lines[number] = rewritten(lines[number], before)
        before = bytes.fromhex(lines[number]["record_hash"])


def leaves_anew(lines: list[dict[str, Any]]) -> None:
    """Makes the leaves of all checkpoints anew, too."""
    since: list[bytes] = []
    for line in lines[1:]:
        if "sequence" in line:
            since.append(leaf_hash(base64.b64decode(line["record_bytes"])))
        else:
            line["leaf_hashes"] = base64.b64encode(b"".join(since)).decode()
            since = []


@EXAMPLES
@given(SIZES, st.data())
def test_any_tampering_is_found_and_the_first_bad_record_named(sizes: list[int], data: st.DataObject) -> None:
    async def test() -> None:
        log, notes = await grown(sizes)
        lines, total = log.lines(), sum(sizes)
        whole = verified(lines, [log.key], notes)
        assert whole.valid and whole.chain.checked == total and whole.checkpoints == whole.anchors == len(sizes)
        record = data.draw(st.integers(1, total))
        at = places(lines)[record - 1]
        bad, last = record, record
        match data.draw(st.sampled_from(TAMPERINGS)):
            case "edit bytes":
                raw = bytearray(base64.b64decode(lines[at]["record_bytes"]))
                raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
                lines[at]["record_bytes"] = base64.b64encode(bytes(raw)).decode()
            case "edit words":
                lines[at]["record"] = {**lines[at]["record"], "tenant": "globex"}
            case "edit and hash anew":
                lines[at] = rewritten(lines[at], bytes.fromhex(lines[at]["prev_hash"]), "globex")
            case "edit and chain anew":
                lines[at] = rewritten(lines[at], bytes.fromhex(lines[at]["prev_hash"]), "globex")
                chain_from(lines, at)
            case "edit, chain and leaves anew":
                lines[at] = rewritten(lines[at], bytes.fromhex(lines[at]["prev_hash"]), "globex")
                chain_from(lines, at)
                leaves_anew(lines)
                # Nothing that is signed is about single records any more: one of those of the checkpoint.
                ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
                last = next(end for end in ends if end >= record)
                bad = last - sizes[ends.index(last)] + 1
            case "delete":
                del lines[at]
            case "delete and chain anew":
                del lines[at]
                chain_from(lines, at)
            case "repeat":
                lines.insert(at, dict(lines[at]))
                bad = last = record + 1
            case "swap":
                other = data.draw(st.integers(1, total))
                if other == record:
                    return
                to = places(lines)[other - 1]
                lines[at], lines[to] = lines[to], lines[at]
                bad = last = min(record, other)
            case "truncate":
                del lines[at:]
            case "remove checkpoints and truncate":
                lines = [line for line in lines[:at] if "checkpoint" not in line]
            case "forge a signature":
                signed = data.draw(st.sampled_from([n for n, line in enumerate(lines) if "checkpoint" in line]))
                lines[signed]["checkpoint"] = lines[signed]["checkpoint"].replace("time ", "time 1")
                index = [n for n, line in enumerate(lines) if "checkpoint" in line].index(signed)
                bad, last = sum(sizes[:index]) + 1, sum(sizes[: index + 1])
        found = verified(lines, [log.key], notes)
        assert not found.valid
        assert bad <= found.chain.first_invalid_sequence <= last, found.chain.problem
        if bad == last:
            assert found.chain.first_invalid_sequence == bad
        assert found.chain.checked < found.chain.first_invalid_sequence

    asyncio.run(test())


TAMPERINGS = [
    "edit bytes",
    "edit words",
    "edit and hash anew",
    "edit and chain anew",
    "edit, chain and leaves anew",
    "delete",
    "delete and chain anew",
    "repeat",
    "swap",
    "truncate",
    "remove checkpoints and truncate",
    "forge a signature",
]


@EXAMPLES
@given(SIZES, st.data())
def test_a_rollback_and_a_fork_are_found_although_the_key_signed_them(sizes: list[int], data: st.DataObject) -> None:
    """An older copy of the volume comes back, and the sidecar goes on from there and signs."""

    async def test() -> None:
        _, notes = await grown(sizes)
        kept = data.draw(st.integers(1, len(sizes) - 1))
        log, _ = await grown(sizes[:kept])
        anchored = sum(sizes)
        rolled_back = verified(log.lines(), [log.key], notes)
        assert rolled_back.chain.first_invalid_sequence == sum(sizes[:kept]) + 1
        assert "rolled back" in rolled_back.chain.problem
        log.commit(anchored, word="globex")
        await log.seal()
        assert verified(log.lines(), [log.key], notes[:kept]).valid
        forked = verified(log.lines(), [log.key], notes)
        assert not forked.valid and "fork" in forked.chain.problem
        assert forked.chain.first_invalid_sequence == sum(sizes[:kept]) + 1
        # With the last anchor alone it is found as well; which record is the first one, that cannot tell.
        assert not verified(log.lines(), [log.key], notes[-1:]).valid

    asyncio.run(test())
