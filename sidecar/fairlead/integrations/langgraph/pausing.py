"""Asking for the approvals that a graph waits for, and resuming it; for whoever runs the graph.

What was asked for is kept as a write on the paused checkpoint, so that another process can go on: LangGraph does not
look at writes of tasks that it does not know. Asking twice asks once, because a pause has one key.

| the ticket is | the pause is |
|---|---|
| pending | WAITING |
| approved, consumed | APPROVED |
| rejected, expired | REJECTED, EXPIRED |
| none, because a rule denied | DENIED |
| none, because nobody has to agree | NOT_NEEDED |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.types import Command

from fairlead.client import (
    AsyncClient,
    Client,
    Granted,
    Pending,
    PolicyDenied,
    Ticket,
    TicketState,
    ToolAnswer,
    ToolEffect,
    ToolOutcome,
)
from fairlead.integrations.langgraph.approvals import ApprovalDecision, PauseState, is_pause, resume_value
from fairlead.integrations.langgraph.saver import FairleadSaver

_CHANNEL = "__fairlead_asked__"
_TASK = "fairlead:"
_FACTS = ("session", "run", "step", "labels", "effect")
_STATES = {
    TicketState.PENDING: PauseState.WAITING,
    TicketState.APPROVED: PauseState.APPROVED,
    TicketState.CONSUMED: PauseState.APPROVED,
    TicketState.REJECTED: PauseState.REJECTED,
    TicketState.EXPIRED: PauseState.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class PausedApproval:
    """A pause of a graph, and what has become of it."""

    interrupt: str
    """LangGraph's id of it."""
    approval: str
    """Name of the approval, for people: `fairlead approvals show NAME`; empty when nobody was asked."""
    decision: ApprovalDecision

    @property
    def waiting(self) -> bool:
        """True while people have not decided."""
        return self.decision.state is PauseState.WAITING


@dataclass(frozen=True, slots=True)
class Resumption:
    """What came of resuming a graph."""

    resumed: tuple[PausedApproval, ...]
    """Pauses that had been decided, and with which it went on; empty when it did not."""
    waiting: tuple[PausedApproval, ...]
    """Pauses that people still have to decide about."""
    values: Any = None
    """What the graph returned, as `invoke` does; None when it was not resumed."""


def ask_approvals(graph: Any, config: RunnableConfig, *, client: Client | None = None) -> list[PausedApproval]:
    """Asks Fairlead for every approval that a graph waits for; returns the pauses of the thread as they are now.

    Safe to repeat and to run beside another. The graph must have a checkpointer; without a `client` it is that of its
    `FairleadSaver`. Raises a FairleadError when the sidecar cannot be asked, or a key is in use.
    """
    saver = _saver(graph)
    client = client or _fairlead(saver).client
    paused = graph.get_state(config)
    return [
        pause.now(asked, client.get_ticket(ticket) if (ticket := asked["ticket"]) else None)
        for pause in _pauses(paused)
        for asked in [_asked(saver.get_tuple(paused.config), pause) or _ask(saver, client, paused.config, pause)]
    ]


def resume_approved(graph: Any, config: RunnableConfig, *, client: Client | None = None, **options: Any) -> Resumption:
    """Resumes a graph with what people have decided, once for each pause; asks for what was not asked for yet.

    Refusals resume it, too: the node gets to know. Pauses about which nobody has decided stay. `options` go to
    `graph.invoke`.
    """
    pauses = ask_approvals(graph, config, client=client)
    resumption = _resumption(pauses)
    if not resumption.resumed:
        return resumption
    values = graph.invoke(_command(resumption), config, **options)
    return Resumption(resumption.resumed, resumption.waiting, values)


async def aask_approvals(
    graph: Any, config: RunnableConfig, *, client: AsyncClient | None = None
) -> list[PausedApproval]:
    """As `ask_approvals`, for graphs that are run with asyncio."""
    saver = _saver(graph)
    client = client or _fairlead(saver).aio_client
    paused = await graph.aget_state(config)
    found = []
    for pause in _pauses(paused):
        asked = _asked(await saver.aget_tuple(paused.config), pause)
        asked = asked or await _aask(saver, client, paused.config, pause)
        ticket = asked["ticket"]
        found.append(pause.now(asked, await client.get_ticket(ticket) if ticket else None))
    return found


async def aresume_approved(
    graph: Any, config: RunnableConfig, *, client: AsyncClient | None = None, **options: Any
) -> Resumption:
    """As `resume_approved`; `options` go to `graph.ainvoke`."""
    pauses = await aask_approvals(graph, config, client=client)
    resumption = _resumption(pauses)
    if not resumption.resumed:
        return resumption
    values = await graph.ainvoke(_command(resumption), config, **options)
    return Resumption(resumption.resumed, resumption.waiting, values)


@dataclass(frozen=True, slots=True)
class _Pause:
    """An interrupt of `approval_interrupt` that waits."""

    interrupt: str
    value: Mapping[str, Any]
    thread: str
    checkpoint: str

    @property
    def key(self) -> str:
        """The business's own key, else one for this pause alone."""
        return str(self.value.get("idempotency_key") or f"langgraph/{self.thread}/{self.checkpoint}/{self.interrupt}")

    @property
    def facts(self) -> dict[str, Any]:
        """What the call is asked for with, now and by the node: it has to be the same."""
        facts = {name: self.value[name] for name in _FACTS if name in self.value}
        return {"session": self.thread, **facts}

    def request(self) -> dict[str, Any]:
        """The arguments of `authorize_tool`."""
        facts = self.facts
        effect = facts.pop("effect", None)
        return {
            "tool": self.value["tool"],
            "arguments": self.value["arguments"],
            "effect": None if effect is None else ToolEffect[effect],
            "idempotency_key": self.key,
            **facts,
        }

    def now(self, asked: Mapping[str, Any], ticket: Ticket | None) -> PausedApproval:
        """The pause with what has become of it."""
        state = PauseState(asked["state"]) if ticket is None else _STATES[ticket.state]
        decision = ApprovalDecision(
            state=state,
            tool=self.value["tool"],
            arguments=dict(self.value["arguments"]),
            idempotency_key=self.key,
            ticket=asked["ticket"],
            reason=asked["reason"] if ticket is None else ticket.reason,
            facts=self.facts,
        )
        return PausedApproval(self.interrupt, asked["approval"], decision)


def _pauses(paused: Any) -> Iterator[_Pause]:
    """The approvals that a state waits for."""
    names = paused.config["configurable"]
    for one in paused.interrupts:
        if is_pause(one.value):
            yield _Pause(one.id, one.value, str(names["thread_id"]), str(names["checkpoint_id"]))


def _asked(found: CheckpointTuple | None, pause: _Pause) -> dict[str, Any] | None:
    """What was asked for a pause, as it is written on its checkpoint."""
    for task, channel, value in (found and found.pending_writes) or ():
        if (task, channel) == (_TASK + pause.interrupt, _CHANNEL):
            return dict(value)
    return None


def _ask(saver: BaseCheckpointSaver[Any], client: Client, config: RunnableConfig, pause: _Pause) -> dict[str, Any]:
    try:
        answer = client.authorize_tool(**pause.request())
        if isinstance(answer, Granted):
            # The node asks again, when it calls.
            client.complete_tool(answer.grant, ToolOutcome.FAILED)
        asked = _answered(answer)
    except PolicyDenied as refusal:
        asked = _denied(refusal)
    saver.put_writes(config, [(_CHANNEL, asked)], _TASK + pause.interrupt)
    return asked


async def _aask(
    saver: BaseCheckpointSaver[Any], client: AsyncClient, config: RunnableConfig, pause: _Pause
) -> dict[str, Any]:
    try:
        answer = await client.authorize_tool(**pause.request())
        if isinstance(answer, Granted):
            await client.complete_tool(answer.grant, ToolOutcome.FAILED)
        asked = _answered(answer)
    except PolicyDenied as refusal:
        asked = _denied(refusal)
    await saver.aput_writes(config, [(_CHANNEL, asked)], _TASK + pause.interrupt)
    return asked


def _answered(answer: ToolAnswer) -> dict[str, Any]:
    if isinstance(answer, Pending):
        return {"state": PauseState.WAITING.value, "ticket": answer.ticket, "approval": answer.approval, "reason": ""}
    return {"state": PauseState.NOT_NEEDED.value, "ticket": "", "approval": "", "reason": ""}


def _denied(refusal: PolicyDenied) -> dict[str, Any]:
    return {"state": PauseState.DENIED.value, "ticket": "", "approval": "", "reason": refusal.message}


def _resumption(pauses: list[PausedApproval]) -> Resumption:
    return Resumption(
        tuple(pause for pause in pauses if not pause.waiting), tuple(pause for pause in pauses if pause.waiting)
    )


def _command(resumption: Resumption) -> Command[Any]:
    return Command(resume={pause.interrupt: resume_value(pause.decision) for pause in resumption.resumed})


def _saver(graph: Any) -> BaseCheckpointSaver[Any]:
    saver = graph.checkpointer
    if not isinstance(saver, BaseCheckpointSaver):
        raise ValueError("the graph has no checkpointer: a pause that nobody keeps cannot be resumed")
    return saver


def _fairlead(saver: BaseCheckpointSaver[Any]) -> FairleadSaver:
    if not isinstance(saver, FairleadSaver):
        raise ValueError("the graph's checkpointer is not a FairleadSaver: say which client to ask with")
    return saver
