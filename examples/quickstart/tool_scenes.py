"""Tool calls: made once, approved by people, and sessions that remember what they saw."""

from __future__ import annotations

import json
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from show import Show

from fairlead.client import InvalidState, PolicyDenied


def tool_call(show: Show) -> None:
    show.scene("A tool call is granted once for its key")
    made: list[Any] = []
    with show.client() as client:
        for _ in range(2):
            refund(client, made, {"order": "4710", "amount": 80}, key="refund/4710")
    show.check("two callers, one refund; the second got the recorded result", len(made) == 1, made)


def approval(show: Show) -> None:
    show.scene("A large refund waits for two people, and is then made exactly once")
    arguments = {"order": "4711", "amount": 1200}
    made: list[Any] = []
    with ThreadPoolExecutor(8) as pool:

        def agent(_: int) -> Any:
            with show.client() as client:
                while True:
                    try:
                        return refund(client, made, arguments, key="refund/4711", wait=60)
                    except InvalidState as busy:
                        # Another one of the eight is refunding right now: its result is there in a moment.
                        if busy.metadata.get("state") != "OPEN":
                            raise
                        time.sleep(0.05)

        results = [pool.submit(agent, number) for number in range(8)]
        name = waiting(show, results)
        votes = [vote(show, name, who, "lost in the mail") for who in ("ASHA_TOKEN", "ASHA_TOKEN", "BEN_TOKEN")]
        answers = [result.result() for result in results]
    asha, twice, ben = votes
    show.quote(f"$ fairlead approvals approve {name} --reason 'lost in the mail'")
    show.check("asha agrees, one more is missing", asha == "pending")
    show.check("asha cannot agree twice", "different people" in twice, twice)
    show.check("ben agrees, and that is enough", ben in ("approved", "consumed"))
    show.check("eight agents waited, one refund was made", len(made) == 1, made)
    show.check("all of them have its result", answers == [{"refunded": 1200}] * 8)


def refund(client: Any, made: list[Any], arguments: dict[str, Any], *, key: str, wait: float = 0) -> Any:
    """Asks, refunds as granted, reports."""

    def pay(granted: dict[str, Any]) -> dict[str, Any]:
        made.append(granted)
        return {"refunded": granted["amount"]}

    return client.call_tool("payments.refund", arguments, pay, idempotency_key=key, session="refunds", wait=wait)


def waiting(show: Show, agents: list[Future[Any]]) -> str:
    """The name of the approval that people see; raises what an agent raised instead of waiting."""
    while True:
        for agent in agents:
            if agent.done():
                raise RuntimeError("an agent did not wait for people") from agent.exception()
        listed = show.stage.fairlead("approvals", "list", "--state", "pending", "--json").stdout
        if listed:
            return str(json.loads(listed.splitlines()[0])["name"])


def vote(show: Show, name: str, operator: str, why: str) -> str:
    """Votes on the command line; the state after it, or why it was refused."""
    done = show.stage.fairlead("approvals", "approve", name, "--reason", why, "--json", operator=operator)
    if done.returncode:
        return done.stderr.strip().removeprefix("fairlead: ")
    return str(json.loads(done.stdout)["state"]).removeprefix("APPROVAL_STATE_").lower()


def never_all_three(show: Show) -> None:
    show.scene("Untrusted input, private data and a way out never meet in one session")
    with show.client() as client:
        read: Any = [("web.fetch", {"url": "https://example.com"}), ("crm.read", {"customer": "7"})]
        for number, tools in enumerate(([read[0]], [read[1]], read)):
            session = f"taint-{number}"
            for name, arguments in tools:
                client.call_tool(
                    name, arguments, lambda granted: granted, idempotency_key=f"{session}/{name}", session=session
                )
            seen = " and ".join(name for name, _ in tools)
            denied = mail(client, session)
            if len(tools) < 2:
                show.check(f"after {seen} mail is sent", denied is None)
            else:
                show.check(f"after {seen} it is not", denied == "never-all-three", f"rule {denied}")


def mail(client: Any, session: str) -> str | None:
    """Sends a mail; the rule that denies it."""
    try:
        client.call_tool(
            "mail.send",
            {"to": "x@example.com"},
            lambda granted: granted,
            idempotency_key=f"{session}/mail",
            session=session,
        )
    except PolicyDenied as denied:
        return denied.metadata["rule"]
    return None
