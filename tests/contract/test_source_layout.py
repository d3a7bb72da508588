"""Rules of the code base that a reader relies on, kept by a test instead of by discipline."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
GENERATED = re.compile(r"_pb2(_grpc)?\.pyi?$")
MAX_LINES = 600


def sources(*suffixes: str) -> list[Path]:
    roots = [ROOT / name for name in ("sidecar", "native", "tests", "bench", "examples")]
    found = [path for root in roots for suffix in suffixes for path in root.rglob(f"*{suffix}")]
    foreign = {"target", "node_modules"}
    return [path for path in found if not GENERATED.search(path.name) and foreign.isdisjoint(path.parts)]


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    return found


def importers(module: str) -> set[str]:
    return {
        path.relative_to(ROOT / "sidecar/fairlead").as_posix()
        for path in (ROOT / "sidecar/fairlead").rglob("*.py")
        if any(name == module or name.startswith(module + ".") for name in imports(path))
    }


def test_no_file_is_longer_than_the_limit() -> None:
    too_long = {
        path.relative_to(ROOT).as_posix(): n
        for path in sources(".py", ".rs")
        if (n := len(path.read_text().splitlines())) > MAX_LINES
    }
    assert not too_long


def test_only_the_store_imports_rocksdict() -> None:
    assert {name.split("/")[0] for name in importers("rocksdict")} == {"store"}


def test_only_one_module_imports_the_extension() -> None:
    assert importers("fairlead._native") == {"native.py"}


def test_only_pyext_depends_on_pyo3() -> None:
    dependents = {path.parent.name for path in (ROOT / "native").rglob("Cargo.toml") if "pyo3" in path.read_text()}
    assert dependents == {"pyext"}


def test_the_pure_crates_know_no_runtime() -> None:
    for crate in ("expr", "plan", "workflow", "engine", "seal", "events", "wire"):
        manifest = (ROOT / "native" / crate / "Cargo.toml").read_text()
        dependencies = manifest.partition("[dependencies]")[2].partition("[dev-dependencies]")[0]
        assert not re.search(r"^(tokio|tonic|hyper|pyo3|rand|chrono)\b", dependencies, re.MULTILINE), crate


def test_the_extension_has_at_most_twelve_entry_points_on_its_handle() -> None:
    stub = ast.parse((ROOT / "sidecar/fairlead/_native.pyi").read_text())
    core = next(node for node in stub.body if isinstance(node, ast.ClassDef) and node.name == "Core")
    methods = [
        node.name
        for node in core.body
        if isinstance(node, ast.FunctionDef) and node.name not in ("__init__", "__new__")
    ]
    assert len(methods) <= 12


def test_the_client_imports_nothing_of_the_daemon() -> None:
    code = "import sys, fairlead.client; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    )
    assert loaded.isdisjoint({"rocksdict", "pydantic", "yaml", "grpc_status"})
    assert "fairlead" in loaded
