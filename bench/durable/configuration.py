"""The configuration for durable steps: that of all other figures, with a chain of five steps and a run that waits."""

from __future__ import annotations

import json

from bench import configuration

CHAIN, WAITING = "chain", "waiting"
STEPS = 5
QUEUE = "noop"
SIGNAL = "go"


def text() -> str:
    """The YAML. Steps are as durable as they are by default: their results survive a power cut."""
    # Nobody calls a model here.
    config = json.loads(configuration.text("127.0.0.1:9", "127.0.0.1:9"))
    config["limits"] |= {"openRuns": 1_000_000, "runBytes": "16GiB"}
    config["workflows"] = [
        {
            "name": CHAIN,
            "input": {"schema": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}},
            "steps": [
                {
                    "id": f"s{number}",
                    "agent": QUEUE,
                    "effect": "pure",
                    "needs": [f"s{number - 1}"] if number > 1 else [],
                    "input": "${input.text}" if number == 1 else f"${{steps.s{number - 1}.output}}",
                }
                for number in range(1, STEPS + 1)
            ],
            "output": {"value": f"${{steps.s{STEPS}.output}}"},
        },
        {
            "name": WAITING,
            "steps": [{"id": "wait", "wait": {"signal": SIGNAL, "timeout": "30d"}}],
        },
    ]
    return json.dumps(config, indent=1)
