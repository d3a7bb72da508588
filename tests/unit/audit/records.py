"""Records and chains for tests, built from the definition with hashlib alone, not with the code under test."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from google.protobuf.duration_pb2 import Duration

from fairlead.audit.model import StoredRecord
from fairlead.internal.v1 import state_pb2
from fairlead.v1 import amount_pb2, audit_record_pb2, decision_pb2

T0 = 1_795_000_000_000_000_000  # 2026-11-18 11:06:40 UTC
INVOCATION = "inv_" + "0197a0b0c0d07000800000000000000a"
OTHER = "inv_" + "0197a0b0c0d17000800000000000000b"
VERSION = "3fa2b1c09d1e" + "0" * 52


def usd(amount: float, tokens: int = 0, requests: int = 0) -> amount_pb2.Amount:
    return amount_pb2.Amount(nano_usd=round(amount * 1_000_000_000), tokens=tokens, requests=requests)


def record(sequence: int, kind: str, **fields: Any) -> audit_record_pb2.AuditRecord:
    return audit_record_pb2.AuditRecord(
        sequence=sequence,
        time_unix_nanos=T0 + sequence * 1_000_000_000,
        kind=f"EVENT_KIND_{kind}",
        config_version=VERSION,
        **fields,
    )


def started(sequence: int) -> audit_record_pb2.AuditRecord:
    return record(sequence, "SIDECAR_STARTED", sidecar_started=audit_record_pb2.SidecarStarted(program_version="0.1.0"))


def admitted(
    sequence: int, invocation: str = INVOCATION, tenant: str = "acme", **fields: Any
) -> audit_record_pb2.AuditRecord:
    inputs = audit_record_pb2.DecisionInputs(
        model="chat",
        workload="classification",
        run="r-1",
        input_bytes=1200,
        max_output_tokens=1000,
        stream=True,
        budgets=[
            audit_record_pb2.BudgetSnapshot(budget="run", instance="run=r-1", spent=usd(0.5), reserved=usd(0.25)),
            audit_record_pb2.BudgetSnapshot(budget="tenant-month", instance="-", spent=usd(12), reserved=usd(0)),
        ],
    )
    decision = decision_pb2.Decision(
        config_version=VERSION,
        route="classification",
        rules=["cheap-only", "cap-output"],
        deciding_rule="cap-output",
        reason="allowed with at most 640 output tokens.",
    )
    decided: dict[str, Any] = {
        "inputs": inputs,
        "decision": decision,
        "plan": [
            decision_pb2.PlannedTarget(
                model="gpt-4o-mini", provider="openai", upstream_model="gpt-4o-mini", timeout=Duration(seconds=30)
            ),
            decision_pb2.PlannedTarget(model="claude-sonnet", provider="anthropic", upstream_model="claude-sonnet-4-5"),
        ],
        "dropped": [
            decision_pb2.DroppedCandidate(
                model="llama-local", reason=decision_pb2.DROP_REASON_UNHEALTHY, detail="breaker closes in 4 s"
            )
        ],
        "reserved": usd(0.0125, tokens=1840),
        "expires_at_unix_nanos": T0 + 600_000_000_000,
        "max_output_tokens": 640,
        "clamped": True,
        "charges": [
            audit_record_pb2.BudgetCharge(budget="run", instance="run=r-1", amount=usd(0.0125, tokens=1840)),
            audit_record_pb2.BudgetCharge(budget="tenant-month", instance="-", amount=usd(0.0125, tokens=1840)),
        ],
    }
    decided.update(fields)
    return record(
        sequence,
        "INVOCATION_ADMITTED",
        tenant=tenant,
        agent="support-bot",
        invocation=invocation,
        decision=audit_record_pb2.DecisionRecord(**decided),
    )


def settled(
    sequence: int, invocation: str = INVOCATION, tenant: str = "acme", **fields: Any
) -> audit_record_pb2.AuditRecord:
    settlement: dict[str, Any] = {
        "attempts": [
            decision_pb2.Attempt(
                model="gpt-4o-mini",
                outcome=decision_pb2.ATTEMPT_OUTCOME_FAILED,
                status_code=429,
                latency=Duration(nanos=120_000_000),
                retry_after=Duration(seconds=20),
                detail="rate limited by the provider",
            ),
            decision_pb2.Attempt(
                model="claude-sonnet",
                outcome=decision_pb2.ATTEMPT_OUTCOME_SUCCEEDED,
                status_code=200,
                latency=Duration(seconds=1, nanos=250_000_000),
                usage=amount_pb2.Usage(input=300, output=120),
            ),
        ],
        "charged": usd(0.0027, tokens=420),
        "released": usd(0.0098, tokens=1420),
        "charges": [
            audit_record_pb2.BudgetCharge(budget="run", instance="run=r-1", amount=usd(0.0027, tokens=420)),
        ],
        "model": "claude-sonnet",
    }
    settlement.update(fields)
    return record(
        sequence,
        "INVOCATION_SETTLED",
        tenant=tenant,
        agent="support-bot",
        invocation=invocation,
        settlement=audit_record_pb2.SettlementRecord(**settlement),
    )


def chain(records: Sequence[audit_record_pb2.AuditRecord]) -> list[StoredRecord]:
    """The records as they are in a log: hash(n) = SHA-256(hash(n - 1) ‖ bytes(n)), hash(0) = 32 zero bytes."""
    before = bytes(32)
    stored = []
    for item in records:
        encoded = item.SerializeToString(deterministic=True)
        before = hashlib.sha256(before + encoded).digest()
        stored.append(StoredRecord(item.sequence, before, encoded))
    return stored


def log(length: int) -> list[StoredRecord]:
    """A log of `length` records of two invocations of two tenants, one after the other."""
    records = [started(1)]
    for sequence in range(2, length + 1):
        make = admitted if sequence % 2 == 0 else settled
        ours = sequence % 4 in (2, 3)
        records.append(make(sequence, INVOCATION if ours else OTHER, "acme" if ours else "globex"))
    return chain(records[:length])


def ended(invocation: str = INVOCATION, tenant: str = "acme", sequences: Sequence[int] = (2, 3)) -> Any:
    return state_pb2.InvocationRecord(
        invocation=invocation,
        tenant=tenant,
        state=audit_record_pb2.INVOCATION_STATE_SETTLED,
        create_time_unix_nanos=T0 + 2_000_000_000,
        sequences=sequences,
    )
