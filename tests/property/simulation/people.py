"""People: they vote, and know what became of a step."""

from __future__ import annotations

from fairlead.approval.store import Approvals
from fairlead.control.errors import Refusal
from fairlead.internal.v1 import command_pb2
from fairlead.v1 import (
    approval_service_pb2,
)
from tests.property.simulation import shapes
from tests.property.simulation.ground import Ground

_Decision = approval_service_pb2


class People(Ground):
    """See the module. Whoever is asked what became of a step says the truth."""

    def decide(self) -> None:
        """Somebody votes; perhaps twice, because the answer was lost."""
        approvals = Approvals(self.sidecar.store)
        pending = [record.approval for one in approvals.open_ids("acme") if (record := approvals.get(one)) is not None]
        pending = [one for one in pending if one.state == _Decision.APPROVAL_STATE_PENDING]
        if not pending:
            return
        asked = self.chance.choice(pending)
        id = asked.name.removeprefix("approvals/")
        vote = command_pb2.DecideApproval(approval=id, reason="looked at it", digest=asked.digest)
        vote.decision = _Decision.APPROVAL_DECISION_APPROVE
        if asked.subject == _Decision.APPROVAL_SUBJECT_UNKNOWN_STEP:
            if not self.say_what_became_of(asked, vote):
                return
        elif not shapes.is_agreed(asked.arguments):
            vote.decision = _Decision.APPROVAL_DECISION_REJECT
        people = ["asha", "ben"] if shapes.first_voter(asked.arguments) == "asha" else ["ben", "asha"]
        voted = {one.operator for one in asked.votes}
        operator = next(one for one in people if one not in voted)
        try:
            if self.apply(command_pb2.Caller(operator=operator), decide_approval=vote) is not None:
                self.told.votes.add((id, operator))
        except Refusal as refusal:
            assert refusal.reason in ("NOT_FOUND", "INVALID_STATE", "POLICY_DENIED"), refusal

    def say_what_became_of(self, asked: approval_service_pb2.Approval, vote: command_pb2.DecideApproval) -> bool:
        """Whether the truth is known: not while a worker may still act."""
        run = f"runs/{asked.run.removeprefix('runs/')}"
        for work in self.works:
            is_it = (work.lease.run, work.lease.step) == (run, asked.step)
            if is_it and not work.acted and not work.gone and work.expires > self.now:
                return False
        key = asked.idempotency_key or f"{run.removeprefix('runs/')}/{asked.step}"
        if self.effects[key] > 0:
            vote.resolution.outcome = _Decision.RESOLUTION_OUTCOME_HAPPENED
            vote.resolution.result = shapes.outcome(asked.step, asked.arguments) or b"null"
        else:
            vote.resolution.outcome = _Decision.RESOLUTION_OUTCOME_DID_NOT_HAPPEN
        return True
