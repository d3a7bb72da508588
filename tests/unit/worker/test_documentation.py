"""docs/workers.md: its code runs as it stands there, one block after the other, and does what the text says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fairlead.v1 import gate_service_pb2
from fairlead.worker import Worker
from tests.unit.worker.service import RUN, SIDE_EFFECT, Service, outputs, running
from tests.unit.worker.test_context import granted

DOCUMENT = Path(__file__).parents[3] / "docs/workers.md"
BLOCK = re.compile(r"^```py\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Bank:
    def transfer(self, to: str, amount: int, key: str) -> str:
        if to == "nobody":
            raise TimeoutError
        return f"{amount} to {to} for {key}"


class Mail:
    def send(self, **arguments: Any) -> list[Any]:
        return sorted(arguments.items())


class Offers:
    retracted: list[int]

    def __init__(self) -> None:
        self.retracted = []

    def retract(self, number: int) -> None:
        self.retracted.append(number)


class OpenAI:
    """As much of the SDK as the block uses; it answers with the headers that it was given."""

    def __init__(self, base_url: str, api_key: str, default_headers: dict[str, str]) -> None:
        self.chat = self.completions = self
        self._answer = ",".join(sorted(default_headers))

    def create(self, model: str, messages: list[Any]) -> Any:
        self.choices = [self]
        self.message = self
        self.content = self._answer
        return self


@pytest.fixture
def document(sidecar: tuple[Service, str]) -> dict[str, Any]:
    """What the blocks define."""
    _, address = sidecar
    namespace: dict[str, Any] = {"__name__": "the document", "bank": Bank(), "mail": Mail(), "offers": Offers()}
    namespace["OpenAI"] = OpenAI
    blocks = BLOCK.findall(DOCUMENT.read_text())
    assert len(blocks) >= 6
    for block in blocks:
        code = compile(block.replace("127.0.0.1:7400", address), str(DOCUMENT), "exec", dont_inherit=True)
        exec(code, namespace)
    return namespace


def test_the_code_of_the_document_does_what_the_text_says(
    sidecar: tuple[Service, str], document: dict[str, Any]
) -> None:
    service, _ = sidecar
    worker: Worker = document["worker"]
    service.tools = [granted(b'{"to": "ann", "text": "hello"}')]
    parsed = service.add({"documents": [{"amount": 2}, {"amount": 3}]}, queue="doc-parser")
    scored = service.add({"income": 5}, queue="risk")
    paid = service.add({"to": "ann", "amount": 3}, queue="payout", idempotency_key="k", effect=SIDE_EFFECT)
    refused = service.add({"to": "ann", "amount": 0}, queue="payout", effect=SIDE_EFFECT)
    timed_out = service.add({"to": "nobody", "amount": 3}, queue="payout", effect=SIDE_EFFECT)
    mailed = service.add({"name": "Ann", "to": "ann"}, queue="mailer", effect=SIDE_EFFECT)
    summarised = service.add({"text": "x"}, queue="summary")
    retracted = service.add({}, queue="retract-offer", compensation=True, compensates=b'{"id": 7}')
    good = [parsed, scored, paid, mailed, summarised, retracted]
    with running(worker):
        service.ended(*good, refused, timed_out)
    assert outputs(service, good) == [
        {"income": 5},
        {"risk": 0.2, "reasons": ["income 5"]},
        "3 to ann for k",
        [["text", "hello"], ["to", "ann"]],
        "x-fairlead-run,x-fairlead-session,x-fairlead-step",
        None,
    ]
    assert (service.failed[refused].code, service.failed[refused].non_retryable) == ("BAD_INPUT", True)
    assert service.failed[timed_out].outcome_unknown
    assert document["offers"].retracted == [7]
    (asked,) = [r for r in service.requests if isinstance(r, gate_service_pb2.AuthorizeToolRequest)]
    assert asked.run == RUN and asked.idempotency_key


def test_the_defaults_of_the_document_are_those_of_the_worker() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d+)\S* ?s? \|", DOCUMENT.read_text(), re.MULTILINE))
    settings = Worker().settings
    assert rows == {
        "concurrency": f"{settings.concurrency}",
        "grace": f"{settings.grace:g}",
        "poll": f"{settings.poll:g}",
    }
