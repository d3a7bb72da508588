"""The kinds that hold pods, and what is done to one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fairlead.injection.pod import Fields, NotInjectable, inject
from fairlead.injection.settings import INJECTED_LABEL, InvalidSetting, Settings, asked

_TEMPLATE = ("spec", "template")
# Where a kind has the metadata and the specification of its pods.
PODS = {
    "Pod": (),
    "Deployment": _TEMPLATE,
    "ReplicaSet": _TEMPLATE,
    "ReplicationController": _TEMPLATE,
    "StatefulSet": _TEMPLATE,
    "DaemonSet": _TEMPLATE,
    "Job": _TEMPLATE,
    "CronJob": ("spec", "jobTemplate", *_TEMPLATE),
}


@dataclass(frozen=True, slots=True)
class Done:
    """What was done to one object: `changed`, and warnings that name it."""

    changed: bool
    warnings: tuple[str, ...] = ()


def inject_object(document: Fields, settings: Settings, *, only_asked: bool = False) -> Done:
    """Adds the sidecar, in place, to all pods of an object; a List has several. What holds no pods is left alone.

    With `only_asked` pods that do not ask for it are left alone as well, else those that ask not to. Raises
    NotInjectable with the object's name.
    """
    changed = False
    warnings: list[str] = []
    for each in _objects(document):
        done = _inject_one(each, settings, only_asked)
        changed |= done.changed
        warnings += done.warnings
    return Done(changed, tuple(warnings))


def name_of(document: Fields) -> str:
    """Kind and name, for messages."""
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return f"{document.get('kind')} {metadata.get('name') or metadata.get('generateName') or '(no name)'}"


def label(metadata: Fields) -> None:
    """Says on the pod that it has the sidecar."""
    if metadata.get("labels") is None:
        metadata["labels"] = {}
    metadata["labels"][INJECTED_LABEL] = "true"


def annotations_of(metadata: Fields) -> Fields:
    """The annotations; raises NotInjectable if they are none."""
    found = metadata.get("annotations")
    if found is not None and not isinstance(found, dict):
        raise NotInjectable("metadata.annotations is not an object")
    return found or {}


def _objects(document: Fields) -> Iterator[Fields]:
    items = document.get("items")
    if str(document.get("kind", "")).endswith("List") and isinstance(items, list):
        for item in items:
            if isinstance(item, dict):
                yield from _objects(item)
    else:
        yield document


def _inject_one(document: Fields, settings: Settings, only_asked: bool) -> Done:
    kind = document.get("kind")
    path = PODS.get(kind) if isinstance(kind, str) else None
    if path is None:
        return Done(changed=False)
    try:
        pod = _descend(document, path)
        metadata = pod.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        annotations = annotations_of(metadata)
        wanted = asked(annotations)
        if wanted is False or (only_asked and wanted is None):
            return Done(changed=False)
        chosen = settings.with_annotations(annotations)
        done = inject(pod.get("spec") or {}, chosen, _claim_templates(document))
    except (NotInjectable, InvalidSetting) as error:
        raise NotInjectable(f"{name_of(document)}: {error}") from None
    if not done.changed:
        return Done(changed=False)
    pod["spec"] = done.spec
    if not isinstance(pod.get("metadata"), dict):
        pod["metadata"] = {}
    label(pod["metadata"])
    warnings = (*done.warnings, *_doubts(document, chosen))
    return Done(changed=True, warnings=tuple(f"{name_of(document)}: {warning}" for warning in warnings))


def _descend(document: Fields, path: tuple[str, ...]) -> Fields:
    found: Any = document
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        raise NotInjectable(f"there is no {'.'.join(path)}")
    return found


def _claim_templates(document: Fields) -> list[str]:
    templates = (document.get("spec") or {}).get("volumeClaimTemplates") if document["kind"] == "StatefulSet" else None
    found = templates if isinstance(templates, list) else []
    return [
        each["metadata"]["name"] for each in found if isinstance(each, dict) and "name" in (each.get("metadata") or {})
    ]


def _doubts(document: Fields, settings: Settings) -> Iterator[str]:
    """One claim is one data directory, and one data directory is for one sidecar."""
    if settings.data_claim is None or document["kind"] == "Pod":
        return
    spec = document.get("spec") or {}
    if document["kind"] == "DaemonSet" or (spec.get("replicas") or 1) != 1:
        claim = settings.data_claim
        yield f"its pods share claim {claim}, which one sidecar locks: use a StatefulSet with claim templates"
    elif document["kind"] == "Deployment" and (spec.get("strategy") or {}).get("type") != "Recreate":
        yield "a new pod starts beside the old one, which locks the claim: set strategy.type to Recreate"
