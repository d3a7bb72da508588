"""Workers: programs that do the steps of workflows, with leases, heartbeats and a drain that loses nothing.

>>> from fairlead.worker import StepContext, Worker
>>> worker = Worker("127.0.0.1:7400", token="dev", concurrency=8)
>>> @worker.step("doc-parser")
... def parse(input: dict, step: StepContext) -> dict:
...     step.check_cancelled()
...     return {"income": sum(document["amount"] for document in input["documents"])}
>>> worker.run()                                                                # doctest: +SKIP

| module | |
|---|---|
| `_worker`, `_functions` | what is registered, and how it is run |
| `_session`, `_lanes`, `_slots` | asks for steps, does them, drains |
| `_attempt`, `_threads` | one attempt; functions that block |
| `_context`, `_facts`, `_clients` | what a function gets to see and to call |
| `_outcome`, `_errors`, `_report` | how an attempt ended, and how that is told |
| `_heartbeat`, `_wire` | leases that are kept; the calls |

Needs what `fairlead.client` needs and nothing else.
"""

from fairlead.worker._context import AsyncStepContext, StepContext
from fairlead.worker._errors import NonRetryable, OutcomeUnknown, Retry, StepCancelled, StepError, ToolPending
from fairlead.worker._facts import StepEffect
from fairlead.worker._worker import Worker

__all__ = [
    "AsyncStepContext",
    "NonRetryable",
    "OutcomeUnknown",
    "Retry",
    "StepCancelled",
    "StepContext",
    "StepEffect",
    "StepError",
    "ToolPending",
    "Worker",
]
