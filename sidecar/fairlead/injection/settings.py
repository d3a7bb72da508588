"""What can be chosen about an injected sidecar: defaults, overridden by flags, overridden by a pod's annotations."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

PREFIX = "fairlead/"
INJECT = f"{PREFIX}inject"
# The label of every pod that has the sidecar, for NetworkPolicies and monitors.
INJECTED_LABEL = f"{PREFIX}sidecar"

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_VOLUME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}")
_QUANTITY = re.compile(r"[0-9]{1,12}(\.[0-9]{1,3})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_GRACE = re.compile(r"([0-9]{1,4})s")
_GRACE_MAX_SECONDS = 3600


class InvalidSetting(ValueError):
    """A flag or an annotation that cannot be used; the message says what it must look like."""


class Probes(StrEnum):
    """How the kubelet asks whether the sidecar is well."""

    HTTP = "http"  # it calls the health port on the pod's address
    EXEC = "exec"  # it runs `fairlead health` in the container; then nothing listens outside of the pod


class PullPolicy(StrEnum):
    """When the image is pulled."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A key of a Secret."""

    secret: str
    key: str


@dataclass(frozen=True, slots=True)
class Settings:
    """An injected sidecar.

    At most one of `data_claim` and `data_volume` is set; without both the data directory is an emptyDir. Quantities are
    written as Kubernetes does.
    """

    image: str
    pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    config: str = "fairlead-config"  # ConfigMap with fairlead.yaml
    secret: str | None = "fairlead-secrets"  # Secret that only the sidecar mounts
    agent_token: SecretKey | None = None  # what agents and sidecar share
    agent_containers: tuple[str, ...] | None = None  # None: all but init containers
    agent_environment: bool = True  # agents learn the URLs from variables
    data_claim: str | None = None
    data_volume: str | None = None
    data_size: str = "2Gi"  # bound of the emptyDir
    probes: Probes = Probes.HTTP
    grace_seconds: int = 30
    cpu_request: str = "100m"
    memory_request: str = "192Mi"
    memory_limit: str = "384Mi"

    def with_values(self, values: Mapping[str, str]) -> Settings:
        """These settings, changed by texts by the names in `CHOICES`; raises InvalidSetting."""
        changed: dict[str, Any] = {}
        for name, text in values.items():
            try:
                read = CHOICES[name]
            except KeyError:
                raise InvalidSetting(f"`{name}` is not one of {', '.join(CHOICES)}") from None
            try:
                changed[name.replace("-", "_")] = read(text)
            except InvalidSetting as error:
                raise InvalidSetting(f"`{name}` {error}") from None
        if "data-claim" in values and "data-volume" in values:
            raise InvalidSetting("`data-claim` and `data-volume` exclude each other: the data is in one place")
        if "data-claim" in values:
            changed["data_volume"] = None
        if "data-volume" in values:
            changed["data_claim"] = None
        if "grace" in changed:
            changed["grace_seconds"] = changed.pop("grace")
        return replace(self, **changed)

    def with_annotations(self, annotations: Mapping[str, Any]) -> Settings:
        """These settings, changed by a pod's annotations. One with our prefix that is unknown is an error: it was meant
        to say something. Raises InvalidSetting."""
        values: dict[str, str] = {}
        for name, value in annotations.items():
            if not str(name).startswith(PREFIX) or name == INJECT:
                continue
            if not isinstance(value, str):
                raise InvalidSetting(f"annotation {name} is not a text: write its value in quotes")
            values[name.removeprefix(PREFIX)] = value
        try:
            return self.with_values(values)
        except InvalidSetting as error:
            raise InvalidSetting(f"annotation {PREFIX}…: {error}") from None


def asked(annotations: Mapping[str, Any]) -> bool | None:
    """What the pod says about being injected; None: nothing. Raises InvalidSetting."""
    value = annotations.get(INJECT)
    if value is None:
        return None
    if not isinstance(value, str) or value not in ("true", "false"):
        raise InvalidSetting(f'annotation {INJECT} must be "true" or "false", in quotes')
    return value == "true"


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if pattern.fullmatch(text) is None:
            raise InvalidSetting(f"must be {what}")
        return text

    return read


def _secret(text: str) -> str | None:
    return None if text == "" else _matching(_NAME, "the name of a Secret, or empty for none")(text)


def _secret_key(text: str) -> SecretKey:
    secret, slash, key = text.partition("/")
    if not slash or _NAME.fullmatch(secret) is None or _KEY.fullmatch(key) is None:
        raise InvalidSetting("must be SECRET/KEY, such as support-bot/token")
    return SecretKey(secret, key)


def _containers(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if any(_VOLUME.fullmatch(name) is None for name in names):
        raise InvalidSetting("must be names of containers, separated by commas")
    return names


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise InvalidSetting("must be true or false")
    return text == "true"


def _grace(text: str) -> int:
    match = _GRACE.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= _GRACE_MAX_SECONDS:
        raise InvalidSetting(f"must be a time from 1s to {_GRACE_MAX_SECONDS}s")
    return int(match[1])


def _one_of(choices: type[StrEnum]) -> Callable[[str], StrEnum]:
    def read(text: str) -> StrEnum:
        try:
            return choices(text)
        except ValueError:
            raise InvalidSetting(f"must be one of {', '.join(choices)}") from None

    return read


_quantity = _matching(_QUANTITY, "a quantity, such as 100m or 128Mi")

CHOICES: dict[str, Callable[[str], Any]] = {
    "image": _matching(_IMAGE, "the name of an image, such as registry.example/fairlead:0.1.0"),
    "pull-policy": _one_of(PullPolicy),
    "config": _matching(_NAME, "the name of a ConfigMap"),
    "secret": _secret,
    "agent-token": _secret_key,
    "agent-containers": _containers,
    "agent-environment": _boolean,
    "data-claim": _matching(_NAME, "the name of a PersistentVolumeClaim"),
    "data-volume": _matching(_VOLUME, "the name of a volume of the pod, or of a claim template"),
    "data-size": _quantity,
    "probes": _one_of(Probes),
    "grace": _grace,
    "cpu-request": _quantity,
    "memory-request": _quantity,
    "memory-limit": _quantity,
}
"""Every setting that can be given as a text: `--NAME` of the commands, `fairlead/NAME` of a pod."""
