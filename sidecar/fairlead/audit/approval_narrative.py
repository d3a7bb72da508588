"""Puts what happened to an approval into sentences for people, whatever it is about. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.approval.model import quorums, state_name
from fairlead.audit import wording
from fairlead.audit.wording import visible
from fairlead.v1 import approval_service_pb2, audit_record_pb2

_OPENED = audit_record_pb2.EVENT_KIND_APPROVAL_OPENED
_VOTED = audit_record_pb2.EVENT_KIND_APPROVAL_VOTED
_EDITED = audit_record_pb2.EVENT_KIND_APPROVAL_EDITED
_ESCALATED = audit_record_pb2.EVENT_KIND_APPROVAL_ESCALATED


def narrate_approval(records: Sequence[audit_record_pb2.AuditRecord]) -> list[str]:
    """The story of an approval whose records are given in sequence order."""
    return [event(record) for record in records if record.HasField("approval")]


def vote(vote: approval_service_pb2.ApprovalVote) -> str:
    """Who voted, and what."""
    roles = f" ({', '.join(map(visible, vote.roles))})" if vote.roles else ""
    return f"{visible(vote.operator)}{roles} {wording.decision_word(vote.decision)}"


def event(record: audit_record_pb2.AuditRecord) -> str:
    """What a record says of an approval."""
    about = record.approval
    at, name = wording.utc(record.time_unix_nanos), visible(about.approval)
    if record.kind == _OPENED:
        place = "".join(
            f", {word} {visible(value)}" for word, value in (("run", about.run), ("step", about.step)) if value
        )
        return f"{at}: {visible(about.tool)} waits for people{place}: approval {name}, tier {visible(about.tier)}."
    missing = f"; still missing: {visible(quorums(about.missing))}" if about.missing else ""
    if record.kind in (_VOTED, _EDITED):
        said = wording.resolution(about.resolution)
        why = (f", saying that {said}" if said else "") + (
            f": {visible(about.vote.reason)}" if about.vote.reason else ""
        )
        if record.kind == _EDITED:
            was, now = about.previous_digest[: wording.VERSION_DIGITS], about.digest[: wording.VERSION_DIGITS]
            why += f"; its digest was {visible(was)} and is {visible(now)}, votes begin anew"
            why += f", tier {visible(about.tier)} is asked" if about.previous_tier else ""
        return f"{at}: {vote(about.vote)} {name}{why}{missing}."
    why = f" ({visible(about.reason)})" if about.reason else ""
    if record.kind == _ESCALATED:
        tiers = f"from tier {visible(about.previous_tier)} to {visible(about.tier)}"
        return f"{at}: approval {name} was passed on {tiers}{why}{missing}."
    return f"{at}: approval {name} is {state_name(about.state)}{why}."
