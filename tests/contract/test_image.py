"""The image's Containerfile: its versions are the project's, what it copies is there, and it runs without rights."""

from __future__ import annotations

import io
import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

import pytest
from dockerfile_parse import DockerfileParser

from fairlead.cli.main import parser
from fairlead.injection.container import CONFIG_DIRECTORY, DATA_DIRECTORY, HEALTH_PORT, USER, container

from .test_deployment import ROOT, settings

CONTAINERFILE = ROOT / "deploy/Containerfile"
LOCK = (ROOT / "requirements.lock").read_text()


def stages() -> list[list[tuple[str, str]]]:
    """The instructions of each stage, with its FROM first."""
    content = io.BytesIO(CONTAINERFILE.read_bytes())
    found: list[list[tuple[str, str]]] = []
    for each in DockerfileParser(fileobj=content).structure:
        if each["instruction"] == "FROM":
            found.append([])
        if each["instruction"] != "COMMENT":
            found[-1].append((each["instruction"], each["value"]))
    return found


WHEEL, ENVIRONMENT, FINAL = stages()


def only(stage: list[tuple[str, str]], instruction: str) -> str:
    (value,) = [value for name, value in stage if name == instruction]
    return value


def copied(stage: list[tuple[str, str]]) -> list[str]:
    """What a stage takes from the project."""
    values = [value.split() for name, value in stage if name == "COPY" and not value.startswith("--from=")]
    return [source for value in values for source in value[:-1]]


def test_base_images_are_named_with_their_versions() -> None:
    toolchain = tomllib.loads((ROOT / "rust-toolchain.toml").read_text())["toolchain"]["channel"]
    assert only(WHEEL, "FROM") == f"docker.io/library/rust:{toolchain}-slim-trixie AS wheel"
    assert only(ENVIRONMENT, "FROM") == f"{only(FINAL, 'FROM')} AS environment"
    assert only(FINAL, "FROM") == "docker.io/library/python:3.13-slim-trixie"


def test_the_build_tool_is_the_locked_one() -> None:
    locked = re.search(r"^maturin==(\S+)$", LOCK, re.MULTILINE)
    assert locked is not None and f"maturin=={locked[1]}" in CONTAINERFILE.read_text()


def test_its_version_is_the_project_s() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f'org.opencontainers.image.version="{version}"' in only(FINAL, "LABEL")
    assert f"fairlead:{version}" in CONTAINERFILE.read_text()


@pytest.mark.parametrize("source", [*copied(WHEEL), *copied(ENVIRONMENT)])
def test_what_is_copied_is_there_and_not_left_out_of_the_build(source: str) -> None:
    assert (ROOT / source).exists()
    assert f"!{source}" in (ROOT / ".containerignore").read_text().splitlines()


def test_every_member_of_the_workspace_is_copied() -> None:
    """Cargo refuses to begin when a member is missing."""
    for member in tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["members"]:
        assert any(PurePosixPath(member).is_relative_to(source) for source in copied(WHEEL)), member


def test_no_more_is_in_the_build_than_what_is_copied() -> None:
    lines = [line for line in (ROOT / ".containerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == {*copied(WHEEL), *copied(ENVIRONMENT)}
    assert any(fnmatch("sidecar/fairlead/_native.abi3.so", line.removeprefix("**/")) for line in lines[1:])
    assert (ROOT / ".dockerignore").read_text() == (ROOT / ".containerignore").read_text()


def test_it_runs_as_a_number_without_a_shell() -> None:
    assert only(FINAL, "USER") == f"{USER}:{USER}"
    assert json.loads(only(FINAL, "ENTRYPOINT")) == ["fairlead"]
    command = json.loads(only(FINAL, "CMD"))
    assert str(parser(command).parse_args(command).config) == f"{CONFIG_DIRECTORY}/fairlead.yaml"
    assert only(FINAL, "STOPSIGNAL") == "SIGTERM"
    assert only(FINAL, "EXPOSE") == str(HEALTH_PORT)


def test_its_data_is_where_a_pod_mounts_it() -> None:
    environment = dict(part.split("=", 1) for part in only(FINAL, "ENV").split())
    made: dict[str, Any] = container(settings())
    assert environment["FAIRLEAD_DATA"] == made["env"][0]["value"]
    # The only place that can be written when the root file system cannot.
    assert environment["TMPDIR"] == DATA_DIRECTORY
    assert DATA_DIRECTORY in [mount["mountPath"] for mount in made["volumeMounts"]]


def test_nothing_is_compiled_after_the_wheel() -> None:
    assert "--only-binary :all:" in only(ENVIRONMENT, "RUN")
    for _, value in (*ENVIRONMENT, *FINAL):
        assert "apt-get" not in value and "cargo" not in value
