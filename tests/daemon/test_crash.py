"""INVARIANT (I4): after `kill -9` at any instant what was acknowledged is there, the books balance, the chain holds.

FAIRLEAD_CRASHES sets how often the daemon is killed (50 by default; thousands for a long run).
"""

from __future__ import annotations

import os
import random
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from fairlead.v1 import (
    audit_record_pb2,
    audit_service_pb2,
    audit_service_pb2_grpc,
    budget_service_pb2,
    budget_service_pb2_grpc,
    decision_pb2,
    gate_service_pb2,
    gate_service_pb2_grpc,
)

from .harness import Daemon, bearer

CRASHES = int(os.environ.get("FAIRLEAD_CRASHES", "50"))
CALLERS = 6
SEED = 20_261_121
CONFIG = """\
apiVersion: fairlead/v1
tenants:
  - {name: acme, agents: [{name: bot, token: {fromEnv: TEST_BOT_TOKEN}}]}
providers:
  - {name: local, kind: openai-compatible, baseUrl: "http://127.0.0.1:9/v1"}
models:
  - {name: small, provider: local, price: {input: 1, output: 2}, maxOutputTokens: 1000}
budgets:
  - {name: tenant-month, scope: [tenant], limit: {usd: 100000}, window: month}
  - {name: run, scope: [run], limit: {tokens: 60000}, window: lifetime}
  - {name: session, scope: [session], limit: {usd: 10, requests: 100000}, window: {rolling: 1h}}
reservations: {ttl: 1h}
limits: {openReservations: 1000000}
"""
KIND = audit_record_pb2.EventKind


@dataclass
class Acknowledged:
    """What the daemon said it had done."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    admitted: set[str] = field(default_factory=set)
    settled: dict[str, int] = field(default_factory=dict)
    released: set[str] = field(default_factory=set)


def load(
    daemon: Daemon, channel: grpc.Channel, number: int, crash: int, known: Acknowledged, reached: threading.Event
) -> None:
    """Admits, settles, releases or abandons until the daemon is gone."""
    gate: Any = gate_service_pb2_grpc.GateServiceStub(channel)
    choose = random.Random(SEED + crash * CALLERS + number)
    turn = 0
    try:
        while True:
            turn += 1
            request = gate_service_pb2.AdmitRequest(
                request_id=f"{crash}-{number}-{turn}",
                model="small",
                run=f"run-{choose.randrange(20)}",
                session=f"session-{number}",
                input_tokens=choose.randrange(1, 50),
                max_output_tokens=100,
            )
            try:
                invocation = gate.Admit(request, metadata=bearer(), timeout=10).invocation
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED:
                    continue
                raise
            with known.lock:
                known.admitted.add(invocation)
                if len(known.admitted) % 40 == 0:
                    reached.set()
            end = choose.random()
            if end < 0.6:
                usage = decision_pb2.Attempt(
                    model="small", outcome=decision_pb2.ATTEMPT_OUTCOME_SUCCEEDED, status_code=200
                )
                usage.usage.input, usage.usage.output = request.input_tokens, choose.randrange(100)
                settle = gate_service_pb2.SettleRequest(
                    request_id=f"s-{request.request_id}", invocation=invocation, attempts=[usage]
                )
                charged = gate.Settle(settle, metadata=bearer(), timeout=10).charged
                with known.lock:
                    known.settled[invocation] = charged.nano_usd
            elif end < 0.8:
                release = gate_service_pb2.ReleaseRequest(request_id=f"r-{request.request_id}", invocation=invocation)
                gate.Release(release, metadata=bearer(), timeout=10)
                with known.lock:
                    known.released.add(invocation)
    except grpc.RpcError as error:
        assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED), error
    finally:
        reached.set()


def records(daemon: Daemon) -> list[audit_record_pb2.AuditRecord]:
    audit: Any = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
    request = audit_service_pb2.ListEventsRequest(page_size=1000)
    found: list[audit_record_pb2.AuditRecord] = []
    while True:
        page = audit.ListEvents(request, timeout=60)
        found += [event.record for event in page.events]
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def check(daemon: Daemon, known: Acknowledged) -> None:
    """Everything acknowledged is recorded, and every budget equals the fold of the log."""
    audit: Any = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
    verified = audit.VerifyChain(audit_service_pb2.VerifyChainRequest(), timeout=120)
    assert verified.valid, verified.problem
    log = records(daemon)
    assert [record.sequence for record in log] == list(range(1, len(log) + 1))
    by_kind: dict[int, dict[str, audit_record_pb2.AuditRecord]] = defaultdict(dict)
    for record in log:
        if record.invocation:
            assert record.invocation not in by_kind[record.kind], "(I3) it ended twice"
            by_kind[record.kind][record.invocation] = record
    admitted = by_kind[KIND.EVENT_KIND_INVOCATION_ADMITTED]
    settled = by_kind[KIND.EVENT_KIND_INVOCATION_SETTLED]
    released = by_kind[KIND.EVENT_KIND_INVOCATION_RELEASED]
    assert known.admitted <= admitted.keys()
    assert known.released <= released.keys()
    assert {name: settled[name].settlement.charged.nano_usd for name in known.settled} == known.settled
    assert not settled.keys() & released.keys()
    held: dict[tuple[str, str], int] = defaultdict(int)
    spent: dict[tuple[str, str], int] = defaultdict(int)
    for name, record in admitted.items():
        if name not in settled and name not in released:
            for charge in record.decision.charges:
                held[charge.budget, charge.instance] += charge.amount.nano_usd
    for record in settled.values():
        for charge in record.settlement.charges:
            spent[charge.budget, charge.instance] += charge.amount.nano_usd
    budgets: Any = budget_service_pb2_grpc.BudgetServiceStub(daemon.operator())
    page = budgets.ListBudgets(budget_service_pb2.ListBudgetsRequest(parent="tenants/acme", page_size=1000), timeout=30)
    shown = {tuple(budget.name.split("/")[3::2]): budget for budget in page.budgets}
    for key, budget in shown.items():
        assert budget.reserved.nano_usd == held[key], f"(I2) {budget.name}"
        assert budget.spent.nano_usd == spent[key], f"(I2) {budget.name}"
        for unit in ("nano_usd", "tokens", "requests"):
            limit = getattr(budget.limit, unit)
            total = getattr(budget.spent, unit) + getattr(budget.reserved, unit)
            assert not limit or total <= limit, f"(I1) {budget.name}"
    assert {key for key, amount in held.items() if amount} <= shown.keys()


@pytest.mark.timeout(1800)
def test_nothing_acknowledged_is_lost_however_often_it_is_killed(tmp_path: Path) -> None:
    known, chance = Acknowledged(), random.Random(SEED)
    daemon = Daemon(tmp_path, CONFIG)
    try:
        daemon.start()
        for crash in range(CRASHES):
            reached = threading.Event()
            channel = daemon.agent()
            threads = [
                threading.Thread(target=load, args=(daemon, channel, number, crash, known, reached))
                for number in range(CALLERS)
            ]
            for thread in threads:
                thread.start()
            assert reached.wait(60)
            # A random moment, by work instead of by time: spin while the callers go on.
            for _ in range(chance.randrange(200_000)):
                pass
            daemon.kill()
            for thread in threads:
                thread.join(60)
            daemon.start()
            if crash % 10 == 9 or crash == CRASHES - 1:
                check(daemon, known)
        assert len(known.admitted) > CRASHES * 5
    finally:
        daemon.close()
