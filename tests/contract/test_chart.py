"""The chart, rendered by Helm's own engine: by the command when it is installed, else by the library of it."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from .test_deployment import MANIFESTS, ROOT, check, documents

CHART = ROOT / "deploy/helm/fairlead"
EXAMPLE = ROOT / "deploy/helm/example"
NAMESPACE = "fairlead"
Document = dict[str, Any]


class NotRendered(Exception):
    """Helm refused, and said why."""


def render(chart: Path, values: dict[str, Any] | None = None) -> list[Document]:
    """The documents of a chart with these values."""
    command = shutil.which("helm")
    text = by_command(command, chart, values or {}) if command else by_library(chart, values or {})
    return [document for document in yaml.safe_load_all(text) if document]


def by_command(command: str, chart: Path, values: dict[str, Any]) -> str:
    arguments = [
        command,
        "template",
        "x",
        str(chart),
        "--namespace",
        NAMESPACE,
        "--kube-version",
        "1.37.0",
        "--values",
        "-",
    ]
    done = subprocess.run(arguments, input=json.dumps(values), capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise NotRendered(done.stderr)
    return done.stdout


def by_library(chart: Path, values: dict[str, Any]) -> str:
    assert platform.machine() == "x86_64", "the library of Helm is for x86_64 only: install the command `helm`"
    import helm_python

    try:
        with helm_python.Chart.load(str(chart)) as loaded:
            loaded.validate_schema(loaded.merge_values(values))
            rendered = loaded.render(values, name="x", namespace=NAMESPACE)
    except helm_python.HelmError as error:
        raise NotRendered(str(error)) from None
    return "\n---\n".join(text for name, text in sorted(rendered.items()) if name.endswith(".yaml"))


def by_kind(found: list[Document]) -> dict[tuple[str, str], Document]:
    return {(document["kind"], document["metadata"]["name"]): document for document in found}


def without_places(document: Document) -> Document:
    """Without what the chart says and the manifests leave to `kubectl -n`."""
    metadata = {key: value for key, value in document["metadata"].items() if key != "namespace"}
    return {**document, "metadata": metadata}


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The agent's chart with its dependency, as `helm dependency build` leaves it."""
    shutil.copytree(EXAMPLE, tmp_path / "example")
    shutil.copytree(CHART, tmp_path / "example/charts/fairlead")
    return tmp_path / "example"


def test_an_agent_s_chart_has_the_sidecar_that_inject_adds(example: Path) -> None:
    (rendered,) = render(example)
    (injected,) = documents(MANIFESTS / "with-sidecar/deployment.yaml")
    check(rendered)
    # The chart adds what the annotations of the other asked for.
    del injected["spec"]["template"]["metadata"]["annotations"]
    assert without_places(rendered) == without_places(injected)


def test_the_webhook_s_objects_are_those_of_the_manifests() -> None:
    rendered = by_kind(render(CHART, {"webhook": {"enabled": True}}))
    written = by_kind([*documents(MANIFESTS / "webhook.yaml"), *documents(MANIFESTS / "webhook-certificate.yaml")])
    # A release's namespace is there before it.
    del written["Namespace", "fairlead"]
    assert rendered == written
    for document in rendered.values():
        if not document["apiVersion"].startswith("cert-manager.io/"):
            check(document)


def test_the_network_policy_is_that_of_the_manifests() -> None:
    (rendered,) = render(CHART, {"networkPolicy": {"enabled": True}})
    (written,) = documents(MANIFESTS / "network-policy.yaml")
    assert without_places(rendered) == without_places(written)


def test_a_configuration_becomes_a_config_map() -> None:
    text = "apiVersion: fairlead/v1\ntenants: []\n"
    (rendered,) = render(CHART, {"configuration": text})
    check(rendered)
    assert (
        rendered["metadata"]["name"] == "fairlead-config" and rendered["data"]["fairlead.yaml"].strip() == text.strip()
    )


def test_by_default_nothing_runs() -> None:
    assert render(CHART) == []


SIDECAR: dict[str, Any] = {
    "image": {"repository": "registry.example/fairlead", "digest": "sha256:" + "0" * 64, "pullPolicy": "Always"},
    "config": "own-config",
    "secret": "",
    "agentToken": {"secret": "bot", "key": "token"},
    "data": {"claim": "kept"},
    "probes": "exec",
    "graceSeconds": 90,
    "resources": {"cpuRequest": "1", "memoryRequest": "1Gi", "memoryLimit": "2Gi"},
}


def test_every_setting_arrives_in_the_pods_of_a_chart_and_in_those_of_the_webhook(example: Path) -> None:
    from fairlead.cli.injection_options import settings_of
    from fairlead.cli.main import parser
    from fairlead.injection.container import container, pod_grace_seconds, volumes

    hook = by_kind(render(CHART, {"webhook": {"enabled": True}, "sidecar": SIDECAR}))["Deployment", "fairlead-webhook"]
    arguments = hook["spec"]["template"]["spec"]["containers"][0]["args"]
    settings = settings_of(parser(["webhook"]).parse_args(arguments))
    (rendered,) = render(example, {"fairlead": {"sidecar": SIDECAR}})
    check(rendered)
    pod = rendered["spec"]["template"]["spec"]
    assert pod["initContainers"] == [container(settings)]
    assert pod["volumes"] == volumes(settings)
    assert pod["terminationGracePeriodSeconds"] == pod_grace_seconds(settings, None)


@pytest.mark.parametrize(
    "values",
    [
        {"sidecar": {"image": {"tagg": "1"}}},
        {"sidecar": {"probes": "grpc"}},
        {"sidecar": {"graceSeconds": "30s"}},
        {"sidecar": {"data": {"claim": "a", "volume": "b"}}},
        {"sidecar": {"agentToken": {"secret": "bot"}}},
        {"sidecar": {"image": {"digest": "latest"}}},
        {"webhook": {"failurePolicy": "Maybe"}},
        {"webhook": {"enabled": True, "certificate": {"certManager": False}}},
        {"webhok": {"enabled": True}},
    ],
    ids=json.dumps,
)
def test_values_that_cannot_be_meant_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(NotRendered):
        render(CHART, values)


def test_the_chart_is_of_this_version() -> None:
    version = (ROOT / "pyproject.toml").read_text().partition('version = "')[2].partition('"')[0]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == version
    (dependency,) = yaml.safe_load((EXAMPLE / "Chart.yaml").read_text())["dependencies"]
    assert (dependency["name"], dependency["version"]) == ("fairlead", version)
