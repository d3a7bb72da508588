"""What the calls of a bound client say by themselves. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fairlead.v1 import gate_service_pb2

ToolKey = Callable[[str, Mapping[str, Any] | bytes], str]
"""From the name of a tool and its arguments to the idempotency key of the call."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What every call says unless the call itself says otherwise; empty for a client that is not bound."""

    session: str = ""
    run: str = ""
    step: str = ""
    tool_key: ToolKey | None = None

    def of_call(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The facts of a model call."""
        return {"session": self.session, "run": self.run, "step": self.step, **given}

    def of_tool(self, tool: str, arguments: Mapping[str, Any] | bytes, given: Mapping[str, Any]) -> dict[str, Any]:
        """The facts of a tool call."""
        facts = self.of_call(given)
        if self.tool_key is not None and not facts.get("idempotency_key"):
            facts["idempotency_key"] = self.tool_key(tool, arguments)
        return facts

    def of_admission(self, request: gate_service_pb2.AdmitRequest) -> gate_service_pb2.AdmitRequest:
        """The admission with what it leaves open; the caller's own message is not touched."""
        bound = gate_service_pb2.AdmitRequest(session=self.session, run=self.run, step=self.step)
        # What the request says replaces it, what it leaves empty does not.
        bound.MergeFrom(request)
        return bound
