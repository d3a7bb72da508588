"""The two commands of the README on a machine where something is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def preflight(path: Path, *wanted: str, python: str = "python3") -> subprocess.CompletedProcess[str]:
    shell = shutil.which("sh")
    assert shell is not None
    environment = {"PATH": str(path), "PYTHON": python}
    command = [shell, str(ROOT / "scripts/preflight.sh"), *wanted]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def tools(directory: Path, *names: str) -> Path:
    """A PATH with nothing but these."""
    directory.mkdir()
    for name in names:
        script = directory / name
        script.write_text("#!/bin/sh\nexit 0\n")
        script.chmod(0o755)
    return directory


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), "python3 is missing: install Python 3.11 or newer"),
        (("python3",), "cargo is missing: install a stable Rust toolchain"),
        (("python3", "cargo"), "a C linker is missing: install one"),
    ],
)
def test_what_is_missing_is_said_in_one_line(tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    done = preflight(tools(tmp_path / "bin", *names))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("fairlead: ") and said in line


def test_with_everything_there_it_says_nothing(tmp_path: Path) -> None:
    done = preflight(tools(tmp_path / "bin", "python3", "cargo", "cc"))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("there", [(), ("prometheus",), ("promtool",)])
def test_prometheus_is_asked_for_only_where_it_is_needed(tmp_path: Path, there: tuple[str, ...]) -> None:
    path = tools(tmp_path / "bin", "python3", "cargo", "cc", *there)
    assert preflight(path).returncode == 0
    done = preflight(path, "prometheus")
    assert done.returncode == 1 and "prometheus or promtool is missing" in done.stderr
    done = preflight(tools(tmp_path / "whole", "python3", "cargo", "cc", "prometheus", "promtool"), "prometheus")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("there", [(), ("node",), ("npm",)])
def test_node_is_asked_for_only_where_it_is_needed(tmp_path: Path, there: tuple[str, ...]) -> None:
    path = tools(tmp_path / "bin", "python3", "cargo", "cc", *there)
    assert preflight(path).returncode == 0
    done = preflight(path, "node")
    assert done.returncode == 1 and "node or npm is missing" in done.stderr
    done = preflight(tools(tmp_path / "whole", "python3", "cargo", "cc", "node", "npm"), "node")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_ci_runs_every_suite() -> None:
    assert "make test" in (ROOT / ".ci/run").read_text().splitlines()
    command = ["make", "--dry-run", "--always-make", "test"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "MAKEFLAGS": ""}, capture_output=True, text=True, check=True
    )
    for suite in (
        "cargo test",
        ".venv/bin/python -m pytest",
        ".venv/bin/python tests/wheel.py dist",
        "npm ci --prefix tests/compat/node",
        "tests/compat/pytest.ini --rootdir .",
        "tests/clients/pytest.ini --rootdir .",
    ):
        assert suite in done.stdout, suite


def test_a_second_run_builds_nothing_and_a_changed_source_only_itself(tmp_path: Path) -> None:
    """Make decides by time stamps; the recipe is asked on a tree of empty files."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    sources = ("requirements.lock", "pyproject.toml", "scripts/preflight.sh", "Cargo.toml", "Cargo.lock")
    made = (".venv/.dependencies", ".venv/.native")
    for age, name in enumerate((*sources, "native/engine/src/lib.rs", "proto/descriptor.binpb", *made)):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (age, age))

    def would_run() -> str:
        command = ["make", "--dry-run", "setup"]
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "MAKEFLAGS": ""}, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert "pip install" not in would_run() and "maturin" not in would_run()
    os.utime(tmp_path / "native/engine/src/lib.rs", (100, 100))
    assert "maturin develop" in would_run() and "pip install" not in would_run()
    os.utime(tmp_path / "requirements.lock", (200, 200))
    assert "pip install" in would_run()
