"""The commands of docs/langgraph.md, as a reader types them, and what the document says they print."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from ..daemon.documents import AGENT_PORT, Session, blocks
from .conftest import FAIRLEAD, ROOT

DOCUMENT = ROOT / "docs/langgraph.md"


def test_the_commands_print_what_the_document_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "bin/fairlead"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {" ".join(FAIRLEAD)} "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "sidecar"))
    monkeypatch.setenv("PATH", os.pathsep.join([str(command.parent), os.environ["PATH"]]))
    with Session(tmp_path / "reader") as session:
        session.environment["FAIRLEAD_ENDPOINT"] = f"127.0.0.1:{session.ports[AGENT_PORT]}"
        (block,) = blocks(DOCUMENT, "sh")
        printed = [line for line in session.run(block).splitlines() if re.match("waits|bank|outcome", line)]
    _, said = blocks(DOCUMENT, "console")
    assert [without_ids(line) for line in printed] == [without_ids(line) for line in said.text.splitlines()]


def without_ids(line: str) -> str:
    return re.sub("apr_[0-9a-f]{32}", "apr_…", line)
