"""buf's STANDARD and COMMENTS rules, asserted over the checked-in descriptor, so that no tool has to be installed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

ROOT = Path(__file__).parents[2]


def load() -> list[descriptor_pb2.FileDescriptorProto]:
    found = descriptor_pb2.FileDescriptorSet.FromString((ROOT / "proto/descriptor.binpb").read_bytes())
    return [file for file in found.file if file.name.startswith("fairlead/")]


FILES = load()
SERVICES = [(file, service) for file in FILES for service in file.service]


def messages(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[str, descriptor_pb2.DescriptorProto]]:
    def walk(
        prefix: str, message: descriptor_pb2.DescriptorProto
    ) -> Iterator[tuple[str, descriptor_pb2.DescriptorProto]]:
        yield prefix + message.name, message
        for nested in message.nested_type:
            if not nested.options.map_entry:
                yield from walk(prefix + message.name + ".", nested)

    for message in file.message_type:
        yield from walk("", message)


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_lies_in_the_directory_of_its_versioned_package(file: descriptor_pb2.FileDescriptorProto) -> None:
    assert file.syntax == "proto3"
    assert re.search(r"\.v\d+((alpha|beta)\d+)?$", file.package)
    assert Path(file.name).parent.as_posix() == file.package.replace(".", "/")
    assert re.fullmatch(r"[a-z0-9_]+\.proto", Path(file.name).name)
    assert not file.public_dependency


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_names_follow_the_style(file: descriptor_pb2.FileDescriptorProto) -> None:
    for path, message in messages(file):
        assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", message.name), path
        for field in message.field:
            assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", field.name), f"{path}.{field.name}"
        for oneof in message.oneof_decl:
            assert re.fullmatch(r"_?[a-z][a-z0-9_]*", oneof.name), f"{path}.{oneof.name}"
    for enum in file.enum_type:
        prefix = snake(enum.name).upper()
        assert enum.value[0].number == 0 and enum.value[0].name == f"{prefix}_UNSPECIFIED"
        assert not enum.options.allow_alias
        for value in enum.value:
            assert value.name.startswith(f"{prefix}_"), f"{enum.name}.{value.name}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_everything_has_a_comment(file: descriptor_pb2.FileDescriptorProto) -> None:
    documented = {
        tuple(location.path) for location in file.source_code_info.location if location.leading_comments.strip()
    }
    wanted: dict[tuple[int, ...], str] = {}
    for i, message in enumerate(file.message_type):
        wanted[(4, i)] = message.name
        wanted.update({(4, i, 2, j): f"{message.name}.{field.name}" for j, field in enumerate(message.field)})
        wanted.update(
            {
                (4, i, 8, j): f"{message.name}.{oneof.name}"
                for j, oneof in enumerate(message.oneof_decl)
                if not oneof.name.startswith("_")
            }
        )
    for i, enum in enumerate(file.enum_type):
        wanted[(5, i)] = enum.name
        wanted.update({(5, i, 2, j): f"{enum.name}.{value.name}" for j, value in enumerate(enum.value)})
    for i, service in enumerate(file.service):
        wanted[(6, i)] = service.name
        wanted.update({(6, i, 2, j): f"{service.name}.{method.name}" for j, method in enumerate(service.method)})
    assert not [name for path, name in wanted.items() if path not in documented]


@pytest.mark.parametrize(("file", "service"), SERVICES, ids=lambda value: value.name)
def test_every_method_has_its_own_request_and_response(
    file: descriptor_pb2.FileDescriptorProto, service: descriptor_pb2.ServiceDescriptorProto
) -> None:
    assert service.name.endswith("Service")
    for method in service.method:
        assert method.input_type == f".{file.package}.{method.name}Request"
        assert method.output_type == f".{file.package}.{method.name}Response"


def test_every_request_that_changes_something_carries_a_request_id() -> None:
    changing = (
        "Admit",
        "Settle",
        "Release",
        "Apply",
        "Rollback",
        "Adjust",
        "Acknowledge",
        "Authorize",
        # Of steps the lease says which attempt it is: a repeated CompleteStep is known by it.
        "CompleteTool",
        "Decide",
        "Generate",
        "StreamGenerate",
        "StartRun",
        "CancelRun",
        "PauseRun",
        "ResumeRun",
        "RerunRun",
        "RemoveConsumer",
        "SkipEvents",
        "EraseValues",
        "SignalRun",
    )
    for file in FILES:
        if file.package != "fairlead.v1":
            continue
        for message in file.message_type:
            if message.name.endswith("Request") and message.name.startswith(changing):
                assert "request_id" in {field.name for field in message.field}, message.name


def test_the_services_of_this_version_are_all_there() -> None:
    methods = {s.name: {m.name for m in s.method} for f, s in SERVICES if f.package == "fairlead.v1"}
    assert methods == {
        "GateService": {"Admit", "Settle", "Release", "AuthorizeTool", "CompleteTool"},
        "ApprovalService": {"ListApprovals", "GetApproval", "DecideApproval", "WatchApprovals"},
        "ApprovalTicketService": {"GetTicket", "WaitTicket"},
        "ModelService": {"Generate", "StreamGenerate"},
        "ConfigService": {"ApplyConfig", "GetConfig", "ListConfigVersions", "DiffConfig", "RollbackConfig"},
        "BudgetService": {"ListBudgets", "GetBudget", "AdjustBudget"},
        "AuditService": {
            "WatchEvents",
            "AcknowledgeEvents",
            "ListConsumers",
            "RemoveConsumer",
            "SkipEvents",
            "ListEvents",
            "ExplainInvocation",
            "ExplainRun",
            "VerifyChain",
            "EraseValues",
            "GetAuditLog",
            "GetLogCheckpoint",
            "ListLogCheckpoints",
            "ProveEvents",
            "ProveConsistency",
        },
        "WorkflowService": {
            "StartRun",
            "GetRun",
            "ListRuns",
            "WatchRun",
            "CancelRun",
            "PauseRun",
            "ResumeRun",
            "RerunRun",
            "SignalRun",
            "ListWorkflows",
            "GetWorkflow",
        },
        "WorkerService": {"LeaseSteps", "HeartbeatStep", "CompleteStep", "CompleteSteps", "FailStep"},
        "BackupService": {"CreateBackup"},
        "NotificationService": {"ListDeliveries", "RetryDeliveries", "DropDelivery", "TestReceiver"},
        "CheckpointService": {
            "PutCheckpoint",
            "PutWrites",
            "PutLarge",
            "GetCheckpoint",
            "ListCheckpoints",
            "ListAncestors",
            "ReadPayload",
            "DeleteThread",
            "DeleteForRuns",
            "CopyThread",
            "PruneThreads",
        },
    }
