"""What is in deploy/ is what the three newest versions of Kubernetes take, and what the commands make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate.utils import all_versions
from packaging.version import Version

from fairlead.config import Loader
from fairlead.config.notices import notices
from fairlead.injection.container import SECRETS_DIRECTORY
from fairlead.injection.manifests import rewrite
from fairlead.injection.settings import Settings
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
