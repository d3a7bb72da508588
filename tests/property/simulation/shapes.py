"""Random workflows, and what workers and people make of what they are given: the same every time.

So a run has one result, however often it was interrupted, unless somebody cancelled it. Every step reads the results of
what it needs: a wrong one shows at the end.
"""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any

from fairlead.internal.v1 import engine_config_pb2, workflow_pb2
from fairlead.v1 import amount_pb2, run_pb2
from tests.property.core import configuration

QUEUES = ("a", "b", "c")
UNDO = "undo"
WORKFLOWS = 3
# Two runs each have the same invoice, and with it the same key.
RUNS_PER_INVOICE = 2
KINDS = ["read", "read", "pure", "when", "bad", "act", "act", "pay", "write", "again", "gate", "wait", "signal"]
KINDS += ["each", "kid"]
# Calls that a run may make.
RUN_REQUESTS = 3
LEASE_MILLIS = 30_000
_RETRY = workflow_pb2.StepRetry(attempts=100, initial_millis=1000, max_millis=2000, non_retryable=["BAD_INPUT"])
_TIMES = workflow_pb2.StepTimeouts(lease_millis=LEASE_MILLIS)
_EFFECTS = run_pb2.StepEffect


def config_of(workflows: list[workflow_pb2.WorkflowDefinition]) -> engine_config_pb2.EngineConfig:
    """One tenant, two people, and the workflows."""
    config = configuration(10**12, 10**9)
    for name in ("asha", "ben"):
        config.operators.add(name=name, roles=["finance"])
    for count, name in enumerate(("one", "two"), 1):
        # Nobody is to be late because of the clock's jumps.
        tier = config.approval_tiers.add(name=name, expires_after_millis=300 * 24 * 3_600_000)
        tier.require.add(role="finance", count=count)
    config.limits.open_approvals = 10_000
    config.workflows.extend(workflows)
    return config


def workflows_of(chance: random.Random) -> list[workflow_pb2.WorkflowDefinition]:
    """A few random ones, and the one that others have as a child."""
    kid = [_agent("k0", [], "a"), _agent("k1", ["k0"], "b")]
    made = [_definition("kid", kid)]
    for number in range(WORKFLOWS):
        steps: list[workflow_pb2.StepDefinition] = []
        for at in range(chance.randint(2, 6)):
            needs = [one.id for one in steps if chance.random() < (0.7 if one.id == f"s{at - 1}" else 0.25)]
            steps.append(_step(chance, f"w{number}", f"s{at}", needs))
        definition = _definition(f"w{number}", steps)
        definition.compensate_on_failure = chance.random() < 0.5
        made.append(definition)
    for definition in made:
        definition.version = hashlib.sha256(definition.SerializeToString(deterministic=True)).hexdigest()
    return made


def input_of(number: int) -> dict[str, Any]:
    """The input of a run."""
    return {"n": number, "list": list(range(number % 5)), "invoice": number // RUNS_PER_INVOICE}


def _definition(name: str, steps: list[workflow_pb2.StepDefinition]) -> workflow_pb2.WorkflowDefinition:
    return workflow_pb2.WorkflowDefinition(
        name=name,
        steps=steps,
        unknown_tier="one",
        canonical="{}",
        budget=amount_pb2.Amount(requests=RUN_REQUESTS),
    )


def _step(chance: random.Random, workflow: str, id: str, needs: list[str]) -> workflow_pb2.StepDefinition:
    """A step of any kind."""
    queue = chance.choice(QUEUES)
    kind = chance.choice(KINDS)
    step = _agent(id, needs, queue)
    task = step.task
    if kind == "pure":
        task.effect = _EFFECTS.STEP_EFFECT_PURE
    elif kind == "when":
        step.when = f"input.n % 3 != {chance.randrange(3)}"
    elif kind == "bad":
        # The worker says so of some inputs, see `outcome`.
        task.input = json.dumps({"n": "${input.n}", "bad": True})
    elif kind == "act":
        task.effect = _EFFECTS.STEP_EFFECT_SIDE_EFFECT
        if chance.random() < 0.5:
            task.idempotency_key = json.dumps(f"act/{workflow}/{id}/${{input.n}}")
        if chance.random() < 0.5:
            step.compensate = UNDO
    elif kind == "pay":
        # Runs with the same invoice share the key, and so the result: it has nothing of the run in it.
        task.effect = _EFFECTS.STEP_EFFECT_SIDE_EFFECT
        task.idempotency_key = json.dumps(f"pay/{workflow}/{id}/${{input.invoice}}")
        task.input = '{"invoice":"${input.invoice}"}'
    elif kind == "write":
        task.effect = _EFFECTS.STEP_EFFECT_WRITE
        task.idempotency_key = json.dumps(f"write/{workflow}/{id}/${{input.n}}")
    elif kind == "again":
        task.effect = _EFFECTS.STEP_EFFECT_SIDE_EFFECT
        task.on_unknown = workflow_pb2.ON_UNKNOWN_RETRY
        task.idempotency_key = json.dumps(f"again/{workflow}/{id}/${{input.n}}")
    elif kind == "gate":
        gate = workflow_pb2.ApprovalTask(
            tier=chance.choice(["one", "two"]), show=task.input, continue_on_reject=chance.random() < 0.7
        )
        step.task.CopyFrom(workflow_pb2.StepTask(approval=gate))
    elif kind == "wait":
        wait = workflow_pb2.WaitTask(for_millis=1000 * chance.randint(1, 600))
        step.task.CopyFrom(workflow_pb2.StepTask(wait=wait))
    elif kind == "signal":
        step.task.CopyFrom(workflow_pb2.StepTask(wait=workflow_pb2.WaitTask(signal=f"go-{id}")))
    elif kind == "each":
        task.input = '{"item":"${item}","n":"${input.n}"}'
        step.for_each.items, step.for_each.max_parallel = '"${input.list}"', chance.randint(1, 3)
    elif kind == "kid":
        child = workflow_pb2.StepTask(workflow=workflow_pb2.ChildTask(workflow="kid"), input=task.input)
        step.task.CopyFrom(child)
    return step


def _agent(id: str, needs: list[str], queue: str) -> workflow_pb2.StepDefinition:
    given = {"n": "${input.n}", **{need: f"${{steps.{need}.output}}" for need in needs}}
    task = workflow_pb2.StepTask(
        agent=workflow_pb2.AgentTask(queue=queue),
        input=json.dumps(given),
        effect=_EFFECTS.STEP_EFFECT_READ,
        retry=_RETRY,
        timeouts=_TIMES,
        on_unknown=workflow_pb2.ON_UNKNOWN_ASK,
    )
    return workflow_pb2.StepDefinition(id=id, needs=needs, task=task)


def outcome(step: str, given: bytes) -> bytes | None:
    """What a worker makes of an input, JSON; None when it is one that no worker can do anything with."""
    read = json.loads(given)
    if isinstance(read, dict) and read.get("bad") and read["n"] % 4 == 0:
        return None
    return json.dumps(_hash(step.partition("[")[0].encode() + given)).encode()


def is_agreed(shown: bytes) -> bool:
    """What people think of a document."""
    return int(_hash(shown), 16) % 8 > 0


def first_voter(shown: bytes) -> str:
    """Who sees a document first."""
    return ("asha", "ben")[int(_hash(shown), 16) % 2]


def _hash(of: bytes) -> str:
    return hashlib.sha256(of).hexdigest()[:8]
