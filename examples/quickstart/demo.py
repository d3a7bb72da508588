"""`make demo`: the real daemon, two providers that fail on demand, the official OpenAI SDK and the gRPC client.

Every scene says what it does and checks what it claims; the demo ends with a verdict and exit code 0 or 1.
"""

from __future__ import annotations

import collections
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
from stage import TOKENS, Stage

from fairlead.client import BudgetExhausted, Client, ConnectionFailed, FairleadError, TemporarilyUnavailable
from fairlead.v1 import budget_service_pb2

MESSAGES: Any = [{"role": "user", "content": "How does a fairlead keep a line from chafing?"}]


class Demo:
    """The scenes, in order."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.failed: list[str] = []
        self.last_invocation = ""

    def scene(self, title: str) -> None:
        """Prints a heading."""
        print(f"\n\033[1m{title}\033[0m" if sys.stdout.isatty() else f"\n{title}")

    def check(self, claim: str, holds: bool, shown: object = "") -> None:
        """Prints a claim and whether it holds."""
        print(f"  {'ok  ' if holds else 'FAIL'} {claim}" + (f"  [{shown}]" if shown != "" else ""))
        if not holds:
            self.failed.append(claim)

    @contextmanager
    def sdk(self) -> Iterator[openai.OpenAI]:
        """The official SDK, pointed at the sidecar; nothing else is changed."""
        url = f"http://{self.stage.address}/v1"
        with openai.OpenAI(base_url=url, api_key=TOKENS["ACME_SUPPORT_TOKEN"], max_retries=0) as client:
            yield client

    def client(self, token: str = "ACME_BATCH_TOKEN") -> Client:
        """The gRPC client."""
        return Client(self.stage.address, token=TOKENS[token])

    def ask(self, client: openai.OpenAI, model: str = "chat", **headers: str) -> Any:
        """One call; the raw response, whose headers say what Fairlead decided."""
        extra = {f"x-fairlead-{name}": value for name, value in headers.items()}
        completions = client.chat.completions.with_raw_response
        return completions.create(model=model, messages=MESSAGES, max_tokens=16, extra_headers=extra)

    def normal_call(self) -> None:
        self.scene("1. A call with the OpenAI SDK: only base_url and api_key are Fairlead's")
        with self.sdk() as client:
            response = self.ask(client)
            answer = response.parse()
            self.last_invocation = response.headers["x-fairlead-invocation"]
            self.check(
                "the provider answered", bool(answer.choices[0].message.content), answer.choices[0].message.content
            )
            stream = client.chat.completions.create(model="chat", messages=MESSAGES, max_tokens=16, stream=True)
            words = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]
            self.check("and streams", len([word for word in words if word]) == 12, f"{len(words)} chunks")

    def weighted_split(self) -> None:
        self.scene("2. Weighted split 70/30, the same session always on the same model")
        with self.sdk() as client, ThreadPoolExecutor(16) as pool:

            def model_of(session: str) -> str:
                return str(self.ask(client, workload="classification", session=session).headers["x-fairlead-model"])

            sessions = [f"session-{number}" for number in range(300)]
            first, again = list(pool.map(model_of, sessions)), list(pool.map(model_of, sessions))
        share = first.count("dev-large") / len(first)
        self.check("about 70 % of 300 sessions on dev-large", 0.62 < share < 0.78, f"{share:.0%}")
        self.check("every session stayed on its model", first == again)

    def fallback(self) -> None:
        self.scene("3. The primary answers 429: the chain falls back, the agent notices nothing")
        self.stage.arm("primary", fault="429:retry-after=30", times=1)
        with self.sdk() as client:
            response = self.ask(client)
        self.last_invocation = response.headers["x-fairlead-invocation"]
        self.check("answered by the next model", response.headers["x-fairlead-model"] == "dev-small", "dev-small")

    def budget(self) -> None:
        self.scene("4. A run budget, 32 agents at once: zero overshoot")
        gate = threading.Barrier(32)

        def agent(_: int) -> str:
            with self.client() as client:
                gate.wait()
                try:
                    with (
                        client.invocation(
                            model="chat", run="demo-run", input_tokens=200, max_output_tokens=200, min_output_tokens=200
                        ) as call,
                        call.attempt() as attempt,
                    ):
                        attempt.used(input=200, output=200)
                    return "admitted"
                except BudgetExhausted as refusal:
                    return refusal.reason

        with ThreadPoolExecutor(32) as pool:
            outcomes = collections.Counter(pool.map(agent, range(32)))
        budget = self.run_budget("demo-run")
        self.check(
            "some were admitted, the others refused",
            outcomes.keys() == {"admitted", "BUDGET_EXHAUSTED"},
            dict(outcomes),
        )
        fits = budget.limit.tokens // 400
        self.check(
            "exactly as many as fit", outcomes["admitted"] == fits, f"{fits} x 400 tokens in {budget.limit.tokens}"
        )
        self.check(
            "spent <= limit, nothing left on hold",
            budget.spent.tokens <= budget.limit.tokens and not budget.reserved.tokens,
        )

    def run_budget(self, run: str) -> budget_service_pb2.Budget:
        """The run's budget instance."""
        with self.client() as client:
            return next(b for b in client.budgets() if b.scope.get("run") == run)

    def policy(self) -> None:
        self.scene("5. Policy is asked before anything happens")
        with self.sdk() as client:
            try:
                self.ask(client, labels="data=secret")
                self.check("a call with secret data is denied", False)
            except openai.PermissionDeniedError as error:
                self.check(
                    "a call with secret data is denied",
                    error.response.headers["x-fairlead-reason"] == "POLICY_DENIED",
                    error.body,
                )

    def reload(self) -> None:
        self.scene("6. The configuration is edited on disk: it takes effect without a restart")
        with self.sdk() as client:
            before = self.ask(client).headers["x-fairlead-config-version"]
            text = self.stage.config.read_text()
            self.stage.config.write_text(text.replace("data: secret", "data: harmless"))
            began = time.monotonic()
            while self.ask(client).headers["x-fairlead-config-version"] == before and time.monotonic() - began < 5:
                time.sleep(0.05)
            took = time.monotonic() - began
            after = self.ask(client, labels="data=secret").headers["x-fairlead-config-version"]
        self.check(
            "the new rules are in force within 2 s",
            after != before and took < 2,
            f"{took:.1f} s, {before[:8]} -> {after[:8]}",
        )

    def crash(self) -> None:
        self.scene("7. kill -9 in the middle of load: nothing that was acknowledged is lost")
        acknowledged: list[str] = []
        killed = threading.Event()

        def agent(number: int) -> None:
            with self.client() as client:
                while not killed.is_set():
                    try:
                        with client.invocation(
                            model="chat", session=f"crash-{number}", input_tokens=10, max_output_tokens=64
                        ) as call:
                            acknowledged.append(call.id)
                            with call.attempt() as attempt:
                                attempt.used(input=10, output=5)
                    except (ConnectionFailed, TemporarilyUnavailable):
                        return
                    except FairleadError as error:
                        print(f"  unexpected: {error}")
                        return

        threads = [threading.Thread(target=agent, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        while len(acknowledged) < 500 and any(thread.is_alive() for thread in threads):
            time.sleep(0.01)
        self.stage.kill_daemon()
        killed.set()
        seconds = self.stage.start_daemon()
        for thread in threads:
            thread.join()
        exported = self.stage.fairlead("audit", "export").stdout.splitlines()
        recorded = {json.loads(line)["record"].get("invocation", "") for line in exported}
        lost = [invocation for invocation in acknowledged if invocation not in recorded]
        self.check(
            f"{len(acknowledged)} acknowledged calls, all there after the restart",
            not lost and len(acknowledged) >= 500,
        )
        self.check("back in service", True, f"{seconds:.2f} s")

    def explain(self) -> None:
        self.scene(f"8. fairlead explain {self.last_invocation}")
        explained = self.stage.fairlead("explain", self.last_invocation)
        print("\n".join("    " + line for line in explained.stdout.splitlines()))
        self.check("the fallback is explained", explained.returncode == 0 and "429" in explained.stdout, "")

    def verify(self) -> None:
        self.scene("9. fairlead audit verify")
        verified = self.stage.fairlead("audit", "verify")
        print("    " + verified.stdout.strip().replace("\n", "\n    "))
        self.check("the chain is whole", verified.returncode == 0)

    def run(self) -> int:
        """All scenes."""
        scenes: list[Callable[[], None]] = [
            self.normal_call,
            self.weighted_split,
            self.fallback,
            self.budget,
            self.policy,
            self.reload,
            self.crash,
            self.explain,
            self.verify,
        ]
        for scene in scenes:
            scene()
        verdict = f"FAILED: {'; '.join(self.failed)}" if self.failed else "All claims hold."
        print(f"\n{verdict}")
        return 1 if self.failed else 0


def main() -> int:
    """Sets the stage, runs the scenes, ends every process."""
    with tempfile.TemporaryDirectory(prefix="fairlead-demo-") as directory:
        stage = Stage(Path(directory))
        try:
            stage.start_providers()
            seconds = stage.start_daemon()
            providers = " and ".join(stage.providers.values())
            print(f"fairlead serves on {stage.address} after {seconds:.2f} s, providers on {providers}")
            return Demo(stage).run()
        finally:
            stage.close()


if __name__ == "__main__":
    raise SystemExit(main())
