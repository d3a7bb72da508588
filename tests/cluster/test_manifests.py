"""What is in deploy/ is taken by a real API server: strictly, and under the pod security standard `restricted`."""

from __future__ import annotations

import base64
import copy
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import trustme
import yaml

from fairlead.injection.workload import PODS
from tests.contract import test_chart, test_kustomize
from tests.contract.test_chart import CHART, EXAMPLE, SIDECAR, by_library
from tests.contract.test_deployment import MANIFESTS, PLAIN, documents
from tests.contract.test_kustomize import KUSTOMIZE, kustomization, sorted_lists

from .apiserver import Cluster, Document, Made, Refused, program

AUTHORITY = trustme.CA().cert_pem.bytes()
# The standard is enforced on pods, and warned of on what makes them.
STANDARD = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


def namespace(cluster: Cluster, name: str, standard: dict[str, str]) -> str:
    cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": standard}}])
    cluster.make_account(name)
    return name


@pytest.fixture(scope="module")
def restricted(cluster: Cluster) -> str:
    return namespace(cluster, "restricted", STANDARD)


def of_kubernetes(found: list[Document]) -> list[Document]:
    """Without kinds of cert-manager, which is not installed here."""
    return [document for document in found if not document["apiVersion"].startswith("cert-manager.io/")]


def doubts(made: list[Made]) -> list[str]:
    return [warning for each in made for warning in each.warnings]


@pytest.mark.parametrize(
    "path", sorted(MANIFESTS.rglob("*.yaml")), ids=lambda path: path.relative_to(MANIFESTS).as_posix()
)
def test_manifests_are_taken_without_a_warning(cluster: Cluster, restricted: str, path: Path) -> None:
    found = of_kubernetes(documents(path))
    if path.name == "webhook.yaml":
        # Its namespace is made first, by itself; nothing answers behind the Service, so nobody must be sent there.
        first, *found = found
        cluster.apply([first])
        *found, configuration = found
        assert configuration["kind"] == "MutatingWebhookConfiguration"
        assert doubts(cluster.apply([configuration], dry_run=True)) == []
    own = any("namespace" in document["metadata"] for document in found)
    if found:
        assert doubts(cluster.apply(found, None if own else restricted)) == []


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.name)
def test_pods_with_the_sidecar_pass_restricted(cluster: Cluster, restricted: str, path: Path) -> None:
    for document in documents(MANIFESTS / "with-sidecar" / path.name):
        if document["kind"] not in PODS:
            continue
        template = document
        for key in PODS[document["kind"]]:
            template = template[key]
        template = copy.deepcopy(template)
        for claim in document["spec"].get("volumeClaimTemplates", ()):
            name = claim["metadata"]["name"]
            template["spec"]["volumes"].append({"name": name, "persistentVolumeClaim": {"claimName": f"{name}-0"}})
        metadata = {**template["metadata"], "generateName": "pod-"}
        made = cluster.make_pod(restricted, {**template, "apiVersion": "v1", "kind": "Pod", "metadata": metadata})
        assert made.warnings == []
        assert made.document["spec"]["initContainers"][0]["restartPolicy"] == "Always"


def test_the_pods_of_the_webhook_pass_restricted(cluster: Cluster, restricted: str) -> None:
    (deployment,) = [each for each in documents(MANIFESTS / "webhook.yaml") if each["kind"] == "Deployment"]
    template = deployment["spec"]["template"]
    cluster.make_account(restricted, template["spec"]["serviceAccountName"])
    metadata = {**template["metadata"], "generateName": "hook-"}
    pod = {**template, "apiVersion": "v1", "kind": "Pod", "metadata": metadata}
    made = cluster.make_pod(restricted, pod)
    assert made.warnings == []
    # It has no token of its ServiceAccount.
    assert [volume["name"] for volume in made.document["spec"]["volumes"]] == ["certificate"]


def test_a_server_side_apply_of_the_same_changes_nothing(cluster: Cluster, restricted: str) -> None:
    found = documents(MANIFESTS / "with-sidecar/deployment.yaml")
    first = cluster.apply(found, restricted)
    again = cluster.apply(found, restricted)
    versions = [[each.document["metadata"]["resourceVersion"] for each in made] for made in (first, again)]
    assert versions[0] == versions[1]


# Kustomize -------------------------------------------------------------------------------------------------------


def build(cluster: Cluster, directory: Path) -> list[Document]:
    """By the command; overlays beside copies of the components, as they are."""
    text, _ = cluster.kubectl("kustomize", str(directory))
    return [document for document in yaml.safe_load_all(text) if document]


def same(one: list[Document], other: list[Document]) -> bool:
    def order(found: list[Document]) -> list[Document]:
        return sorted((sorted_lists(each) for each in found), key=lambda each: str(each["kind"]))

    return bool(order(one) == order(other))


def test_components_are_put_together_as_the_tests_do(cluster: Cluster, tmp_path: Path) -> None:
    example = KUSTOMIZE / "example"
    built = build(cluster, example)
    assert same(built, test_kustomize.put_together(example))
    support = namespace(cluster, built[0]["metadata"]["namespace"], STANDARD)
    assert doubts(cluster.apply(built, support)) == []
    for number, path in enumerate(PLAIN):
        text = []
        for document in documents(path):
            if document["kind"] in PODS:
                document["metadata"].setdefault("labels", {})["fairlead/inject"] = "true"
            text.append(document)
        (tmp_path / str(number)).mkdir()
        overlay = kustomization(tmp_path / str(number), yaml.safe_dump_all(text), "sidecar", "environment")
        built = build(cluster, overlay)
        # The overlay's resources are several documents in one file.
        assert len(built) == len(text)
        assert doubts(cluster.apply(built, support)) == []


def test_the_egress_rule_is_taken_where_pods_may_administer_their_network(cluster: Cluster, tmp_path: Path) -> None:
    text = (KUSTOMIZE / "example/agent.yaml").read_text()
    overlay = kustomization(tmp_path, text, "sidecar", "egress-rule")
    built = build(cluster, overlay)
    assert same(built, test_kustomize.put_together(overlay))
    privileged = namespace(cluster, "egress", {"pod-security.kubernetes.io/enforce": "privileged"})
    for document in built:
        document["metadata"]["namespace"] = privileged
    assert doubts(cluster.apply(built, privileged)) == []


# Helm ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The agent's chart with its dependency, built by the command."""
    shutil.copytree(EXAMPLE, tmp_path / "example")
    shutil.copytree(CHART, tmp_path / "fairlead")
    helm(tmp_path, "dependency", "build", "example")
    return tmp_path / "example"


def helm(directory: Path, *arguments: str) -> str:
    """What the command prints, run in this directory."""
    command = [program("helm"), *arguments]
    environment = {**os.environ, "HOME": str(directory)}
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


VALUES: list[tuple[str, Document]] = [
    ("fairlead", {}),
    ("fairlead", {"webhook": {"enabled": True}}),
    ("fairlead", {"webhook": {"enabled": True}, "sidecar": SIDECAR}),
    ("fairlead", {"webhook": {"enabled": True, "certificate": {"certManager": False, "caBundle": "QQ=="}}}),
    ("fairlead", {"networkPolicy": {"enabled": True}, "configuration": "apiVersion: fairlead/v1\ntenants: []\n"}),
    ("example", {}),
    ("example", {"fairlead": {"sidecar": SIDECAR}}),
]


@pytest.mark.parametrize(("name", "values"), VALUES, ids=lambda each: yaml.safe_dump(each)[:40])
def test_the_command_renders_what_the_library_does_and_it_is_taken(
    cluster: Cluster, restricted: str, example: Path, name: str, values: Document
) -> None:
    chart = example if name == "example" else CHART
    loaded = [
        sorted((each for each in yaml.safe_load_all(text) if each), key=lambda each: str(each))
        for text in (test_chart.by_command(program("helm"), chart, values), test_chart.by_library(chart, values))
    ]
    assert loaded[0] == loaded[1]
    found = [each for each in of_kubernetes(loaded[0]) if each["kind"] != "MutatingWebhookConfiguration"]
    for document in found:
        document["metadata"]["namespace"] = restricted
    if found:
        assert doubts(cluster.apply(found, restricted)) == []


@pytest.mark.parametrize("values", [{}, {"webhook": {"enabled": True}}, {"networkPolicy": {"enabled": True}}], ids=str)
def test_a_strict_lint_has_nothing_to_say_and_the_chart_is_packed(tmp_path: Path, values: Document) -> None:
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    helm(tmp_path, "lint", "--strict", str(CHART), "--values", "values.yaml")
    helm(tmp_path, "package", str(CHART), "--destination", str(tmp_path))
    (packed,) = tmp_path.glob("fairlead-*.tgz")
    rendered = helm(tmp_path, "template", "x", packed.name, "--values", "values.yaml", "--namespace", "fairlead")
    found = [document for document in yaml.safe_load_all(rendered) if document]
    wanted = [document for document in yaml.safe_load_all(by_library(CHART, values)) if document]
    assert sorted(found, key=str) == sorted(wanted, key=str)


def test_an_agent_s_chart_passes_a_strict_lint(example: Path) -> None:
    helm(example, "lint", "--strict", ".")


def test_the_chart_is_installed_upgraded_and_removed(cluster: Cluster, tmp_path: Path) -> None:
    where = namespace(cluster, "installed", STANDARD)
    values: Document = {
        "networkPolicy": {"enabled": True},
        "configuration": "apiVersion: fairlead/v1\ntenants: []\n",
        # Nothing answers behind its Service: no other test has such namespaces.
        "webhook": {
            "enabled": True,
            "namespaceLabels": {"nobody": "here"},
            "certificate": {"certManager": False, "caBundle": base64.b64encode(AUTHORITY).decode()},
        },
    }
    to = ["--kubeconfig", str(cluster.kubeconfig), "--namespace", where]
    for command in ("install", "upgrade"):
        (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
        helm(tmp_path, command, "release", str(CHART), "--values", "values.yaml", *to)
        values["webhook"]["replicas"] = 3
    path = f"/apis/apps/v1/namespaces/{where}/deployments/fairlead-webhook"
    assert cluster.call("GET", path).document["spec"]["replicas"] == 3
    helm(tmp_path, "uninstall", "release", *to)
    with pytest.raises(Refused, match="not found"):
        cluster.call("GET", path)
