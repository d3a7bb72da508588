"""How single facts of the log are put into words: times, durations, names that came from outside."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.duration_pb2 import Duration

from fairlead.v1 import (
    approval_service_pb2,
    audit_record_pb2,
    decision_pb2,
    gate_service_pb2,
    run_pb2,
    tool_pb2,
)

# A value that came from an agent takes at most this many characters of a sentence.
MAX_VALUE_CHARS = 160
# Digits of a configuration version that people read.
VERSION_DIGITS = 12

_OUTCOMES = {
    decision_pb2.ATTEMPT_OUTCOME_SUCCEEDED: "answered completely",
    decision_pb2.ATTEMPT_OUTCOME_FAILED: "answered with an error",
    decision_pb2.ATTEMPT_OUTCOME_CONNECT_FAILED: "could not be reached, nothing was sent",
    decision_pb2.ATTEMPT_OUTCOME_TIMED_OUT: "did not answer in time",
    decision_pb2.ATTEMPT_OUTCOME_CUT: "broke off in the middle of the answer",
    decision_pb2.ATTEMPT_OUTCOME_CANCELLED: "was cancelled, the caller went away",
    decision_pb2.ATTEMPT_OUTCOME_GARBLED: "sent an answer that could not be understood",
    decision_pb2.ATTEMPT_OUTCOME_REJECTED: "answered, but a rule on its output refused the answer",
}

_DROPS = {
    decision_pb2.DROP_REASON_POLICY: "a policy does not allow it",
    decision_pb2.DROP_REASON_CAPABILITY: "it lacks a required capability",
    decision_pb2.DROP_REASON_CONTEXT: "the call does not fit its context window or output maximum",
    decision_pb2.DROP_REASON_QUALITY: "its quality is below the required one",
    decision_pb2.DROP_REASON_UNHEALTHY: "it is not healthy or asked to wait",
    decision_pb2.DROP_REASON_LATENCY: "its p99 latency is over the route's limit",
    decision_pb2.DROP_REASON_BUDGET: "it does not fit a budget, even when clamped",
    decision_pb2.DROP_REASON_NOT_SELECTED: "another candidate was selected",
    decision_pb2.DROP_REASON_RESIDENCY: "its residency labels do not meet the route's requirement",
    decision_pb2.DROP_REASON_UNTRANSLATABLE: "its provider's dialect cannot say what the request says",
}

_BREAKERS = {
    audit_record_pb2.BREAKER_STATE_OPEN: "its breaker was open",
    audit_record_pb2.BREAKER_STATE_HALF_OPEN: "its breaker let one probe through",
    audit_record_pb2.BREAKER_STATE_RAMPING: "it was recovering",
}

_FINDINGS = {
    decision_pb2.FINDING_ACTION_FLAGGED: "noted",
    decision_pb2.FINDING_ACTION_REDACTED: "replaced",
    decision_pb2.FINDING_ACTION_REJECTED: "the answer was refused",
}

_TOOL_EFFECTS = {
    tool_pb2.TOOL_EFFECT_READ: "read",
    tool_pb2.TOOL_EFFECT_WRITE: "write",
    tool_pb2.TOOL_EFFECT_SIDE_EFFECT: "side effect",
}

_TOOL_RISKS = {
    tool_pb2.TOOL_RISK_LOW: "low",
    tool_pb2.TOOL_RISK_MEDIUM: "medium",
    tool_pb2.TOOL_RISK_HIGH: "high",
    tool_pb2.TOOL_RISK_DESTRUCTIVE: "destructive",
}

_TOOL_STATES = {
    audit_record_pb2.TOOL_CALL_STATE_PENDING: "waits for people",
    audit_record_pb2.TOOL_CALL_STATE_OPEN: "granted, its outcome not reported",
    audit_record_pb2.TOOL_CALL_STATE_SUCCEEDED: "happened",
    audit_record_pb2.TOOL_CALL_STATE_FAILED: "did not happen",
    audit_record_pb2.TOOL_CALL_STATE_UNKNOWN: "nobody knows whether it happened",
    audit_record_pb2.TOOL_CALL_STATE_REJECTED: "was refused",
    audit_record_pb2.TOOL_CALL_STATE_EXPIRED: "expired before it began",
}

_TOOL_OUTCOMES = {
    gate_service_pb2.TOOL_OUTCOME_SUCCEEDED: "it happened",
    gate_service_pb2.TOOL_OUTCOME_FAILED: "it did not happen",
    gate_service_pb2.TOOL_OUTCOME_UNKNOWN: "nobody knows whether it happened",
}

_RUN_STATES = {
    run_pb2.RUN_STATE_PENDING: "has not begun yet",
    run_pb2.RUN_STATE_RUNNING: "is running",
    run_pb2.RUN_STATE_WAITING: "is waiting",
    run_pb2.RUN_STATE_PAUSED: "is paused",
    run_pb2.RUN_STATE_CANCELLING: "is winding down",
    run_pb2.RUN_STATE_SUCCEEDED: "succeeded",
    run_pb2.RUN_STATE_FAILED: "failed",
    run_pb2.RUN_STATE_CANCELLED: "was cancelled; there was nothing to take back",
    run_pb2.RUN_STATE_COMPENSATED: "was ended and what it had done was taken back",
}

_RESOLUTIONS = {
    approval_service_pb2.RESOLUTION_OUTCOME_HAPPENED: "it happened",
    approval_service_pb2.RESOLUTION_OUTCOME_DID_NOT_HAPPEN: "it did not happen",
}

_DECISIONS = {
    approval_service_pb2.APPROVAL_DECISION_APPROVE: "approved",
    approval_service_pb2.APPROVAL_DECISION_REJECT: "rejected",
    approval_service_pb2.APPROVAL_DECISION_EDIT: "edited",
}


def outcome(value: decision_pb2.AttemptOutcome) -> str:
    """What happened to an attempt."""
    return _OUTCOMES.get(value, "ended in a way this version does not know")


def drop_reason(value: decision_pb2.DropReason) -> str:
    """Why a candidate was left out."""
    return _DROPS.get(value, "for a reason this version does not know")


def breaker(value: audit_record_pb2.BreakerState) -> str:
    """What a model's breaker did; empty when there is nothing to say."""
    return _BREAKERS.get(value, "")


def finding(value: decision_pb2.FindingAction) -> str:
    """What became of a finding in an answer."""
    return _FINDINGS.get(value, "handled in a way this version does not know")


def tool_effect(value: tool_pb2.ToolEffect) -> str:
    """What a tool does."""
    return _TOOL_EFFECTS.get(value, "an effect this version does not know")


def tool_risk(value: tool_pb2.ToolRisk) -> str:
    """How bad a wrong call can be."""
    return _TOOL_RISKS.get(value, "unknown")


def tool_state(value: audit_record_pb2.ToolCallState) -> str:
    """What became of a tool call."""
    return _TOOL_STATES.get(value, "in a state this version does not know")


def tool_outcome(value: gate_service_pb2.ToolOutcome) -> str:
    """How a tool call ended."""
    return _TOOL_OUTCOMES.get(value, "it ended in a way this version does not know")


def decision_word(value: approval_service_pb2.ApprovalDecision) -> str:
    """What a person said to an approval."""
    return _DECISIONS.get(value, "voted in a way this version does not know on")


def run_state(value: run_pb2.RunState) -> str:
    """What became of a run."""
    return _RUN_STATES.get(value, "in a state this version does not know")


def resolution(value: approval_service_pb2.ResolutionOutcome) -> str:
    """What a person said became of a step of unknown outcome; empty when nothing was said."""
    return _RESOLUTIONS.get(value, "")


def visible(text: str) -> str:
    """Text from outside, on one line, without anything a terminal would act on, and not endless."""
    shown = text
    if not text.isprintable():
        shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
    return shown if len(shown) <= MAX_VALUE_CHARS else shown[: MAX_VALUE_CHARS - 1] + "…"


def utc(unix_nanos: int) -> str:
    """A time with milliseconds: `2026-11-20 09:30:00.125 UTC`."""
    seconds, nanos = divmod(unix_nanos, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{nanos // 1_000_000:03d} UTC"


def duration(value: Duration) -> str:
    """A duration in the unit people would use: `850 ms`, `2.5 s`."""
    return millis(value.seconds * 1000 + value.nanos / 1_000_000)


def millis(value: float) -> str:
    """Milliseconds in the unit people would use."""
    if value < 1000:
        return f"{value:.3g} ms"
    return f"{value / 1000:.4g} s"


def between(first_unix_nanos: int, last_unix_nanos: int) -> str:
    """How long something took, in the unit people would use: `850 ms`, `2.5 s`, `3 h 5 min`."""
    whole = (last_unix_nanos - first_unix_nanos) / 1_000_000
    if whole < 120_000:
        return millis(whole)
    minutes = round(whole / 60_000)
    days, hours = minutes // 1440, minutes // 60 % 24
    parts = [(days, "d"), (hours, "h"), (minutes % 60, "min")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 min"


def digest(value: bytes) -> str:
    """A digest, short."""
    return value.hex()[:VERSION_DIGITS] or "unknown"


def version(config_version: str) -> str:
    """A configuration version, short."""
    return config_version[:VERSION_DIGITS] or "unknown"
