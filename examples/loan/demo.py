"""A loan in five steps, three agents as processes of their own, and everything that goes wrong on the way.

Parse, then eligibility and risk side by side, a gate with two people, an offer that goes out once. The daemon and its
agents are killed with `kill -9` at inconvenient moments; people approve from the command line after a restart.
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

TOKENS = {
    "LOAN_DESK_TOKEN": "demo-loan-desk-token",
    "DOC_PARSER_TOKEN": "demo-doc-parser-token",
    "ELIGIBILITY_TOKEN": "demo-eligibility-token",
    "MAILER_TOKEN": "demo-mailer-token",
    "ASHA_TOKEN": "demo-asha-token",
    "BEN_TOKEN": "demo-ben-token",
    "CLEO_TOKEN": "demo-cleo-token",
}
APPLICATION = {"application_id": "A-17", "applicant": "Ines", "amount": 18000, "documents": ["pay.pdf", "tax.pdf"]}
PATIENCE_SECONDS = 60.0


class Loan:
    """The example, its agents and the world that they act on."""

    def __init__(self, directory: Path) -> None:
        self.world = directory / "world"
        self.world.mkdir()
        self.stage = Stage(directory, HERE, TOKENS, {"primary": "127.0.0.1:7411"})
        # So that nobody has to wait 30 s to see that a dead worker is not heard of any more.
        definition = self.stage.config.with_name("loan-approval.yaml")
        text = definition.read_text().replace("lease: 30s", "lease: 2s")
        for line in ("effect: pure", "onUnknown: ask"):
            text = text.replace(line, f"{line}\n    timeouts: {{lease: 2s}}")
        definition.write_text(text)
        self.agents: dict[str, Any] = {}
        self.run = ""

    def start_agent(self, name: str) -> None:
        """Starts an agent, again when it was killed."""
        self.agents[name] = self.stage.start_agent(HERE / "agents.py", name, LOAN_WORLD=str(self.world))

    def kill_agent(self, name: str) -> None:
        """kill -9."""
        self.agents[name].kill()
        self.agents[name].wait()

    def hold(self, moment: str) -> None:
        """An agent that comes to this moment stays in it."""
        (self.world / f"hold-{moment}").touch()

    def release(self, moment: str) -> None:
        """It goes on."""
        (self.world / f"hold-{moment}").unlink()

    def reaches(self, moment: str) -> bool:
        """Waits until an agent has come to a moment."""
        return until((self.world / f"at-{moment}").exists)

    def done(self, name: str) -> list[dict[str, Any]]:
        """What has happened in the world."""
        file = self.world / f"{name}.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def show(self) -> dict[str, Any]:
        """The run as it is."""
        shown = self.stage.fairlead("run", "show", self.run, "--json", operator="ASHA_TOKEN")
        return dict(json.loads(shown.stdout)) if shown.returncode == 0 else {}

    def step(self, name: str) -> str:
        """State of a step, such as `SUCCEEDED`."""
        steps = {step["id"]: step.get("state", "") for step in self.show().get("steps", [])}
        return str(steps.get(name, "")).removeprefix("STEP_STATE_")

    def comes_to(self, step: str, state: str) -> bool:
        """Waits until a step is in a state."""
        return until(lambda: self.step(step) == state)

    def pending(self) -> str:
        """Name of the approval that people are asked for; empty when there is none."""
        listed = self.stage.fairlead("approvals", "list", "--state", "pending", "--json", operator="ASHA_TOKEN")
        lines = listed.stdout.splitlines()
        return str(json.loads(lines[0])["name"]) if lines else ""

    def approve(self, name: str, operator: str, *more: str) -> int:
        """One person agrees, on the command line; the exit code."""
        reason = ("--reason", "papers are in order", *more)
        return self.stage.fairlead("approvals", "approve", name, *reason, operator=operator).returncode


def until(holds: Callable[[], bool]) -> bool:
    """Waits, not for ever, until something holds; whether it does."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > PATIENCE_SECONDS:
            return False
        time.sleep(0.05)
    return True


def apply(show: Show, loan: Loan) -> None:
    show.scene("A loan is applied for; the daemon is killed while the papers are being read")
    loan.hold("parse")
    given = ("--tenant", "acme", "--input", json.dumps(APPLICATION), "--json")
    started = loan.stage.fairlead("run", "start", "loan-approval", *given, operator="ASHA_TOKEN")
    loan.run = json.loads(started.stdout)["name"] if started.returncode == 0 else ""
    show.check("the run is on disk", bool(loan.run), loan.run or started.stderr.strip())
    show.check("an agent reads the papers", loan.reaches("parse"))
    loan.stage.kill_daemon()
    loan.release("parse")
    loan.hold("eligibility")
    seconds = loan.stage.start_daemon()
    show.check("the agent's result is taken after the restart", loan.comes_to("parse", "SUCCEEDED"), f"{seconds:.1f} s")
    show.check("the papers were read once", len(loan.done("parsed")) == 1)


def judge(show: Show, loan: Loan) -> None:
    show.scene("An agent is killed in the middle of its step; the model was asked meanwhile")
    show.check("the risk is assessed beside it", loan.comes_to("risk", "SUCCEEDED"))
    show.check("an agent judges", loan.reaches("eligibility"))
    loan.kill_agent("eligibility")
    loan.release("eligibility")
    loan.start_agent("eligibility")
    show.check("its lease runs out, another attempt has the result", loan.comes_to("eligibility", "SUCCEEDED"))
    attempts = [line["attempt"] for line in loan.done("judged")]
    show.check("two attempts at a step that only computes, none at a finished one", attempts == [1, 2], attempts)
    show.check("people are asked", loan.comes_to("review", "WAITING_APPROVAL"))


def review(show: Show, loan: Loan) -> None:
    show.scene("The daemon is killed between two votes; people approve on the command line")
    name = loan.pending()
    show.quote(loan.stage.fairlead("approvals", "show", name, operator="ASHA_TOKEN").stdout)
    show.check("ben of the credit department agrees", loan.approve(name, "BEN_TOKEN") == 0)
    loan.stage.kill_daemon()
    loan.hold("offer")
    loan.stage.start_daemon()
    show.check("ben cannot agree twice, also after a restart", loan.approve(name, "BEN_TOKEN") != 0)
    show.check("asha, who started the run, does not vote", loan.approve(name, "ASHA_TOKEN") != 0)
    show.check("cleo, a lead, agrees", loan.approve(name, "CLEO_TOKEN") == 0)


def offer(show: Show, loan: Loan) -> None:
    show.scene("The mailer is killed after the offer has gone out, before it could say so")
    show.check("the offer goes out", loan.reaches("offer"))
    loan.kill_agent("mailer")
    loan.release("offer")
    show.check("nobody repeats it: its outcome is UNKNOWN", loan.comes_to("offer", "UNKNOWN"))
    loan.start_agent("mailer")
    name = loan.pending()
    said = ("--resolution", "happened", "--result", json.dumps({"sent": "A-17"}))
    both = [loan.approve(name, "BEN_TOKEN", *said), loan.approve(name, "CLEO_TOKEN", *said)]
    show.check("two people have looked: it did happen", both == [0, 0])
    show.check("the run has succeeded", until(lambda: loan.show().get("state") == "RUN_STATE_SUCCEEDED"))
    show.check("the offer went out exactly once", len(loan.done("offers")) == 1, loan.done("offers"))
    show.check("the papers were read once", len(loan.done("parsed")) == 1)


def explain(show: Show, loan: Loan) -> None:
    show.scene("Who decided what, under which policy")
    show.quote(loan.stage.fairlead("run", "show", loan.run, operator="ASHA_TOKEN").stdout)
    explained = loan.stage.fairlead("explain", loan.run.removeprefix("runs/"))
    show.quote(explained.stdout)
    told = all(part in explained.stdout for part in ("ben", "cleo", "review", "offer"))
    show.check("the run is explained from the log", explained.returncode == 0 and told)
    show.check("the log is whole", loan.stage.fairlead("audit", "verify").returncode == 0)


def main() -> int:
    """Sets the stage, runs the scenes, ends every process."""
    with tempfile.TemporaryDirectory(prefix="fairlead-loan-") as directory:
        loan = Loan(Path(directory))
        show = Show(loan.stage)
        try:
            loan.stage.start_providers()
            loan.stage.say("primary", json.dumps({"score": 0.62, "why": "high amount for one income"}))
            seconds = loan.stage.start_daemon()
            print(f"fairlead serves on {loan.stage.address} after {seconds:.1f} s; three agents")
            for name in ("doc-parser", "eligibility", "mailer"):
                loan.start_agent(name)
            for scene in (apply, judge, review, offer, explain):
                scene(show, loan)
        finally:
            loan.stage.close()
    print(f"\nFAILED: {'; '.join(show.failed)}" if show.failed else "\nAll claims hold.")
    return 1 if show.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
