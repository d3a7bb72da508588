"""The components of Kustomize, put together by the command when it is installed, else as its documentation says of
strategic merge patches."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead.injection.container import USER
from fairlead.injection.settings import SecretKey
from fairlead.injection.workload import inject_object

from .test_deployment import MANIFESTS, PLAIN, ROOT, check, documents, settings

KUSTOMIZE = ROOT / "deploy/kustomize"
TOKEN = SecretKey("agent-token", "token")
Document = dict[str, Any]


def build(directory: Path) -> list[Document]:
    """The documents of a kustomization."""
    command = shutil.which("kustomize")
    if command:
        done = subprocess.run(
            [command, "build", str(directory)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.safe_load_all(done.stdout) if document]
    return put_together(directory)


def put_together(directory: Path) -> list[Document]:
    kustomization = yaml.safe_load((directory / "kustomization.yaml").read_text())
    made = [document for name in kustomization["resources"] for document in documents(directory / name)]
    for name in kustomization["components"]:
        component = directory / name
        described = yaml.safe_load((component / "kustomization.yaml").read_text())
        made += [document for name in described.get("resources", ()) for document in documents(component / name)]
        for patch in described["patches"]:
            (changes,) = documents(component / patch["path"])
            key, value = patch["target"]["labelSelector"].split("=")
            for document in made:
                labels = document["metadata"].get("labels", {})
                if re.fullmatch(patch["target"]["kind"], document["kind"]) and labels.get(key) == value:
                    changed = {key: value for key, value in changes.items() if key == "spec"}
                    document |= merged(document, changed)
    for document in made:
        document["metadata"]["namespace"] = kustomization["namespace"]
    return made


def merged(target: Any, patch: Any) -> Any:
    """Objects by key; lists of named objects by name, new ones first; everything else is replaced."""
    if isinstance(target, dict) and isinstance(patch, dict):
        return {**target, **{key: merged(target[key], patch[key]) if key in target else patch[key] for key in patch}}
    named = isinstance(patch, list) and all(isinstance(each, dict) and "name" in each for each in patch)
    if not (isinstance(target, list) and named):
        return copy.deepcopy(patch)
    changes = {each["name"]: each for each in patch}
    there = [merged(each, changes.pop(each["name"])) if each["name"] in changes else each for each in target]
    return [*changes.values(), *there]


def sorted_lists(document: Any) -> Any:
    """Lists of named objects in the order of their names: volumes and variables have none that matters."""
    if isinstance(document, dict):
        return {key: sorted_lists(value) for key, value in document.items()}
    if isinstance(document, list):
        inner = [sorted_lists(each) for each in document]
        return sorted(inner, key=lambda each: each["name"] if isinstance(each, dict) and "name" in each else "")
    return document


def kustomization(directory: Path, resource: str, *components: str) -> Path:
    """An overlay of a resource, beside copies of the components."""
    for component in components:
        shutil.copytree(KUSTOMIZE / component, directory / component)
    overlay = directory / "overlay"
    overlay.mkdir()
    (overlay / "resource.yaml").write_text(resource)
    described = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "support",
        "resources": ["resource.yaml"],
        "components": [f"../{component}" for component in components],
    }
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(described))
    return overlay


def test_the_example_is_what_inject_makes() -> None:
    (built,) = build(KUSTOMIZE / "example")
    check(built)
    (expected,) = documents(KUSTOMIZE / "example/agent.yaml")
    assert inject_object(expected, settings().with_values({"agent-token": f"{TOKEN.secret}/{TOKEN.key}"})).changed
    expected["metadata"]["namespace"] = "support"
    assert sorted_lists(built) == sorted_lists(expected)


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.name)
def test_every_kind_gets_the_sidecar(path: Path, tmp_path: Path) -> None:
    (workload,) = [
        document for document in documents(path) if document["kind"] not in ("Service", "PersistentVolumeClaim")
    ]
    workload["metadata"].setdefault("labels", {})["fairlead/inject"] = "true"
    spec = workload["spec"] if workload["kind"] != "CronJob" else workload["spec"]["jobTemplate"]["spec"]
    # The component's data is in an emptyDir; annotations are for the webhook.
    del spec["template"]["metadata"]["annotations"]
    (built,) = build(kustomization(tmp_path, yaml.safe_dump(workload), "sidecar", "environment"))
    check(built)
    assert inject_object(workload, settings().with_values({"agent-token": f"{TOKEN.secret}/{TOKEN.key}"})).changed
    workload["metadata"]["namespace"] = "support"
    assert sorted_lists(built) == sorted_lists(workload)


def test_what_does_not_ask_stays_as_it_is(tmp_path: Path) -> None:
    text = (MANIFESTS / "plain/deployment.yaml").read_text()
    (built,) = build(kustomization(tmp_path, text, "sidecar", "environment"))
    (plain,) = documents(MANIFESTS / "plain/deployment.yaml")
    plain["metadata"]["namespace"] = "support"
    assert built == plain


def test_the_egress_rule_lets_only_the_sidecar_s_user_out(tmp_path: Path) -> None:
    text = (KUSTOMIZE / "example/agent.yaml").read_text()
    built = {document["kind"]: document for document in build(kustomization(tmp_path, text, "sidecar", "egress-rule"))}
    for document in built.values():
        check(document)
    pod = built["Deployment"]["spec"]["template"]["spec"]
    assert {each["name"] for each in pod["initContainers"]} == {"fairlead", "fairlead-egress-v4", "fairlead-egress-v6"}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounted = volumes["fairlead-egress-rules"]["configMap"]["name"]
    assert mounted == built["ConfigMap"]["metadata"]["name"]
    for each in pod["initContainers"]:
        if each["name"] != "fairlead":
            assert Path(each["command"][1]).name in built["ConfigMap"]["data"]
    for rules in built["ConfigMap"]["data"].values():
        accepted = [line for line in rules.splitlines() if line.endswith("-j ACCEPT") and "owner" in line]
        assert accepted == [f"-A OUTPUT -m owner --uid-owner {USER} -j ACCEPT"]
        assert ":OUTPUT DROP" in rules and rules.rstrip().endswith("COMMIT")


@pytest.mark.parametrize("component", ["sidecar", "environment", "egress-rule"])
def test_a_cronjob_s_patch_is_the_other_one_deeper(component: str) -> None:
    (pod,), (cron,) = (documents(KUSTOMIZE / component / name) for name in ("pod-template.yaml", "cronjob.yaml"))
    assert cron["spec"]["jobTemplate"]["spec"]["template"] == pod["spec"]["template"]
