"""The official OpenAI SDK for Node; the scenario is in node/openai.js."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from .conftest import HERE, MODELS, TOKEN


@pytest.mark.parametrize("model", MODELS)
def test_chat_streams_tools_and_responses(sidecar: str, model: str) -> None:
    ran = subprocess.run(
        ["node", str(HERE / "node/openai.js"), f"{sidecar}/v1", model],
        env={**os.environ, "COMPAT_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "whole": "Hello! How can I help you today?",
        "streamed": "Hello! How can I help you today?",
        "end": "stop",
        "arguments": {"city": "Paris"},
        "told": "It is sunny in Paris.",
        "response": "Hello! How can I help you today?",
        "first": "response.created",
        "last": "response.completed",
    }
