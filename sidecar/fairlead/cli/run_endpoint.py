"""Where the run commands go: to the operator socket, or like an agent to the agent endpoint."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from fairlead.cli import agent, operator
from fairlead.v1 import workflow_service_pb2_grpc

# A run's input or a step's input and output, and what is around them.
MESSAGE_MAX_BYTES = 40 << 20


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`WorkflowService`, with the credential that the command line names."""

    stub: Any
    metadata: tuple[tuple[str, str], ...] = ()

    def call(self, method: str, request: Any) -> Any:
        """One call; raises `grpc.RpcError`."""
        return getattr(self.stub, method)(request, metadata=self.metadata, timeout=operator.DEFAULT_TIMEOUT_SECONDS)

    def stream(self, method: str, request: Any, *, wait_for_ready: bool = False) -> Any:
        """A stream without a deadline; raises `grpc.RpcError` while it is read."""
        return getattr(self.stub, method)(request, metadata=self.metadata, wait_for_ready=wait_for_ready)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what says where to go and as whom."""
    operator.add_arguments(parser)
    as_agent = parser.add_argument_group("as an agent instead of an operator")
    as_agent.add_argument(
        "--as-agent", action="store_true", help=f"use the agent endpoint, with the token in ${agent.ENVIRONMENT}"
    )
    as_agent.add_argument(
        "--agent",
        metavar="HOST:PORT",
        help=f"agent endpoint (default: as DIR/endpoints.json says, else {agent.DEFAULT}); means --as-agent",
    )
    agent.add_credential(parser)


@contextmanager
def connected(arguments: argparse.Namespace) -> Iterator[Endpoint]:
    """The service; raises `operator.Unreachable`."""
    if not _as_agent(arguments):
        with operator.connected(arguments, MESSAGE_MAX_BYTES) as channel:
            yield Endpoint(workflow_service_pb2_grpc.WorkflowServiceStub(channel))
        return
    try:
        metadata = (("authorization", f"Bearer {agent.token_of(arguments)}"),)
    except agent.TokenUnusable as error:
        raise operator.Unreachable(str(error)) from error
    address = arguments.agent or agent.address_of(arguments.data)
    options = [("grpc.max_receive_message_length", MESSAGE_MAX_BYTES)]
    with grpc.insecure_channel(address, options=options) as channel:
        yield Endpoint(workflow_service_pb2_grpc.WorkflowServiceStub(channel), metadata)


def _as_agent(arguments: argparse.Namespace) -> bool:
    return bool(arguments.as_agent or arguments.agent or arguments.dev or arguments.agent_token_file)
