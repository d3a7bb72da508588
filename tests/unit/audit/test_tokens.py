"""Tokens: what is not ours is refused, never guessed at."""

from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.audit.tokens import START, InvalidToken, PageToken, Position, filter_digest
from fairlead.v1 import audit_service_pb2
from tests.unit.audit.records import log

positions = st.builds(Position, st.integers(0, 2**64 - 1), st.binary(min_size=8, max_size=8))


@given(positions)
def test_positions_come_back(position: Position) -> None:
    assert Position.decode(position.encode()) == position
    assert Position.unpack(position.packed()) == position


@given(st.integers(0, 2**64 - 1), st.booleans(), st.binary(min_size=8, max_size=8))
def test_page_tokens_come_back(sequence: int, descending: bool, digest: bytes) -> None:
    token = PageToken(sequence, descending, digest)
    assert PageToken.decode(token.encode()) == token


def test_a_position_is_after_its_record() -> None:
    record = log(1)[0]
    assert Position.after(record) == Position(1, record.record_hash[:8])


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "not a token",
        "ünïcode",
        START.encode() + "A",
        START.encode()[:-1],
        " " + START.encode(),
        base64.urlsafe_b64encode(b"\x02" + bytes(16)).rstrip(b"=").decode(),
        PageToken(1, False, bytes(8)).encode(),
    ],
)
def test_foreign_tokens_are_refused(token: str) -> None:
    with pytest.raises(InvalidToken):
        Position.decode(token)


@given(st.text(max_size=40))
def test_any_text_is_a_token_or_refused(text: str) -> None:
    for decode in (Position.decode, PageToken.decode):
        with contextlib.suppress(InvalidToken):
            assert decode(text).encode() == text


def test_page_tokens_are_no_resume_tokens() -> None:
    with pytest.raises(InvalidToken):
        PageToken.decode(START.encode())


def test_the_digest_tells_filters_apart() -> None:
    some = audit_service_pb2.EventFilter(tenant="acme")
    assert filter_digest(some) == filter_digest(audit_service_pb2.EventFilter(tenant="acme"))
    assert filter_digest(some) != filter_digest(audit_service_pb2.EventFilter(tenant="globex"))
