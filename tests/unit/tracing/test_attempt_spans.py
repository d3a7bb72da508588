"""Where the spans of attempts lie: at the times at which they were made, as far as the log has them."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from fairlead.tracing.calls import spans_of_call
from fairlead.tracing.identity import Context
from fairlead.v1 import audit_record_pb2 as pb
from fairlead.v1 import decision_pb2

OWN = Context(b"t" * 16, b"s" * 8)
MILLI = 1_000_000
ADMITTED_AT = 1_700_000_000_000 * MILLI


def millis(count: int) -> Duration:
    return Duration(nanos=count * MILLI)


def spans(*attempts: decision_pb2.Attempt, settled_after: int) -> list[tuple[str, int, int]]:
    """Name, begin and end of each attempt's span, in milliseconds after the admission."""
    admitted = pb.AuditRecord(
        sequence=1,
        kind=pb.EVENT_KIND_INVOCATION_ADMITTED,
        invocation="inv_1",
        time_unix_nanos=ADMITTED_AT,
        decision=pb.DecisionRecord(),
    )
    settled = pb.AuditRecord(
        sequence=2,
        kind=pb.EVENT_KIND_INVOCATION_SETTLED,
        invocation="inv_1",
        time_unix_nanos=ADMITTED_AT + settled_after * MILLI,
        settlement=pb.SettlementRecord(attempts=attempts),
    )
    return [
        (
            span.name,
            (span.start_time_unix_nano - ADMITTED_AT) // MILLI,
            (span.end_time_unix_nano - ADMITTED_AT) // MILLI,
        )
        for span in spans_of_call([admitted, settled], OWN, b"p" * 8, None)
        if span.name.startswith("attempt")
    ]


def attempt(model: str, latency: int, delay: int | None = None) -> decision_pb2.Attempt:
    made = decision_pb2.Attempt(model=model, outcome=decision_pb2.ATTEMPT_OUTCOME_FAILED, latency=millis(latency))
    if delay is not None:
        made.delay.CopyFrom(millis(delay))
    return made


def test_a_pause_before_an_attempt_is_a_gap_between_the_spans() -> None:
    made = spans(attempt("a", 10, delay=2), attempt("a", 20, delay=500), attempt("b", 5, delay=1), settled_after=540)
    assert made == [("attempt a", 2, 12), ("attempt a", 512, 532), ("attempt b", 533, 538)]


def test_attempts_whose_delays_nobody_told_stand_one_behind_the_other() -> None:
    assert spans(attempt("a", 10), attempt("b", 20), settled_after=40) == [("attempt a", 0, 10), ("attempt b", 10, 30)]


def test_no_attempt_ends_behind_its_call_whatever_an_agent_reports() -> None:
    assert spans(attempt("a", 10, delay=100), attempt("b", 9), settled_after=40) == [
        ("attempt a", 40, 40),
        ("attempt b", 40, 40),
    ]
