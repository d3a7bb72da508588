"""The agents of the loan example, each in a process of its own: `python agents.py doc-parser`.

`LOAN_WORLD` is a directory that stands for the world outside: what the agents did is written there, and `hold-NAME`
in it makes an agent stop in the middle of its work, so that something can happen to it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from fairlead.worker import NonRetryable, StepContext, Worker

WORLD = Path(os.environ.get("LOAN_WORLD", "."))


def happened(name: str, **facts: Any) -> None:
    """Something was done in the world: one line, written at once."""
    with (WORLD / f"{name}.jsonl").open("a") as file:
        file.write(json.dumps(facts) + "\n")


def moment(name: str) -> None:
    """An inconvenient moment: stays in it as long as the world holds it."""
    (WORLD / f"at-{name}").touch()
    while (WORLD / f"hold-{name}").exists():
        time.sleep(0.02)


def doc_parser(worker: Worker) -> None:
    @worker.step("doc-parser")
    def parse(given: dict[str, Any], step: StepContext) -> dict[str, Any]:
        if not all(document.endswith(".pdf") for document in given["documents"]):
            raise NonRetryable("BAD_INPUT", "only PDF can be read")
        happened("parsed", run=step.run, attempt=step.attempt)
        moment("parse")
        return {"income": 52000, "employer": "Harbour Works"}


def eligibility(worker: Worker) -> None:
    @worker.step("eligibility")
    def decide(given: dict[str, Any], step: StepContext) -> dict[str, Any]:
        happened("judged", run=step.run, attempt=step.attempt)
        moment("eligibility")
        eligible = given["amount"] <= given["income"] / 2
        return {"eligible": eligible, "reason": f"half of {given['income']} covers {given['amount']}"}


def mailer(worker: Worker) -> None:
    @worker.step("mailer")
    def send(given: dict[str, Any], step: StepContext) -> dict[str, Any]:
        happened("offers", key=step.idempotency_key, application=given["application_id"])
        moment("offer")
        return {"sent": given["application_id"]}

    @worker.compensation("retract-offer")
    def retract(given: dict[str, Any], step: StepContext) -> None:
        happened("retracted", application=given["application_id"], offer=step.result)


AGENTS = {"doc-parser": doc_parser, "eligibility": eligibility, "mailer": mailer}


def main() -> None:
    """Runs the agent of a name until it is told to stop."""
    name = sys.argv[1]
    token = os.environ[f"{name.upper().replace('-', '_')}_TOKEN"]
    worker = Worker(token=token, name=name, concurrency=4)
    AGENTS[name](worker)
    worker.run()


if __name__ == "__main__":
    main()
