"""Runs in a store in memory, their audit records, and a core that starts and ends them as the real one does."""

from __future__ import annotations

import hashlib
from threading import Event, Lock
from typing import Any

from fairlead.control.requests import ControlRequest
from fairlead.internal.v1 import command_pb2, state_pb2, workflow_pb2
from fairlead.store import CommitFeed, Family, keys
from fairlead.v1 import audit_record_pb2, run_pb2, workflow_service_pb2
from fairlead.workflow.model import ENDED, run_of
from tests.unit.audit.fakes import FakeCore, FakeStore
from tests.unit.audit.records import T0, chain, record, started

VERSION = "77" * 32
MINUTE = 60_000_000_000
HOUR = 60 * MINUTE


def id_of(number: int) -> str:
    """An id that sorts by time: run `number` begins `number` minutes after T0."""
    millis = (T0 + number * MINUTE) // 1_000_000
    return f"run_{millis:012x}7{number:019x}"


def name_of(number: int) -> str:
    return f"runs/{id_of(number)}"


def raw(run: str) -> bytes:
    found = keys.run_id_bytes(run.removeprefix("runs/"))
    assert found is not None
    return found


def definition(**fields: Any) -> workflow_pb2.WorkflowDefinition:
    """parse → score (each document) → review → offer, which mails; `sub` is a child run."""
    effect = run_pb2.StepEffect.Value
    agent = workflow_pb2.AgentTask
    task = workflow_pb2.StepTask
    steps = [
        workflow_pb2.StepDefinition(
            id="parse", task=task(agent=agent(queue="doc-parser"), effect=effect("STEP_EFFECT_READ"))
        ),
        workflow_pb2.StepDefinition(
            id="score",
            needs=["parse"],
            task=task(agent=agent(queue="scorer"), effect=effect("STEP_EFFECT_PURE")),
            for_each=workflow_pb2.ForEach(items='"${input.documents}"'),
        ),
        workflow_pb2.StepDefinition(
            id="review", needs=["score"], task=task(approval=workflow_pb2.ApprovalTask(tier="high"))
        ),
        workflow_pb2.StepDefinition(
            id="paid", needs=["review"], task=task(wait=workflow_pb2.WaitTask(signal="payment"))
        ),
        workflow_pb2.StepDefinition(
            id="offer",
            needs=["paid"],
            task=task(agent=agent(queue="mailer")),
            compensate="retract-offer",
        ),
        workflow_pb2.StepDefinition(id="sub", task=task(workflow=workflow_pb2.ChildTask(workflow="other"))),
    ]
    made = workflow_pb2.WorkflowDefinition(
        name="loan-approval", version=VERSION, steps=steps, canonical='{"name":"loan-approval"}'
    )
    made.MergeFrom(workflow_pb2.WorkflowDefinition(**fields))
    return made


def payload(json: bytes, stored_in: str = "") -> workflow_pb2.PayloadRecord:
    """Inline, or under its digest in the run that is named."""
    digest = hashlib.sha256(json).digest()
    return workflow_pb2.PayloadRecord(
        json=b"" if stored_in else json, digest=digest, size_bytes=len(json), run=stored_in
    )


def run_record(number: int, tenant: str = "acme", **fields: Any) -> workflow_pb2.RunRecord:
    created = T0 + number * MINUTE
    given: dict[str, Any] = {
        "run": id_of(number),
        "tenant": tenant,
        "agent": "support-bot",
        "workflow": "loan-approval",
        "workflow_version": VERSION,
        "state": run_pb2.RUN_STATE_RUNNING,
        "root": id_of(number),
        "create_time_unix_nanos": created,
        "steps_total": 6,
        "revision": 1,
        "input": payload(b'{"documents":[1,2]}'),
    }
    given.update(fields)
    made = workflow_pb2.RunRecord(**given)
    if made.state in ENDED and not made.end_time_unix_nanos:
        made.end_time_unix_nanos = created + MINUTE
    return made


def step_record(step: int, item: int = 0, state: str = "SUCCEEDED", **fields: Any) -> workflow_pb2.StepRecord:
    value = run_pb2.StepState.Value(f"STEP_STATE_{state}")
    return workflow_pb2.StepRecord(step=step, item=item, state=value, **fields)


class RunCore(FakeCore):
    """Starts runs, steers and ends them in one unit each, with the records that a watcher sees. `now` is the clock."""

    def __init__(self, *runs: workflow_pb2.RunRecord) -> None:
        super().__init__(FakeStore())
        self.now = T0 + 24 * HOUR
        self.feed: CommitFeed | None = None
        self.log = [started(1)]
        self.next_number = 100
        self.questions = 0
        self._answered: set[bytes] = set()
        # A command is decided before it is committed: `commit` lets those go that have been decided.
        self.decided, self.commit = Event(), Event()
        self.commit.set()
        self._committing = Lock()
        self.store.append(chain(self.log))
        self.put_definition(definition())
        for one in runs:
            self.put(one)

    def put_definition(self, made: workflow_pb2.WorkflowDefinition) -> None:
        self.store.put(Family.RUNS, keys.definition(made.version), made.SerializeToString())

    def put(self, run: workflow_pb2.RunRecord, *steps: workflow_pb2.StepRecord) -> None:
        tenant, run_id = run.tenant, raw(run.run)
        self.store.put(Family.RUNS, keys.run(tenant, run_id), run.SerializeToString())
        self.store.put(Family.RUNS, keys.open_run(tenant, run_id), None if run.state in ENDED else b"")
        for step in steps:
            key = keys.step(tenant, run_id, step.step, step.item)
            self.store.put(Family.RUNS, key, step.SerializeToString())

    def put_payload(self, tenant: str, run: str, json: bytes) -> None:
        key = keys.run_payload(tenant, raw(run), hashlib.sha256(json).digest())
        self.store.put(Family.RUNS, key, json)

    def say(self, run: workflow_pb2.RunRecord, *kinds: str, **fields: Any) -> None:
        """Commits one unit with records about the run."""
        for kind in kinds:
            body: dict[str, Any] = {}
            if kind.startswith("RUN_"):
                event = audit_record_pb2.RunEvent(run=run.run, workflow=run.workflow, state=run.state, **fields)
                body["run"] = event
            else:
                body["step"] = audit_record_pb2.StepEvent(run=run.run, **{"step": "parse", **fields})
            self.append(record(len(self.log) + 1, kind, tenant=run.tenant, agent=run.agent, **body), run)
        self.publish()

    def append(
        self, made: audit_record_pb2.AuditRecord, run: workflow_pb2.RunRecord | None = None
    ) -> audit_record_pb2.AuditRecord:
        """One record, in the index of a run or not; nobody is told yet."""
        self.log.append(made)
        self.store.append(chain(self.log)[-1:])
        if run is not None:
            self.store.put(Family.RUNS, keys.run_event(run.tenant, raw(run.run), made.sequence), b"")
        return made

    def publish(self) -> None:
        if self.feed is not None:
            self.feed.publish(len(self.log))

    def stored(self, tenant: str, run: str) -> workflow_pb2.RunRecord | None:
        value = self.store.get(Family.RUNS, keys.run(tenant, raw(run)))
        return None if value is None else workflow_pb2.RunRecord.FromString(value)

    # Commands ---------------------------------------------------------------------------------------------------------

    def apply(self, command: bytes, now_unix_nanos: int | None = None, known: bytes | None = None) -> bytes:
        decoded = command_pb2.Command.FromString(command)
        kind = decoded.WhichOneof("kind") or ""
        if self.reject is not None or kind in ("control_write", "adjust_budget"):
            return super().apply(command)
        found = command_pb2.Known.FromString(known) if known is not None else None
        if kind == "start_run":
            return self._once(decoded, found).SerializeToString()
        self.applied.append(decoded)
        if kind == "rerun_run":
            return self._rerun(decoded).SerializeToString()
        return self._steer(decoded, kind).SerializeToString()

    def _once(self, command: command_pb2.Command, known: command_pb2.Known | None) -> command_pb2.CommandResult:
        request, who = command.start_run, command.caller
        identity = ControlRequest.of(request, method="StartRun", caller=who.agent or who.operator, tenant=who.tenant)
        key = identity.key(self.now)
        if key in self._answered:
            if known is None:
                self.questions += 1
                return command_pb2.CommandResult(needs_record=command_pb2.NeedsRecord(request_keys=[key]))
            assert known.request_found
            if known.request.digest != identity.digest:
                return rejection("INVALID_ARGUMENT", "the id was used for another request", "request_id")
            return command_pb2.CommandResult(run=run_pb2.Run.FromString(known.request.answer))
        if request.workflow != "loan-approval":
            return rejection("NOT_FOUND", f"there is no workflow `{request.workflow}`")
        self.applied.append(command)
        self._answered.add(key)
        self.decided.set()
        assert self.commit.wait(10)
        with self._committing:
            answer = self._new(
                run_record(self.next_number, who.tenant or request.tenant, agent=who.agent, operator=who.operator)
            )
            self._remember(key, identity.digest, answer.SerializeToString())
        return command_pb2.CommandResult(run=answer)

    def _rerun(self, command: command_pb2.Command) -> command_pb2.CommandResult:
        rerun, who = command.rerun_run, command.caller
        made = run_record(self.next_number, rerun.run.tenant, agent=who.agent, operator=who.operator)
        made.rerun_of = rerun.run.run
        made.cost_avoided.nano_usd = sum(step.spent.nano_usd for step in rerun.steps)
        answer = workflow_service_pb2.RerunRunResponse(run=self._new(made))
        answer.cost_avoided.CopyFrom(made.cost_avoided)
        self._remember(rerun.request_key, rerun.request_digest, answer.SerializeToString())
        return command_pb2.CommandResult(run=answer.run)

    def _new(self, made: workflow_pb2.RunRecord) -> run_pb2.Run:
        self.next_number += 1
        self.put(made)
        self.say(made, "RUN_STARTED")
        return run_of(made)

    def _remember(self, key: bytes, digest: bytes, answer: bytes) -> None:
        record = state_pb2.RequestRecord(digest=digest, answer=answer)
        self.store.put(Family.REQUESTS, key, record.SerializeToString())

    def _steer(self, command: command_pb2.Command, kind: str) -> command_pb2.CommandResult:
        request = getattr(command, kind)
        found = self._open(request.name, command.caller.tenant)
        if found is None:
            return rejection("NOT_FOUND", "there is no open run of this name")
        state, said = {
            "cancel_run": (run_pb2.RUN_STATE_CANCELLED, ("RUN_CANCELLING", "RUN_ENDED")),
            "pause_run": (run_pb2.RUN_STATE_PAUSED, ("RUN_PAUSED",)),
            "resume_run": (run_pb2.RUN_STATE_RUNNING, ("RUN_RESUMED",)),
            "signal_run": (found.state, ("RUN_SIGNALLED",)),
        }[kind]
        found.state = state
        if state in ENDED:
            found.end_time_unix_nanos = self.now
        self.put(found)
        self.say(found, *said)
        return command_pb2.CommandResult(run=run_pb2.Run(name=request.name, tenant=found.tenant, state=state))

    def _open(self, name: str, tenant: str) -> workflow_pb2.RunRecord | None:
        run_id = raw(name)
        for key in list(self.store.families[Family.RUNS]):
            if key.startswith(keys.OPEN_RUN) and key.endswith(run_id) and tenant in ("", keys.tenant_of_run(key)):
                return self.stored(keys.tenant_of_run(key), name)
        return None


def rejection(reason: str, message: str, *fields: str) -> command_pb2.CommandResult:
    made = command_pb2.Rejection(reason=reason, message=message)
    for field in fields:
        made.violations.add(field=field, description=message)
    return command_pb2.CommandResult(rejection=made)
