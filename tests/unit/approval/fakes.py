"""Approvals in a store in memory, and a core that counts votes as the real one does."""

from __future__ import annotations

import hashlib
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from fairlead.internal.v1 import command_pb2, state_pb2
from fairlead.store import CommitFeed, Family, keys
from fairlead.v1 import approval_service_pb2 as pb
from fairlead.v1 import audit_record_pb2, tool_pb2
from tests.unit.audit.fakes import FakeCore, FakeStore
from tests.unit.audit.records import T0, VERSION, chain, record, started

DIGEST = "d1" * 32
HOUR = 3_600_000_000_000
ROLES = {"asha": ["finance"], "ben": ["finance", "legal"], "carla": []}


def at(unix_nanos: int) -> Timestamp:
    time = Timestamp()
    time.FromNanoseconds(unix_nanos)
    return time


def approval(number: int, tenant: str = "acme", agent: str = "support-bot", **fields: object) -> pb.Approval:
    wanted = [pb.ApprovalQuorum(role="finance", count=2)]
    made = pb.Approval(
        name=f"approvals/apr_{number:032x}",
        tenant=tenant,
        agent=agent,
        session="s-1",
        run="r-1",
        tool="payments.refund",
        arguments=b'{"amount":20000,"note":"a\xe2\x80\xaeb"}',
        digest=DIGEST,
        effect=tool_pb2.TOOL_EFFECT_SIDE_EFFECT,
        risk=tool_pb2.TOOL_RISK_HIGH,
        config_version=VERSION,
        rule="refunds-need-finance",
        tier="high",
        require=wanted,
        missing=wanted,
        state=pb.APPROVAL_STATE_PENDING,
        create_time=at(T0),
        expire_time=at(T0 + 72 * HOUR),
        idempotency_key="refund/4711",
    )
    made.MergeFrom(pb.Approval(**fields))  # type: ignore[arg-type]
    return made


def ticket(of: pb.Approval) -> str:
    return of.name.replace("approvals/apr_", "tkt_")


class ApprovalCore(FakeCore):
    """Two different people of finance approve; one refusal ends it; an edit takes other votes. `now` is the
    clock of the test."""

    def __init__(self, *approvals: pb.Approval) -> None:
        super().__init__(FakeStore())
        self.now = T0 + HOUR
        self.feed: CommitFeed | None = None
        self.records = [started(1)]
        for one in approvals:
            self.put(one)

    def put(self, one: pb.Approval) -> None:
        stored = state_pb2.ApprovalRecord(approval=one, call="grt_" + one.name[-32:])
        value = stored.SerializeToString()
        self.store.put(Family.APPROVALS, _key(one.name), value)
        is_open = one.state in (pb.APPROVAL_STATE_PENDING, pb.APPROVAL_STATE_APPROVED)
        self.store.put(Family.STATE, keys.open_approval(one.tenant, _key(one.name)), value if is_open else None)
        kind = "APPROVAL_VOTED" if one.votes else "APPROVAL_OPENED"
        event = audit_record_pb2.ApprovalEvent(approval=one.name, state=one.state)
        self.log(kind, tenant=one.tenant, approval=event)

    def log(self, kind: str, **fields: Any) -> None:
        """Something is committed."""
        self.records.append(record(len(self.records) + 1, kind, **fields))
        self.store.append(chain(self.records))
        if self.feed is not None:
            self.feed.publish(len(self.records))

    def apply(self, command: bytes) -> bytes:
        decoded = command_pb2.Command.FromString(command)
        if self.reject is not None or decoded.WhichOneof("kind") != "decide_approval":
            return super().apply(command)
        self.applied.append(decoded)
        return self._decide(decoded.decide_approval, decoded.caller.operator).SerializeToString()

    def _decide(self, vote: command_pb2.DecideApproval, operator: str) -> command_pb2.CommandResult:
        stored = self.store.get(Family.APPROVALS, _key(vote.approval))
        assert stored is not None
        one = state_pb2.ApprovalRecord.FromString(stored).approval
        if one.state not in (pb.APPROVAL_STATE_PENDING, pb.APPROVAL_STATE_APPROVED):
            return _rejection("NOT_FOUND", "there is no open approval of this name")
        roles = ROLES.get(operator, [])
        if "finance" not in roles:
            return _rejection("POLICY_DENIED", f"operator {operator} has none of the roles that are asked for")
        if one.state == pb.APPROVAL_STATE_APPROVED:
            return _rejection("INVALID_STATE", "the approval is APPROVED: there is nothing to decide any more")
        if vote.digest != one.digest:
            return _rejection("INVALID_ARGUMENT", "invalid", "digest")
        if vote.decision == pb.APPROVAL_DECISION_EDIT:
            one.requested_arguments, one.arguments = one.arguments, vote.edited_arguments
            one.digest = hashlib.sha256(vote.edited_arguments).hexdigest()
            del one.votes[:], one.missing[:]
            one.missing.extend(one.require)
            return self._answer(one, vote)
        if any(said.operator == operator for said in one.votes):
            return _rejection("INVALID_STATE", "the operator has voted already: it takes different people")
        one.votes.add(
            operator=operator, roles=roles, decision=vote.decision, reason=vote.reason, vote_time=at(self.now)
        )
        if vote.decision == pb.APPROVAL_DECISION_REJECT:
            one.state = pb.APPROVAL_STATE_REJECTED
            one.end_time.CopyFrom(at(self.now))
        else:
            left = 2 - len(one.votes)
            del one.missing[:]
            if left:
                one.missing.add(role="finance", count=left)
            else:
                one.state = pb.APPROVAL_STATE_APPROVED
        if vote.HasField("resolution"):
            one.resolution.CopyFrom(vote.resolution)
        return self._answer(one, vote)

    def _answer(self, one: pb.Approval, vote: command_pb2.DecideApproval) -> command_pb2.CommandResult:
        self.put(one)
        answer = pb.DecideApprovalResponse(approval=one).SerializeToString()
        remembered = state_pb2.RequestRecord(digest=vote.request_digest, answer=answer)
        self.store.put(Family.REQUESTS, vote.request_key, remembered.SerializeToString())
        return command_pb2.CommandResult(approval=one)


def _key(name: str) -> bytes:
    raw = keys.approval_id_bytes(name.removeprefix("approvals/"))
    assert raw is not None
    return keys.approval(raw)


def _rejection(reason: str, message: str, *fields: str) -> command_pb2.CommandResult:
    rejection = command_pb2.Rejection(reason=reason, message=message)
    for field in fields:
        rejection.violations.add(field=field, description="is not the one of this approval")
    return command_pb2.CommandResult(rejection=rejection)
