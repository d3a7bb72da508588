"""Random sequences of admit, settle, release, expire, crash, reload and adjust, against the reference model.

INVARIANT (I1)-(I4) of budgets are checked after every step, and every recorded decision is recomputed from its record
and its configuration version at the end.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from fairlead.internal.v1 import command_pb2, engine_config_pb2
from fairlead.native import Core
from fairlead.v1 import audit_record_pb2, decision_pb2, gate_service_pb2
from tests.property.core import InProcess, configuration
from tests.property.reference import Reference

START = 1_795_000_000 * 10**9
RUNS = st.sampled_from(["r1", "r2", "r3"])
KIND = audit_record_pb2.EventKind


class BudgetMachine(RuleBasedStateMachine):
    """Drives the core and the model side by side."""

    open = Bundle("open")

    def __init__(self) -> None:
        super().__init__()
        self.reference = Reference(tenant_nano_usd=20_000_000, run_tokens=2500)
        config = configuration(self.reference.tenant_nano_usd, self.reference.run_tokens)
        self.configs: dict[str, engine_config_pb2.EngineConfig] = {config.version: config}
        self.core = InProcess(config)
        self.now = START
        self.number = 0

    def _id(self) -> str:
        self.number += 1
        return f"request-{self.number}"

    def _apply(self, **command: Any) -> command_pb2.CommandResult:
        return self.core.apply(command_pb2.Command(**command), self.now)

    @rule(
        target=open, run=RUNS, input_tokens=st.integers(0, 900), output=st.integers(1, 1000), least=st.integers(1, 300)
    )
    def admit(self, run: str, input_tokens: int, output: int, least: int) -> Any:
        least = min(least, output)
        request = gate_service_pb2.AdmitRequest(
            request_id=self._id(), run=run, input_tokens=input_tokens, max_output_tokens=output, min_output_tokens=least
        )
        result = self._apply(admit=request)
        affordable = self.reference.affordable(run, input_tokens, output)
        if affordable < least:
            assert result.rejection.reason == "BUDGET_EXHAUSTED", result
            self.core.commit()
            return multiple()
        assert result.WhichOneof("result") == "admitted", result
        assert result.admitted.max_output_tokens == affordable
        assert result.admitted.clamped == (affordable < output)
        self.core.commit()
        self.reference.admit(result.admitted.invocation, run, input_tokens, affordable, self.now)
        repeated = self._apply(admit=request)
        assert repeated.admitted == result.admitted
        return result.admitted.invocation

    @rule(invocation=consumes(open), used=st.floats(0, 1), twice=st.booleans())
    def settle(self, invocation: str, used: float, twice: bool) -> None:
        hold = self.reference.holds[invocation]
        output = int(hold.output * used)
        attempt = decision_pb2.Attempt(model="model", outcome=decision_pb2.ATTEMPT_OUTCOME_SUCCEEDED, status_code=200)
        attempt.usage.input, attempt.usage.output = hold.input, output
        request = gate_service_pb2.SettleRequest(request_id=self._id(), invocation=invocation, attempts=[attempt])
        late = hold.state == "EXPIRED" or hold.expires_at <= self.now
        result = self._apply(settle=request)
        assert result.WhichOneof("result") == "settled", result
        assert result.settled.late == late
        self.core.commit()
        self.reference.settle(invocation, hold.input, output)
        assert result.settled.charged.nano_usd == hold.charged[0]
        if twice:
            assert self._apply(settle=request).settled == result.settled
            request.request_id = self._id()
            assert self._apply(settle=request).rejection.reason == "INVALID_STATE"

    @rule(invocation=consumes(open))
    def release(self, invocation: str) -> None:
        hold = self.reference.holds[invocation]
        ended = hold.state == "EXPIRED" or hold.expires_at <= self.now
        request = gate_service_pb2.ReleaseRequest(request_id=self._id(), invocation=invocation)
        result = self._apply(release=request)
        self.core.commit()
        if ended:
            assert result.rejection.reason == "INVALID_STATE", result
            self.reference.expire(self.now)
        else:
            assert result.WhichOneof("result") == "released", result
            self.reference.release(invocation)

    @rule(seconds=st.integers(1, 700))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * 10**9
        self._apply(expire=command_pb2.Expire())
        self.core.commit()
        self.reference.expire(self.now)

    @rule()
    def crash(self) -> None:
        self.core.crash(self.now)

    @rule(run=RUNS)
    def crash_before_commit(self, run: str) -> None:
        """A command that was not written did not happen."""
        request = gate_service_pb2.AdmitRequest(request_id=self._id(), run=run, input_tokens=1, max_output_tokens=1)
        self._apply(admit=request)
        self.core.crash(self.now)

    @rule(tenant=st.integers(0, 40_000_000), run=st.integers(1, 5000))
    def reload(self, tenant: int, run: int) -> None:
        config = configuration(tenant or 1, run, self.number)
        self.configs[config.version] = config
        self.core.reload(config, self.now)
        self.core.commit()
        self.reference.tenant_nano_usd, self.reference.run_tokens = tenant or 1, run

    @rule(credit=st.integers(-1_000_000, 1_000_000).filter(bool))
    def adjust(self, credit: int) -> None:
        before = self.core.budgets().get("tenant/-")
        if before is None:
            return
        adjustment = command_pb2.AdjustBudget(budget="tenant", tenant="acme", instance="-", reason="property test")
        adjustment.credit.nano_usd = credit
        result = self._apply(adjust_budget=adjustment)
        assert result.WhichOneof("result") == "budget", result
        self.core.commit()
        self.reference.adjusted += max(before.spent.nano_usd - credit, 0) - before.spent.nano_usd

    @invariant()
    def books_balance(self) -> None:
        """(I2) and (I1): what is shown is the sum of what is open and what was charged, within the limit in force when
        it was taken."""
        shown = self.core.budgets()
        open_holds = [hold for hold in self.reference.holds.values() if hold.state == "OPEN"]
        if "tenant/-" in shown:
            view = shown["tenant/-"]
            money, _ = self.reference.totals("")
            assert view.reserved.nano_usd == sum(hold.worst[0] for hold in open_holds)
            assert view.spent.nano_usd + view.reserved.nano_usd == money
        for run in ("r1", "r2", "r3"):
            view_of_run = shown.get(f"run/run={run}")
            if view_of_run is not None:
                _, tokens = self.reference.totals(run)
                assert view_of_run.spent.tokens + view_of_run.reserved.tokens == tokens

    def teardown(self) -> None:
        log = self.core.log()
        ends = [
            r.invocation
            for r in log
            if r.kind in (KIND.EVENT_KIND_INVOCATION_SETTLED, KIND.EVENT_KIND_INVOCATION_RELEASED)
        ]
        assert len(ends) == len(set(ends)), "(I3) it ended twice"
        for record in log:
            if record.WhichOneof("body") == "decision":
                config = self.configs[record.config_version].SerializeToString()
                again = audit_record_pb2.DecisionRecord.FromString(Core.recompute(config, record.SerializeToString()))
                assert again == record.decision


TestBudgetMachine = BudgetMachine.TestCase
TestBudgetMachine.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
