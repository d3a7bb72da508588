"""Use cases of those who look for a workflow: the definitions in force, and how many of their runs are open."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from fairlead.config import Config
from fairlead.config.engine import to_engine
from fairlead.control.errors import invalid_argument
from fairlead.control.identity import Identity
from fairlead.internal.v1 import workflow_pb2
from fairlead.v1 import workflow_service_pb2 as pb
from fairlead.workflow.model import WORKFLOWS
from fairlead.workflow.refusals import faults_refused, not_found
from fairlead.workflow.service import visible_tenant
from fairlead.workflow.store import Runs

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
# Counting reads every open run: whoever asks at the same time gets the same numbers.
COUNTS_KEPT_NANOS = 1_000_000_000
_TOKEN_PREFIX = b"w"

Definitions = Callable[[], Iterable[workflow_pb2.WorkflowDefinition]]


class Running(Protocol):
    """A configuration in force."""

    @property
    def config(self) -> Config:
        """The configuration."""
        ...

    @property
    def version(self) -> str:
        """Its version."""
        ...


class InForce:
    """The definitions of whatever configuration is in force, made once for each version."""

    def __init__(self, running: Callable[[], Running]) -> None:
        self._running = running
        self._version = ""
        self._definitions: Sequence[workflow_pb2.WorkflowDefinition] = ()

    def __call__(self) -> Sequence[workflow_pb2.WorkflowDefinition]:
        """The definitions."""
        running = self._running()
        if running.version != self._version:
            self._definitions = to_engine(running.config, running.version).workflows
            self._version = running.version
        return self._definitions


class WorkflowCatalogue:
    """The workflows that can be started now. Belongs to one event loop."""

    def __init__(self, definitions: Definitions, runs: Runs, clock: Callable[[], int]) -> None:
        """`definitions` gives those of the configuration in force; `clock` gives Unix nanoseconds."""
        self._definitions = definitions
        self._runs = runs
        self._clock = clock
        self._counting = asyncio.Lock()
        self._counted: Mapping[tuple[str, str], int] = {}
        self._counted_at: int | None = None

    async def page(self, request: pb.ListWorkflowsRequest, caller: Identity) -> pb.ListWorkflowsResponse:
        """One page of workflows by name, without definitions."""
        if request.page_size < 0:
            raise invalid_argument(("page_size", "must not be negative"))
        tenant = visible_tenant(caller)
        after = _read_token(request.page_token) if request.page_token else ""
        size = min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        found = sorted((one for one in self._visible(tenant) if one.name > after), key=lambda one: one.name)
        counts = await self._open_runs()
        response = pb.ListWorkflowsResponse(workflows=[_shown(one, tenant, counts) for one in found[:size]])
        if len(found) > size:
            response.next_page_token = _token(found[size - 1].name)
        return response

    async def get(self, request: pb.GetWorkflowRequest, caller: Identity) -> pb.GetWorkflowResponse:
        """One workflow with its definition."""
        tenant = visible_tenant(caller)
        if not request.name.startswith(WORKFLOWS) or request.name == WORKFLOWS:
            raise invalid_argument(("name", "must be workflows/{name}"))
        name = request.name.removeprefix(WORKFLOWS)
        found = next((one for one in self._visible(tenant) if one.name == name), None)
        if found is None:
            raise not_found(request.name)
        workflow = _shown(found, tenant, await self._open_runs())
        workflow.definition = found.canonical
        return pb.GetWorkflowResponse(workflow=workflow)

    def _visible(self, tenant: str) -> Iterable[workflow_pb2.WorkflowDefinition]:
        """What a tenant may start, or (empty) all."""
        return (one for one in self._definitions() if not tenant or not one.tenants or tenant in one.tenants)

    async def _open_runs(self) -> Mapping[tuple[str, str], int]:
        """Open runs by tenant and workflow."""
        async with self._counting:
            now = self._clock()
            if self._counted_at is None or not 0 <= now - self._counted_at < COUNTS_KEPT_NANOS:
                with faults_refused():
                    self._counted = await asyncio.to_thread(self._count)
                self._counted_at = now
            return self._counted

    def _count(self) -> Counter[tuple[str, str]]:
        return Counter((found.record.tenant, found.record.workflow) for found in self._runs.newest("", open_only=True))


def _shown(
    definition: workflow_pb2.WorkflowDefinition, tenant: str, counts: Mapping[tuple[str, str], int]
) -> pb.Workflow:
    return pb.Workflow(
        name=WORKFLOWS + definition.name,
        version=definition.version,
        steps=len(definition.steps),
        open_runs=sum(
            count
            for (owner, workflow), count in counts.items()
            if workflow == definition.name and tenant in ("", owner)
        ),
    )


def _token(name: str) -> str:
    return base64.urlsafe_b64encode(_TOKEN_PREFIX + name.encode()).rstrip(b"=").decode("ascii")


def _read_token(token: str) -> str:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        name = raw.removeprefix(_TOKEN_PREFIX).decode()
    except (ValueError, binascii.Error) as error:
        raise invalid_argument(("page_token", "not a page token of a list of workflows")) from error
    # One token, one spelling: the decoder above ignores characters it does not know.
    if _token(name) != token:
        raise invalid_argument(("page_token", "not a page token of a list of workflows"))
    return name
