"""The agents of the refund example, each in a process of its own: `python agents.py refund-payer`.

`REFUND_WORLD` is a directory that stands for the bank and the mail server.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from fairlead.worker import StepContext, Worker

WORLD = Path(os.environ.get("REFUND_WORLD", "."))


def happened(name: str, **facts: Any) -> None:
    """Something was done in the world: one line, written at once."""
    with (WORLD / f"{name}.jsonl").open("a") as file:
        file.write(json.dumps(facts) + "\n")


def moment(name: str) -> None:
    """An inconvenient moment: stays in it as long as the world holds it."""
    (WORLD / f"at-{name}").touch()
    while (WORLD / f"hold-{name}").exists():
        time.sleep(0.02)


def refund_decider(worker: Worker) -> None:
    @worker.step("refund-decider")
    def decide(given: dict[str, Any], step: StepContext) -> dict[str, Any]:
        # What a model would make of the complaint; the call counts for the run's budget.
        step.generate({"model": "dev-large", "messages": [{"role": "user", "content": given["complaint"]}]})
        return {"amount": given["paid"], "reason": "lost in the mail", "policy_version": "2026-11"}


def refund_payer(worker: Worker) -> None:
    @worker.step("refund-payer")
    def pay(given: dict[str, Any], step: StepContext) -> dict[str, Any]:
        def transfer(arguments: dict[str, Any]) -> dict[str, Any]:
            happened("payments", key=step.idempotency_key, **arguments)
            return {"payment": f"p-{arguments['order_id']}"}

        moment("refund")
        paid: dict[str, Any] = step.call_tool("payments.refund", given, transfer)
        return paid


def mailer(worker: Worker) -> None:
    @worker.step("mailer")
    def send(given: dict[str, Any], step: StepContext) -> dict[str, Any]:
        moment("email")
        happened("mails", key=step.idempotency_key, to=given["to"])
        return {"sent": given["to"]}


AGENTS = {"refund-decider": refund_decider, "refund-payer": refund_payer, "mailer": mailer}


def main() -> None:
    """Runs the agent of a name until it is told to stop."""
    name = sys.argv[1]
    worker = Worker(token=os.environ[f"{name.upper().replace('-', '_')}_TOKEN"], name=name, concurrency=4)
    AGENTS[name](worker)
    worker.run()


if __name__ == "__main__":
    main()
