"""Use cases of those who start and steer runs. The core decides what a command changes.

Agents reach it for most of them without coming by here, operators always come by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fairlead.control.commands import AskingCore, apply, apply_asking, to_the_end
from fairlead.control.errors import Refusal, invalid_argument
from fairlead.control.identity import Identity
from fairlead.control.requests import ControlRequest
from fairlead.control.store_service import Reader
from fairlead.control.turns import Turns
from fairlead.internal.v1 import command_pb2, workflow_pb2
from fairlead.store import keys
from fairlead.v1 import run_pb2
from fairlead.v1 import workflow_service_pb2 as pb
from fairlead.workflow.model import InvalidName, has_ended, run_id, run_of, state_name
from fairlead.workflow.refusals import faults_refused
from fairlead.workflow.service import RunService, visible_tenant
from fairlead.workflow.store import Runs

# What a rerun may copy: the core gets all of it in one command.
MAX_COPIED_BYTES = 64 << 20
# Code of the failure of a run that somebody cancelled, as the core has it.
_CANCELLED = "CANCELLED"
# As it is in the core's own terms for what is not one of the open runs.
_NOT_FOUND = "NOT_FOUND"


class _Ended(Refusal):
    """The run is over, and cannot be steered any more."""

    def __init__(self, name: str, record: workflow_pb2.RunRecord) -> None:
        state = state_name(record.state)
        super().__init__("INVALID_STATE", f"{name} has ended: it is {state}", {"state": state.upper()})
        self.record = record


class RunSteering:
    """Starts, cancels, pauses, resumes, signals and repeats runs. Belongs to one event loop."""

    def __init__(
        self, core: AskingCore, reader: Reader, runs: Runs, reading: RunService, clock: Callable[[], int]
    ) -> None:
        """`clock` gives Unix nanoseconds."""
        self._core = core
        self._clock = clock
        self._reader = reader
        self._runs = runs
        self._reading = reading
        # A request id answers once: what the store has of it is true only while no other command with it is on its way.
        self._reruns = asyncio.Lock()
        self._turns = Turns()

    async def start(self, request: pb.StartRunRequest, caller: Identity) -> pb.StartRunResponse:
        """Starts a run; an operator says for which tenant."""
        own = visible_tenant(caller)
        asked = pb.StartRunRequest()
        asked.CopyFrom(request)
        if own:
            if request.tenant not in ("", own):
                raise invalid_argument(("tenant", "is for operators: an agent starts runs of its own tenant"))
            asked.ClearField("tenant")
        elif not request.tenant:
            raise invalid_argument(("tenant", "is required of operators: the tenant to start the run for"))
        command = command_pb2.Command(caller=_caller(caller), start_run=asked)
        return pb.StartRunResponse(run=await to_the_end(self._start(command, caller, request.request_id)))

    async def cancel(self, request: pb.CancelRunRequest, caller: Identity) -> pb.CancelRunResponse:
        """Stops new work at once, then compensates what was done."""
        command = command_pb2.Command(caller=_caller(caller), cancel_run=request)
        try:
            return pb.CancelRunResponse(run=await self._steer(command, request.name, caller))
        except _Ended as ended:
            # Said again: it is so already. Whoever lost the answer to the first call gets what became of it.
            if ended.record.failure.code == _CANCELLED:
                return pb.CancelRunResponse(run=await self._readable(run_of(ended.record)))
            raise

    async def pause(self, request: pb.PauseRunRequest, caller: Identity) -> pb.PauseRunResponse:
        """Nothing new begins."""
        command = command_pb2.Command(caller=_caller(caller), pause_run=request)
        return pb.PauseRunResponse(run=await self._steer(command, request.name, caller))

    async def resume(self, request: pb.ResumeRunRequest, caller: Identity) -> pb.ResumeRunResponse:
        """Goes on after a pause."""
        command = command_pb2.Command(caller=_caller(caller), resume_run=request)
        return pb.ResumeRunResponse(run=await self._steer(command, request.name, caller))

    async def signal(self, request: pb.SignalRunRequest, caller: Identity) -> pb.SignalRunResponse:
        """Sends a signal."""
        command = command_pb2.Command(caller=_caller(caller), signal_run=request)
        return pb.SignalRunResponse(run=await self._steer(command, request.name, caller))

    async def rerun(self, request: pb.RerunRunRequest, caller: Identity) -> pb.RerunRunResponse:
        """Makes a new run of one that has ended, with the results that it has."""
        tenant = visible_tenant(caller)
        identity = ControlRequest.of(request, method="RerunRun", caller=caller.operator or caller.agent, tenant=tenant)
        return await to_the_end(self._rerun(request, caller, identity))

    async def _rerun(
        self, request: pb.RerunRunRequest, caller: Identity, identity: ControlRequest
    ) -> pb.RerunRunResponse:
        async with self._reruns:
            now = self._clock()
            with faults_refused():
                answer = await asyncio.to_thread(identity.first_answer, self._reader, pb.RerunRunResponse, now)
            if answer is not None:
                return answer
            record = await self._reading.find(request.name, caller)
            if not has_ended(record):
                state = state_name(record.state)
                raise Refusal(
                    "INVALID_STATE",
                    f"{request.name} is {state}: only a run that has ended can be repeated; cancel it first",
                    {"state": state.upper()},
                )
            with faults_refused():
                rerun = await asyncio.to_thread(self._gathered, request, record)
            rerun.request_key, rerun.request_digest = identity.key(now), identity.digest
            command = command_pb2.Command(caller=_caller(caller), rerun_run=rerun)
            run = (await apply(self._core, command)).run
            response = pb.RerunRunResponse(run=run)
            # Nothing that was avoided is nothing said, as in the answer that is kept.
            if run.HasField("cost_avoided"):
                response.cost_avoided.CopyFrom(run.cost_avoided)
            return response

    async def _start(self, command: command_pb2.Command, caller: Identity, request_id: str) -> run_pb2.Run:
        """Applies it when no other one with its request id is on its way. Different ones have nothing to wait for: they
        come by the thousand, and share the commits that make them durable."""
        async with self._turns.of("start", caller.tenant, caller.agent, caller.operator, request_id):
            return await self._asking(command)

    async def _once(self, command: command_pb2.Command, name: str) -> run_pb2.Run:
        """Applies a command about a run, one after the other for each of them."""
        async with self._turns.of("run", name):
            return await self._asking(command)

    async def _asking(self, command: command_pb2.Command) -> run_pb2.Run:
        with faults_refused():
            return await self._readable((await apply_asking(self._core, self._reader, command)).run)

    async def _readable(self, run: run_pb2.Run) -> run_pb2.Run:
        """A run as the core gives it, which only commits to why it failed."""
        await asyncio.to_thread(self._runs.texts.fill_in, run)
        return run

    async def _steer(self, command: command_pb2.Command, name: str, caller: Identity) -> run_pb2.Run:
        """Applies a command about an open run."""
        visible_tenant(caller)
        try:
            run_id(name)
        except InvalidName as error:
            raise invalid_argument(("name", str(error))) from error
        try:
            return await to_the_end(self._once(command, name))
        except Refusal as refusal:
            if refusal.reason == _NOT_FOUND:
                await self._say_how_it_ended(name, caller)
            raise

    async def _say_how_it_ended(self, name: str, caller: Identity) -> None:
        """The core knows the open runs only; of the others the store knows how they ended."""
        record = await self._reading.find(name, caller)
        if has_ended(record):
            raise _Ended(name, record)

    def _gathered(self, request: pb.RerunRunRequest, record: workflow_pb2.RunRecord) -> command_pb2.RerunRun:
        """Everything the core needs of the ended run, payloads inline."""
        copying = _Copying(self._runs, record.tenant)
        rerun = command_pb2.RerunRun(
            request=request, run=record, definition=self._runs.definition(record.workflow_version)
        )
        copying.inline(rerun.run.input, rerun.run.output)
        for step in self._runs.steps(record.tenant, keys.run_id_bytes(record.run) or b""):
            if step.item:
                # Their results are in that of their forEach.
                step.ClearField("input")
                step.ClearField("output")
            copying.inline(step.input, step.output)
            rerun.steps.append(step)
        return rerun


class _Copying:
    """Puts payloads that are stored under their digest into the records themselves, as long as there is room."""

    def __init__(self, runs: Runs, tenant: str) -> None:
        self._runs = runs
        self._tenant = tenant
        self._room = MAX_COPIED_BYTES

    def inline(self, *payloads: workflow_pb2.PayloadRecord) -> None:
        for payload in payloads:
            self._room -= max(len(payload.json), payload.size_bytes)
            if self._room < 0:
                raise Refusal(
                    "PAYLOAD_TOO_LARGE",
                    f"the run has more than {MAX_COPIED_BYTES >> 20} MiB of inputs and results, too much to copy: "
                    "start a new run instead",
                    {"limit": str(MAX_COPIED_BYTES)},
                )
            if payload.run:
                payload.json = self._runs.payload(self._tenant, payload)
                payload.run = ""


def _caller(caller: Identity) -> command_pb2.Caller:
    return command_pb2.Caller(tenant=caller.tenant, agent=caller.agent, operator=caller.operator)
