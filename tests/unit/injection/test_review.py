"""Reviews as an API server sends them, and everything that is none."""

from __future__ import annotations

import base64
import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fairlead.injection.pod import inject
from fairlead.injection.review import MalformedReview, review
from fairlead.injection.workload import PODS

from .samples import SETTINGS, WITH_TOKEN

MANIFESTS = Path(__file__).parents[3] / "deploy/manifests"
REVIEW: dict[str, Any] = json.loads((Path(__file__).parent / "reviews/pod.json").read_text())


# What kube-apiserver 1.36.3 sent: a pod as controllers make it, one with a name, one of `kubectl apply --server-side`
# as a dry run and for real. tests/cluster has an API server send more.
SENT = [json.loads(line) for line in (Path(__file__).parent / "reviews/kubernetes-1.36.jsonl").read_text().splitlines()]


def asking(**pod: Any) -> dict[str, Any]:
    """The review, about a pod with these fields."""
    made = copy.deepcopy(REVIEW)
    made["request"]["object"] |= pod
    return made


def answered(document: Any) -> dict[str, Any]:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    answer = review(body, SETTINGS).answer
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response: dict[str, Any] = answer["response"]
    return response


def patched(document: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    """The pod after the patch, applied as RFC 6902 says of `add`."""
    pod: dict[str, Any] = copy.deepcopy(document["request"]["object"])
    assert response["patchType"] == "JSONPatch"
    for step in json.loads(base64.b64decode(response["patch"])):
        assert step["op"] == "add"
        *path, last = (part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:])
        holder = pod
        for part in path:
            # What an `add` goes into has to be there.
            holder = holder[part]
        holder[last] = step["value"]
    return pod


def test_a_pod_that_asks_gets_what_inject_makes() -> None:
    response = answered(REVIEW)
    assert (response["uid"], response["allowed"]) == (REVIEW["request"]["uid"], True)
    assert "warnings" not in response
    pod = patched(REVIEW, response)
    assert pod["spec"] == inject(REVIEW["request"]["object"]["spec"], WITH_TOKEN).spec
    assert pod["metadata"]["labels"] == {
        "app": "support-bot",
        "pod-template-hash": "6c9f8b7d4f",
        "fairlead/sidecar": "true",
    }
    del pod["metadata"]["creationTimestamp"], pod["metadata"]["managedFields"]
    kubernetes_validate.validate(pod, "1.37", strict=True)


@pytest.mark.parametrize("sent", SENT, ids=lambda sent: sent["request"]["options"].get("fieldManager", "api"))
def test_what_an_api_server_sent_gets_the_sidecar(sent: dict[str, Any]) -> None:
    done = review(json.dumps(sent).encode(), SETTINGS)
    metadata = sent["request"]["object"]["metadata"]
    assert (done.outcome, done.uid) == ("injected", sent["request"]["uid"])
    assert done.pod == f"support/{metadata.get('name') or metadata['generateName']}"
    pod = patched(sent, done.answer["response"])
    assert [each["name"] for each in pod["spec"]["initContainers"]] == ["fairlead"]
    assert pod["metadata"]["labels"]["fairlead/sidecar"] == "true"
    metadata = {
        key: value for key, value in pod["metadata"].items() if key not in ("managedFields", "creationTimestamp")
    }
    kubernetes_validate.validate({**pod, "metadata": metadata}, "1.36", strict=True)


def pod_of(kind: str, template: dict[str, Any], owner: str) -> dict[str, Any]:
    """The pod that a controller makes of its template."""
    owned = {
        "apiVersion": "v1",
        "kind": owner,
        "name": "x",
        "uid": "5b0f8c6e-7f58-4a0e-8f4c-7a9d1f0e4d5b",
        "controller": True,
    }
    made = copy.deepcopy(template)
    made["metadata"] |= {"generateName": "x-", "namespace": "support", "ownerReferences": [owned]}
    if kind == "StatefulSet":
        claim = {"name": "control-plane", "persistentVolumeClaim": {"claimName": "control-plane-loan-agent-0"}}
        made["spec"]["volumes"] = [claim, *made["spec"].get("volumes", ())]
    return made


@pytest.mark.parametrize(
    ("file", "kind", "owner"),
    [
        ("deployment", "Deployment", "ReplicaSet"),
        ("statefulset", "StatefulSet", "StatefulSet"),
        ("cronjob", "CronJob", "Job"),
    ],
)
def test_pods_of_every_controller_become_those_of_the_rewritten_manifests(file: str, kind: str, owner: str) -> None:
    def template(folder: str) -> dict[str, Any]:
        text = (MANIFESTS / folder / f"{file}.yaml").read_text()
        found: dict[str, Any] = next(each for each in yaml.safe_load_all(text) if each["kind"] == kind)
        for key in PODS[kind]:
            found = found[key]
        return found

    document = asking(**pod_of(kind, template("plain"), owner))
    image = template("with-sidecar")["spec"]["initContainers"][0]["image"]
    answer = review(json.dumps(document).encode(), replace(SETTINGS, image=image)).answer["response"]
    assert patched(document, answer)["spec"] == pod_of(kind, template("with-sidecar"), owner)["spec"]


def test_a_pod_without_labels_gets_some() -> None:
    document = asking(metadata={"name": "x", "annotations": {"fairlead/inject": "true"}})
    assert patched(document, answered(document))["metadata"]["labels"] == {"fairlead/sidecar": "true"}


def test_a_pod_that_has_it_is_left_alone() -> None:
    first = patched(REVIEW, answered(REVIEW))
    again = answered(asking(**first))
    assert again == {"uid": REVIEW["request"]["uid"], "allowed": True}


@pytest.mark.parametrize("annotations", [None, {}, {"fairlead/inject": "false"}, {"sidecar.istio.io/inject": "true"}])
def test_a_pod_that_does_not_ask_is_let_through(annotations: Any) -> None:
    response = answered(asking(metadata={"name": "x", "annotations": annotations}))
    assert response == {"uid": REVIEW["request"]["uid"], "allowed": True}


@pytest.mark.parametrize(
    "change",
    [
        {"operation": "DELETE", "object": None},
        {"operation": "UPDATE"},
        {"subResource": "ephemeralcontainers"},
        {"resource": {"group": "apps", "version": "v1", "resource": "deployments"}},
    ],
)
def test_what_a_rule_sends_by_mistake_is_let_through(change: dict[str, Any]) -> None:
    document = copy.deepcopy(REVIEW)
    document["request"] |= change
    assert answered(document) == {"uid": REVIEW["request"]["uid"], "allowed": True}


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        ({"spec": {"hostNetwork": True, "containers": [{"name": "agent"}]}}, "the node's network"),
        ({"spec": None}, "the pod has no containers"),
        ({"metadata": {"annotations": {"fairlead/inject": "yes"}}}, 'must be "true" or "false"'),
        ({"metadata": {"annotations": {"fairlead/inject": "true", "fairlead/gracee": "9s"}}}, "`gracee` is not one of"),
        ({"metadata": {"annotations": ["fairlead/inject"]}}, "metadata.annotations is not an object"),
    ],
)
def test_a_pod_that_asks_and_cannot_have_it_is_refused_with_the_reason(pod: dict[str, Any], said: str) -> None:
    response = answered(asking(**pod))
    assert response["allowed"] is False and "patch" not in response
    assert response["status"]["code"] == 422 and said in response["status"]["message"]


def test_doubts_are_warnings_of_a_length_that_is_shown() -> None:
    spec = copy.deepcopy(REVIEW["request"]["object"]["spec"])
    spec["containers"] = [
        {"name": f"a-{n}" + "x" * 300, "image": "i", "env": [{"name": "OPENAI_API_KEY", "value": "sk-canary"}]}
        for n in range(40)
    ]
    response = answered(asking(spec=spec))
    assert response["allowed"] and len(response["warnings"]) == 8
    assert all(len(warning) <= 256 and "canary" not in warning for warning in response["warnings"])


def test_a_huge_pod_is_a_pod() -> None:
    spec = copy.deepcopy(REVIEW["request"]["object"]["spec"])
    template = spec["containers"][0]
    text = "x" * 1000
    spec["containers"] = [
        {**template, "name": f"agent-{n}", "env": [{"name": f"V{m}", "value": text} for m in range(10)]}
        for n in range(200)
    ]
    document = asking(spec=spec)
    assert len(json.dumps(document)) > 2 << 20
    pod = patched(document, answered(document))
    assert len(pod["spec"]["containers"]) == 200
    assert all(each["env"][-1]["name"] == "ANTHROPIC_API_KEY" for each in pod["spec"]["containers"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "request": {"uid": "u"}}',
        b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}',
        b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {}}',
        b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": 7}}',
        b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": []}',
    ],
)
def test_what_is_no_review_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(MalformedReview):
        review(body, SETTINGS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner), max_leaves=5
)


@given(st.sampled_from(["metadata", "spec", "labels", "annotations", "containers", "volumes", "env", "object"]), JSON)
def test_any_field_may_be_anything(field: str, value: Any) -> None:
    """The review is answered, whatever it says about the pod."""

    def put(holder: Any) -> Any:
        if isinstance(holder, dict):
            return {key: value if key == field else put(inner) for key, inner in holder.items()}
        return [put(inner) for inner in holder] if isinstance(holder, list) else holder

    assert answered(put(REVIEW))["uid"] == REVIEW["request"]["uid"]
