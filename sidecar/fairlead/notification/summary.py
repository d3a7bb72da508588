"""One sentence about an event, for people. Pure.

Names, reasons and ids come from agents and from people: they are told as they are, without characters that a terminal
or a log would act on.
"""

from __future__ import annotations

from google.protobuf.message import Message

from fairlead.approval.model import quorums
from fairlead.audit.wording import decision_word, visible
from fairlead.budget.model import format_usd
from fairlead.notification.events import Facts
from fairlead.v1 import approval_service_pb2 as pb
from fairlead.v1 import audit_record_pb2


def sentence(event: str, facts: Facts, body: Message | None, approval: pb.Approval | None) -> str:
    """What has happened, in one line."""
    happened = body if isinstance(body, audit_record_pb2.ApprovalEvent) else None
    match event:
        case "approval.opened" if approval is not None:
            who = _who(facts) if facts.agent else f"{_who(facts)} (operator {visible(approval.requested_by_operator)})"
            return _with(f"{who} asks for approval of {_what(facts)}", _asked(approval))
        case "approval.voted" | "approval.edited" if happened is not None:
            vote = happened.vote
            said = f"{visible(vote.operator)} {decision_word(vote.decision)} {_what(facts)} of {_who(facts)}"
            missing = f"missing {visible(quorums(happened.missing))}" if happened.missing else "nobody is missing"
            return _with(said, [missing, visible(vote.reason)])
        case "approval.escalated" if happened is not None:
            said = f"approval of {_what(facts)} of {_who(facts)} goes to tier {visible(happened.tier)}"
            before = (
                f"nobody of tier {visible(happened.previous_tier)} decided in time" if happened.previous_tier else ""
            )
            return _with(said, [before, f"missing {visible(quorums(happened.missing))}"])
        case "approval.ended" if happened is not None:
            return _with(f"approval of {_what(facts)} of {_who(facts)}: {facts.state}", [visible(happened.reason)])
    named = [f"{name} {visible(value)}" for name, value in facts.all().items() if value and name != "approval"]
    return _with(event, [*named, _failure(body)])


def _failure(body: Message | None) -> str:
    """The code of what went wrong; not what somebody said about it, which may quote anything."""
    if isinstance(body, audit_record_pb2.RunEvent | audit_record_pb2.StepEvent) and body.HasField("failure"):
        return f"failure {visible(body.failure.code)}"
    return ""


def _who(facts: Facts) -> str:
    return f"{visible(facts.tenant)}/{visible(facts.agent)}" if facts.agent else visible(facts.tenant)


def _what(facts: Facts) -> str:
    return visible(facts.tool or facts.step or facts.approval)


def _asked(approval: pb.Approval) -> list[str]:
    until = f"until {approval.expire_time.ToDatetime():%Y-%m-%d %H:%M} UTC"
    return [f"tier {visible(approval.tier)}", visible(quorums(approval.require)), price(approval), until]


def price(approval: pb.Approval) -> str:
    """What it costs at most, in words; empty when nobody knows."""
    return f"at most {format_usd(approval.price.nano_usd)}" if approval.HasField("price") else ""


def _with(said: str, facts: list[str]) -> str:
    given = "; ".join(filter(None, facts))
    return f"{said} ({given})" if given else said
