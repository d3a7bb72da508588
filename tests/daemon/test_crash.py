"""INVARIANT (I4): after `kill -9` at any instant what was acknowledged is there, the books balance, the chain holds.

FAIRLEAD_CRASHES sets how often the daemon is killed (50 by default; thousands for a long run).
"""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
from collections import defaultdict
from collections.abc import Iterable
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

from .harness import TOKEN, Daemon, bearer
from .provider import Provider

CRASHES = int(os.environ.get("FAIRLEAD_CRASHES", "50"))
CALLERS = 5
CHATTERS = 2
UNITS = ("nano_usd", "tokens", "requests")
SEED = 20_261_121
CONFIG = """\
apiVersion: fairlead/v1
tenants:
  - {name: acme, agents: [{name: bot, token: {fromEnv: TEST_BOT_TOKEN}}]}
providers:
  - {name: local, kind: openai-compatible, baseUrl: "PROVIDER"}
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
    answered: set[str] = field(default_factory=set)
    goal: int = 0
    reached: threading.Event = field(default_factory=threading.Event)


def load(channel: grpc.Channel, number: int, crash: int, known: Acknowledged) -> None:
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
                if len(known.admitted) >= known.goal:
                    known.reached.set()
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
        known.reached.set()


def chat(address: str, number: int, known: Acknowledged) -> None:
    """Has the sidecar make calls until it is gone; an answer that arrived whole was settled before."""
    connection = http.client.HTTPConnection(address, timeout=10)
    body = json.dumps({"model": "small", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]})
    headers = {"authorization": f"Bearer {TOKEN}", "x-fairlead-session": f"chat-{number}"}
    try:
        while True:
            connection.request("POST", "/v1/chat/completions", body, headers)
            response = connection.getresponse()
            response.read()
            assert response.status == 200, response.status
            with known.lock:
                known.answered.add(response.headers["x-fairlead-invocation"])
    except (OSError, http.client.HTTPException):
        return  # it was killed
    finally:
        connection.close()


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
    assert known.answered <= settled.keys()
    assert {name: settled[name].settlement.charged.nano_usd for name in known.settled} == known.settled
    assert not settled.keys() & released.keys()
    held: dict[tuple[str, str, str], int] = defaultdict(int)
    spent: dict[tuple[str, str, str], int] = defaultdict(int)
    for name, record in admitted.items():
        if name not in settled and name not in released:
            add(held, record.decision.charges)
    for record in settled.values():
        add(spent, record.settlement.charges)
    budgets: Any = budget_service_pb2_grpc.BudgetServiceStub(daemon.operator())
    page = budgets.ListBudgets(budget_service_pb2.ListBudgetsRequest(parent="tenants/acme", page_size=1000), timeout=30)
    shown = set()
    for budget in page.budgets:
        for unit in UNITS:
            key = (*budget.name.split("/")[3::2], unit)
            shown.add(key)
            limit, charged, reserved = (getattr(a, unit) for a in (budget.limit, budget.spent, budget.reserved))
            assert (reserved, charged) == (held[key], spent[key]), f"(I2) {budget.name} {unit}"
            assert not limit or charged + reserved <= limit, f"(I1) {budget.name} {unit}"
    assert {key for key, amount in held.items() if amount} <= shown


def add(totals: dict[tuple[str, str, str], int], charges: Iterable[audit_record_pb2.BudgetCharge]) -> None:
    """Adds charges up by budget, instance and unit."""
    for charge in charges:
        for unit in UNITS:
            totals[charge.budget, charge.instance, unit] += getattr(charge.amount, unit)


@pytest.mark.timeout(1800)
def test_nothing_acknowledged_is_lost_however_often_it_is_killed(tmp_path: Path) -> None:
    known, chance = Acknowledged(), random.Random(SEED)
    with Provider() as provider:
        daemon = Daemon(tmp_path, CONFIG.replace("PROVIDER", provider.url))
        try:
            crash_again_and_again(daemon, known, chance)
        finally:
            daemon.close()
    assert len(known.admitted) > CRASHES * 5
    assert known.answered


def crash_again_and_again(daemon: Daemon, known: Acknowledged, chance: random.Random) -> None:
    """Load, kill at a random moment, start, look."""
    daemon.start()
    for crash in range(CRASHES):
        known.goal, known.reached = len(known.admitted) + chance.randrange(1, 150), threading.Event()
        address = daemon.endpoints()["agent"]
        # Its own connection: the daemon's harness closes those it made before the callers have noticed.
        channel = grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        threads = [threading.Thread(target=load, args=(channel, n, crash, known)) for n in range(CALLERS)]
        threads += [threading.Thread(target=chat, args=(address, n, known)) for n in range(CHATTERS)]
        for thread in threads:
            thread.start()
        assert known.reached.wait(60)
        daemon.kill()
        for thread in threads:
            thread.join(60)
        channel.close()
        daemon.start()
        if crash % 10 == 9 or crash == CRASHES - 1:
            check(daemon, known)
