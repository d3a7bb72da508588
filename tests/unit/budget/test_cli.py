"""The budget commands against a running sidecar."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import grpc
import pytest

from fairlead.budget.service import BudgetLedgerService
from fairlead.cli.budget import used_percent
from fairlead.cli.main import main
from fairlead.cli.table import table
from fairlead.control.access import OperatorDoor, Operators
from fairlead.control.budget_service import BudgetServicer
from fairlead.internal.v1 import command_pb2
from fairlead.v1 import amount_pb2, budget_service_pb2, budget_service_pb2_grpc
from tests.unit.audit.fakes import FakeCore, FakeStore
from tests.unit.audit.records import T0

NAME = "tenants/acme/budgets/run/instances/run=r-1"


def run(data: Path, *commands: list[str]) -> list[int]:
    """Runs commands one after the other beside a sidecar; their exit codes."""
    core = FakeCore(FakeStore())
    core.budgets = [
        command_pb2.BudgetView(
            tenant="acme",
            budget="month",
            instance="-",
            limit=amount_pb2.Amount(nano_usd=500_000_000_000),
            spent=amount_pb2.Amount(nano_usd=12_500_000, tokens=7),
            resets_at_unix_nanos=T0,
        ),
        command_pb2.BudgetView(
            tenant="acme",
            budget="run",
            instance="run=r-1",
            limit=amount_pb2.Amount(nano_usd=2_500_000_000, tokens=200_000),
            spent=amount_pb2.Amount(nano_usd=1_000_000_000, tokens=1200),
            reserved=amount_pb2.Amount(nano_usd=250_000_000, tokens=800),
            hard=True,
        ),
    ]

    async def beside() -> list[int]:
        data.mkdir(exist_ok=True)
        server = grpc.aio.server(interceptors=(OperatorDoor(Operators(), token_required=False),))
        service = BudgetLedgerService(core, core.store, lambda: T0)
        budget_service_pb2_grpc.add_BudgetServiceServicer_to_server(BudgetServicer(service), server)
        server.add_insecure_port(f"unix:{data}/admin.sock")
        await server.start()
        try:
            async with asyncio.timeout(30):
                return [await asyncio.to_thread(main, ["budget", *given, "--data", str(data)]) for given in commands]
        finally:
            await server.stop(None)

    return asyncio.run(beside())


def test_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, ["list"]) == [0]
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [" ".join(row) for row in rows] == [
        "NAME SPENT HELD LIMIT USED RESETS",
        "tenants/acme/budgets/month/instances/- $0.0125 $0.00 $500.00 (alert) 0.0 % 2026-11-18 11:06:40 UTC",
        f"{NAME} $1.00, 1,200 tokens $0.25, 800 tokens $2.50, 200,000 tokens 50.0 % never",
    ]


def test_columns_are_aligned() -> None:
    assert table(("NAME", "N"), [("a", "10"), ("longer", "7")], "<>") == ["NAME     N", "a       10", "longer   7"]


def test_list_some_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, ["list", "--tenant", "acme", "--budget", "run", "--json"]) == [0]
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["spent"] == {"nano_usd": "1000000000", "tokens": "1200"}


def test_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, ["show", NAME], ["show", "nonsense"], ["show", NAME + "9"]) == [0, 2, 1]
    captured = capsys.readouterr()
    assert captured.out == (
        f"name    {NAME}\n"
        "limit   $2.50, 200,000 tokens, hard\n"
        "spent   $1.00, 1,200 tokens\n"
        "held    $0.25, 800 tokens\n"
        "used    50.0 %\n"
        "resets  never\n"
    )
    assert "name: must be tenants/{tenant}" in captured.err


def test_adjust(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    credit = ["adjust", NAME, "--usd", "0.000000001", "--reason", "rounding", "--request-id", "a"]
    debit = ["adjust", NAME, "--usd", "-1", "--reason", "moved here"]
    assert run(tmp_path, credit, credit, debit, [*debit, "--json"]) == [0, 0, 0, 0]
    spent = [line for line in capsys.readouterr().out.splitlines() if "spent" in line]
    assert spent[:3] == [
        "spent   $0.999999999, 1,200 tokens",
        "spent   $0.999999999, 1,200 tokens",
        "spent   $1.999999999, 1,200 tokens",
    ]
    assert json.loads(spent[3])["spent"]["nano_usd"] == "2999999999"


def test_adjust_that_fails_tells_how_to_try_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, ["adjust", NAME, "--reason", "nothing"]) == [2]
    err = capsys.readouterr().err
    assert "credit: must not be zero in every unit" in err
    assert main(["budget", "adjust", NAME, "--usd", "1", "--reason", "x", "--data", str(tmp_path / "none")]) == 1
    assert "no sidecar listens" in capsys.readouterr().err
    for wrong in ("1e3", "0.0000000001", "much"):
        with pytest.raises(SystemExit, match="2"):
            main(["budget", "adjust", NAME, "--usd", wrong, "--reason", "x"])


def test_how_much_is_used_is_told_by_the_unit_nearest_to_its_limit() -> None:
    budget = budget_service_pb2.Budget(
        limit=amount_pb2.Amount(nano_usd=100, tokens=10),
        spent=amount_pb2.Amount(nano_usd=10, tokens=5, requests=99),
        reserved=amount_pb2.Amount(tokens=4),
    )
    assert used_percent(budget) == "90.0 %"
    assert used_percent(budget_service_pb2.Budget()) == "-"
