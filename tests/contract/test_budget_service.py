"""Every method of BudgetService: as operator and as agent, the happy path and each documented refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from fairlead.audit.erasure.model import commitment
from fairlead.budget.service import BudgetLedgerService
from fairlead.control.budget_service import BudgetServicer
from fairlead.internal.v1 import command_pb2
from fairlead.v1 import amount_pb2, budget_service_pb2_grpc
from fairlead.v1 import budget_service_pb2 as pb
from tests.contract.control import AS_AGENT, AS_NOBODY, refused, served
from tests.unit.audit.fakes import FakeCore, FakeStore
from tests.unit.audit.records import T0

INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", {"violations": "1"})
NAME = "tenants/acme/budgets/run/instances/run=r%2F1"


def view(tenant: str, budget: str, instance: str, spent: int = 3_000_000_000) -> command_pb2.BudgetView:
    return command_pb2.BudgetView(
        tenant=tenant,
        budget=budget,
        instance=instance,
        limit=amount_pb2.Amount(nano_usd=5_000_000_000),
        spent=amount_pb2.Amount(nano_usd=spent),
        reserved=amount_pb2.Amount(nano_usd=1_000_000_000),
        hard=True,
    )


class Sidecar:
    """A core with some budgets and the service over it."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.core = FakeCore(self.store)
        self.now = T0
        self.core.budgets = [
            view("acme", "month", "-"),
            view("acme", "run", "run=r%2F1"),
            view("acme", "run", "run=r-2"),
            view("globex", "month", "-"),
            view("globex", "run", "run=r-1"),
        ]
        self.service = BudgetLedgerService(self.core, self.store, lambda: self.now, lambda n: bytes(range(n)))


@asynccontextmanager
async def sidecar(directory: Path, *, agents: bool = False) -> AsyncIterator[tuple[Sidecar, Any]]:
    life = Sidecar()

    def register(server: grpc.aio.Server) -> None:
        budget_service_pb2_grpc.add_BudgetServiceServicer_to_server(BudgetServicer(life.service), server)

    async with served(directory, register, agents=agents) as channel:
        yield life, budget_service_pb2_grpc.BudgetServiceStub(channel)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


def names(page: pb.ListBudgetsResponse) -> list[str]:
    return [budget.name for budget in page.budgets]


def adjustment(request_id: str = "a", **fields: Any) -> pb.AdjustBudgetRequest:
    request: dict[str, Any] = {
        "name": NAME,
        "credit": amount_pb2.Amount(nano_usd=1_000_000_000),
        "reason": "refunded by the provider",
    }
    return pb.AdjustBudgetRequest(request_id=request_id, **{**request, **fields})


# ListBudgets ---------------------------------------------------------------------------------------------------------


def test_operators_list_all_tenants_or_one(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (_, stub):
            everything = await stub.ListBudgets(pb.ListBudgetsRequest(parent="tenants/-"))
            assert names(everything) == [
                "tenants/acme/budgets/month/instances/-",
                NAME,
                "tenants/acme/budgets/run/instances/run=r-2",
                "tenants/globex/budgets/month/instances/-",
                "tenants/globex/budgets/run/instances/run=r-1",
            ]
            assert everything.next_page_token == ""
            assert everything.budgets[0].reserved == amount_pb2.Amount(nano_usd=1_000_000_000)
            one = await stub.ListBudgets(pb.ListBudgetsRequest(parent="tenants/globex", budget="run"))
            assert names(one) == ["tenants/globex/budgets/run/instances/run=r-1"]
            nobody = await stub.ListBudgets(pb.ListBudgetsRequest(parent="tenants/nobody"))
            assert names(nobody) == []

    run(test)


def test_pages_are_stable_while_instances_come_and_go(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            request = pb.ListBudgetsRequest(parent="tenants/-", page_size=2)
            first = await stub.ListBudgets(request)
            # The last one of the page goes, one comes before it and one behind.
            del life.core.budgets[1]
            life.core.budgets += [view("acme", "a", "-"), view("acme", "run", "run=r-0")]
            request.page_token = first.next_page_token
            second = await stub.ListBudgets(request)
            request.page_token = second.next_page_token
            third = await stub.ListBudgets(request)
            assert names(first) == ["tenants/acme/budgets/month/instances/-", NAME]
            assert names(second) == [
                "tenants/acme/budgets/run/instances/run=r-0",
                "tenants/acme/budgets/run/instances/run=r-2",
            ]
            assert names(third) == [
                "tenants/globex/budgets/month/instances/-",
                "tenants/globex/budgets/run/instances/run=r-1",
            ]
            assert third.next_page_token == ""

    run(test)


def test_a_long_list_is_read_from_the_core_in_pages(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            life.core.budgets = [view("acme", "run", f"run=r-{n:04}") for n in range(2_500)]
            request = pb.ListBudgetsRequest(parent="tenants/acme", page_size=5_000)
            sizes, listed = [], []
            while True:
                page = await stub.ListBudgets(request)
                sizes.append(len(page.budgets))
                listed += names(page)
                request.page_token = page.next_page_token
                if not page.next_page_token:
                    break
            assert sizes == [1_000, 1_000, 500]
            assert listed == [f"tenants/acme/budgets/run/instances/run=r-{n:04}" for n in range(2_500)]
            assert {(query.limit, query.tenant) for query in life.core.queries} == {(1_000, "acme")}

    run(test)


def test_a_page_is_filled_when_the_core_answers_in_parts(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            life.core.most_at_once = 2
            page = await stub.ListBudgets(pb.ListBudgetsRequest(parent="tenants/-", page_size=3))
            assert (len(page.budgets), [query.limit for query in life.core.queries]) == (3, [3, 1])
            assert page.next_page_token != ""

    run(test)


def test_one_budget_is_asked_for_by_its_name(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            await stub.GetBudget(pb.GetBudgetRequest(name=NAME))
            await stub.AdjustBudget(adjustment())
            one = command_pb2.SnapshotQuery(tenant="acme", budget="run", instance="run=r%2F1")
            assert life.core.queries == [one, one]

    run(test)


def test_list_refuses_bad_requests(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (_, stub):
            token = (await stub.ListBudgets(pb.ListBudgetsRequest(parent="tenants/-", page_size=1))).next_page_token
            for field, request in (
                ("parent", pb.ListBudgetsRequest()),
                ("parent", pb.ListBudgetsRequest(parent="acme")),
                ("page_size", pb.ListBudgetsRequest(parent="tenants/-", page_size=-1)),
                ("page_token", pb.ListBudgetsRequest(parent="tenants/-", page_token="x")),
                ("page_token", pb.ListBudgetsRequest(parent="tenants/acme", page_token=token)),
                ("page_token", pb.ListBudgetsRequest(parent="tenants/-", budget="run", page_token=token)),
            ):
                assert (await refused(stub.ListBudgets(request))) == (*INVALID, [field])

    run(test)


@pytest.mark.parametrize("parent", ["", "tenants/acme", "tenants/-"])
def test_agents_list_their_own_tenant(tmp_path: Path, parent: str) -> None:
    async def test() -> None:
        async with sidecar(tmp_path, agents=True) as (_, stub):
            page = await stub.ListBudgets(pb.ListBudgetsRequest(parent=parent), metadata=AS_AGENT)
            assert len(page.budgets) == 3
            assert all(name.startswith("tenants/acme/") for name in names(page))

    run(test)


@pytest.mark.parametrize("parent", ["tenants/globex", "tenants/nobody"])
def test_other_tenants_are_not_there_for_agents(tmp_path: Path, parent: str) -> None:
    async def test() -> None:
        async with sidecar(tmp_path, agents=True) as (_, stub):
            answer = await refused(stub.ListBudgets(pb.ListBudgetsRequest(parent=parent), metadata=AS_AGENT))
            assert answer == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND", {"name": parent}, [])

    run(test)


# GetBudget -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("agents", [False, True])
def test_get_one_however_its_name_is_encoded(tmp_path: Path, agents: bool) -> None:
    async def test() -> None:
        async with sidecar(tmp_path, agents=agents) as (_, stub):
            for name in (NAME, NAME.replace("%2F", "%2f"), NAME.replace("acme", "%61cme")):
                answer = await stub.GetBudget(pb.GetBudgetRequest(name=name), metadata=AS_AGENT if agents else None)
                assert answer.budget.name == NAME
                assert answer.budget.spent.nano_usd == 3_000_000_000

    run(test)


def test_what_is_missing_and_what_is_not_yours_look_the_same(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path, agents=True) as (_, stub):
            for name in (
                "tenants/acme/budgets/run/instances/run=r-1",
                "tenants/globex/budgets/run/instances/run=r-1",
                "tenants/globex/budgets/none/instances/-",
            ):
                answer = await refused(stub.GetBudget(pb.GetBudgetRequest(name=name), metadata=AS_AGENT))
                assert answer == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND", {"name": name}, [])
            answer = await refused(stub.GetBudget(pb.GetBudgetRequest(name="run"), metadata=AS_AGENT))
            assert answer == (*INVALID, ["name"])

    run(test)


def test_a_call_without_identity_sees_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path, agents=True) as (_, stub):
            for call in (
                stub.GetBudget(pb.GetBudgetRequest(name=NAME), metadata=AS_NOBODY),
                stub.ListBudgets(pb.ListBudgetsRequest(parent="tenants/-"), metadata=AS_NOBODY),
            ):
                assert (await refused(call))[:2] == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIAL_MISSING")

    run(test)


# AdjustBudget --------------------------------------------------------------------------------------------------------


def test_adjust_goes_through_the_core_with_operator_and_reason(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            answer = await stub.AdjustBudget(adjustment())
            assert (answer.budget.name, answer.budget.spent.nano_usd) == (NAME, 2_000_000_000)
            command = life.core.applied[0]
            assert command.caller == command_pb2.Caller(operator="local")
            assert (command.adjust_budget.tenant, command.adjust_budget.budget) == ("acme", "run")
            assert command.adjust_budget.instance == "run=r%2F1"
            # People write names into reasons: the record only commits to it, the text lies beside it.
            said, kept = commitment("refunded by the provider", bytes(range(16)))
            assert command.adjust_budget.reason == said and kept in command.adjust_budget.writes

    run(test)


def test_adjust_happens_once_for_a_request_id_and_answers_the_same(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            first = await stub.AdjustBudget(adjustment("a"))
            await stub.AdjustBudget(adjustment("b"))
            again = await stub.AdjustBudget(adjustment("a"))
            assert again == first
            assert life.core.budgets[1].spent.nano_usd == 1_000_000_000
            other = adjustment("a", reason="something else")
            assert (await refused(stub.AdjustBudget(other))) == (*INVALID, ["request_id"])

    run(test)


def test_retries_at_the_same_time_adjust_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            answers = await asyncio.gather(*(stub.AdjustBudget(adjustment("a")) for _ in range(8)))
            assert {answer.budget.spent.nano_usd for answer in answers} == {2_000_000_000}
            assert life.core.budgets[1].spent.nano_usd == 2_000_000_000

    run(test)


def test_a_crash_between_the_change_and_its_answer_does_not_adjust_twice(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            apply = life.core.apply

            def crashing(command: bytes) -> bytes:
                if command_pb2.Command.FromString(command).HasField("control_write"):
                    life.core.reject = command_pb2.Rejection(reason="STORE_UNAVAILABLE", message="no writes")
                return apply(command)

            life.core.apply = crashing  # type: ignore[method-assign]
            assert (await stub.AdjustBudget(adjustment("a"))).budget.spent.nano_usd == 2_000_000_000
            life.core.reject = None
            assert (await stub.AdjustBudget(adjustment("a"))).budget.spent.nano_usd == 2_000_000_000
            assert life.core.budgets[1].spent.nano_usd == 2_000_000_000

    run(test)


def test_adjust_refuses_bad_requests(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            for fields, request in (
                (["request_id"], adjustment("")),
                (["request_id"], adjustment("x" * 129)),
                (["name"], adjustment(name="run")),
                (["reason"], adjustment(reason="  ")),
                (["reason"], adjustment(reason="x" * 1025)),
                (["credit", "reason"], adjustment(credit=amount_pb2.Amount(), reason="")),
            ):
                code, reason, _, violations = await refused(stub.AdjustBudget(request))
                assert (code, reason, violations) == (*INVALID[:2], fields)
            missing = adjustment(name="tenants/acme/budgets/run/instances/run=r-9")
            assert (await refused(stub.AdjustBudget(missing)))[:2] == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
            assert life.core.applied == []

    run(test)


def test_what_the_core_refuses_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            life.core.reject = command_pb2.Rejection(
                reason="INVALID_ARGUMENT",
                message="credit overflows",
                violations=[command_pb2.FieldViolation(field="credit.nano_usd", description="overflows")],
            )
            assert (await refused(stub.AdjustBudget(adjustment()))) == (*INVALID, ["credit.nano_usd"])

    run(test)


def test_adjust_does_not_exist_for_agents(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path, agents=True) as (life, stub):
            code, _, _, _ = await refused(stub.AdjustBudget(adjustment(), metadata=AS_AGENT))
            assert code == grpc.StatusCode.UNIMPLEMENTED
            assert life.core.applied == []

    run(test)
