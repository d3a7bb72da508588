"""Makes a data directory with something of everything, as an archive that later versions have to open.

    python tests/golden/store/make.py tests/golden/store/NAME.tar.gz

It runs on the sources that are first on the path, so that the version to be kept can be another one than this. Its
clock stands in the past: a program that opens the directory must not think that its own was set back. What is in the
archive is listed in `contents.json` in it; `test_store_format.py` reads both.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from fairlead.config import Loader, to_engine_bytes
from fairlead.config.service import ConfigurationService
from fairlead.control.store_service import known
from fairlead.internal.v1 import command_pb2, engine_config_pb2, state_pb2
from fairlead.native import Core
from fairlead.store import Family, Store, keys, open_store, recovery
from fairlead.v1 import approval_service_pb2, decision_pb2, gate_service_pb2

# Somewhere in 2025, in nanoseconds.
BEGIN = 1_750_000_000 * 10**9
SECOND = 10**9

CONFIG = """\
apiVersion: fairlead/v1
operators:
  - {name: asha, token: {fromEnv: TEST_ASHA_TOKEN}, roles: [finance]}
  - {name: ben, token: {fromEnv: TEST_BEN_TOKEN}, roles: [finance]}
tenants:
  - name: acme
    agents: [{name: bot, token: {fromEnv: TEST_BOT_TOKEN}}]
providers:
  - {name: local, kind: openai-compatible, baseUrl: "http://127.0.0.1:9/v1", apiKey: {fromEnv: TEST_PROVIDER_KEY}}
models:
  - {name: small, provider: local, price: {input: 1, output: 2}, maxOutputTokens: 1000, quality: 0.5}
budgets:
  - {name: life, scope: [tenant], limit: {usd: 10}, window: lifetime}
  - {name: run, scope: [run], limit: {tokens: 5000}, window: lifetime}
tools:
  - {name: payments.refund, effect: side_effect, risk: high, labels: [can_egress]}
policies:
  - {name: ask-finance, on: tool.call, when: 'has(args.amount) && args.amount > 100', effect: {requireApproval: high}}
  - {name: no-large, on: model.call, match: {workload: forbidden}, effect: deny}
approvals:
  tiers:
    - {name: high, require: [{role: finance, count: 2}], expiresAfter: 72h}
defaults: {tool.call: allow}
"""
ENVIRONMENT = {
    "TEST_ASHA_TOKEN": "asha-token-0001",
    "TEST_BEN_TOKEN": "ben-token-0001",
    "TEST_BOT_TOKEN": "bot-token-0001",
    "TEST_PROVIDER_KEY": "sk-canary-provider-0001",
}


class Sidecar:
    """A core over a store, with a clock that the script moves. Every command is committed before it returns."""

    def __init__(self, data: Path) -> None:
        self.now = BEGIN
        loaded = Loader(Core.compile, ENVIRONMENT).load_text(CONFIG)
        config = to_engine_bytes(loaded.config, loaded.version)
        self.core = Core(config, engine_config_pb2.Secrets().SerializeToString())
        self.store: Store = open_store(data)
        recovery.recover(self.core, self.store, self.now)
        self.result(start=command_pb2.Start(program_version="1.0.0"))
        loader = Loader(Core.compile, ENVIRONMENT)
        asyncio.run(ConfigurationService(self, self.store, loader, loaded, lambda: self.now).begin("fairlead.yaml"))

    def apply(self, command: bytes) -> bytes:
        """As control services reach it."""
        self.now += SECOND
        answer = self.core.apply(command, self.now, None, False)
        result = command_pb2.CommandResult.FromString(answer)
        if result.WhichOneof("result") == "needs_record":
            found = known(self.store, result.needs_record).SerializeToString()
            answer = self.core.apply(command, self.now, found, False)
        while (batch := self.core.next_batch(512, 0)) is not None:
            self.store.write(batch[2])
            self.core.acknowledge(batch[0], batch[0], 1, 1)
        return answer

    def snapshot(self, query: bytes | None = None) -> bytes:
        """As control services reach it."""
        return self.core.snapshot(query)

    def result(self, *, operator: str = "", **command: Any) -> command_pb2.CommandResult:
        """Applies a command of the agent, or of an operator."""
        caller = command_pb2.Caller(operator=operator) if operator else command_pb2.Caller(tenant="acme", agent="bot")
        given = command_pb2.Command(caller=caller, **command)
        return command_pb2.CommandResult.FromString(self.apply(given.SerializeToString()))

    def admit(self, name: str, **fields: Any) -> str:
        """Admits a call of run r-1; its id."""
        given = {"request_id": name, "model": "small", "run": "r-1", "input_tokens": 10, "max_output_tokens": 100}
        result = self.result(admit=gate_service_pb2.AdmitRequest(**{**given, **fields}))
        assert result.WhichOneof("result") == "admitted", result
        return result.admitted.invocation

    def authorize(self, key: str, amount: int, **fields: Any) -> gate_service_pb2.AuthorizeToolResponse:
        """Asks for a refund."""
        request = gate_service_pb2.AuthorizeToolRequest(
            request_id=f"authorize-{self.now}",
            tool="payments.refund",
            arguments=json.dumps({"amount": amount}).encode(),
            idempotency_key=key,
            session="s-1",
            **fields,
        )
        result = self.result(authorize_tool=request)
        assert result.WhichOneof("result") == "tool_authorized", result
        return result.tool_authorized

    def complete(self, grant: str, outcome: gate_service_pb2.ToolOutcome, result: bytes = b"") -> None:
        """Ends a call."""
        request = gate_service_pb2.CompleteToolRequest(
            request_id=f"complete-{self.now}", grant=grant, outcome=outcome, result=result
        )
        assert self.result(complete_tool=request).WhichOneof("result") == "tool_completed"

    def vote(self, approval: str, operator: str, decision: approval_service_pb2.ApprovalDecision) -> None:
        """Votes on what is stored."""
        raw_id = keys.approval_id_bytes(approval)
        assert raw_id is not None
        stored = self.store.get(Family.APPROVALS, keys.approval(raw_id))
        assert stored is not None
        seen = state_pb2.ApprovalRecord.FromString(stored).approval.digest
        change = command_pb2.DecideApproval(approval=approval, decision=decision, reason="as agreed", digest=seen)
        result = self.result(operator=operator, decide_approval=change)
        assert result.WhichOneof("result") == "approval", result


def fill(sidecar: Sidecar) -> dict[str, Any]:
    """Something of everything; what it is."""
    settled = sidecar.admit("settled")
    attempt = decision_pb2.Attempt(model="small", outcome=decision_pb2.ATTEMPT_OUTCOME_SUCCEEDED, status_code=200)
    attempt.usage.input, attempt.usage.output = 10, 40
    settle = gate_service_pb2.SettleRequest(request_id="settle", invocation=settled, attempts=[attempt])
    spent = sidecar.result(settle=settle).settled.charged
    released = sidecar.admit("released")
    sidecar.result(release=gate_service_pb2.ReleaseRequest(request_id="release", invocation=released, reason="no need"))
    refused = gate_service_pb2.AdmitRequest(request_id="refused", model="small", workload="forbidden", input_tokens=1)
    assert sidecar.result(admit=refused).rejection.reason == "POLICY_DENIED"
    opened = sidecar.admit("open")

    # What came before is in files from here on.
    sidecar.store.shut()
    sidecar.store.open()

    succeeded = sidecar.authorize("succeeded", 10).granted.grant
    sidecar.complete(succeeded, gate_service_pb2.TOOL_OUTCOME_SUCCEEDED, b'{"refund": "r-1"}')
    failed = sidecar.authorize("failed", 10).granted.grant
    sidecar.complete(failed, gate_service_pb2.TOOL_OUTCOME_FAILED)
    unknown = sidecar.authorize("unknown", 10).granted.grant
    sidecar.complete(unknown, gate_service_pb2.TOOL_OUTCOME_UNKNOWN)
    granted = sidecar.authorize("granted", 10).granted.grant

    approvals = {}
    for name in ("consumed", "rejected", "approved", "pending"):
        asked = sidecar.authorize(name, 1000).pending
        approval = asked.approval.removeprefix("approvals/")
        if name == "rejected":
            sidecar.vote(approval, "asha", approval_service_pb2.APPROVAL_DECISION_REJECT)
        else:
            sidecar.vote(approval, "asha", approval_service_pb2.APPROVAL_DECISION_APPROVE)
        if name in ("consumed", "approved"):
            sidecar.vote(approval, "ben", approval_service_pb2.APPROVAL_DECISION_APPROVE)
        if name == "consumed":
            sidecar.complete(
                sidecar.authorize(name, 1000, ticket=asked.ticket).granted.grant,
                gate_service_pb2.TOOL_OUTCOME_SUCCEEDED,
                b"1",
            )
        approvals[name] = asked.approval

    credit = command_pb2.AdjustBudget(budget="life", tenant="acme", instance="-", reason="refunded")
    credit.credit.nano_usd = 1000
    sidecar.result(operator="asha", adjust_budget=credit)
    snapshot = command_pb2.Snapshot.FromString(sidecar.snapshot())
    (version,) = {snapshot.config_version}
    return {
        "now": sidecar.now,
        "config_version": version,
        "spent_nano_usd": spent.nano_usd - 1000,
        "invocations": {"settled": settled, "released": released, "open": opened},
        "calls": {"succeeded": succeeded, "failed": failed, "unknown": unknown, "granted": granted},
        "approvals": approvals,
        "open_reservations": snapshot.open_reservations,
        "open_tool_calls": snapshot.open_tool_calls,
        "open_approvals": snapshot.open_approvals,
        "sessions": snapshot.sessions,
    }


def packed(data: Path, contents: dict[str, Any], to: Path) -> None:
    """The archive, the same for the same directory."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = ""
        # Locks, and the information log, which names the machine, are made anew.
        return None if Path(entry.name).name.partition(".")[0] in ("LOG", "LOCK", "daemon") else entry

    with tarfile.open(to, "w:gz") as archive:
        archive.add(data, "data", filter=plain)
        for name, text in (("fairlead.yaml", CONFIG), ("contents.json", json.dumps(contents, indent=2))):
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))


def main() -> None:
    """Makes the archive that the command line names."""
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        sidecar = Sidecar(data)
        contents = fill(sidecar)
        contents["audit_sequence"] = recovery.last_sequence(sidecar.store)
        # Before it is closed, as a kill leaves it: the second half is in the log only.
        packed(data, contents, Path(sys.argv[1]))
        sidecar.store.close()


if __name__ == "__main__":
    main()
