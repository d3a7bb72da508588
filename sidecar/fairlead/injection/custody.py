"""What in a pod would undo that the sidecar alone holds keys and data: refused where it surely does, else warned of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fairlead.injection.container import AGENT_PORT, CONFIG_VOLUME, DATA_VOLUME, HEALTH_PORT, SECRETS_VOLUME, USER
from fairlead.injection.settings import Settings

# Variables in which SDKs look for a provider's key or for another address.
_KEYS = frozenset(
    f"{provider}_API_KEY"
    for provider in (
        *("OPENAI", "ANTHROPIC", "AZURE_OPENAI", "GEMINI", "GOOGLE", "MISTRAL", "COHERE", "GROQ", "DEEPSEEK"),
        *("OPENROUTER", "TOGETHER", "FIREWORKS", "XAI", "PERPLEXITY"),
    )
)
_ADDRESSES = frozenset(("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "FAIRLEAD_ENDPOINT"))
Fields = dict[str, Any]


def obstacles(spec: Fields, settings: Settings) -> Iterator[str]:
    """Reasons not to inject this pod, each with what to do instead."""
    if spec.get("hostNetwork"):
        yield "the pod uses the node's network, where all of the node reaches the agent port: set hostNetwork to false"
    if (spec.get("os") or {}).get("name") == "windows":
        yield "the sidecar does not run on Windows: leave the pod out with fairlead/inject"
    if settings.agent_token is not None and settings.agent_token.secret == settings.secret:
        yield f"the agent's token is in Secret {settings.secret}, which is the sidecar's alone: keep it in another"
    user = (spec.get("securityContext") or {}).get("runAsUser")
    ours = {CONFIG_VOLUME, SECRETS_VOLUME, DATA_VOLUME} | ({settings.data_volume} if settings.data_volume else set())
    volumes = [volume for volume in spec.get("volumes") or () if isinstance(volume, dict)]
    for volume in volumes:
        if volume.get("name") in (CONFIG_VOLUME, SECRETS_VOLUME, DATA_VOLUME):
            yield f"the pod has a volume {volume['name']} of its own: rename it"
        elif settings.secret is not None and settings.secret in _secrets_of(volume):
            yield f"volume {volume.get('name')} holds Secret {settings.secret}, which is the sidecar's alone: remove it"
        elif settings.data_claim is not None and _claim_of(volume) == settings.data_claim:
            yield f"volume {volume.get('name')} is claim {settings.data_claim}, which is the sidecar's alone: remove it"
    for each in containers(spec):
        name = each.get("name")
        if (each.get("securityContext") or {}).get("runAsUser", user) == USER:
            yield f"container {name} runs as user {USER}, which is the sidecar's own: choose another"
        for port in each.get("ports") or ():
            if port.get("containerPort") in (AGENT_PORT, HEALTH_PORT):
                yield f"container {name} uses port {port['containerPort']}, which is the sidecar's: choose another"
        for mount in each.get("volumeMounts") or ():
            if mount.get("name") in ours:
                yield f"container {name} mounts volume {mount['name']}, which is the sidecar's alone: remove the mount"
        if settings.secret is not None and settings.secret in _secrets_read(each):
            yield f"container {name} reads Secret {settings.secret}, which is the sidecar's alone: remove the reference"


def doubts(spec: Fields, settings: Settings) -> Iterator[str]:
    """What lets an agent go around the sidecar although it is there. Names of variables only, never a value."""
    if spec.get("shareProcessNamespace"):
        yield "the containers see each other's processes: one that runs as root can read the sidecar's memory"
    token = settings.agent_token
    for each in containers(spec):
        name = each.get("name")
        for variable in each.get("env") or ():
            reference = ((variable.get("valueFrom") or {}).get("secretKeyRef")) or {}
            ours = token is not None and (reference.get("name"), reference.get("key")) == (token.secret, token.key)
            if variable.get("name") in _KEYS and not ours:
                key = variable["name"]
                yield f"container {name} has its own {key}: with a provider's key it can go around the sidecar"
            elif variable.get("name") in _ADDRESSES:
                yield f"container {name} sets {variable['name']} itself: its calls may go around the sidecar"
        if (each.get("securityContext") or {}).get("privileged"):
            yield f"container {name} is privileged: it can read everything on the node, the sidecar's keys included"


def containers(spec: Fields) -> list[Fields]:
    """All containers of a pod, init containers first."""
    return [each for key in ("initContainers", "containers") for each in spec.get(key) or () if isinstance(each, dict)]


def _secrets_of(volume: Fields) -> set[Any]:
    named = {(volume.get("secret") or {}).get("secretName")}
    for source in (volume.get("projected") or {}).get("sources") or ():
        named.add((source.get("secret") or {}).get("name"))
    return named


def _claim_of(volume: Fields) -> str | None:
    claim: str | None = (volume.get("persistentVolumeClaim") or {}).get("claimName")
    return claim


def _secrets_read(container: Fields) -> set[Any]:
    named = {(source.get("secretRef") or {}).get("name") for source in container.get("envFrom") or ()}
    for variable in container.get("env") or ():
        named.add(((variable.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name"))
    return named
