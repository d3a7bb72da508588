"""Pods of this part's tests."""

from __future__ import annotations

from typing import Any

from fairlead.injection.settings import SecretKey, Settings

SETTINGS = Settings(image="registry.example/fairlead:0.1.0")
WITH_TOKEN = Settings(image="registry.example/fairlead:0.1.0", agent_token=SecretKey("support-bot", "token"))


def pod(**changes: Any) -> dict[str, Any]:
    """A pod's specification with one container `agent`."""
    return {"containers": [{"name": "agent", "image": "registry.example/agent:1"}], **changes}


def agent(**changes: Any) -> dict[str, Any]:
    """A pod's specification whose container has these fields."""
    return pod(containers=[{"name": "agent", "image": "registry.example/agent:1", **changes}])
