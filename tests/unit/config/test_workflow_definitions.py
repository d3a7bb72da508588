"""The native core checks workflows together with the configuration they belong to."""

from __future__ import annotations

from fairlead.internal.v1 import engine_config_pb2, workflow_pb2
from fairlead.native import compile_config


def violations(*steps: workflow_pb2.StepDefinition) -> dict[str, str]:
    """What the core finds in a workflow, by path; nothing else of the configuration is looked at."""
    definition = workflow_pb2.WorkflowDefinition(name="loan-approval", steps=steps)
    config = engine_config_pb2.EngineConfig(workflows=[definition])
    found = compile_config(config.SerializeToString())
    return {path: message for path, message in found if path.startswith("workflows.")}


def task(queue: str, text: str = "") -> workflow_pb2.StepTask:
    return workflow_pb2.StepTask(
        agent=workflow_pb2.AgentTask(queue=queue), input=text, on_unknown=workflow_pb2.ON_UNKNOWN_FAIL
    )


def test_a_sound_workflow_has_no_violations() -> None:
    first = workflow_pb2.StepDefinition(id="first", task=task("a"))
    second = workflow_pb2.StepDefinition(id="second", needs=["first"], task=task("b", '"${steps.first.output}"'))
    assert violations(first, second) == {}


def test_every_mistake_is_told_with_its_path_below_the_workflow() -> None:
    first = workflow_pb2.StepDefinition(id="first", task=task("$model", '{"income": "${input.income"}'))
    second = workflow_pb2.StepDefinition(id="second", task=task("b", '"${steps.first.output}"'), when="1 + 1")
    found = violations(first, second)
    assert sorted(found) == [
        "workflows.loan-approval.steps[0].agent",
        "workflows.loan-approval.steps[0].input.income",
        "workflows.loan-approval.steps[1].input",
        "workflows.loan-approval.steps[1].when",
    ]
    assert "add `first` to `needs`" in found["workflows.loan-approval.steps[1].input"]


def test_workflows_refer_to_what_the_configuration_has() -> None:
    gate = workflow_pb2.StepTask(approval=workflow_pb2.ApprovalTask(tier="high"))
    call = workflow_pb2.StepTask(model=workflow_pb2.ModelTask(model="careful", prompt='"hello"'))
    child = workflow_pb2.StepTask(workflow=workflow_pb2.ChildTask(workflow="other"))
    found = violations(
        *(workflow_pb2.StepDefinition(id=id, task=task) for id, task in (("a", gate), ("b", call), ("c", child)))
    )
    assert found == {
        "workflows.loan-approval.steps[0].approval.tier": "there is no approval tier `high`",
        "workflows.loan-approval.steps[1].model.route": "there is no route or model `careful`",
        "workflows.loan-approval.steps[2].workflow": "there is no workflow `other`",
    }
