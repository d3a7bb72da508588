"""An answer, or what a fault makes of it, as the parts of a body and how they end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from fairlead.devprovider import http
from fairlead.devprovider.answers import Answer
from fairlead.devprovider.dialects import Dialect
from fairlead.devprovider.faults import Fault, FaultKind

PAGE = b"<html>this is not the JSON you are looking for</html>"
_EVENTS = "text/event-stream; charset=utf-8"
# No field, no line end, no UTF-8.
_NO_EVENT = b"\xff\xfe this is not an event \x00" * 4


class End(Enum):
    """How a body ends."""

    WHOLE = auto()
    CUT = auto()  # the connection is closed
    HANG = auto()  # nothing more comes


@dataclass(frozen=True)
class Delivery:
    """A body: its parts go out one by one. `length` is announced; without it the body is sent in chunks."""

    content_type: str
    parts: list[bytes]
    end: End = End.WHOLE
    length: int | None = None
    gap_seconds: float = 0.0


def unary(dialect: Dialect, answer: Answer, fault: Fault | None) -> Delivery:
    """A whole answer."""
    body = json.dumps(dialect.whole(answer)).encode()
    half = body[: len(body) // 2]
    match fault.kind if fault else None:
        case FaultKind.CUT:
            return Delivery(http.JSON, [half], End.CUT, len(body))
        case FaultKind.HANG_MID:
            return Delivery(http.JSON, [half], End.HANG, len(body))
        case FaultKind.MALFORMED_JSON:
            return _whole(http.JSON, half)
        case FaultKind.MALFORMED_SSE:
            return _whole(http.JSON, b"".join(_events(dialect, answer, usage=True)))
    return _anyhow(fault) or _dripping(_whole(http.JSON, body), fault)


def stream(dialect: Dialect, answer: Answer, fault: Fault | None, *, usage: bool) -> Delivery:
    """A stream of events."""
    events = list(_events(dialect, answer, usage=usage))
    first = events[: fault.after_events] if fault else events
    match fault.kind if fault else None:
        case FaultKind.CUT:
            return Delivery(_EVENTS, first, End.CUT)
        case FaultKind.HANG_MID:
            return Delivery(_EVENTS, first, End.HANG)
        case FaultKind.MALFORMED_JSON:
            return Delivery(_EVENTS, [*first, _halved(events[len(first) : len(first) + 1] or events[-1:])])
        case FaultKind.MALFORMED_SSE:
            return Delivery(_EVENTS, [*first, _NO_EVENT])
        case FaultKind.ERROR_EVENT:
            return Delivery(_EVENTS, [http.event(*dialect.error_event())])
        case FaultKind.EMPTY_BODY:
            return Delivery(_EVENTS, [])
    return _anyhow(fault) or _dripping(Delivery(_EVENTS, events), fault)


def _whole(content_type: str, body: bytes) -> Delivery:
    return Delivery(content_type, [body] if body else [], length=len(body))


def _anyhow(fault: Fault | None) -> Delivery | None:
    """What is sent whatever was asked for; None for an answer."""
    match fault.kind if fault else None:
        case FaultKind.GARBAGE:
            return _whole(http.JSON, PAGE)
        case FaultKind.WRONG_CONTENT_TYPE:
            return _whole("text/html; charset=utf-8", PAGE)
        case FaultKind.EMPTY_BODY:
            return _whole(http.JSON, b"")
    return None


def _dripping(delivery: Delivery, fault: Fault | None) -> Delivery:
    """The same in small pieces, if that is the fault."""
    if fault is None or fault.kind is not FaultKind.SLOW_DRIP:
        return delivery
    content = b"".join(delivery.parts)
    step = fault.piece_bytes
    pieces = [content[start : start + step] for start in range(0, len(content), step)]
    return Delivery(delivery.content_type, pieces, delivery.end, delivery.length, fault.gap_seconds)


def _events(dialect: Dialect, answer: Answer, *, usage: bool) -> Iterator[bytes]:
    return (http.event(name, data) for name, data in dialect.events(answer, usage=usage))


def _halved(events: list[bytes]) -> bytes:
    """An event that is framed well and whose data breaks off."""
    text = b"".join(events).rstrip(b"\n")
    return text[: max(len(text) // 2, text.index(b"data: ") + 7)] + b"\n\n"
