"""Clients of another version of the protos: unknown fields are kept, unknown values of enums are handled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from fairlead.v1 import gate_service_pb2, gate_service_pb2_grpc, run_pb2, workflow_service_pb2

from .calls import explained
from .harness import MODELS, ROOT, TIMEOUT_SECONDS, Daemon, bearer
from .people import CONFIG, ENVIRONMENT
from .runs import SHORT, Agent, refusal

DESCRIPTOR = ROOT / "proto/descriptor.binpb"
# What a client from before workflows and output rules does not have: from which number on, by message or enum.
YEARS_AGO = {
    "EventKind": 24,
    "AuditRecord": 12,
    "Run": 8,
    "StepLease": 12,
    "AdmitRequest": 12,
    "AdmitResponse": 5,
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    directory = tmp_path_factory.mktemp("versions")
    (directory / "short.yaml").write_text(SHORT)
    config = CONFIG + MODELS + "workflows: [{file: short.yaml}]\n"
    with Daemon(directory, config, environment=ENVIRONMENT) as found:
        yield found


class OldProtos:
    """The messages as a client knows them that was generated long ago."""

    def __init__(self) -> None:
        self._pool = descriptor_pool.DescriptorPool()
        files = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTOR.read_bytes()).file
        for file in files:
            for known in (*file.message_type, *file.enum_type):
                if first_unknown := YEARS_AGO.get(known.name):
                    _forget(known, first_unknown)
            self._pool.Add(file)  # type: ignore[no-untyped-call]

    def message(self, name: str) -> Any:
        """The class of a message."""
        return message_factory.GetMessageClass(self._pool.FindMessageTypeByName(f"fairlead.v1.{name}"))

    def kinds(self) -> set[int]:
        """Kinds of audit records that it knows."""
        return set(self._pool.FindEnumTypeByName("fairlead.v1.EventKind").values_by_number)


def _forget(known: Any, first_unknown: int) -> None:
    """Takes away the fields or values from a number on, and the oneofs that have none any more."""
    entries = known.field if isinstance(known, descriptor_pb2.DescriptorProto) else known.value
    kept = [entry for entry in entries if entry.number < first_unknown]
    del entries[:]
    entries.extend(kept)
    if isinstance(known, descriptor_pb2.DescriptorProto):
        used = sorted({field.oneof_index for field in kept if field.HasField("oneof_index")})
        oneofs = [known.oneof_decl[index] for index in used]
        for field in known.field:
            if field.HasField("oneof_index"):
                field.oneof_index = used.index(field.oneof_index)
        del known.oneof_decl[:]
        known.oneof_decl.extend(oneofs)


def old_call(daemon: Daemon, path: str, protos: OldProtos, request: Message, answer: str) -> Any:
    """One call with the old classes."""
    call = daemon.agent().unary_unary(
        f"/fairlead.v1.{path}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=protos.message(answer).FromString,
    )
    return call(request, metadata=bearer(), timeout=TIMEOUT_SECONDS)


def test_an_old_client_keeps_fields_and_kinds_that_it_does_not_know(daemon: Daemon) -> None:
    protos, agent = OldProtos(), Agent(daemon)
    run = agent.start("short", "old-1")
    old_answer = protos.message("WatchRunResponse")
    raw: list[bytes] = []

    def received(data: bytes) -> Any:
        raw.append(data)
        return old_answer.FromString(data)

    watch = daemon.agent().unary_stream(
        "/fairlead.v1.WorkflowService/WatchRun",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=received,
    )
    stream = watch(protos.message("WatchRunRequest")(name=run), metadata=bearer(), timeout=TIMEOUT_SECONDS)
    first = next(stream)
    agent.do("parser")
    messages = [first, *stream]
    assert first.run.name == run and messages[-1].run.state == run_pb2.RUN_STATE_SUCCEEDED
    # Every kind is newer than the client: it has them as numbers, and still follows the run to its end.
    kinds = {message.event.kind for message in messages if message.WhichOneof("what") == "event"}
    assert kinds and kinds.isdisjoint(protos.kinds())
    # What it hands on has all that it was given.
    for message, data in zip(messages, raw, strict=True):
        handed_on = workflow_service_pb2.WatchRunResponse.FromString(message.SerializeToString())
        assert handed_on == workflow_service_pb2.WatchRunResponse.FromString(data)
    assert workflow_service_pb2.WatchRunResponse.FromString(messages[-1].SerializeToString()).run.steps_total == 1
    assert not hasattr(messages[-1].run, "steps_total")


def test_an_old_client_works_without_what_came_later(daemon: Daemon) -> None:
    protos = OldProtos()
    request = protos.message("AdmitRequest")(
        request_id="old-2", model="small", input_tokens=100, max_output_tokens=50, session="s-1"
    )
    admitted = old_call(daemon, "GateService/Admit", protos, request, "AdmitResponse")
    assert admitted.plan[0].model == "small"
    settle = gate_service_pb2.SettleRequest(request_id="old-3", invocation=admitted.invocation)
    gate: Any = gate_service_pb2_grpc.GateServiceStub(daemon.agent())
    assert gate.Settle(settle, metadata=bearer(), timeout=TIMEOUT_SECONDS).released.tokens == 150


def test_fields_of_a_newer_client_are_passed_over(daemon: Daemon) -> None:
    """Also under the same request id: what the sidecar does not know makes no other request."""
    known = gate_service_pb2.AdmitRequest(request_id="new-1", model="small", input_tokens=100, max_output_tokens=50)
    # Field 5000, a text.
    unknown = b"\xc2\xb8\x02\x03new"
    newer = gate_service_pb2.AdmitRequest.FromString(known.SerializeToString() + unknown)
    assert newer != known
    gate: Any = gate_service_pb2_grpc.GateServiceStub(daemon.agent())
    answers = [gate.Admit(request, metadata=bearer(), timeout=TIMEOUT_SECONDS) for request in (newer, known)]
    assert answers[0].invocation == answers[1].invocation


def test_a_value_that_the_sidecar_does_not_know_is_never_taken_for_another(daemon: Daemon) -> None:
    gate: Any = gate_service_pb2_grpc.GateServiceStub(daemon.agent())
    authorize = gate_service_pb2.AuthorizeToolRequest(request_id="new-2", tool="crm.read", session="s-2")
    # What the caller believes is recorded; what counts is the catalogue's word.
    authorize.effect = 99  # type: ignore[assignment]
    grant = gate.AuthorizeTool(authorize, metadata=bearer(), timeout=TIMEOUT_SECONDS).granted.grant
    assert "Catalogue: read, low risk" in "\n".join(explained(daemon, grant).narrative)
    # What happened to the call counts, so it is refused, and the call stays open.
    complete = gate_service_pb2.CompleteToolRequest(request_id="new-3", grant=grant)
    complete.outcome = 99  # type: ignore[assignment]
    assert refusal(gate.CompleteTool, complete, metadata=bearer(), timeout=TIMEOUT_SECONDS) == "INVALID_ARGUMENT"
    complete.request_id, complete.outcome = "new-4", gate_service_pb2.TOOL_OUTCOME_SUCCEEDED
    gate.CompleteTool(complete, metadata=bearer(), timeout=TIMEOUT_SECONDS)
