"""Approvals as people read them on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from fairlead.approval.model import quorums, state_name, subject_name
from fairlead.audit.rendering import message_to_dict
from fairlead.audit.wording import decision_word, resolution, tool_effect, tool_risk, visible
from fairlead.budget.model import format_amount
from fairlead.v1 import approval_service_pb2 as pb

# Unspecified in approvals from before there were others.
_TOOL_CALL = (pb.APPROVAL_SUBJECT_UNSPECIFIED, pb.APPROVAL_SUBJECT_TOOL_CALL)
HEADER = ("NAME", "STATE", "AGENT", "TOOL", "TIER", "MISSING", "EXPIRES")


def exact(arguments: bytes) -> str:
    """JSON as it is, without anything a terminal would act on or hide: such characters become their JSON escapes."""
    text = arguments.decode("utf-8", "replace")
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def row(approval: pb.Approval) -> tuple[str, ...]:
    """A line of a list, under `HEADER`."""
    return (
        visible(approval.name),
        state_name(approval.state),
        visible(f"{approval.tenant}/{approval.agent or approval.requested_by_operator}"),
        visible(approval.tool),
        visible(approval.tier),
        _missing(approval),
        time_of(approval.expire_time),
    )


def _missing(approval: pb.Approval) -> str:
    return quorums(approval.missing) if approval.state == pb.APPROVAL_STATE_PENDING and approval.missing else "-"


def text(approval: pb.Approval) -> Iterator[str]:
    """Everything that people have to know before they say anything."""
    facts = {
        "name": visible(approval.name),
        "state": state_name(approval.state),
        "about": subject_name(approval.subject) if approval.subject not in _TOOL_CALL else "",
        "asked by": _asked_by(approval),
        "session": visible(approval.session),
        "run": visible(approval.run),
        "step": visible(approval.step),
        **_what(approval),
        "key": visible(approval.idempotency_key),
        "arguments": exact(approval.arguments),
        "requested": exact(approval.requested_arguments),
        "changed": f"by rules: {', '.join(map(visible, approval.changed))}" if approval.changed else "",
        "price": f"at most {format_amount(approval.price)}" if approval.HasField("price") else "",
        "digest": visible(approval.digest),
        "rule": f"{visible(approval.rule)} of configuration {visible(approval.config_version[:12])}".strip(),
        "tier": f"{visible(approval.tier)}: {visible(quorums(approval.require))}",
        "missing": _missing(approval),
        "resolved": _resolution(approval),
        "asked at": time_of(approval.create_time),
        "expires": time_of(approval.expire_time) + _then(approval),
        "escalated": f"from {', '.join(map(visible, approval.escalated_from))}" if approval.escalated_from else "",
        "ended": time_of(approval.end_time) if approval.HasField("end_time") else "",
    }
    for label, fact in facts.items():
        if fact:
            yield f"{label:<9} {fact}"
    for vote in approval.votes:
        roles = f" ({', '.join(map(visible, vote.roles))})" if vote.roles else ""
        said = f"{visible(vote.operator)}{roles} {decision_word(vote.decision)}: {visible(vote.reason)}"
        old = "" if vote.digest in ("", approval.digest) else "; of what was shown before an edit, so it does not count"
        yield f"{'vote':<9} {time_of(vote.vote_time)} {said}{old}"


def _then(approval: pb.Approval) -> str:
    """What happens when nobody decides in time."""
    return f", then tier {visible(approval.escalates_to)} is asked" if approval.escalates_to else ""


def _asked_by(approval: pb.Approval) -> str:
    tenant = f"of tenant {visible(approval.tenant)}"
    if approval.requested_by_operator:
        return f"operator {visible(approval.requested_by_operator)} {tenant}, who does not vote"
    return f"agent {visible(approval.agent)} {tenant}"


def _what(approval: pb.Approval) -> dict[str, str]:
    """What is asked for, under the word for it."""
    if approval.subject == pb.APPROVAL_SUBJECT_MODEL_CALL:
        return {"model": visible(approval.tool)}
    if approval.subject in (pb.APPROVAL_SUBJECT_STEP, pb.APPROVAL_SUBJECT_UNKNOWN_STEP):
        return {"title": visible(approval.tool)}
    known = f"({tool_effect(approval.effect)}, {tool_risk(approval.risk)} risk)"
    return {"tool": f"{visible(approval.tool)} {known}"}


def _resolution(approval: pb.Approval) -> str:
    if not approval.HasField("resolution"):
        return ""
    result = approval.resolution.result
    return resolution(approval.resolution.outcome) + (f", result {exact(result)}" if result else "")


def line(approval: pb.Approval) -> str:
    """As one line of JSON."""
    return dumps(fields_of(approval))


def dumps(fields: dict[str, Any]) -> str:
    """JSON on one line."""
    return json.dumps(fields, ensure_ascii=False)


def fields_of(approval: pb.Approval) -> dict[str, Any]:
    """As JSON."""
    fields: dict[str, Any] = message_to_dict(approval)
    # As text: the mapping's base64 would hide from `jq` what people have to agree to.
    fields["arguments"] = approval.arguments.decode("utf-8", "replace")
    if approval.requested_arguments:
        fields["requested_arguments"] = approval.requested_arguments.decode("utf-8", "replace")
    if approval.resolution.result:
        fields["resolution"]["result"] = approval.resolution.result.decode("utf-8", "replace")
    return fields


def time_of(time: Timestamp) -> str:
    """A time in seconds, which is as exact as people decide."""
    return f"{time.ToDatetime(tzinfo=UTC):%Y-%m-%d %H:%M:%S} UTC"
