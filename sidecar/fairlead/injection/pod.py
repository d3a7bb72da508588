"""A pod with the sidecar: one pure function for files, for admission, and, as tests compare, for what is in deploy/."""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from fairlead.injection import custody
from fairlead.injection.container import (
    CONTAINER,
    USER,
    agent_environment,
    container,
    pod_grace_seconds,
    volumes,
)
from fairlead.injection.settings import Settings

Fields = dict[str, Any]
_LISTS_OF_POD = ("containers", "initContainers", "volumes")
_LISTS_OF_CONTAINER = ("env", "envFrom", "ports", "volumeMounts")


class NotInjectable(Exception):
    """This pod cannot have the sidecar, or would be wrong to have it; the message says all reasons."""


@dataclass(frozen=True, slots=True)
class Injected:
    """A pod's specification with the sidecar. `changed` is False when it had one before."""

    spec: Fields
    changed: bool
    warnings: tuple[str, ...] = ()


def inject(spec: Fields, settings: Settings, claim_templates: Collection[str] = ()) -> Injected:
    """The pod with the sidecar; `spec` stays as it is.

    INVARIANT: injecting the result again changes nothing. A pod that has a container `fairlead` is left as it is,
    whoever put it there. `claim_templates` are names of volumes that a StatefulSet adds to its pods. Raises
    NotInjectable.
    """
    _check_shape(spec)
    if any(each.get("name") == CONTAINER for each in custody.containers(spec)):
        return Injected(spec, changed=False)
    reasons = list(custody.obstacles(spec, settings))
    names = [each.get("name") for each in spec["containers"]]
    for wanted in settings.agent_containers or ():
        if wanted not in names:
            reasons.append(f"there is no container {wanted} to be told about the sidecar")
    own_volumes = {volume.get("name") for volume in spec.get("volumes") or ()} | set(claim_templates)
    if settings.data_volume is not None and settings.data_volume not in own_volumes:
        reasons.append(f"there is no volume {settings.data_volume} for the sidecar's data")
    if reasons:
        raise NotInjectable("; ".join(reasons))
    warnings = tuple(custody.doubts(spec, settings))

    # A copy that keeps comments and order where the document has them.
    made = copy.deepcopy(spec)
    # First, so that other init containers can use it already.
    _list(made, "initContainers").insert(0, container(settings))
    own = _list(made, "volumes")
    for volume in volumes(settings):
        own.append(volume)
    if settings.agent_environment:
        for agent in made["containers"]:
            if settings.agent_containers is None or agent.get("name") in settings.agent_containers:
                _add_environment(agent, settings)
    made["terminationGracePeriodSeconds"] = pod_grace_seconds(settings, made.get("terminationGracePeriodSeconds"))
    if settings.data_claim is not None or settings.data_volume is not None:
        _let_write(made)
    return Injected(made, changed=True, warnings=warnings)


def _check_shape(spec: Fields) -> None:
    """What is read below is there and of the right kind; everything else is the API server's to judge."""
    if not isinstance(spec, dict) or not spec.get("containers"):
        raise NotInjectable("the pod has no containers")
    for key in _LISTS_OF_POD:
        _check_list(spec, key, "the pod")
    for each in custody.containers(spec):
        for key in _LISTS_OF_CONTAINER:
            _check_list(each, key, f"container {each.get('name')}")
        for variable in each.get("env") or ():
            _check_object(variable, "valueFrom", f"a variable of container {each.get('name')}")
            _check_object(
                variable.get("valueFrom") or {}, "secretKeyRef", f"a variable of container {each.get('name')}"
            )
        for source in each.get("envFrom") or ():
            _check_object(source, "secretRef", f"container {each.get('name')}")
        _check_object(each, "securityContext", f"container {each.get('name')}")
    for volume in spec.get("volumes") or ():
        for key in ("secret", "projected", "persistentVolumeClaim"):
            _check_object(volume, key, "a volume")
        _check_list(volume.get("projected") or {}, "sources", "a volume")
        for source in (volume.get("projected") or {}).get("sources") or ():
            _check_object(source, "secret", "a volume")
    for key in ("securityContext", "os"):
        _check_object(spec, key, "the pod")
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and (not isinstance(grace, int) or isinstance(grace, bool)):
        raise NotInjectable("terminationGracePeriodSeconds of the pod is not a number")


def _check_list(holder: Fields, key: str, what: str) -> None:
    value = holder.get(key)
    if value is not None and (not isinstance(value, list) or not all(isinstance(each, dict) for each in value)):
        raise NotInjectable(f"{key} of {what} is not a list of objects")


def _check_object(holder: Fields, key: str, what: str) -> None:
    value = holder.get(key)
    if value is not None and not isinstance(value, dict):
        raise NotInjectable(f"{key} of {what} is not an object")


def _list(holder: Fields, key: str) -> list[Any]:
    """The list under this key, made if it is not there (or null)."""
    if holder.get(key) is None:
        holder[key] = []
    found: list[Any] = holder[key]
    return found


def _add_environment(agent: Fields, settings: Settings) -> None:
    """What the container sets itself stays: its author may know better, and is warned."""
    own = _list(agent, "env")
    names = {variable.get("name") for variable in own}
    for variable in agent_environment(settings):
        if variable["name"] not in names:
            own.append(variable)


def _let_write(spec: Fields) -> None:
    """A claim's files are root's until the pod has a group; a group that it has is one of the sidecar's, too."""
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    context = spec["securityContext"]
    if context.get("fsGroup") is None:
        context["fsGroup"] = USER
        # Not file by file at every start.
        context.setdefault("fsGroupChangePolicy", "OnRootMismatch")
