"""A graph whose pause is an approval: across processes, kills of the daemon, refusals and rules that change."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from fairlead.client import ApprovalRejected, InvalidState, PolicyDenied
from fairlead.integrations.langgraph import (
    FairleadSaver,
    PauseState,
    approval_interrupt,
    aresume_approved,
    ask_approvals,
    resume_approved,
)

from .keeping import CONFIG, TOKEN, Keeper

CONFIG_OF_THREAD: Any = {"configurable": {"thread_id": "refund-4711"}}


class Refund(TypedDict, total=False):
    order: str
    amount: float
    outcome: str


class Bank:
    """Where money goes; `broken` makes it go and then fail."""

    def __init__(self) -> None:
        self.paid: list[dict[str, Any]] = []
        self.broken: BaseException | None = None

    def refund(self, arguments: dict[str, Any]) -> str:
        self.paid.append(arguments)
        if self.broken is not None:
            raise self.broken
        return f"receipt {len(self.paid)}"


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    config = tmp_path / "fairlead.yaml"
    asha = "  - {name: asha,"
    ben = "  - {name: ben, token: {fromEnv: BEN_TOKEN}, roles: [legal]}\n"
    config.write_text(CONFIG.read_text().replace(asha, ben + asha))
    keeper = Keeper(tmp_path, config)
    yield keeper
    keeper.end()


class Agent:
    """A process that runs the graph: everything it knows is in the sidecar."""

    def __init__(self, keeper: Keeper, bank: Bank, **facts: Any) -> None:
        self.saver = FairleadSaver(keeper.target, token=TOKEN, timeout=20)
        self._bank = bank
        self._facts = facts
        builder = StateGraph(Refund)
        builder.add_node("refund", self._refund)
        builder.add_edge(START, "refund")
        self.graph: Any = builder.compile(checkpointer=self.saver)

    def _refund(self, state: Refund) -> Refund:
        arguments = {"order": state["order"], "amount": state["amount"]}
        decision = approval_interrupt("payments.refund", arguments, **self._facts)
        if decision.state in (PauseState.REJECTED, PauseState.EXPIRED):
            return {"outcome": f"refused: {decision.reason}"}
        return {"outcome": decision.call(self.saver.client, self._bank.refund)}

    def start(self, amount: float = 1200) -> Any:
        return self.graph.invoke({"order": "4711", "amount": amount}, CONFIG_OF_THREAD)

    def asked(self) -> Any:
        (pause,) = ask_approvals(self.graph, CONFIG_OF_THREAD)
        return pause

    def resume(self) -> Any:
        return resume_approved(self.graph, CONFIG_OF_THREAD)

    @property
    def outcome(self) -> str | None:
        outcome: str | None = self.graph.get_state(CONFIG_OF_THREAD).values.get("outcome")
        return outcome

    def close(self) -> None:
        self.saver.close()


def test_an_approval_outlives_the_agent_and_a_kill_of_the_daemon(keeper: Keeper) -> None:
    bank = Bank()
    agent = Agent(keeper, bank)
    assert "__interrupt__" in agent.start()
    pause = agent.asked()
    assert (pause.waiting, pause.decision.tool) == (True, "payments.refund")
    agent.close()
    keeper.kill_and_start()

    (shown,) = keeper.approvals()
    assert shown["name"] == pause.approval
    agent = Agent(keeper, bank)
    assert agent.resume().waiting == (agent.asked(),)
    assert len(keeper.approvals()) == 1, "asking again asks once"
    keeper.vote("approve", pause.approval)
    agent.close()
    keeper.kill_and_start()

    agent = Agent(keeper, bank)
    resumed = agent.resume()
    assert [one.decision.state for one in resumed.resumed] == [PauseState.APPROVED]
    assert resumed.values["outcome"] == agent.outcome == "receipt 1"
    assert agent.resume() == agent.resume(), "there is nothing more to resume"
    assert agent.resume().resumed == ()
    assert bank.paid == [{"order": "4711", "amount": 1200}]
    (used,) = keeper.approvals()
    assert used["state"] == "APPROVAL_STATE_CONSUMED"
    agent.close()


def test_a_refusal_resumes_the_graph_and_nothing_is_called(keeper: Keeper) -> None:
    bank = Bank()
    agent = Agent(keeper, bank)
    agent.start()
    keeper.vote("reject", agent.asked().approval, "wrong customer")
    keeper.kill_and_start()
    agent = Agent(keeper, bank)
    assert agent.resume().values["outcome"] == "refused: wrong customer"
    assert bank.paid == []
    assert agent.resume().resumed == ()
    assert len(keeper.approvals()) == 1, "a refusal is not asked about again"


def test_what_is_refused_cannot_be_called_all_the_same(keeper: Keeper) -> None:
    bank = Bank()
    agent = Agent(keeper, bank)
    agent.start()
    pause = agent.asked()
    keeper.vote("reject", pause.approval, "wrong customer")
    with pytest.raises(ApprovalRejected, match="wrong customer"):
        agent.asked().decision.call(agent.saver.client, bank.refund)
    with pytest.raises(TypeError, match="resume_approved"):
        agent.graph.invoke(Command(resume=True), CONFIG_OF_THREAD)
    assert bank.paid == []


def test_rules_decide_first(keeper: Keeper) -> None:
    bank = Bank()
    agent = Agent(keeper, bank)
    agent.start(amount=80)
    assert agent.asked().decision.state is PauseState.NOT_NEEDED
    assert agent.resume().values["outcome"] == "receipt 1"
    agent.start(amount=20_000)
    assert agent.asked().decision.state is PauseState.DENIED
    with pytest.raises(PolicyDenied, match="of payments"):
        agent.resume()
    assert [one["amount"] for one in bank.paid] == [80]
    assert keeper.approvals() == []


def test_a_call_that_was_made_is_not_made_again_when_the_agent_dies_before_its_checkpoint(keeper: Keeper) -> None:
    bank = Bank()
    agent = Agent(keeper, bank)
    agent.start()
    pause = agent.asked()
    keeper.vote("approve", pause.approval)
    # Paid and reported; but then neither the node nor the graph came to their end.
    assert agent.asked().decision.call(agent.saver.client, bank.refund) == "receipt 1"
    assert agent.resume().values["outcome"] == "receipt 1"
    assert len(bank.paid) == 1


def test_a_call_whose_end_nobody_knows_is_not_made_again(keeper: Keeper) -> None:
    bank = Bank()
    bank.broken = TimeoutError("the bank does not answer")
    agent = Agent(keeper, bank)
    agent.start()
    keeper.vote("approve", agent.asked().approval)
    with pytest.raises(TimeoutError):
        agent.resume()
    bank.broken = None
    for again in (agent.resume, lambda: agent.graph.invoke(None, CONFIG_OF_THREAD) and agent.resume()):
        with pytest.raises(InvalidState) as unknown:
            again()
        assert unknown.value.metadata["state"] == "UNKNOWN"
    assert len(bank.paid) == 1


def test_a_key_of_the_business_holds_across_threads(keeper: Keeper) -> None:
    bank = Bank()
    first = Agent(keeper, bank, idempotency_key="refund/4711")
    first.start()
    keeper.vote("approve", first.asked().approval)
    first.resume()
    graph = Agent(keeper, bank, idempotency_key="refund/4711").graph
    other: Any = {"configurable": {"thread_id": "the same refund again"}}
    graph.invoke({"order": "4711", "amount": 1200}, other)
    assert resume_approved(graph, other).values["outcome"] == "receipt 1"
    assert len(bank.paid) == 1


def test_a_stricter_rule_asks_again_in_the_same_node(keeper: Keeper) -> None:
    bank = Bank()
    agent = Agent(keeper, bank)
    agent.start()
    first = agent.asked()
    keeper.vote("approve", first.approval)
    keeper.change("require: [{role: finance}]", "require: [{role: finance}, {role: legal}]")
    assert "__interrupt__" in agent.resume().values
    second = agent.asked()
    assert second.waiting and second.approval != first.approval
    assert bank.paid == []
    keeper.vote("approve", second.approval)
    keeper.vote("approve", second.approval, who="ben")
    assert agent.resume().values["outcome"] == "receipt 1"
    assert len(bank.paid) == 1


def test_two_pauses_at_a_time_are_resumed_as_they_are_decided(keeper: Keeper) -> None:
    class Two(TypedDict, total=False):
        left: str
        right: str

    with FairleadSaver(keeper.target, token=TOKEN) as saver:
        bank = Bank()

        def paying(name: str, order: str) -> Any:
            def node(state: Two) -> Any:
                decision = approval_interrupt("payments.refund", {"order": order, "amount": 500})
                return {name: decision.call(saver.client, bank.refund)}

            return node

        builder = StateGraph(Two)
        builder.add_node("pay-left", paying("left", "1"))
        builder.add_node("pay-right", paying("right", "2"))
        builder.add_edge(START, "pay-left")
        builder.add_edge(START, "pay-right")
        graph = builder.compile(checkpointer=saver)
        graph.invoke({"left": "", "right": ""}, CONFIG_OF_THREAD)
        asked = {pause.decision.arguments["order"]: pause for pause in ask_approvals(graph, CONFIG_OF_THREAD)}
        keeper.vote("approve", asked["2"].approval)
        partly = resume_approved(graph, CONFIG_OF_THREAD)
        assert [one.interrupt for one in partly.resumed] == [asked["2"].interrupt]
        assert [one.interrupt for one in partly.waiting] == [asked["1"].interrupt]
        keeper.vote("approve", asked["1"].approval)
        wholly = resume_approved(graph, CONFIG_OF_THREAD)
        assert wholly.values == {"left": "receipt 2", "right": "receipt 1"}
        assert [one["order"] for one in bank.paid] == ["2", "1"]


def test_with_asyncio(keeper: Keeper) -> None:
    bank = Bank()

    async def pay(state: Refund) -> Refund:
        decision = approval_interrupt("payments.refund", {"order": state["order"], "amount": state["amount"]})

        async def refund(arguments: dict[str, Any]) -> str:
            return bank.refund(arguments)

        return {"outcome": await decision.acall(saver.aio_client, refund)}

    builder = StateGraph(Refund)
    builder.add_node("pay", pay)
    builder.add_edge(START, "pay")
    saver = FairleadSaver(keeper.target, token=TOKEN)
    graph = builder.compile(checkpointer=saver)

    async def run() -> Any:
        async with saver:
            await graph.ainvoke({"order": "4711", "amount": 1200}, CONFIG_OF_THREAD)
            before = await aresume_approved(graph, CONFIG_OF_THREAD)
            assert before.resumed == () and before.values is None
            keeper.vote("approve", before.waiting[0].approval)
            return await aresume_approved(graph, CONFIG_OF_THREAD)

    assert asyncio.run(run()).values["outcome"] == "receipt 1"
    assert len(bank.paid) == 1


def test_pauses_of_others_are_left_alone(keeper: Keeper) -> None:
    with FairleadSaver(keeper.target, token=TOKEN) as saver:
        builder = StateGraph(Refund)
        builder.add_node("ask", lambda state: {"outcome": interrupt("which order?")})
        builder.add_edge(START, "ask")
        graph = builder.compile(checkpointer=saver)
        graph.invoke({"order": "4711"}, CONFIG_OF_THREAD)
        assert ask_approvals(graph, CONFIG_OF_THREAD) == []
        assert resume_approved(graph, CONFIG_OF_THREAD).resumed == ()
        with pytest.raises(ValueError, match="no checkpointer"):
            ask_approvals(builder.compile(), CONFIG_OF_THREAD)
        with pytest.raises(ValueError, match="which client"):
            ask_approvals(builder.compile(checkpointer=InMemorySaver()), CONFIG_OF_THREAD)
