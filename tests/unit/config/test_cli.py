"""`fairlead config` as a person uses it: offline, and against a sidecar's operator socket."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import pytest

from fairlead.cli.main import GROUPS, main
from fairlead.config import Loader
from fairlead.config.service import ConfigurationService
from fairlead.control.access import OperatorDoor, Operators
from fairlead.control.config_service import ConfigServicer
from fairlead.v1 import config_service_pb2_grpc
from tests.unit.config.fakes import FakeCore, FakeStore
from tests.unit.config.samples import ENVIRONMENT, VALID, write

SECOND = VALID.replace("input: 2.50", "input: 3")


@pytest.fixture(autouse=True)
def native(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What the native core finds wrong; nothing, unless a test adds to it."""
    findings: list[tuple[str, str]] = []

    class Core:
        @staticmethod
        def compile(config: bytes) -> list[tuple[str, str]]:
            return findings

    module = ModuleType("fairlead.native")
    module.Core = Core  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fairlead.native", module)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return findings


@pytest.fixture
def socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The operator socket of a sidecar that runs VALID, named relatively because unix sockets have short names."""
    monkeypatch.chdir(tmp_path)
    path = Path("admin.sock")
    started: threading.Event = threading.Event()
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        store = FakeStore()
        loader = Loader(None)
        ticks = iter(range(1_700_000_000, 1_800_000_000))
        service = ConfigurationService(
            FakeCore(store), store, loader, loader.load_text(VALID), lambda: next(ticks) * 10**9
        )
        await service.begin("fairlead.yaml")
        server = grpc.aio.server(interceptors=(OperatorDoor(Operators(), token_required=False),))
        config_service_pb2_grpc.add_ConfigServiceServicer_to_server(ConfigServicer(service), server)
        server.add_insecure_port(f"unix:{path}")
        await server.start()
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(ended.set))
        started.set()
        await ended.wait()
        await server.stop(None)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(10)
    yield path
    stop[0]()
    thread.join()


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout, stderr of `fairlead config …`."""
    try:
        code = main(["config", *map(str, arguments)])
    except SystemExit as end:
        code = int(end.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def test_validate_prints_the_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "f.yaml", VALID)
    version = Loader(None).load(file).version
    assert run(capsys, "validate", file) == (0, f"{version}\n", "")
    code, out, _ = run(capsys, "validate", "--json", file)
    assert (code, json.loads(out)) == (0, {"valid": True, "version": version, "violations": [], "notices": []})


def test_validate_prints_every_violation_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], native: list[tuple[str, str]]
) -> None:
    file = write(tmp_path / "f.yaml", VALID.replace("input: 2.50", "input: free"))
    native.append(("routes[0]", "can never be reached"))
    code, out, err = run(capsys, "validate", file)
    assert (code, out) == (2, "")
    first, second = err.splitlines()
    assert first.startswith(f"{file}:10: models[1].price.input: is not a price")
    assert second == f"{file}:12: routes[0]: can never be reached"
    code, out, _ = run(capsys, "validate", "--json", file)
    assert code == 2
    assert [violation["path"] for violation in json.loads(out)["violations"]] == ["models[1].price.input", "routes[0]"]


def test_validate_can_leave_the_secrets_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "f.yaml", VALID)
    monkeypatch.delenv("TOKEN")
    code, _, err = run(capsys, "validate", file)
    assert code == 2 and "environment variable TOKEN is not set" in err
    assert run(capsys, "validate", "--no-secrets", file)[0] == 0


def test_the_way_of_a_configuration(socket: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ("--socket", socket)
    file = write(tmp_path / "second.yaml", SECOND)
    first, second = Loader(None).load_text(VALID).version, Loader(None).load(file).version

    code, out, _ = run(capsys, "apply", file, "--validate-only", *at)
    assert (code, out) == (0, f"{second}  valid\n")
    code, out, _ = run(capsys, "apply", file, "--etag", first, *at)
    assert code == 0 and out.startswith(second) and "api by local" in out and "(running)" in out
    code, _, err = run(capsys, "apply", file, "--etag", first, *at)
    assert code == 1 and "ETAG_MISMATCH" in err

    code, out, _ = run(capsys, "show", *at)
    assert code == 0 and out.startswith(f"# {second}")
    # What is shown can be applied again.
    assert Loader(None).load_text(out).version == second
    code, out, _ = run(capsys, "show", first[:8], "--json", *at)
    assert (code, json.loads(out)["version"], json.loads(out)["config"]["apiVersion"]) == (0, first, "fairlead/v1")

    code, out, _ = run(capsys, "diff", *at)
    assert (code, out) == (0, '~ models[large].price.input: "2.5" → "3"\n')
    code, out, _ = run(capsys, "diff", second, first, "--json", *at)
    assert json.loads(out) == [{"path": "models[large].price.input", "before": "3", "after": "2.5"}]

    code, out, _ = run(capsys, "rollback", *at)
    assert code == 0 and out.startswith(first) and "rollback by local" in out
    code, out, _ = run(capsys, "history", *at)
    assert code == 0 and [line[:64] for line in out.splitlines()] == [first, second]
    code, out, _ = run(capsys, "history", "--limit", 1, "--json", *at)
    assert [entry["active"] for entry in json.loads(out)] == [True]


def test_apply_names_the_file_of_a_directory(socket: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "conf"
    directory.mkdir()
    write(directory / "a.yaml", VALID)
    bad = write(directory / "b.yaml", "# routes of team b\n\nroutes:\n  - {name: b, targets: [{model: tiny}]}\n")
    code, out, err = run(capsys, "apply", directory, "--socket", socket)
    assert (code, out) == (2, "")
    assert err == f"{bad}:4: routes[1].targets[0].model: unknown model 'tiny': no model has this name\n"
    write(bad, "routes:\n  - {name: b, match: {workload: b}, targets: [{model: large}]}\n")
    code, out, _ = run(capsys, "apply", directory, "--socket", socket)
    assert code == 0 and out.startswith(Loader(None).load(directory).version)


def test_apply_sends_workflow_files_along_and_names_them(
    socket: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "conf"
    directory.mkdir()
    write(directory / "fairlead.yaml", VALID + "workflows: [{file: loan.yaml}]\n")
    loan = write(directory / "loan.yaml", "name: loan\nsteps:\n  - {id: parse, agnet: parser}\n")
    for given in (directory, directory / "fairlead.yaml"):
        code, out, err = run(capsys, "apply", given, "--socket", socket)
        assert (code, out) == (2, "")
        assert err.startswith(f"{loan}:3: steps[0].agnet: unknown key: did you mean agent?\n")
    write(loan, "name: loan\nsteps:\n  - {id: parse, agent: parser, effect: read}\n")
    code, out, _ = run(capsys, "apply", directory, "--socket", socket)
    assert code == 0 and out.startswith(Loader(None).load(directory / "fairlead.yaml").version)
    loan.unlink()
    code, out, err = run(capsys, "apply", directory, "--socket", socket)
    assert (code, out) == (2, "") and err == f"fairlead: {loan} cannot be read: No such file or directory\n"
    # What is shown has the definition in it, and can be applied again.
    code, out, _ = run(capsys, "show", "--socket", socket)
    assert code == 0 and "name: loan" in out
    assert out.split()[1] == Loader(None).load_text(out).version


def test_refusals_are_told_apart_by_their_exit_code(socket: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "show", "00000000", "--socket", socket)
    assert code == 1 and "no configuration version begins with 00000000 (NOT_FOUND)" in err
    code, _, err = run(capsys, "show", "xyz", "--socket", socket)
    assert code == 2 and "version: must be at least 6 hex digits" in err
    code, _, err = run(capsys, "diff", "--socket", socket)
    assert code == 1 and "no other configuration has run" in err
    code, _, err = run(capsys, "apply", "nowhere.yaml", "--socket", socket)
    assert code == 2 and "nowhere.yaml cannot be read: No such file" in err


def test_the_socket_is_found_through_the_data_directory(
    socket: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "show", "--data", ".")[0] == 0
    data = tmp_path / "data"
    data.mkdir()
    write(data / "endpoints.json", json.dumps({"operator": f"unix:{tmp_path / 'admin.sock'}"}))
    assert run(capsys, "show", "--data", data)[0] == 0
    code, _, err = run(capsys, "show", "--data", tmp_path / "other")
    assert code == 1 and "no sidecar listens on" in err


def test_usage_errors_end_with_2_and_help_lists_every_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys)[0] == 2
    assert run(capsys, "validate")[0] == 2
    assert main([]) == 2
    with pytest.raises(SystemExit):
        main(["--help"])
    out, _ = capsys.readouterr()
    assert all(group.name in out for group in GROUPS)


def test_help_imports_nothing_heavy() -> None:
    import subprocess

    program = (
        "import sys; from fairlead.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'grpc', 'pydantic', 'yaml', 'google.protobuf', 'fairlead.config'} & sys.modules.keys()\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    environment: dict[str, Any] = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, env=environment)
