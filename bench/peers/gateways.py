"""Starts each gateway in front of the same provider. Each is as its documentation starts it, with one worker."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import ROOT, running

HERE = Path(__file__).parent
VENV = ROOT / ".venv-peers"
START_SECONDS = 120


@dataclass(frozen=True)
class Gateway:
    """Where to call it, and how."""

    name: str
    url: str
    token: str
    model: str
    headers: tuple[str, ...] = ()


@contextmanager
def switchyard(directory: Path, provider: str) -> Iterator[Gateway]:
    """NeMo Switchyard: a Rust proxy inside a Python wheel, as a plain pass-through."""
    routes = directory / "routes.toml"
    routes.write_text(
        f"""schema_version = 1
[llm_clients.local]
format = "openai_chat"
base_url = "http://{provider}/v1"
api_key_env = "PEER_KEY"
[targets.large]
id = "dev-large"
llm_client = "local"
[routes.chat]
id = "chat"
type = "passthrough"
target = "large"
"""
    )
    command = [str(VENV / "switchyard/bin/python"), str(HERE / "switchyard_server.py"), str(routes)]
    environment = {**os.environ, "PEER_KEY": "x", "RUST_LOG": "error"}
    with running(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip().removeprefix("http://")
        yield Gateway("NeMo Switchyard", f"{address}/v1/chat/completions", "x", "chat")


@contextmanager
def portkey(directory: Path, provider: str) -> Iterator[Gateway]:
    """Portkey's open gateway, which takes the provider from headers."""
    port = free_port()
    script = HERE / "node/node_modules/@portkey-ai/gateway/build/start-server.js"
    command = ["node", str(script), "--headless", f"--port={port}"]
    headers = ("x-portkey-provider: openai", f"x-portkey-custom-host: http://{provider}/v1")
    with (
        (directory / "portkey.log").open("w") as log,
        running(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log),
    ):
        wait_for(f"http://127.0.0.1:{port}/")
        yield Gateway("Portkey", f"127.0.0.1:{port}/v1/chat/completions", "x", "dev-large", headers)


@contextmanager
def litellm(directory: Path, provider: str) -> Iterator[Gateway]:
    """LiteLLM's proxy with one worker and a key; without a database it holds no budgets."""
    port = free_port()
    config = directory / "litellm.yaml"
    config.write_text(
        f"""model_list:
  - model_name: chat
    litellm_params: {{model: openai/dev-large, api_base: "http://{provider}/v1", api_key: x}}
general_settings: {{master_key: sk-bench}}
litellm_settings: {{telemetry: false}}
"""
    )
    command = [str(VENV / "litellm/bin/litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with (
        (directory / "litellm.log").open("w") as log,
        running(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment),
    ):
        wait_for(f"http://127.0.0.1:{port}/health/liveliness")
        yield Gateway("LiteLLM", f"127.0.0.1:{port}/v1/chat/completions", "sk-bench", "chat")


def tensorzero(directory: Path, provider: str, calls: int) -> dict[str, float]:
    """TensorZero's gateway inside its Python client: no HTTP of its own, measured in its process."""
    config = directory / "tensorzero.toml"
    config.write_text(
        f"""[gateway]
observability.enabled = false
[models.chat]
routing = ["local"]
[models.chat.providers.local]
type = "openai"
model_name = "dev-large"
api_base = "http://{provider}/v1/"
api_key_location = "none"
"""
    )
    command = [str(VENV / "tensorzero/bin/python"), str(HERE / "tensorzero_calls.py"), str(config), str(calls)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = re.search(r"p50=(\d+) p99=(\d+)", done.stdout)
    assert found is not None, done.stdout
    return {"p50": float(found[1]), "p99": float(found[2])}


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def wait_for(url: str) -> None:
    """Waits until something answers."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"nothing answers at {url}")
