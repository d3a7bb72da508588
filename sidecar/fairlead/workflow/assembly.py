"""A whole run: its record and the records of its steps, put together with the definition that it keeps to."""

from __future__ import annotations

from collections.abc import Iterator

from fairlead.internal.v1 import workflow_pb2
from fairlead.store import keys
from fairlead.v1 import run_pb2 as pb
from fairlead.workflow.model import run_of, step_of
from fairlead.workflow.store import RunDamaged, Runs

# Payloads of one answer: those of a step whose input and output are both as large as they may be by default.
MAX_PAYLOAD_BYTES = 33 << 20


class PayloadsTooLarge(Exception):
    """The payloads that are asked for are more than one answer holds."""


class UnknownStep(Exception):
    """The run has no such step."""


def whole(runs: Runs, record: workflow_pb2.RunRecord, *, payloads: bool, step: str = "") -> pb.Run:
    """The run with its steps. With `payloads` also with inputs and outputs: of the step of that id alone, or (empty) of
    the run and all its steps.

    Raises `UnknownStep`, `PayloadsTooLarge`, `RunDamaged`.
    """
    run = run_of(record)
    reading = _Payloads(runs, record.tenant)
    if payloads and not step:
        run.input, run.output = reading.of(record, "input"), reading.of(record, "output")
    found = not step
    for definition, stored in _steps(runs, record):
        shown = step_of(definition, stored)
        found = found or shown.id == step
        if payloads and step in ("", shown.id):
            shown.input, shown.output = reading.of(stored, "input"), reading.of(stored, "output")
        run.steps.append(shown)
    if not found:
        raise UnknownStep(f"run {record.run} has no step {step}")
    runs.texts.fill_in(run)
    return run


def _steps(
    runs: Runs, record: workflow_pb2.RunRecord
) -> Iterator[tuple[workflow_pb2.StepDefinition, workflow_pb2.StepRecord]]:
    """Every step of the definition with its record and those of its items; one that was never touched is blocked."""
    definitions = runs.definition(record.workflow_version).steps
    run = keys.run_id_bytes(record.run)
    if run is None:
        raise RunDamaged(f"run {record.run} has no id")
    following = 0
    for stored in runs.steps(record.tenant, run):
        if stored.step >= len(definitions):
            raise RunDamaged(f"run {record.run} has a step {stored.step}, which its definition has not")
        # The items of a forEach are at the place of their step.
        for place in range(following, stored.step + (1 if stored.item else 0)):
            yield definitions[place], _untouched(place)
        following = stored.step + 1
        yield definitions[stored.step], stored
    for place in range(following, len(definitions)):
        yield definitions[place], _untouched(place)


def _untouched(place: int) -> workflow_pb2.StepRecord:
    return workflow_pb2.StepRecord(step=place, state=pb.STEP_STATE_BLOCKED)


class _Payloads:
    """Reads payloads as long as there is room for them."""

    def __init__(self, runs: Runs, tenant: str) -> None:
        self._runs = runs
        self._tenant = tenant
        self._room = MAX_PAYLOAD_BYTES

    def of(self, record: workflow_pb2.RunRecord | workflow_pb2.StepRecord, field: str) -> bytes:
        payload: workflow_pb2.PayloadRecord = getattr(record, field)
        # Before it is read: what is too large must not be in memory first.
        self._room -= max(len(payload.json), payload.size_bytes)
        if self._room < 0:
            raise PayloadsTooLarge(
                f"the inputs and outputs are larger than the {MAX_PAYLOAD_BYTES >> 20} MiB that one answer holds"
            )
        return self._runs.payload(self._tenant, payload)
