"""What is in deploy/ is what the three newest versions of Kubernetes take, and what the commands make."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate.utils import all_versions
from packaging.version import Version

from fairlead.cli.injection_options import settings_of
from fairlead.cli.main import parser
from fairlead.config import Loader
from fairlead.config.notices import notices
from fairlead.config.sections.listen import Listen
from fairlead.injection.container import DATA_DIRECTORY, SECRETS_DIRECTORY, agent_environment, container
from fairlead.injection.manifests import rewrite
from fairlead.injection.settings import Probes, Settings
from fairlead.injection.workload import PODS
from fairlead.native import Core

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "deploy/manifests"
PLAIN = sorted((MANIFESTS / "plain").glob("*.yaml"))
# The newest three, as the package of their schemas has them.
VERSIONS = sorted(set(all_versions()), key=Version)[-3:]


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def check(document: dict[str, Any]) -> None:
    """Strictly: a key that the API does not know is an error."""
    for version in VERSIONS:
        kubernetes_validate.validate(document, version, strict=True)


def settings() -> Settings:
    version = (ROOT / "pyproject.toml").read_text().partition('version = "')[2].partition('"')[0]
    return Settings(image=f"fairlead:{version}")


@pytest.mark.parametrize(
    "path", sorted(MANIFESTS.rglob("*.yaml")), ids=lambda path: path.relative_to(MANIFESTS).as_posix()
)
def test_manifests_are_valid(path: Path) -> None:
    found = documents(path)
    assert found
    for document in found:
        # Kinds of cert-manager are none of Kubernetes.
        if not document["apiVersion"].startswith("cert-manager.io/"):
            check(document)


def test_the_check_is_strict() -> None:
    document = documents(MANIFESTS / "with-sidecar/deployment.yaml")[0]
    document["spec"]["template"]["spec"]["initContainers"][0]["restartPolice"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        check(document)


def test_the_schemas_are_of_three_versions() -> None:
    assert len({(Version(version).major, Version(version).minor) for version in VERSIONS}) == 3


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: path.name)
def test_the_examples_with_sidecar_are_what_inject_makes_of_the_plain_ones(path: Path) -> None:
    """After a change: fairlead inject --image fairlead:VERSION < plain/X > with-sidecar/X"""
    done = rewrite(path.read_text(), settings(), only_asked=True)
    assert done.changed == 1 and done.warnings == []
    assert done.text == (MANIFESTS / "with-sidecar" / path.name).read_text()


def test_the_example_s_configuration_is_valid_and_every_secret_is_one_that_is_mounted() -> None:
    (document,) = documents(MANIFESTS / "configuration.yaml")
    text = document["data"]["fairlead.yaml"]
    config = Loader(Core.compile, None).load_text(text).config
    assert notices(config) == []
    secrets = [*(operator.token for operator in config.operators), *(provider.api_key for provider in config.providers)]
    secrets += [agent.token for tenant in config.tenants for agent in tenant.agents]
    assert len(secrets) == 4
    for secret in secrets:
        assert secret is not None and secret.from_file is not None
        assert secret.from_file.startswith(f"{SECRETS_DIRECTORY}/")


# The webhook -------------------------------------------------------------------------------------------------------


def of_kind(kind: str, *files: str) -> dict[str, dict[str, Any]]:
    """Documents of a kind, by name."""
    every = [document for file in files for document in documents(MANIFESTS / file)]
    return {document["metadata"]["name"]: document for document in every if document["kind"] == kind}


def test_the_webhook_s_parts_fit_together() -> None:
    service = of_kind("Service", "webhook.yaml")["fairlead-webhook"]
    pod = of_kind("Deployment", "webhook.yaml")["fairlead-webhook"]["spec"]["template"]
    (hook,) = of_kind("MutatingWebhookConfiguration", "webhook.yaml")["fairlead"]["webhooks"]
    called = hook["clientConfig"]["service"]
    assert (called["name"], called["namespace"]) == (service["metadata"]["name"], service["metadata"]["namespace"])
    (port,) = service["spec"]["ports"]
    assert port["port"] == called["port"]
    (container,) = pod["spec"]["containers"]
    assert port["targetPort"] in [each["name"] for each in container["ports"]]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    # The certificate is for the name that the API server calls, in the Secret that is mounted.
    certificate = of_kind("Certificate", "webhook-certificate.yaml")["fairlead-webhook"]["spec"]
    assert certificate["dnsNames"] == [f"{called['name']}.{called['namespace']}.svc"]
    (volume,) = pod["spec"]["volumes"]
    assert volume["secret"]["secretName"] == certificate["secretName"]
    # It needs no rights.
    every = documents(MANIFESTS / "webhook.yaml")
    assert not [document for document in every if "Role" in document["kind"]]
    assert pod["spec"]["automountServiceAccountToken"] is False


def test_the_webhook_s_command_line_is_one() -> None:
    pod = of_kind("Deployment", "webhook.yaml")["fairlead-webhook"]["spec"]["template"]["spec"]
    parsed = parser(["webhook"]).parse_args(pod["containers"][0]["args"])
    (mount,) = pod["containers"][0]["volumeMounts"]
    assert parsed.tls_cert.parent == parsed.tls_key.parent == Path(mount["mountPath"])
    assert settings_of(parsed).image == settings().image == pod["containers"][0]["image"]
    ports = {port["name"]: port["containerPort"] for port in pod["containers"][0]["ports"]}
    assert parsed.listen.endswith(f":{ports['https']}")
    assert parsed.health_listen.endswith(f":{ports['fairlead-health']}")
    policy = of_kind("NetworkPolicy", "webhook.yaml")["fairlead-webhook"]["spec"]
    assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} == set(ports.values())


def test_a_pod_that_asks_depends_on_the_webhook_and_no_other_does() -> None:
    (hook,) = of_kind("MutatingWebhookConfiguration", "webhook.yaml")["fairlead"]["webhooks"]
    assert (hook["failurePolicy"], hook["sideEffects"]) == ("Fail", "None")
    assert hook["namespaceSelector"]["matchLabels"] == {"fairlead/injection": "enabled"}
    (condition,) = hook["matchConditions"]
    assert "'fairlead/inject' in object.metadata.annotations" in condition["expression"]
    (excluded,) = hook["objectSelector"]["matchExpressions"]
    own = of_kind("Deployment", "webhook.yaml")["fairlead-webhook"]["spec"]["template"]["metadata"]["labels"]
    assert excluded["operator"] == "NotIn" and own[excluded["key"]] in excluded["values"]


# The sidecar's container ----------------------------------------------------------------------------------------------


def test_the_container_s_command_lines_are_some() -> None:
    for probes in Probes:
        made = container(replace(settings(), probes=probes))
        serve = parser(["serve"]).parse_args(made["args"])
        assert (str(serve.config), serve.grace) == ("/etc/fairlead/fairlead.yaml", 30.0)
        for probe in (made["startupProbe"], made["readinessProbe"], made["livenessProbe"]):
            if probes is Probes.EXEC:
                program, *arguments = probe["exec"]["command"]
                assert program == "fairlead" and parser(arguments).parse_args(arguments).run is not None


def test_probes_and_agents_use_the_addresses_that_are_listened_on_by_default() -> None:
    listen = Listen()
    made = container(settings())
    (port,) = made["ports"]
    assert listen.health == f"0.0.0.0:{port['containerPort']}"
    assert {probe["httpGet"]["port"] for name, probe in made.items() if name.endswith("Probe")} == {port["name"]}
    endpoint = {each["name"]: each.get("value") for each in agent_environment(settings())}["FAIRLEAD_ENDPOINT"]
    assert endpoint == listen.agent


def test_the_operators_socket_is_where_no_agent_can_reach_it() -> None:
    for path in PLAIN:
        for document in documents(MANIFESTS / "with-sidecar" / path.name):
            if document["kind"] not in PODS:
                continue
            pod = document
            for key in (*PODS[document["kind"]], "spec"):
                pod = pod[key]
            (sidecar,) = pod["initContainers"]
            (data,) = [each["name"] for each in sidecar["volumeMounts"] if each["mountPath"] == DATA_DIRECTORY]
            for agent in pod["containers"]:
                assert data not in [mount["name"] for mount in agent.get("volumeMounts", ())]


def test_the_requests_of_memory_cover_what_was_measured() -> None:
    """The table of docs/performance.md has the figures of the last run of `make bench`."""
    rows = re.findall(r"^\| ([^|]+) \| ([\d.]+) MB \|", (ROOT / "docs/performance.md").read_text(), re.MULTILINE)
    usual = ("resident memory, idle", "calls settled", "the same, after as many again", "streams")
    measured = [float(value) for name, value in rows if name.endswith(usual)]
    assert len(measured) >= 5
    requested, limit = settings().memory_request, settings().memory_limit
    assert requested.endswith("Mi") and limit.endswith("Mi")
    assert max(measured) * 1e6 <= int(requested[:-2]) << 20
    assert 2 * int(requested[:-2]) <= int(limit[:-2])
