"""How control services reach the native core: one command in, its result or the refusal out."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from fairlead.control.errors import Refusal
from fairlead.control.store_service import Reader, known
from fairlead.internal.v1 import command_pb2

# A command asks once, or twice when the answer leads to another question.
MOST_QUESTIONS = 4

_Result = TypeVar("_Result")


class Core(Protocol):
    """What control services need of the native core."""

    def apply(self, command: bytes) -> bytes:
        """Applies a command; blocks until its unit is committed."""
        ...

    def snapshot(self, query: bytes | None = None) -> bytes:
        """`internal.SnapshotQuery` → `internal.Snapshot`."""
        ...


async def apply(core: Core, command: command_pb2.Command) -> command_pb2.CommandResult:
    """Applies a command without blocking the event loop; raises `Refusal` when the core rejects it."""
    return await asyncio.to_thread(apply_here, core, command)


def apply_here(core: Core, command: command_pb2.Command) -> command_pb2.CommandResult:
    """The same for a thread that may block."""
    result = command_pb2.CommandResult.FromString(core.apply(command.SerializeToString()))
    if result.WhichOneof("result") == "rejection":
        raise Refusal.from_rejection(result.rejection)
    return result


class AskingCore(Core, Protocol):
    """A core that may ask for records of the store before it decides."""

    def apply(self, command: bytes, now_unix_nanos: int | None = None, known: bytes | None = None) -> bytes:
        """As `Core.apply`; `known` is what the store has for the question that the last answer asked."""
        ...


async def apply_asking(core: AskingCore, reader: Reader, command: command_pb2.Command) -> command_pb2.CommandResult:
    """As `apply`, for commands that depend on what is stored, such as on what their request id was answered with.

    Between the question and the answer nothing else may be applied that would change it: one at a time.
    """
    result = await apply(core, command)
    for _ in range(MOST_QUESTIONS):
        if result.WhichOneof("result") != "needs_record":
            return result
        found = await asyncio.to_thread(known, reader, result.needs_record)
        told = await asyncio.to_thread(core.apply, command.SerializeToString(), None, found.SerializeToString())
        result = command_pb2.CommandResult.FromString(told)
        if result.WhichOneof("result") == "rejection":
            raise Refusal.from_rejection(result.rejection)
    raise RuntimeError(f"the core asked {MOST_QUESTIONS} times and did not decide")


async def to_the_end(change: Coroutine[Any, Any, _Result]) -> _Result:
    """Runs a change to its end even when its caller goes away in the middle.

    A cancelled caller would otherwise give up the lock that keeps a retry with the same request id waiting, while the
    command is still on its way to the store.
    """
    return await asyncio.shield(asyncio.ensure_future(change))
