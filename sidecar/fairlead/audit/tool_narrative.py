"""Puts the records of one tool call, its approval included, into sentences for people, from the log alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fairlead.approval.model import state_name
from fairlead.audit import approval_narrative, sentences, wording
from fairlead.audit.narrative import ORDER_NOT_TOLD
from fairlead.audit.wording import visible
from fairlead.budget.model import count
from fairlead.v1 import audit_record_pb2

_GRANTED = audit_record_pb2.EVENT_KIND_TOOL_AUTHORIZED
_VOTED = audit_record_pb2.EVENT_KIND_APPROVAL_VOTED
_NOT_OVER = {
    audit_record_pb2.TOOL_CALL_STATE_PENDING: "Still waiting for people.",
    audit_record_pb2.TOOL_CALL_STATE_OPEN: "The grant is still open: no outcome has been reported.",
    audit_record_pb2.TOOL_CALL_STATE_UNKNOWN: "Nobody knows whether the call happened; a completion may still tell.",
}


def narrate_tool_call(
    records: Sequence[audit_record_pb2.AuditRecord], state: audit_record_pb2.ToolCallState, *, whole: bool = True
) -> list[str]:
    """The story of a tool call whose records are given in sequence order; not the `whole` when the first ones were
    trimmed from the log."""
    story: list[str] = []
    for record in records:
        body = record.WhichOneof("body")
        if body == "tool":
            story += _decision(record)
        elif body == "tool_completed":
            story.append(_completion(record))
        elif body == "approval":
            story.append(approval_narrative.event(record))
    if state in _NOT_OVER:
        story.append(_NOT_OVER[state])
    story.append(order_of_permission(records) if whole else ORDER_NOT_TOLD)
    return story


def order_of_permission(records: Sequence[audit_record_pb2.AuditRecord]) -> str:
    """Whether people agreed before the grant, and the grant was there before the outcome, by the order of records."""
    grant = next((record for record in records if record.kind == _GRANTED), None)
    outcome = next((record for record in records if record.HasField("tool_completed")), None)
    if grant is None:
        if outcome is not None:
            return f"Order: VIOLATED: an outcome is reported in record {outcome.sequence}, but no grant is recorded."
        return "Order: the call has not been granted."
    votes = [record.sequence for record in records if record.kind == _VOTED]
    said = f"granted in record {grant.sequence}"
    if votes:
        listed = ", ".join(map(str, votes))
        if max(votes) > grant.sequence:
            return f"Order: VIOLATED: {said}, but votes are in records {listed}."
        said = f"votes in {'records' if len(votes) > 1 else 'record'} {listed}, {said}"
    if outcome is None:
        return f"Order: {said}; no outcome has been reported."
    if outcome.sequence < grant.sequence:
        return f"Order: VIOLATED: {said}, but the outcome is reported in record {outcome.sequence}."
    return f"Order: {said}, outcome reported in record {outcome.sequence}."


def _decision(record: audit_record_pb2.AuditRecord) -> Iterable[str]:
    decided = record.tool
    inputs = decided.inputs
    yield _question(record)
    claimed = f"; the caller claimed {wording.tool_effect(inputs.claimed_effect)}" if inputs.claimed_effect else ""
    yield f"Catalogue: {wording.tool_effect(inputs.effect)}, {wording.tool_risk(inputs.risk)} risk{claimed}."
    if inputs.session_labels:
        yield f"Labels of the session before the call: {', '.join(map(visible, inputs.session_labels))}."
    if inputs.earlier_call:
        whose = "" if inputs.earlier_is_own else " of another agent"
        was = wording.tool_state(inputs.earlier_state)
        yield f"An earlier call{whose} with this key, {visible(inputs.earlier_call)}: {was}."
    if inputs.approval:
        agreed = f"{state_name(inputs.approval_state)}: {_votes(inputs)}"
        yield f"It came with approval {visible(inputs.approval)}, {agreed}."
    if inputs.agreed_digest:
        who = "people had changed" if inputs.edited else "rules had changed"
        yield f"That approval is of arguments that {who}, their digest {wording.digest(inputs.agreed_digest)}."
    yield f"Decided with configuration {wording.version(record.config_version or decided.decision.config_version)}."
    yield sentences.rules(decided.decision)
    yield _answer(record)
    if decided.added_labels:
        yield f"The call gave its session the labels {', '.join(map(visible, decided.added_labels))}."


def _question(record: audit_record_pb2.AuditRecord) -> str:
    inputs = record.tool.inputs
    told = [
        f"{label} {visible(value)}"
        for label, value in (
            ("session", inputs.session),
            ("run", inputs.run),
            ("step", inputs.step),
            ("key", inputs.idempotency_key),
        )
        if value
    ]
    told.append(f"{count(inputs.arguments_bytes, 'byte')} of arguments")
    told.append(f"their digest {wording.digest(inputs.arguments_digest)}")
    asked = f"{sentences.caller(record)} asked to call tool {visible(inputs.tool)}"
    return f"{wording.utc(record.time_unix_nanos)}: {asked} ({', '.join(told)})."


def _answer(record: audit_record_pb2.AuditRecord) -> str:
    decided = record.tool
    if decided.rejection:
        return sentences.refused(decided.rejection, decided.rejection_metadata)
    if record.kind == audit_record_pb2.EVENT_KIND_TOOL_PENDING:
        return (
            f"Waits for people: approval {visible(decided.approval)}, tier {visible(decided.tier)}{_changed(decided)}."
        )
    if record.kind == audit_record_pb2.EVENT_KIND_TOOL_REPLAYED:
        return "The recorded result of the earlier call was given again; nothing was granted."
    until = f" until {wording.utc(decided.expires_at_unix_nanos)}" if decided.expires_at_unix_nanos else ""
    if decided.changed:
        return f"Granted{until}{_changed(decided)}."
    if decided.inputs.agreed_digest:
        return f"Granted{until}, with the arguments that people agreed to."
    return f"Granted{until}, with the arguments as requested."


def _changed(decided: audit_record_pb2.ToolDecisionRecord) -> str:
    """What rules changed, as the end of a sentence."""
    if not decided.changed:
        return ""
    changed = ", ".join(map(visible, decided.changed))
    asked = "asked about" if decided.approval else "granted"
    return f"; rules changed {changed}, digest as {asked} {wording.digest(decided.granted_digest)}"


def _votes(inputs: audit_record_pb2.ToolInputs) -> str:
    return "; ".join(approval_narrative.vote(vote) for vote in inputs.votes) or "nobody voted"


def _completion(record: audit_record_pb2.AuditRecord) -> str:
    ended = record.tool_completed
    corrected = ended.before == audit_record_pb2.TOOL_CALL_STATE_UNKNOWN
    said = f"{'corrected' if corrected else 'completed'}: {wording.tool_outcome(ended.outcome)}"
    said += f" ({visible(ended.reason)})" if ended.reason else ""
    if ended.result_bytes:
        kept = "kept for later callers with the same key" if ended.result_kept else "not kept"
        said += f"; result of {count(ended.result_bytes, 'byte')}, {kept}"
    return f"{wording.utc(record.time_unix_nanos)}: {said}."
