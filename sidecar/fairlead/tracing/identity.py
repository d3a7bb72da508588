"""Which trace a record belongs to, and which span it is about. Pure.

INVARIANT (T1): ids follow from the ids in the log alone. A span that is exported again, also after a crash, has the id
that it had, so a back end that has it already does not show another one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

TRACE_BYTES, SPAN_BYTES = 16, 8
# Version 00 of https://www.w3.org/TR/trace-context/; the core has kept what is well-formed only.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class Context:
    """A span as others see it: its trace, itself, and whether its agent records the trace; None when none has said."""

    trace_id: bytes
    span_id: bytes
    sampled: bool | None = None


def given(traceparent: str) -> Context | None:
    """The caller's span, or None when the caller named none."""
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    trace, span, flags = match.groups()
    return Context(bytes.fromhex(trace), bytes.fromhex(span), bool(int(flags, 16) & _SAMPLED))


def trace_id(name: str) -> bytes:
    """The trace of something that came without one, by its id in the log."""
    return _digest("trace", name)[:TRACE_BYTES]


def span_id(*names: str | int) -> bytes:
    """The span of something, by its ids in the log."""
    return _digest("span", *map(str, names))[:SPAN_BYTES]


def is_sampled(trace: bytes, share: float) -> bool:
    """Whether a trace that came without a decision is recorded: of a share from 0 to 1 of all traces, always the same
    ones. Source: TraceIdRatioBased of the OpenTelemetry specification, by the low seven bytes."""
    return int.from_bytes(trace[-7:]) < share * (1 << 56)


def _digest(*names: str) -> bytes:
    # Lengths, because names may contain any sign.
    return hashlib.sha256(b"".join(b"%d:%s" % (len(part), part) for part in (name.encode() for name in names))).digest()
