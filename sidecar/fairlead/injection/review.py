"""AdmissionReview v1: what the API server asks about a pod, and the answer with a JSON Patch. Pure."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from fairlead.injection.pod import Fields, NotInjectable, inject
from fairlead.injection.settings import INJECTED_LABEL, InvalidSetting, Settings, asked
from fairlead.injection.workload import annotations_of

API_VERSION = "admission.k8s.io/v1"
KIND = "AdmissionReview"
_INVALID = 422
# What clients show; the API server cuts more off.
_WARNINGS_MAX = 8
_WARNING_MAX_CHARACTERS = 256
_UID_MAX_CHARACTERS = 128


class MalformedReview(ValueError):
    """This is no AdmissionReview that can be answered; the message says why."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The answer, and what to say of it in the log."""

    answer: Fields
    outcome: str  # injected, unchanged or refused
    uid: str
    pod: str


def review(body: bytes, settings: Settings) -> Reviewed:
    """Answers a review. A pod that asks for the sidecar and cannot have it is refused with the reasons; everything that
    does not ask is allowed as it is. Raises MalformedReview."""
    request = _request(body)
    uid = str(request["uid"])
    pod = request.get("object")
    if not _is_new_pod(request) or not isinstance(pod, dict):
        return Reviewed(_response(uid), "unchanged", uid, "")
    name = _name(request, pod)
    try:
        patch, warnings = _patch(pod, settings)
    except (NotInjectable, InvalidSetting) as error:
        message = f"the sidecar cannot be added to the pod: {error}"
        status = {"status": "Failure", "reason": "Invalid", "code": _INVALID, "message": message}
        return Reviewed(_response(uid, allowed=False, status=status), "refused", uid, name)
    if not patch:
        return Reviewed(_response(uid), "unchanged", uid, name)
    encoded = base64.b64encode(json.dumps(patch, separators=(",", ":")).encode()).decode()
    said = [f"fairlead: {warning}"[:_WARNING_MAX_CHARACTERS] for warning in warnings[:_WARNINGS_MAX]]
    more: Fields = {"warnings": said} if said else {}
    return Reviewed(_response(uid, patchType="JSONPatch", patch=encoded, **more), "injected", uid, name)


def _request(body: bytes) -> Fields:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedReview("the body is not JSON") from None
    if not isinstance(document, dict) or (document.get("apiVersion"), document.get("kind")) != (API_VERSION, KIND):
        raise MalformedReview(f"the body is not a {KIND} of {API_VERSION}")
    request = document.get("request")
    uid = request.get("uid") if isinstance(request, dict) else None
    if not isinstance(request, dict) or not isinstance(uid, str) or not 0 < len(uid) <= _UID_MAX_CHARACTERS:
        raise MalformedReview("the review has no request with a uid")
    return request


def _is_new_pod(request: Fields) -> bool:
    """Whatever else a webhook's rules may send is none of its business."""
    resource = request.get("resource")
    resource = resource if isinstance(resource, dict) else {}
    pods = (resource.get("group"), resource.get("version"), resource.get("resource")) == ("", "v1", "pods")
    return pods and request.get("operation") == "CREATE" and not request.get("subResource")


def _patch(pod: Fields, settings: Settings) -> tuple[list[Fields], tuple[str, ...]]:
    metadata = pod.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    annotations = annotations_of(metadata)
    if not asked(annotations):
        return [], ()
    before = pod.get("spec")
    before = before if isinstance(before, dict) else {}
    done = inject(before, settings.with_annotations(annotations))
    if not done.changed:
        return [], ()
    # `add` takes the place of what is there (RFC 6902, 4.1). Keys of a pod need no escapes.
    patch = [
        {"op": "add", "path": f"/spec/{key}", "value": value}
        for key, value in done.spec.items()
        if key not in before or before[key] != value
    ]
    if isinstance(metadata.get("labels"), dict):
        path = f"/metadata/labels/{INJECTED_LABEL.replace('~', '~0').replace('/', '~1')}"
        patch.append({"op": "add", "path": path, "value": "true"})
    else:
        patch.append({"op": "add", "path": "/metadata/labels", "value": {INJECTED_LABEL: "true"}})
    return patch, done.warnings


def _response(uid: str, *, allowed: bool = True, **more: Any) -> Fields:
    return {"apiVersion": API_VERSION, "kind": KIND, "response": {"uid": uid, "allowed": allowed, **more}}


def _name(request: Fields, pod: Fields) -> str:
    """A pod of a controller has no name yet, only the beginning of one."""
    metadata = pod.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name = metadata.get("name") or metadata.get("generateName") or "?"
    return f"{request.get('namespace') or 'default'}/{name}"
