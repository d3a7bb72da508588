"""Without LangGraph: what is missing is said, and nothing else needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT = "import sys; sys.modules['langgraph'] = None; "


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + code], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_import_names_the_extra() -> None:
    ran = run("import fairlead.integrations.langgraph")
    assert ran.returncode != 0
    assert "ImportError: fairlead.integrations.langgraph needs LangGraph" in ran.stderr
    assert "pip install 'fairlead[langgraph]'" in ran.stderr


@pytest.mark.parametrize("module", ["fairlead.client", "fairlead.integrations", "fairlead.daemon"])
def test_nothing_else_needs_it(module: str) -> None:
    ran = run(f"import {module}")
    assert ran.returncode == 0, ran.stderr
