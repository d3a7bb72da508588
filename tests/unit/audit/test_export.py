"""The export: complete, verifiable by others, and no change to it goes unnoticed."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.audit.model import GENESIS, event_of
from fairlead.audit.rendering import event_to_dict, event_to_line, message_to_dict
from fairlead.audit.transparency.exported import verify_export
from fairlead.v1 import audit_record_pb2
from tests.unit.audit.records import admitted, chain, log

LOG = log(6)
EVENTS = [event_of(entry, LOG[n - 1].record_hash if n else GENESIS) for n, entry in enumerate(LOG)]
LINES = [event_to_line(event) + "\n" for event in EVENTS]


def test_an_outside_verifier_needs_nothing_but_the_file() -> None:
    before = "00" * 32
    for n, line in enumerate(LINES, 1):
        fields = json.loads(line)
        computed = hashlib.sha256(bytes.fromhex(before) + base64.b64decode(fields["record_bytes"])).hexdigest()
        assert (fields["sequence"], fields["prev_hash"], fields["record_hash"]) == (n, before, computed)
        before = fields["record_hash"]


def test_the_words_keep_the_names_of_the_proto() -> None:
    fields = event_to_dict(EVENTS[1])["record"]
    assert fields["decision"]["inputs"]["max_output_tokens"] == "1000"
    assert fields["kind"] == "EVENT_KIND_INVOCATION_ADMITTED"


def test_an_export_verifies_whole_and_from_the_middle() -> None:
    whole = verify_export(LINES)
    assert (whole.valid, whole.checked, whole.head_sequence, whole.head_hash) == (True, 6, 6, LOG[-1].record_hash)
    part = verify_export(LINES[2:5])
    assert (part.valid, part.checked, part.head_sequence) == (True, 3, 5)
    assert verify_export([]).valid
    assert verify_export(["\n", *LINES]).checked == 6


def test_the_kept_head_is_looked_for() -> None:
    assert verify_export(LINES, (4, LOG[3].record_hash)).valid
    assert verify_export(LINES, (4, bytes(32))).first_invalid_sequence == 4
    assert verify_export(LINES[:3], (4, LOG[3].record_hash)).first_invalid_sequence == 4
    assert not verify_export([], (4, LOG[3].record_hash)).valid


def change(line: str, field: str, value: Any) -> str:
    return json.dumps({**json.loads(line), field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sequence", 4),
        ("record_hash", "00" * 32),
        ("prev_hash", "11" * 32),
        ("record_bytes", base64.b64encode(LOG[3].record_bytes).decode()),
        ("record_bytes", "not base64!"),
        ("record", {}),
        ("record", {**event_to_dict(EVENTS[2])["record"], "tenant": "globex"}),
        ("record", {**event_to_dict(EVENTS[2])["record"], "surprise": 1}),
        ("record", None),
    ],
)
def test_any_changed_field_is_found(field: str, value: Any) -> None:
    result = verify_export([*LINES[:2], change(LINES[2], field, value), *LINES[3:]])
    assert (result.valid, result.first_invalid_sequence, result.checked) == (False, 3, 2)


@pytest.mark.parametrize("line", ["{", "[]", "7", '{"sequence": 3}', "\x00"])
def test_a_line_that_is_none_is_found(line: str) -> None:
    result = verify_export([*LINES[:2], line, *LINES[2:]])
    assert (result.valid, result.first_invalid_sequence) == (False, 3)


@given(st.integers(0, 4))
def test_a_dropped_line_is_found(index: int) -> None:
    result = verify_export(LINES[:index] + LINES[index + 1 :])
    if index == 0:
        # A file that begins later is a part of a log; its beginning is told, and the head does not change.
        assert result.valid and result.checked == 5
    else:
        assert (result.valid, result.first_invalid_sequence) == (False, index + 1)


def test_a_first_record_cannot_bring_its_own_past() -> None:
    forged = change(LINES[0], "prev_hash", "11" * 32)
    assert verify_export([forged, *LINES[1:]]).first_invalid_sequence == 1


def test_the_order_of_fields_does_not_matter() -> None:
    reordered = [json.dumps(json.loads(line), sort_keys=True) for line in LINES]
    assert verify_export(reordered).valid


def test_numbers_that_json_cannot_write_do_not_stop_an_export() -> None:
    odd = admitted(1)
    odd.decision.inputs.attributes.update({"a": float("nan"), "b": {"c": [float("inf"), float("-inf"), 1.5]}})
    event = event_of(chain([odd])[0], GENESIS)
    line = event_to_line(event)
    attributes = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert attributes["record"]["decision"]["inputs"]["attributes"] == {
        "a": "NaN",
        "b": {"c": ["Infinity", "-Infinity", 1.5]},
    }
    assert verify_export([line]).valid
    assert message_to_dict(audit_record_pb2.AuditRecord()) == {}
