"""A thousand clients that connect at once, and clients that never read what they asked for."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from fairlead.v1 import gate_service_pb2, gate_service_pb2_grpc, run_pb2, workflow_service_pb2

from .harness import MODELS, TIMEOUT_SECONDS, Daemon, bearer
from .people import CONFIG, ENVIRONMENT
from .runs import SHORT, Agent

CLIENTS = 1000
WIDE = """\
name: wide
steps:
  - id: each
    forEach: {in: "${input.parts}", maxParallel: 100}
    agent: parser
    effect: pure
    input: {part: "${item}"}
"""
WINDOW_BYTES = 65535
# Nothing is taken beyond what HTTP/2 starts with, so that whoever does not read stands still soon.
NARROW = (
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", WINDOW_BYTES),
    ("grpc.use_local_subchannel_pool", 1),
)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    for name, text in (("short", SHORT), ("wide", WIDE)):
        (tmp_path / f"{name}.yaml").write_text(text)
    config = CONFIG + MODELS + "workflows: [{file: short.yaml}, {file: wide.yaml}]\n"
    with Daemon(tmp_path, config, environment=ENVIRONMENT) as found:
        yield found


def admission(request_id: str) -> gate_service_pb2.AdmitRequest:
    return gate_service_pb2.AdmitRequest(request_id=request_id, model="small", input_tokens=100, max_output_tokens=50)


async def all_at_once(target: str) -> list[str]:
    """Each client on a connection of its own; what each was admitted as."""

    async def one(number: int) -> str:
        async with grpc.aio.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            gate: Any = gate_service_pb2_grpc.GateServiceStub(channel)
            answer = await gate.Admit(admission(f"many-{number}"), metadata=bearer(), timeout=90)
            # It stays until all the others are there.
            arrived.append(number)
            if len(arrived) == CLIENTS:
                everybody.set()
            await everybody.wait()
            return str(answer.invocation)

    arrived: list[int] = []
    everybody = asyncio.Event()
    async with asyncio.timeout(100):
        return list(await asyncio.gather(*(one(number) for number in range(CLIENTS))))


def test_a_thousand_clients_at_once_are_all_answered(daemon: Daemon) -> None:
    with ExitStack() as silent:
        host, port = daemon.endpoints()["agent"].split(":")
        # Some connect and say nothing; they are in nobody's way.
        for _ in range(100):
            silent.enter_context(socket.create_connection((host, int(port)), TIMEOUT_SECONDS))
        invocations = asyncio.run(all_at_once(daemon.endpoints()["agent"]))
    assert len(set(invocations)) == CLIENTS
    gate: Any = gate_service_pb2_grpc.GateServiceStub(daemon.agent())
    again = gate.Admit(admission("many-0"), metadata=bearer(), timeout=TIMEOUT_SECONDS)
    assert again.invocation == invocations[0]


def test_clients_that_never_read_their_streams_hold_nobody_back(daemon: Daemon) -> None:
    agent = Agent(daemon)
    run = agent.start("wide", "wide-1", parts=list(range(400)))
    with ExitStack() as stack:
        # More than fit into the windows of the connection between the front and the control services together.
        idle = []
        for _ in range(16):
            channel = stack.enter_context(grpc.insecure_channel(daemon.endpoints()["agent"], options=NARROW))
            watch = channel.unary_stream(
                "/fairlead.v1.WorkflowService/WatchRun",
                request_serializer=workflow_service_pb2.WatchRunRequest.SerializeToString,
                response_deserializer=workflow_service_pb2.WatchRunResponse.FromString,
            )
            request = workflow_service_pb2.WatchRunRequest(name=run)
            idle.append(watch(request, metadata=bearer(), timeout=100))
        # One that reads sees all of it, while the steps are done by a worker that is not held back either.
        stream = agent.watch(run)
        next(stream)
        done = 0
        while done < 400:
            for lease in agent.lease("parser", most=100):
                agent.complete(lease, {"part": json.loads(lease.input)["part"]})
                done += 1
        messages = list(stream)
        assert messages[-1].run.state == run_pb2.RUN_STATE_SUCCEEDED
        assert sum(message.ByteSize() for message in messages) > 2 * WINDOW_BYTES, "the idle ones never stood still"
        # Whoever begins to read after all has missed nothing.
        late = list(idle[0])
        assert [one.sequence for one in late][1:] == [one.sequence for one in messages]
