"""What happens to a sidecar that runs: new configuration, a crash, and questions about the past."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from show import Show

from fairlead.client import ConnectionFailed, FairleadError, TemporarilyUnavailable

OUTPUT_RULES = """\
apiVersion: fairlead/v1
policies:
  - {name: no-personal-data, on: model.output, check: {detect: [email]}, effect: redact}
"""


def reload(show: Show) -> None:
    show.scene("A rule on what models say is added on disk: in force without a restart")
    with show.sdk() as client:
        before = contact(client)
        show.check("without the rule an address passes", "jane@example.com" in before.text, before.text)
        version = before.version
        (show.stage.config.parent / "output-rules.yaml").write_text(OUTPUT_RULES)
        began = time.monotonic()
        while (after := contact(client)).version == version and time.monotonic() - began < 5:
            time.sleep(0.05)
        took = time.monotonic() - began
    show.check("the new rules are in force within 2 s", after.version != version and took < 2, f"{took:.1f} s")
    show.check(
        "now it is redacted", "jane@example.com" not in after.text and "[redacted:email]" in after.text, after.text
    )


class Contact:
    """An answer with a mail address in it."""

    def __init__(self, text: str, version: str) -> None:
        self.text, self.version = text, version


def contact(client: Any) -> Contact:
    """Asks a model for a contact; the development provider answers what the schema says."""
    schema = {"type": "object", "required": ["contact"], "properties": {"contact": {"const": "jane@example.com"}}}
    raw = client.chat.completions.with_raw_response.create(
        model="dev-large",
        messages=[{"role": "user", "content": "Whom do I write to?"}],
        response_format={"type": "json_schema", "json_schema": {"name": "contact", "schema": schema}},
    )
    return Contact(raw.parse().choices[0].message.content, raw.headers["x-fairlead-config-version"])


def crash(show: Show) -> None:
    show.scene("kill -9 in the middle of load: nothing that was acknowledged is lost")
    acknowledged: list[str] = []
    killed = threading.Event()

    def agent(number: int) -> None:
        facts: dict[str, Any] = {"session": f"crash-{number}", "input_tokens": 10, "max_output_tokens": 64}
        with show.client() as client:
            while not killed.is_set():
                try:
                    with client.invocation(model="chat", **facts) as call:
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
    show.stage.kill_daemon()
    killed.set()
    seconds = show.stage.start_daemon()
    for thread in threads:
        thread.join()
    exported = show.stage.fairlead("audit", "export").stdout.splitlines()
    recorded = {json.loads(line)["record"].get("invocation", "") for line in exported}
    lost = [invocation for invocation in acknowledged if invocation not in recorded]
    claim = f"{len(acknowledged)} acknowledged calls, all there after the restart"
    show.check(claim, not lost and len(acknowledged) >= 500, f"back in {seconds:.1f} s")


def explain(show: Show) -> None:
    show.scene(f"fairlead explain {show.chain_invocation}")
    explained = show.stage.fairlead("explain", show.chain_invocation)
    show.quote(explained.stdout)
    told = all(part in explained.stdout for part in ("500", "529", "dev-local answered"))
    show.check("every attempt of the chain is explained", explained.returncode == 0 and told)


def verify(show: Show) -> None:
    show.scene("fairlead audit verify")
    verified = show.stage.fairlead("audit", "verify")
    show.quote(verified.stdout)
    show.check("the chain is whole", verified.returncode == 0)
