"""The sidecar's container and volumes."""

from __future__ import annotations

from typing import Any

from fairlead.injection.settings import Probes, Settings

CONTAINER = "fairlead"
# Its own, so that no other container of the pod acts with its rights, and rules can tell its packets apart.
USER = 7400
AGENT_PORT = 7400
HEALTH_PORT = 7402
HEALTH_PORT_NAME = "fairlead-health"
CONFIG_VOLUME, SECRETS_VOLUME, DATA_VOLUME = "fairlead-config", "fairlead-secrets", "fairlead-data"
CONFIG_DIRECTORY = "/etc/fairlead"
SECRETS_DIRECTORY = "/var/run/secrets/fairlead"
# The volume belongs to whoever made it; the directory below is the sidecar's own, mode 0700.
DATA_DIRECTORY = "/var/lib/fairlead"
AGENT_TOKEN_FILE = "agent-token"
# Nobody but the sidecar mounts them, and its root file system has no other users.
_READABLE = 0o444
# The sidecar goes on serving while agents that ended at once are cleaned up behind.
PRE_STOP_SECONDS = 5
# Between the end of the calls' grace and the kill: control services, the last write and sync.
_CLOSING_SECONDS = 10
# Agents keep their own time to end before the sidecar's begins: it is told to stop when they have.
_AGENTS_SECONDS = 30
# A start waits for a store that takes no writes and for a clock that was set back instead of ending.
_START_SECONDS = 600


def container(settings: Settings) -> dict[str, Any]:
    """The native sidecar: an init container that keeps running, ready before the agents start, stopped after them."""
    mounts = [
        {"name": CONFIG_VOLUME, "mountPath": CONFIG_DIRECTORY, "readOnly": True},
        {"name": settings.data_volume or DATA_VOLUME, "mountPath": DATA_DIRECTORY},
    ]
    if _has_secrets(settings):
        mounts.append({"name": SECRETS_VOLUME, "mountPath": SECRETS_DIRECTORY, "readOnly": True})
    made: dict[str, Any] = {
        "name": CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.pull_policy.value,
        "restartPolicy": "Always",
        "args": ["serve", "--config", f"{CONFIG_DIRECTORY}/fairlead.yaml", "--grace", f"{settings.grace_seconds}s"],
        "env": [{"name": "FAIRLEAD_DATA", "value": f"{DATA_DIRECTORY}/data"}],
    }
    if settings.probes is Probes.HTTP:
        made["ports"] = [{"name": HEALTH_PORT_NAME, "containerPort": HEALTH_PORT, "protocol": "TCP"}]
    else:
        made["env"].append({"name": "FAIRLEAD_HEALTH_LISTEN", "value": f"127.0.0.1:{HEALTH_PORT}"})
    ephemeral = not (settings.data_claim or settings.data_volume)
    return made | {
        # Agents start when it has passed: the state is recovered, and the store takes writes.
        "startupProbe": {**_probe(settings, "readyz"), "periodSeconds": 1, "failureThreshold": _START_SECONDS},
        "readinessProbe": {**_probe(settings, "readyz"), "periodSeconds": 5, "failureThreshold": 2},
        "livenessProbe": {**_probe(settings, "healthz"), "periodSeconds": 10, "failureThreshold": 3},
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}},
        "resources": {
            "requests": {
                "cpu": settings.cpu_request,
                "memory": settings.memory_request,
                **({"ephemeral-storage": "256Mi"} if ephemeral else {}),
            },
            "limits": {"memory": settings.memory_limit},
        },
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": mounts,
    }


def volumes(settings: Settings) -> list[dict[str, Any]]:
    """The volumes that only the sidecar mounts."""
    made: list[dict[str, Any]] = [{"name": CONFIG_VOLUME, "configMap": {"name": settings.config}}]
    if settings.data_claim is not None:
        made.append({"name": DATA_VOLUME, "persistentVolumeClaim": {"claimName": settings.data_claim}})
    elif settings.data_volume is None:
        made.append({"name": DATA_VOLUME, "emptyDir": {"sizeLimit": settings.data_size}})
    sources: list[dict[str, Any]] = []
    if settings.secret is not None:
        sources.append({"secret": {"name": settings.secret}})
    if settings.agent_token is not None:
        items = [{"key": settings.agent_token.key, "path": AGENT_TOKEN_FILE}]
        sources.append({"secret": {"name": settings.agent_token.secret, "items": items}})
    if sources:
        made.append({"name": SECRETS_VOLUME, "projected": {"defaultMode": _READABLE, "sources": sources}})
    return made


def agent_environment(settings: Settings) -> list[dict[str, Any]]:
    """Where SDKs find the sidecar, and, with an agent's token, what they show it."""
    local = f"127.0.0.1:{AGENT_PORT}"
    made: list[dict[str, Any]] = [
        {"name": "FAIRLEAD_ENDPOINT", "value": local},
        {"name": "OPENAI_BASE_URL", "value": f"http://{local}/v1"},
        {"name": "ANTHROPIC_BASE_URL", "value": f"http://{local}"},
    ]
    token = settings.agent_token
    if token is not None:
        source = {"secretKeyRef": {"name": token.secret, "key": token.key}}
        names = ("FAIRLEAD_TOKEN", "OPENAI_API_KEY", "ANTHROPIC_API_KEY")
        made += [{"name": name, "valueFrom": source} for name in names]
    return made


def pod_grace_seconds(settings: Settings, given: int | None) -> int:
    """`terminationGracePeriodSeconds`: the agents' time, then the sidecar's; what the pod has, if that is more."""
    needed = _AGENTS_SECONDS + settings.grace_seconds + _CLOSING_SECONDS
    return max(needed, given or 0)


def _has_secrets(settings: Settings) -> bool:
    return settings.secret is not None or settings.agent_token is not None


def _probe(settings: Settings, path: str) -> dict[str, Any]:
    if settings.probes is Probes.HTTP:
        return {"httpGet": {"path": f"/{path}", "port": HEALTH_PORT_NAME}, "timeoutSeconds": 2}
    # A new interpreter each time: dearer, and slower on a busy node.
    live = ["--live"] if path == "healthz" else []
    return {"exec": {"command": ["fairlead", "health", *live]}, "timeoutSeconds": 10}
