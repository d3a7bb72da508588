"""What both kinds of invocation share: the admission, the plan and the attempts."""

from __future__ import annotations

from fairlead.client import _requests
from fairlead.client._attempt import AttemptRecorder
from fairlead.v1 import decision_pb2, gate_service_pb2

# What releasing a hold may take when the admission's answer did not arrive.
GIVE_BACK_SECONDS = 5.0


class AdmittedCall:
    """An admitted call and the attempts made for it."""

    def __init__(self) -> None:
        self._attempts: list[AttemptRecorder] = []
        self.admission = gate_service_pb2.AdmitResponse()
        self.settlement: gate_service_pb2.SettleResponse | None = None

    @property
    def id(self) -> str:
        """Id of the invocation."""
        return self.admission.invocation

    @property
    def plan(self) -> list[decision_pb2.PlannedTarget]:
        """Models in the order to try them."""
        return list(self.admission.plan)

    @property
    def max_output_tokens(self) -> int:
        """Most output tokens to ask the provider for."""
        return self.admission.max_output_tokens

    def attempt(self, target: decision_pb2.PlannedTarget | None = None) -> AttemptRecorder:
        """Begins a try at `target`, by default at the next model of the plan (the last one again at its end)."""
        plan = self.plan
        earlier = self._attempts[-1] if self._attempts else None
        recorder = AttemptRecorder(target or plan[min(len(self._attempts), len(plan) - 1)], earlier)
        self._attempts.append(recorder)
        return recorder

    def _settlement(self) -> gate_service_pb2.SettleRequest | None:
        """The settlement of all attempts; None when nothing was tried and the hold has to be released."""
        if not self._attempts:
            return None
        return _requests.settle(self.id, [attempt.message() for attempt in self._attempts])

    def _release(self) -> gate_service_pb2.ReleaseRequest:
        return _requests.release(self.id, "no attempt was made")
