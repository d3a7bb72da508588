"""The API server calls the webhook, stores what comes of it, and fails as the policy says."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from fairlead.injection.container import CONTAINER, container, volumes
from fairlead.injection.manifests import rewrite
from fairlead.injection.settings import Settings
from tests.contract.test_deployment import MANIFESTS, documents
from tests.unit.injection.test_webhook import issue

from .admission import ASKS, Hook, adding_a_container, admission, containers, pod, until
from .apiserver import Cluster, Document, Refused

SETTINGS = Settings(image="registry.example/fairlead:1")


def labels(**more: str) -> dict[str, str]:
    return {"fairlead/injection": "enabled", "pod-security.kubernetes.io/enforce": "restricted", **more}


def namespace(cluster: Cluster, name: str, **wanted: str) -> str:
    """A namespace with these labels."""
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": wanted}}
    cluster.apply([made])
    cluster.make_account(name)
    return name


@pytest.fixture(scope="module")
def support(cluster: Cluster) -> str:
    return namespace(cluster, "asking", **labels())


@pytest.fixture
def hook(cluster: Cluster, support: str, tmp_path: Path) -> Iterator[Hook]:
    with admission(cluster, tmp_path, support) as running:
        yield running


def within(stored: Any, wanted: Any) -> None:
    """Everything that is wanted is stored; the API server adds its defaults."""
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            assert key in stored, key
            within(stored[key], value)
    elif isinstance(wanted, list):
        assert len(stored) == len(wanted)
        for one, other in zip(stored, wanted, strict=True):
            within(one, other)
    else:
        assert stored == wanted


def test_a_pod_that_asks_is_stored_with_the_sidecar(cluster: Cluster, support: str, hook: Hook) -> None:
    before = hook.reviews()["injected"]
    asks = pod({**ASKS, "fairlead/agent-token": "bot/token", "fairlead/grace": "45s"})
    made = cluster.make_pod(support, asks)
    stored = cluster.call("GET", f"/api/v1/namespaces/{support}/pods/{made.document['metadata']['name']}").document
    assert containers(stored) == [CONTAINER, "agent"] and made.warnings == []
    settings = SETTINGS.with_values({"agent-token": "bot/token", "grace": "45s"})
    spec = stored["spec"]
    within(spec["initContainers"][0]["lifecycle"], container(settings)["lifecycle"])
    wanted = container(settings)
    # The account's token is mounted into every container after the patch.
    assert spec["initContainers"][0]["volumeMounts"][: len(wanted["volumeMounts"])] == wanted.pop("volumeMounts")
    within(spec["initContainers"][0], wanted)
    ours = [volume for volume in spec["volumes"] if volume["name"].startswith("fairlead-")]
    within(ours, volumes(settings))
    told = {variable["name"] for variable in spec["containers"][0]["env"]}
    assert {"FAIRLEAD_ENDPOINT", "FAIRLEAD_TOKEN", "OPENAI_API_KEY"} <= told
    assert stored["metadata"]["labels"]["fairlead/sidecar"] == "true"
    assert spec["terminationGracePeriodSeconds"] == 85
    assert hook.reviews()["injected"] == before + 1


@pytest.mark.parametrize("annotations", [{}, {"fairlead/inject": "false"}, {"fairlead/image": "x"}], ids=str)
def test_a_pod_that_does_not_ask_is_never_sent(
    cluster: Cluster, support: str, hook: Hook, annotations: dict[str, str]
) -> None:
    before = hook.reviews()
    assert containers(cluster.make_pod(support, pod(annotations)).document) == ["agent"]
    assert hook.reviews() == before


def test_a_namespace_without_the_label_has_nothing_to_do_with_it(cluster: Cluster, hook: Hook) -> None:
    other = namespace(cluster, "other")
    before = hook.reviews()
    assert containers(cluster.make_pod(other, pod(ASKS)).document) == ["agent"]
    assert hook.reviews() == before


def test_what_inject_made_stays_as_it_is(cluster: Cluster, support: str, hook: Hook) -> None:
    text = yaml.safe_dump(pod(ASKS))
    injected = yaml.safe_load(rewrite(text, SETTINGS).text)
    before = hook.reviews()["unchanged"]
    made = cluster.make_pod(support, injected).document
    assert containers(made) == [CONTAINER, "agent"]
    within(made["spec"]["initContainers"][0]["resources"], container(SETTINGS)["resources"])
    assert hook.reviews()["unchanged"] == before + 1


def test_pods_of_every_controller_get_it(cluster: Cluster, support: str, hook: Hook) -> None:
    """No controller runs here: the pods are made as theirs are, from the templates of the examples."""
    for path in sorted((MANIFESTS / "plain").glob("*.yaml")):
        for document in documents(path):
            template = template_of(document)
            if template is None:
                continue
            metadata = {**template.get("metadata", {}), "generateName": f"{document['metadata']['name']}-"}
            spec = copy.deepcopy(template["spec"])
            for claim in document["spec"].get("volumeClaimTemplates", ()):
                name = claim["metadata"]["name"]
                source = {"name": name, "persistentVolumeClaim": {"claimName": f"{name}-0"}}
                spec.setdefault("volumes", []).append(source)
            made = cluster.make_pod(support, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
            assert containers(made.document)[0] == CONTAINER, document["kind"]


def template_of(document: Document) -> Document | None:
    """The template of the pods of a controller."""
    spec = document.get("spec", {})
    spec = spec.get("jobTemplate", {}).get("spec", spec)
    found: Document | None = spec.get("template")
    return found


def test_a_pod_that_cannot_have_it_is_refused_with_the_reasons(cluster: Cluster, support: str, hook: Hook) -> None:
    own = pod(ASKS)
    own["spec"]["securityContext"]["runAsUser"] = 7400
    with pytest.raises(Refused, match=r"sidecar\.webhook\.fairlead.*denied the request: the sidecar cannot be added"):
        cluster.make_pod(support, own)
    with pytest.raises(Refused, match="`prob` is not one of image"):
        cluster.make_pod(support, pod({**ASKS, "fairlead/prob": "exec"}))


def test_doubts_are_warnings(cluster: Cluster, support: str, hook: Hook) -> None:
    keeps = pod(ASKS)
    keeps["spec"]["containers"][0]["env"] = [{"name": "OPENAI_API_KEY", "value": "sk-something"}]
    made = cluster.make_pod(support, keeps)
    (warning,) = made.warnings
    assert "OPENAI_API_KEY" in warning and "sk-something" not in warning
    assert containers(made.document) == [CONTAINER, "agent"]


def test_a_dry_run_shows_the_sidecar(cluster: Cluster, support: str, hook: Hook) -> None:
    assert containers(cluster.make_pod(support, pod(ASKS), dry_run=True).document) == [CONTAINER, "agent"]


def test_a_huge_pod_gets_it(cluster: Cluster, support: str, hook: Hook) -> None:
    huge = pod(ASKS)
    huge["spec"]["containers"][0]["env"] = [{"name": f"V{n}", "value": "x" * 1000} for n in range(1200)]
    made = cluster.make_pod(support, huge).document
    assert containers(made) == [CONTAINER, "agent"] and len(made["spec"]["containers"][0]["env"]) == 1203


def test_after_a_webhook_that_adds_a_container_it_is_asked_again_and_adds_nothing(
    cluster: Cluster, support: str, hook: Hook, tmp_path: Path
) -> None:
    # Names decide the order: this one comes behind.
    with adding_a_container(cluster, "zz-later", support):
        before = hook.reviews()
        made = cluster.make_pod(support, pod(ASKS)).document
    assert containers(made) == [CONTAINER, "agent", "added"]
    after = hook.reviews()
    assert (after["injected"] - before["injected"], after["unchanged"] - before["unchanged"]) == (1, 1)


def test_a_rotated_certificate_needs_no_restart(cluster: Cluster, support: str, hook: Hook) -> None:
    configuration = hook.configuration()
    other = trustme.CA()
    configuration["webhooks"][0]["clientConfig"]["caBundle"] = hook.bundle(hook.authority, other)
    cluster.apply([configuration])
    issue(other, hook.directory)
    hook.wait_for("certificate read again")

    def trusted() -> bool:
        try:
            cluster.make_pod(support, pod(ASKS), dry_run=True)
        except Refused as refused:
            assert "certificate" in str(refused)
            return False
        return True

    until(trusted)
    assert containers(cluster.make_pod(support, pod(ASKS)).document) == [CONTAINER, "agent"]
    # A certificate that the API server has no authority for ends in a refusal, not in a pod without the sidecar.
    configuration["webhooks"][0]["clientConfig"]["caBundle"] = hook.bundle(trustme.CA())
    cluster.apply([configuration])
    until(lambda: not trusted())


def test_the_policy_fail_lets_no_pod_that_asks_pass_while_it_is_down(
    cluster: Cluster, support: str, hook: Hook
) -> None:
    hook.stop()
    with pytest.raises(Refused, match=r"failed calling webhook .sidecar\.webhook\.fairlead"):
        cluster.make_pod(support, pod(ASKS))
    assert containers(cluster.make_pod(support, pod()).document) == ["agent"]
    hook.start()
    assert containers(cluster.make_pod(support, pod(ASKS)).document) == [CONTAINER, "agent"]


def test_the_policy_ignore_makes_pods_without_the_sidecar_while_it_is_down(cluster: Cluster, tmp_path: Path) -> None:
    ignored = namespace(cluster, "ignored", **labels())
    with admission(cluster, tmp_path, ignored, failurePolicy="Ignore") as running:
        running.stop()
        assert containers(cluster.make_pod(ignored, pod(ASKS)).document) == ["agent"]
