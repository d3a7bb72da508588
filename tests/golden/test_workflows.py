"""Workflow files and what they become: good ones the definition that the native core gets, bad ones every message.

`python -m tests.golden.test_workflows` writes what they become now, to be looked at before it is committed.
"""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from fairlead.cli.main import main
from fairlead.config import Loader, canonical_json, from_canonical, to_engine
from fairlead.config.candidates import alone
from fairlead.native import Core

HERE = Path(__file__).parent / "workflows"
EXAMPLES = Path(__file__).parents[2] / "examples"
GOOD = sorted((HERE / "good").glob("*.yaml"))
BAD = sorted((HERE / "bad").glob("*.yaml"))
SHIPPED = [EXAMPLES / "loan/loan-approval.yaml", EXAMPLES / "refund/refund.yaml"]


def becomes(path: Path) -> dict[str, Any]:
    """The definition of a good file as JSON, checked by the native core."""
    (definition, *_) = to_engine(Loader(Core.compile, None).check(alone([path])).config).workflows
    return MessageToDict(definition, preserving_proto_field_name=True)


def messages(path: Path) -> str:
    """What is said about a bad file."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        assert main(["workflow", "validate", str(path)]) == 2
    return said.getvalue().replace(f"{path.parent}/", "")


def stem(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", GOOD, ids=stem)
def test_a_good_file_becomes_its_definition(path: Path) -> None:
    definition = becomes(path)
    assert definition == json.loads(path.with_suffix(".json").read_text())
    # The canonical text is a workflow again, of the same version.
    text = f'{{"apiVersion":"fairlead/v1","workflows":[{definition["canonical"]}]}}'
    config = from_canonical(text)
    (again,) = to_engine(config).workflows
    assert MessageToDict(again, preserving_proto_field_name=True) == definition
    assert from_canonical(canonical_json(config)) == config


@pytest.mark.parametrize("path", BAD, ids=stem)
def test_a_bad_file_is_refused_with_every_message(path: Path) -> None:
    assert messages(path) == path.with_suffix(".txt").read_text()


@pytest.mark.parametrize("path", SHIPPED, ids=stem)
def test_the_examples_are_good_by_themselves_and_in_their_configuration(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["workflow", "validate", str(path)]) == 0
    assert main(["workflow", "validate", str(path), "--config", str(path.parent)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    for format in ("text", "mermaid", "svg"):
        assert main(["workflow", "graph", str(path), "--format", format]) == 0


def test_the_document_shows_what_is_said(tmp_path: Path) -> None:
    """One letter in `needs` of the loan's review."""
    path = tmp_path / "loan-approval.yaml"
    path.write_text(SHIPPED[0].read_text().replace("needs: [eligibility, risk]", "needs: [eligibility, risc]"))
    document = (Path(__file__).parents[2] / "docs/workflows.md").read_text()
    assert f"```text\n{messages(path)}```" in document


def test_the_document_s_picture_is_the_one_that_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    """After a change of the example: `fairlead workflow graph FILE --output docs/pictures/loan-approval.svg`."""
    assert main(["workflow", "graph", str(SHIPPED[0]), "--format", "svg"]) == 0
    assert capsys.readouterr().out == (EXAMPLES.parent / "docs/pictures/loan-approval.svg").read_text(encoding="utf-8")


if __name__ == "__main__":
    for good in GOOD:
        good.with_suffix(".json").write_text(json.dumps(becomes(good), indent=2, ensure_ascii=False) + "\n")
    for bad in BAD:
        bad.with_suffix(".txt").write_text(messages(bad))
