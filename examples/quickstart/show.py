"""What every scene needs: headings, claims that are checked, and clients."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
from stage import TOKENS, Stage

from fairlead.client import Client

MESSAGES: Any = [{"role": "user", "content": "How does a fairlead keep a line from chafing?"}]


class Show:
    """Prints scenes and keeps what did not hold."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.failed: list[str] = []
        # The call that the last scenes explain.
        self.chain_invocation = ""
        self._scenes = 0

    def scene(self, title: str) -> None:
        """Prints a heading."""
        self._scenes += 1
        heading = f"{self._scenes}. {title}"
        print(f"\n\033[1m{heading}\033[0m" if sys.stdout.isatty() else f"\n{heading}")

    def check(self, claim: str, holds: bool, shown: object = "") -> None:
        """Prints a claim and whether it holds."""
        print(f"  {'ok  ' if holds else 'FAIL'} {claim}" + (f"  [{shown}]" if shown != "" else ""))
        if not holds:
            self.failed.append(claim)

    def quote(self, text: str) -> None:
        """Prints what a command printed."""
        print("\n".join(f"    {line}".rstrip() for line in text.strip().splitlines()))

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
