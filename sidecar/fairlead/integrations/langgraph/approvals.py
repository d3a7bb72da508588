"""A pause that is an approval: what a node says, and what it gets back.

A node that wants to call a tool pauses with `approval_interrupt`. Whoever runs the graph asks Fairlead with
`ask_approvals`, and may go; `resume_approved` resumes when people have decided. The call itself is made by
`ApprovalDecision.call` in the node, through the gate: it uses the approval up, is made once for its key however often
LangGraph runs the node, and gives the recorded result to every later run of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any, cast

from langgraph.types import interrupt

from fairlead.client import (
    ApprovalExpired,
    ApprovalPending,
    ApprovalRejected,
    AsyncClient,
    Client,
    PolicyDenied,
    ToolEffect,
)

# In the value of an interrupt and in that of a resume: whose they are.
_MARK = "fairlead"
_PAUSE, _DECISION = "approval", "decision"
# What an approval that people gave may turn into: the rules ask for more of them, and the ticket is not the last one.
_ASK_AGAIN = (ApprovalPending, ApprovalExpired)


class PauseState(Enum):
    """What has become of a pause."""

    WAITING = "WAITING"
    """People have not decided."""
    APPROVED = "APPROVED"
    """People agreed. Also when the call has begun already, by a run of the node that did not come to its end."""
    NOT_NEEDED = "NOT_NEEDED"
    """The rules let the call be made without people, or it was made before."""
    REJECTED = "REJECTED"
    """People refused."""
    EXPIRED = "EXPIRED"
    """Nobody decided in time."""
    DENIED = "DENIED"
    """A rule denies the call; nobody was asked."""


@dataclass(frozen=True, slots=True)
class ApprovalDecision:
    """What a node gets back from `approval_interrupt`."""

    state: PauseState
    tool: str
    arguments: dict[str, Any]
    """As asked for. What may be called with is what `call` gives to its function: rules and people may change it."""
    idempotency_key: str
    ticket: str = ""
    reason: str = ""
    """Of a refusal."""
    facts: dict[str, Any] = field(default_factory=dict)
    """`session`, `run`, `step` and `labels` of the call."""

    @property
    def approved(self) -> bool:
        """True when the call may be made, as far as people are concerned."""
        return self.state in (PauseState.APPROVED, PauseState.NOT_NEEDED)

    def call(self, client: Client, function: Callable[[dict[str, Any]], Any], **options: Any) -> Any:
        """Calls `function` with the arguments as granted and returns its result, a JSON value; when an earlier run of
        the node has called it, returns that result instead.

        Raises ApprovalRejected, ApprovalExpired or PolicyDenied when it was refused, and InvalidState when an earlier
        run began the call and nobody knows how it ended. When the rules have become stricter meanwhile and ask for more
        people, or the approval was not used in time, it pauses again. `options` are those of `Client.tool_call`, such
        as `not_called`.
        """
        self._refuse()
        begun = False
        try:
            with client.tool_call(self.tool, self.arguments, **self._request(), **options) as call:
                begun = True
                if not call.replayed:
                    call.succeeded(function(call.arguments))
            return call.result
        except _ASK_AGAIN:
            if begun:
                raise  # by the function
        return self._again().call(client, function, **options)

    async def acall(
        self, client: AsyncClient, function: Callable[[dict[str, Any]], Awaitable[Any]], **options: Any
    ) -> Any:
        """As `call`, with a coroutine function."""
        self._refuse()
        begun = False
        try:
            async with client.tool_call(self.tool, self.arguments, **self._request(), **options) as call:
                begun = True
                if not call.replayed:
                    call.succeeded(await function(call.arguments))
            return call.result
        except _ASK_AGAIN:
            if begun:
                raise  # by the function
        return await self._again().acall(client, function, **options)

    def _again(self) -> ApprovalDecision:
        """The same call, for more people."""
        facts = {name: value for name, value in self._request().items() if name != "ticket"}
        return approval_interrupt(self.tool, self.arguments, **facts)

    def _request(self) -> dict[str, Any]:
        facts = dict(self.facts)
        effect = facts.pop("effect", None)
        if effect is not None:
            facts["effect"] = ToolEffect[effect]
        return {**facts, "idempotency_key": self.idempotency_key, "ticket": self.ticket}

    def _refuse(self) -> None:
        if self.approved:
            return
        facts = {"tool": self.tool, "state": self.state.value, "reason": self.reason}
        kinds = {PauseState.REJECTED: ApprovalRejected, PauseState.EXPIRED: ApprovalExpired}
        raise kinds.get(self.state, PolicyDenied)(
            f"the call of {self.tool} was refused: {self.reason}", reason="POLICY_DENIED", metadata=facts
        )


def approval_interrupt(
    tool: str,
    arguments: Mapping[str, Any],
    *,
    idempotency_key: str = "",
    effect: ToolEffect | None = None,
    session: str = "",
    run: str = "",
    step: str = "",
    labels: Mapping[str, str] | None = None,
) -> ApprovalDecision:
    """Pauses the graph until people have decided about a tool call; for nodes.

    `arguments` is a JSON object. Without `idempotency_key` the call is named by thread, checkpoint and interrupt: once
    for this pause. A key of the business's own, such as `refund/4711`, holds across threads as well. Without `session`
    it is the thread's.
    """
    said: dict[str, Any] = {_MARK: _PAUSE, "tool": tool, "arguments": dict(arguments)}
    facts = {"session": session, "run": run, "step": step, "labels": dict(labels or {})}
    said.update({name: value for name, value in facts.items() if value})
    if idempotency_key:
        said["idempotency_key"] = idempotency_key
    if effect is not None:
        said["effect"] = effect.name
    return decision_of(interrupt(said))


def is_pause(value: Any) -> bool:
    """Whether the value of an interrupt is one of `approval_interrupt`."""
    return isinstance(value, Mapping) and value.get(_MARK) == _PAUSE


def resume_value(decision: ApprovalDecision) -> dict[str, Any]:
    """A decision as LangGraph stores it: plain values only."""
    return {_MARK: _DECISION, **asdict(decision), "state": decision.state.value}


def decision_of(value: Any) -> ApprovalDecision:
    """Reads `resume_value`. Raises TypeError for anything else: a graph that is resumed with `Command(resume=True)`
    would have approved by itself."""
    if not isinstance(value, Mapping) or value.get(_MARK) != _DECISION:
        raise TypeError("this pause is an approval: resume it with fairlead.integrations.langgraph.resume_approved")
    fields = cast("dict[str, Any]", {name: one for name, one in value.items() if name != _MARK})
    return ApprovalDecision(**{**fields, "state": PauseState(fields["state"])})
