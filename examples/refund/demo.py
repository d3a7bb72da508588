"""Refunds that are paid once, and large ones not without people, whoever asks for them.

A gate stands between decide and execute, and a rule between the step and the money. A crash between the refund and the
mail pays nobody twice.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "quickstart"))

from show import Show  # noqa: E402
from stage import Stage  # noqa: E402

from fairlead.client import ApprovalPending, Client, PolicyDenied  # noqa: E402

TOKENS = {
    "SUPPORT_DESK_TOKEN": "demo-support-desk-token",
    "REFUND_DECIDER_TOKEN": "demo-refund-decider-token",
    "REFUND_PAYER_TOKEN": "demo-refund-payer-token",
    "MAILER_TOKEN": "demo-mailer-token",
    "ASHA_TOKEN": "demo-asha-token",
    "BEN_TOKEN": "demo-ben-token",
}
PATIENCE_SECONDS = 60.0


class Shop:
    """The example, its agents and the world that they act on."""

    def __init__(self, directory: Path) -> None:
        self.world = directory / "world"
        self.world.mkdir()
        self.stage = Stage(directory, HERE, TOKENS, {"primary": "127.0.0.1:7411"})
        self.agents: dict[str, Any] = {}

    def start_agent(self, name: str) -> None:
        """Starts an agent, again when it was killed."""
        self.agents[name] = self.stage.start_agent(HERE / "agents.py", name, REFUND_WORLD=str(self.world))

    def start_run(self, order: str, paid: float) -> str:
        """Starts a refund; the name of its run."""
        given = {"order_id": order, "customer": "ines@example.com", "paid": paid, "complaint": "it never came"}
        started = self.stage.fairlead(
            "run", "start", "refund", "--tenant", "shop", "--input", json.dumps(given), "--json", operator="ASHA_TOKEN"
        )
        return str(json.loads(started.stdout)["name"]) if started.returncode == 0 else ""

    def state(self, run: str) -> str:
        """State of a run, such as `SUCCEEDED`."""
        shown = self.stage.fairlead("run", "show", run, "--json", operator="ASHA_TOKEN")
        state = json.loads(shown.stdout).get("state", "") if shown.returncode == 0 else ""
        return str(state).removeprefix("RUN_STATE_")

    def ends(self, run: str) -> bool:
        """Waits until a run has succeeded."""
        return until(lambda: self.state(run) == "SUCCEEDED")

    def done(self, name: str) -> list[dict[str, Any]]:
        """What has happened in the world."""
        file = self.world / f"{name}.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def pending(self) -> str:
        """Name of the approval that people are asked for; empty when there is none."""
        listed = self.stage.fairlead("approvals", "list", "--state", "pending", "--json", operator="BEN_TOKEN")
        lines = listed.stdout.splitlines()
        return str(json.loads(lines[0])["name"]) if lines else ""

    def approve(self, name: str) -> bool:
        """Ben agrees, on the command line."""
        reason = ("--reason", "the parcel is lost")
        return self.stage.fairlead("approvals", "approve", name, *reason, operator="BEN_TOKEN").returncode == 0


def until(holds: Callable[[], bool]) -> bool:
    """Waits, not for ever, until something holds; whether it does."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > PATIENCE_SECONDS:
            return False
        time.sleep(0.05)
    return True


def small(show: Show, shop: Shop) -> None:
    show.scene("A small refund needs nobody; the same order again is not paid again")
    first = shop.start_run("O-1", 80)
    show.check("it is paid", shop.ends(first), shop.done("payments"))
    again = shop.start_run("O-1", 80)
    show.check("another run for the same order succeeds", shop.ends(again))
    show.check("one payment, one mail", (len(shop.done("payments")), len(shop.done("mails"))) == (1, 1))


def large(show: Show, shop: Shop) -> None:
    show.scene("A large refund is impossible without people, from wherever it is tried")
    run = shop.start_run("O-2", 1200)
    show.check("the run waits for people", until(lambda: bool(shop.pending())), shop.pending())
    with Client(shop.stage.address, token=TOKENS["REFUND_PAYER_TOKEN"]) as client:
        past = attempt(client, {"order_id": "O-2", "amount": 1200})
    show.check("an agent that goes past the workflow is asked for the approval, too", past == "pending", past)
    with Client(shop.stage.address, token=TOKENS["MAILER_TOKEN"]) as client:
        other = attempt(client, {"order_id": "O-2", "amount": 12})
    show.check("and one that has no business with money is refused", other == "denied", other)
    show.check("nothing was paid", len(shop.done("payments")) == 1)
    show.quote(shop.stage.fairlead("approvals", "list", "--state", "pending", operator="BEN_TOKEN").stdout)
    until(lambda: shop.state(run) == "SUCCEEDED" or (bool(shop.pending()) and not shop.approve(shop.pending())))
    show.check("the gate and the call's own approval are given, and it is paid once", len(shop.done("payments")) == 2)


def attempt(client: Client, arguments: dict[str, Any]) -> str:
    """What an agent is told that calls the tool by itself."""
    key = f"past-the-workflow/{arguments['amount']}"
    try:
        client.call_tool(
            "payments.refund",
            arguments,
            lambda granted: granted,
            idempotency_key=key,
            wait=0,
        )
    except ApprovalPending:
        return "pending"
    except PolicyDenied:
        return "denied"
    return "granted"


def crash(show: Show, shop: Shop) -> None:
    show.scene("The daemon and the mailer are killed between the refund and the mail")
    hold = shop.world / "hold-email"
    hold.touch()
    (shop.world / "at-email").unlink(missing_ok=True)
    run = shop.start_run("O-3", 90)
    show.check("it is paid, the mail is about to be sent", until((shop.world / "at-email").exists))
    shop.agents["mailer"].kill()
    shop.agents["mailer"].wait()
    shop.stage.kill_daemon()
    hold.unlink()
    seconds = shop.stage.start_daemon()
    shop.start_agent("mailer")
    show.check("the run ends well", shop.ends(run), f"back in {seconds:.1f} s")
    paid = [line["order_id"] for line in shop.done("payments")].count("O-3")
    show.check("paid once, mailed once", paid == 1 and len(shop.done("mails")) == 3)


def main() -> int:
    """Sets the stage, runs the scenes, ends every process."""
    with tempfile.TemporaryDirectory(prefix="fairlead-refund-") as directory:
        shop = Shop(Path(directory))
        show = Show(shop.stage)
        try:
            shop.stage.start_providers()
            seconds = shop.stage.start_daemon()
            print(f"fairlead serves on {shop.stage.address} after {seconds:.1f} s; three agents")
            for name in ("refund-decider", "refund-payer", "mailer"):
                shop.start_agent(name)
            for scene in (small, large, crash):
                scene(show, shop)
        finally:
            shop.stage.close()
    print(f"\nFAILED: {'; '.join(show.failed)}" if show.failed else "\nAll claims hold.")
    return 1 if show.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
