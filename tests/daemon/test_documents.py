"""README and docs/: what they tell the reader to run works, and what they say is so. `documents.py` says how."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import urllib.request
from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from fairlead.cli import serve
from fairlead.client import Client
from fairlead.config.sections.limits import Limits
from fairlead.startup import ExitCode
from fairlead.v1 import audit_service_pb2, audit_service_pb2_grpc

from .calls import Agent, post
from .documents import ROOT, Block, Session, blocks, documents
from .harness import TOKEN, Daemon
from .provider import Provider, routed

README = ROOT / "README.md"
OPERATIONS = ROOT / "docs/operations.md"
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
# Run by tests of their own, which look at what they print as well: tests/compat has the SDKs and frameworks.
APART = {README, ROOT / "docs/sdks.md", ROOT / "docs/langgraph.md"}
WITH_COMMANDS = [path for path in documents() if path not in APART and blocks(path, "sh", "python")]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def validate(text: str, directory: Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    file = directory / "validated.yaml"
    file.write_text(text)
    command = [sys.executable, "-m", "fairlead.cli.main", "config", "validate", str(file)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


# Commands and code ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", WITH_COMMANDS, ids=name)
def test_every_command_and_every_piece_of_code_works(document: Path, tmp_path: Path) -> None:
    with Session(tmp_path) as session:
        for block in blocks(document, "sh", "python"):
            session.run(block)


@pytest.mark.parametrize("document", [path for path in documents() if blocks(path, "py")], ids=name)
def test_every_piece_of_code_that_is_a_part_of_a_program_compiles(document: Path) -> None:
    """`py` is code that needs the reader's own around it; it may await."""
    for block in blocks(document, "py"):
        compile(block.text, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_the_readme_works_as_written_and_prints_what_the_reader_expects(tmp_path: Path) -> None:
    printed: list[tuple[Block, str]] = []
    with Session(tmp_path) as session:
        for block in blocks(README, "sh", "python"):
            printed.append((block, session.run(block)))
    sdk, gate = (text for block, text in printed if block.language == "python")
    answer, decided = sdk.splitlines()
    assert len(answer.split()) == 12
    assert re.fullmatch(r"dev-large inv_[0-9a-f]{32}", decided)
    # Nothing was refused.
    assert gate == ""
    afterwards = next(text for block, text in printed if "audit verify" in block.text)
    assert decided.split()[1] in afterwards
    assert "tenants/acme/budgets/run/instances/run=run-17" in afterwards
    assert "valid:" in afterwards


def test_every_make_target_that_is_mentioned_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in documents():
        typed = [line for block in blocks(document, "sh") for line in block.commands()]
        mentioned = re.findall(r"`(make [^`]+)`", document.read_text())
        for command in (*typed, *mentioned):
            made = re.match(r"make ((?:[a-z-]+ ?)+)", command)
            assert made is None or set(made[1].split()) <= targets, f"{document.name}: {command}"


def test_the_configuration_of_the_readme_is_valid(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    (block,) = blocks(README, "yaml")
    text = re.sub(r"(?<=fromFile: )[^\s},]+", str(secret), block.text)
    secret.write_text("sk-secret-0001")
    environment = {variable: f"{variable}-0001" for variable in re.findall(r"fromEnv: (\w+)", text)}
    done = validate(text, tmp_path, environment)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"[0-9a-f]{64}\n", done.stdout)


def test_every_expression_that_is_shown_is_one(tmp_path: Path) -> None:
    shown = [line for path in documents() for block in blocks(path, "cel") for line in block.commands()]
    assert len(shown) > 3
    policies = [
        {"name": f"p-{number}", "on": "model.call", "when": when, "effect": "deny"} for number, when in enumerate(shown)
    ]
    done = validate(json.dumps({"apiVersion": "fairlead/v1", "policies": policies}), tmp_path)
    assert done.returncode == 0, done.stderr


# Links and lengths ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", documents(), ids=name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for found in LINK.finditer(document.read_text()):
        target, _, fragment = found["target"].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        path = document.parent / target if target else document
        assert path.exists(), f"{document.name}: {found[0]}"
        if fragment:
            assert fragment in anchors(path), f"{document.name}: {found[0]}"


def anchors(path: Path) -> set[str]:
    headings = HEADING.findall(path.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_fits_a_few_screens_and_begins_with_a_command() -> None:
    assert len(README.read_text().splitlines()) <= 200
    assert blocks(README, "sh")[0].line <= 30


def test_the_readme_leads_to_every_document() -> None:
    linked = {found["target"].partition("#")[0] for found in LINK.finditer(README.read_text())}
    assert {name(path) for path in (ROOT / "docs").glob("*.md")} <= linked


def test_the_decisions_are_numbered_without_a_gap() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs/decisions").glob("0*.md"))
    assert numbers == list(range(1, len(numbers) + 1))
    index = LINK.findall((ROOT / "docs/decisions/README.md").read_text())
    assert [int(target[:4]) for target in index] == numbers


# docs/operations.md --------------------------------------------------------------------------------------------------


def section(title: str) -> str:
    """The text below a heading, up to the next one of the same depth."""
    _, found, rest = OPERATIONS.read_text().partition(f"\n## {title}\n")
    assert found, title
    return rest.partition("\n## ")[0]


def first_cells(text: str) -> list[list[str]]:
    """What stands in backquotes in the first cell of each row."""
    cells = (line.split("|")[1] for line in text.splitlines() if line.startswith("|"))
    return [names for cell in cells if (names := re.findall(r"`([^`]+)`", cell))]


def flat(rows: Iterable[list[str]]) -> list[str]:
    return [name for row in rows for name in row]


def test_operations_has_every_flag_and_its_variable() -> None:
    commands = ArgumentParser().add_subparsers()
    serve.register(commands)
    flags = {action.option_strings[-1] for action in commands.choices["serve"]._actions if action.dest != "help"}
    rows = [line for line in section("Running it").splitlines() if line.startswith("| `--")]
    assert {row.split("`")[1].split()[0] for row in rows} == flags
    for row in rows:
        flag, variable = row.split("`")[1].split()[0], row.split("`")[3]
        assert variable == "FAIRLEAD_" + flag.removeprefix("--").replace("-", "_").upper()


def test_operations_has_every_exit_code() -> None:
    documented = re.findall(r"^\| (\d+) \|", section("Start and stop"), re.MULTILINE)
    assert [int(code) for code in documented] == sorted(ExitCode)


def test_operations_has_every_limit_with_its_default() -> None:
    rows = [line.split("|") for line in section("Limits").splitlines() if line.startswith("| `")]
    documented = {row[1].strip(" `"): in_base_units(row[2].strip()) for row in rows}
    fields = {field.alias or key: field.default for key, field in Limits.model_fields.items()}
    assert documented == fields


def in_base_units(text: str) -> int:
    """Bytes, milliseconds or a number."""
    number, unit = re.fullmatch(r"(\d+)\s*(\w*)", text).groups()  # type: ignore[union-attr]
    return int(number) * {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "s": 1000}[unit]


def test_operations_has_every_metric_with_its_type_and_labels(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second:
        budget = "budgets:\n  - {name: life, scope: [tenant], limit: {usd: 1}, window: lifetime}\n"
        tools = "defaults: {tool.call: allow}\n"
        # Nothing is sent to it here.
        receiver = "notifications: [{name: desk, url: 'http://127.0.0.1:9', format: chat, events: budget.overdraft}]\n"
        exporter = f"audit: {{exporters: [{{name: disk, kind: file, path: {tmp_path}/audit.jsonl}}]}}\n"
        with Daemon(tmp_path, routed(first.url, second.url, budget + tools + receiver + exporter)) as daemon:
            body: dict[str, Any] = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}
            assert post(daemon, body)[0] == 200
            assert post(daemon, body, token="nobody")[0] == 401
            Agent(daemon).admit("r-1", model="chat")
            with Client(daemon.endpoints()["agent"], token=TOKEN) as agent:
                agent.authorize_tool("web.fetch", {})
            collector = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
            watched = collector.WatchEvents(audit_service_pb2.WatchEventsRequest(subscriber="siem"))
            watched.initial_metadata()
            url = f"http://{daemon.endpoints()['health']}/metrics"
            with urllib.request.urlopen(url, timeout=30) as response:
                page = response.read().decode()
            watched.cancel()
    types = dict(re.findall(r"^# TYPE (\S+) (\w+)$", page, re.MULTILINE))
    rows = [line.split("|") for line in section("Metrics").splitlines() if line.startswith("| `")]
    documented = {metric: row[2].strip() for row in rows for metric in re.findall(r"`([^`]+)`", row[1])}
    assert documented == types
    for row in rows:
        for metric in re.findall(r"`([^`]+)`", row[1]):
            labels = set(re.findall(r"`([^`]+)`", row[3]))
            samples = re.findall(rf"^{metric}(?:_bucket)?(?:\{{(.*)\}})? ", page, re.MULTILINE)
            assert samples, metric
            for sample in samples:
                assert set(re.findall(r'(\w+)="', sample)) - {"le"} == labels, metric


def test_operations_names_reasons_that_errors_explains() -> None:
    explained = set(flat(first_cells((ROOT / "docs/errors.md").read_text())))
    named = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", OPERATIONS.read_text()))
    named = {reason for reason in named if not reason.startswith("FAIRLEAD_")}
    assert named and named <= explained
