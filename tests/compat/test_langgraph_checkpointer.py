"""LangGraph's own conformance suite of checkpointers, and graphs that keep their state in the sidecar."""

from __future__ import annotations

import asyncio
import operator
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, TypedDict
from uuid import uuid4

import pytest
from langchain_core.messages import AnyMessage, HumanMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import Capability
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, interrupt

from fairlead.client import InvalidState, NotFound, PayloadTooLarge
from fairlead.integrations.langgraph import FairleadSaver

from .keeping import TOKEN, Keeper

# As the suite of this version has them. Fewer would be a capability that was left out without a word.
TESTS = {
    "put": 17,
    "put_writes": 10,
    "get_tuple": 10,
    "list": 16,
    "delete_thread": 5,
    "delete_for_runs": 7,
    "copy_thread": 8,
    "prune": 8,
}


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keeper]:
    keeper = Keeper(tmp_path_factory.mktemp("keeper"))
    yield keeper
    keeper.end()


@pytest.fixture
def saver(keeper: Keeper) -> Iterator[FairleadSaver]:
    with FairleadSaver(keeper.target, token=TOKEN, timeout=30) as saver:
        yield saver


def thread(name: str = "") -> Any:
    return {"configurable": {"thread_id": name or str(uuid4())}}


def test_the_conformance_suite_passes_in_full(keeper: Keeper) -> None:
    @checkpointer_test(name="FairleadSaver")
    async def made() -> AsyncIterator[FairleadSaver]:
        async with FairleadSaver(keeper.target, token=TOKEN, timeout=30) as saver:
            yield saver

    report = asyncio.run(validate(made))
    assert {name: result.failures for name, result in report.results.items() if result.failures} == {}
    assert {name for name, result in report.results.items() if result.detected} == {one.value for one in Capability}
    assert {name: result.tests_passed for name, result in report.results.items()} == TESTS
    assert all(result.passed is True and result.tests_skipped == 0 for result in report.results.values())
    assert report.conformance_level() == "FULL"


# Graphs --------------------------------------------------------------------------------------------------------------


class Talk(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    seen: Annotated[list[str], operator.add]
    unchanged: str


def talking() -> Any:
    builder = StateGraph(Talk)
    builder.add_node("first", lambda state: {"seen": ["first"], "messages": [("ai", "one")]})
    builder.add_node("second", lambda state: {"seen": ["second"], "messages": [("ai", "two")]})
    builder.add_edge(START, "first")
    builder.add_edge("first", "second")
    builder.add_edge("second", END)
    return builder


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_thread_goes_on_where_it_was(keeper: Keeper, durability: Any, asynchronous: bool) -> None:
    config = thread()
    said = [{"messages": [HumanMessage("hello")], "unchanged": "x" * 1000}, {"messages": [HumanMessage("again")]}]

    async def on_a_loop() -> Any:
        async with FairleadSaver(keeper.target, token=TOKEN) as saver:
            graph = talking().compile(checkpointer=saver)
            for one in said:
                await graph.ainvoke(one, config, durability=durability)
            return await graph.aget_state(config), [state async for state in graph.aget_state_history(config)]

    def in_threads() -> Any:
        with FairleadSaver(keeper.target, token=TOKEN) as saver:
            graph = talking().compile(checkpointer=saver)
            for one in said:
                graph.invoke(one, config, durability=durability)
            return graph.get_state(config), list(graph.get_state_history(config))

    state, history = asyncio.run(on_a_loop()) if asynchronous else in_threads()
    assert [message.text for message in state.values["messages"]] == ["hello", "one", "two", "again", "one", "two"]
    assert state.values["seen"] == ["first", "second"] * 2
    assert state.values["unchanged"] == "x" * 1000
    assert len(history) == (2 if durability == "exit" else 8)
    assert history[0].values == state.values


def test_a_fork_keeps_the_values_of_the_checkpoint_it_comes_from(saver: FairleadSaver) -> None:
    graph, config = talking().compile(checkpointer=saver), thread()
    graph.invoke({"messages": [HumanMessage("hello")], "unchanged": "kept"}, config)
    before = next(state for state in graph.get_state_history(config) if state.next == ("second",))
    forked = graph.update_state(before.config, {"seen": ["edited"]})
    assert graph.invoke(None, forked)["seen"] == ["first", "edited", "second"]
    copied = graph.update_state(before.config, None, as_node="__copy__")
    state = graph.get_state(copied)
    assert (state.values["seen"], state.values["unchanged"], state.next) == (["first"], "kept", ("second",))


def joined(state: list[str], writes: Any) -> list[str]:
    return state + [one for part in writes for one in part]


@pytest.mark.parametrize("every", [3, 100])
def test_a_delta_channel_survives_pruning(saver: FairleadSaver, every: int) -> None:
    """A snapshot `every` so many updates: with 3 there are some in the chain."""

    log: Any = TypedDict("Log", {"log": Annotated[list[str], DeltaChannel(joined, snapshot_frequency=every)]})
    builder = StateGraph(log)
    builder.add_node("say", lambda state: {"log": ["said"]})
    builder.add_edge(START, "say")
    graph, config = builder.compile(checkpointer=saver), thread()
    for number in range(5):
        graph.invoke({"log": [str(number)]}, config)
    expected = [one for number in range(5) for one in (str(number), "said")]
    name = config["configurable"]["thread_id"]
    assert graph.get_state(config).values["log"] == expected
    for state in graph.get_state_history(config):
        asked: Any = {"config": state.config, "channels": ["log", "nothing"]}
        by_the_base = BaseCheckpointSaver.get_delta_channel_history(saver, **asked)
        assert saver.get_delta_channel_history(**asked) == by_the_base
        assert asyncio.run(saver.aget_delta_channel_history(**asked)) == by_the_base
    saver.prune([name])
    assert len(list(saver.list(config))) > 1
    assert graph.get_state(config).values["log"] == expected
    saver.copy_thread(name, f"{name}-copy")
    assert graph.get_state(thread(f"{name}-copy")).values["log"] == expected
    assert graph.invoke({"log": ["more"]}, config)["log"] == [*expected, "more", "said"]


def test_interrupts_of_parallel_nodes_and_subgraphs_resume(saver: FairleadSaver) -> None:
    inner = StateGraph(Talk)
    inner.add_node("ask", lambda state: {"seen": [interrupt("inner")]})
    inner.add_edge(START, "ask")
    outer = StateGraph(Talk)
    outer.add_node("inside", inner.compile())
    outer.add_node("beside", lambda state: {"seen": [interrupt("beside")]})
    outer.add_edge(START, "inside")
    outer.add_edge(START, "beside")
    config = thread()
    outer.compile(checkpointer=saver).invoke({"seen": ["begun"]}, config)
    waiting = outer.compile(checkpointer=saver).get_state(config).interrupts
    answers = {one.id: f"to {one.value}" for one in waiting}
    ended = outer.compile(checkpointer=saver).invoke(Command(resume=answers), config)
    assert sorted(ended["seen"]) == ["begun", "begun", "to beside", "to inner"]


def test_large_values_are_kept_and_too_large_ones_refused(saver: FairleadSaver) -> None:
    graph, config = talking().compile(checkpointer=saver), thread()
    large = "x" * (9 << 20)
    graph.invoke({"unchanged": large, "messages": [HumanMessage("hello")]}, config)
    assert graph.get_state(config).values["unchanged"] == large
    with pytest.raises(PayloadTooLarge) as refused:
        graph.invoke({"unchanged": "x" * (17 << 20)}, config)
    assert refused.value.metadata["bound"] == "limits.checkpointBytes"
    assert graph.get_state(config).values["unchanged"] == large


def test_threads_of_a_process_share_a_saver(saver: FairleadSaver) -> None:
    graph = talking().compile(checkpointer=saver)
    configs = [thread() for _ in range(16)]
    workers = [threading.Thread(target=graph.invoke, args=({"seen": []}, config)) for config in configs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(graph.get_state(config).values["seen"] == ["first", "second"] for config in configs)


# What the suite does not ask -----------------------------------------------------------------------------------------


def test_the_sync_methods_do_what_the_async_ones_do(saver: FairleadSaver) -> None:
    graph, config = talking().compile(checkpointer=saver), thread()
    name = config["configurable"]["thread_id"]
    tagged = {**config, "metadata": {"run_id": f"run-{name}", "tag": True, "score": 2.0, "huge": "x" * 5000}}
    graph.invoke({"seen": []}, tagged)
    everything = list(saver.list(config))
    assert [one.metadata["step"] for one in everything] == [2, 1, 0, -1]
    assert len(list(saver.list(None, filter={"run_id": f"run-{name}"}))) == 4
    for wanted, found in (
        ({"step": 1}, 1),
        ({"step": 1.0, "tag": 1}, 1),
        ({"score": 2, "source": "loop"}, 3),
        ({"huge": "x" * 5000}, 4),
        ({"huge": "x" * 4999}, 0),
        ({"nothing": None}, 4),
        ({"parents": {}}, 4),
        ({"tag": object()}, 0),
    ):
        assert len(list(saver.list(config, filter=wanted))) == found, wanted
    assert len(list(saver.list(config, limit=0))) == 0
    assert [one.metadata["step"] for one in saver.list(config, before=everything[1].config, limit=1)] == [0]
    assert [one.metadata["step"] for one in saver.list(everything[2].config)] == [0]
    saver.copy_thread(name, f"{name}-copy")
    with pytest.raises(InvalidState, match="is there already"):
        saver.copy_thread(name, f"{name}-copy") or graph.invoke({"seen": []}, config)
        saver.copy_thread(name, f"{name}-copy")
    with pytest.raises(NotFound):
        saver.copy_thread("nobody", "copy")
    saver.delete_for_runs([f"run-{name}"])
    assert list(saver.list(thread(f"{name}-copy"))) == []
    saver.prune([name], strategy="delete")
    assert saver.get_tuple(config) is None
    with pytest.raises(ValueError, match="keep_latest, delete"):
        saver.prune([name], strategy="some")
    with pytest.raises(ValueError, match="names no thread"):
        saver.get_tuple({"configurable": {}})
    saver.delete_thread(name)


def test_a_saver_serves_one_event_loop_after_the_other(keeper: Keeper) -> None:
    saver = FairleadSaver(keeper.target, token=TOKEN)
    graph, config = talking().compile(checkpointer=saver), thread()
    for _ in range(3):
        asyncio.run(graph.ainvoke({"seen": []}, config))
    assert len(graph.get_state(config).values["seen"]) == 6
    asyncio.run(saver.aclose())
