"""The native core in this process, with a dictionary for a store and time as an argument."""

from __future__ import annotations

import hashlib

from fairlead.internal.v1 import command_pb2, engine_config_pb2, state_pb2
from fairlead.native import Core
from fairlead.v1 import audit_record_pb2
from tests.property.reference import INPUT_PICO, MAX_OUTPUT, OUTPUT_PICO, TTL_NANOS

AUDIT, REQUESTS, INVOCATIONS = 2, 6, 7
OUTCOME = command_pb2.CommandResult
CALLER = command_pb2.Caller(tenant="acme", agent="bot")
config_pb = engine_config_pb2


def configuration(tenant_nano_usd: int, run_tokens: int, revision: int = 0) -> engine_config_pb2.EngineConfig:
    """One model, no retries, two hard budgets; `revision` makes versions differ."""
    model = config_pb.Model(
        name="model",
        provider="local",
        upstream="model",
        price=config_pb.Price(input_pico=INPUT_PICO, output_pico=OUTPUT_PICO),
        max_output_tokens=MAX_OUTPUT,
        quality_per_mille=500,
    )
    route = config_pb.Route(
        name="only",
        targets=[config_pb.Target(model="model", weight=1)],
        retry=config_pb.Retry(attempts=1, initial_millis=1, max_millis=1),
        min_output_tokens=1,
    )
    provider = config_pb.Provider(
        name="local",
        kind=config_pb.PROVIDER_KIND_OPENAI_COMPATIBLE,
        base_url="http://127.0.0.1:9/v1",
        timeouts=config_pb.ProviderTimeouts(
            connect_millis=1000, first_byte_millis=1000, idle_millis=1000, attempt_millis=60000
        ),
        breaker=config_pb.Breaker(
            consecutive_failures=1000,
            failure_rate_per_mille=1000,
            minimum_calls=1000,
            window_millis=1000,
            open_millis=1000,
            max_open_millis=1000,
            ramp_millis=1000,
        ),
        max_idle_connections=1,
    )
    return config_pb.EngineConfig(
        version=hashlib.sha256(f"{tenant_nano_usd}/{run_tokens}/{revision}".encode()).hexdigest(),
        tenants=[config_pb.Tenant(name="acme", agents=[config_pb.Agent(name="bot")])],
        providers=[provider],
        models=[model],
        routes=[route],
        budgets=[
            config_pb.Budget(
                name="tenant",
                scope=["tenant"],
                limit_nano_usd=tenant_nano_usd,
                window=config_pb.WINDOW_KIND_LIFETIME,
                on_exceed=config_pb.ON_EXCEED_DENY,
                count_cached=True,
            ),
            config_pb.Budget(
                name="run",
                scope=["run"],
                limit_tokens=run_tokens,
                window=config_pb.WINDOW_KIND_LIFETIME,
                on_exceed=config_pb.ON_EXCEED_DENY,
                count_cached=True,
            ),
        ],
        defaults={"model.call": "allow"},
        limits=config_pb.Limits(
            request_bytes=1 << 20,
            queue_depth=4096,
            budget_instances=1000,
            streams=100,
            open_reservations=1000,
            request_ids=1000,
            waiting_calls=10,
            kept_answer_bytes=1 << 20,
            clock_skew_millis=5000,
        ),
        reservations=config_pb.Reservations(ttl_millis=TTL_NANOS // 10**6, charge_on_expiry=True),
        audit_content="digest",
        durability={"model.call": "process"},
    )


class InProcess:
    """A core over a dictionary: what a daemon does, without threads, so that a crash can be put anywhere."""

    def __init__(self, config: engine_config_pb2.EngineConfig) -> None:
        self.config = config
        self.store: dict[tuple[int, bytes], bytes] = {}
        self.core = self._fresh(now=1)

    def _fresh(self, now: int) -> Core:
        core = Core(self.config.SerializeToString(), engine_config_pb2.Secrets().SerializeToString())
        core.recover([(family, key, value) for (family, key), value in sorted(self.store.items())], True, now)
        return core

    def apply(self, command: command_pb2.Command, now: int) -> command_pb2.CommandResult:
        """Applies a command and answers what the store is asked for. Nothing is written before `commit`."""
        command.caller.CopyFrom(CALLER)
        result = OUTCOME.FromString(self.core.apply(command.SerializeToString(), now, None, False))
        if result.WhichOneof("result") == "needs_record":
            self.commit()
            known = self._read(result.needs_record).SerializeToString()
            result = OUTCOME.FromString(self.core.apply(command.SerializeToString(), now, known, False))
        return result

    def _read(self, wanted: command_pb2.NeedsRecord) -> command_pb2.Known:
        known = command_pb2.Known()
        for key in wanted.request_keys:
            if (REQUESTS, key) in self.store:
                known.request.CopyFrom(state_pb2.RequestRecord.FromString(self.store[REQUESTS, key]))
                known.request_found = True
                break
        invocation = self.store.get((INVOCATIONS, wanted.invocation_key)) if wanted.invocation_key else None
        if invocation is not None:
            known.invocation.CopyFrom(state_pb2.InvocationRecord.FromString(invocation))
            known.invocation_found = True
        return known

    def commit(self) -> None:
        """Writes everything that waits, as the writer thread does."""
        while (batch := self.core.next_batch(512, 0)) is not None:
            unit, _, writes = batch
            for family, key, value in writes:
                if value is None:
                    self.store.pop((family, key), None)
                else:
                    self.store[family, key] = value
            self.core.acknowledge(unit, unit, 1, 1)

    def crash(self, now: int) -> None:
        """What was not committed is lost; everything else is read again."""
        self.core = self._fresh(now)

    def reload(self, config: engine_config_pb2.EngineConfig, now: int) -> None:
        """Replaces the configuration."""
        self.config = config
        command = command_pb2.Command(load_config=command_pb2.LoadConfig(config=config, source="test"))
        result = self.apply(command, now)
        assert result.WhichOneof("result") == "done", result

    def budgets(self) -> dict[str, command_pb2.BudgetView]:
        """Budget instances by `budget/instance`."""
        found = {}
        query = command_pb2.SnapshotQuery(limit=2)
        while True:
            snapshot = command_pb2.Snapshot.FromString(self.core.snapshot(query.SerializeToString()))
            found.update({f"{view.budget}/{view.instance}": view for view in snapshot.budgets})
            if not snapshot.HasField("next"):
                return found
            query.after.CopyFrom(snapshot.next)

    def log(self) -> list[audit_record_pb2.AuditRecord]:
        """The committed audit log, its chain verified."""
        head, records = bytes(32), []
        for (family, key), value in sorted(self.store.items()):
            if family != AUDIT:
                continue
            record = audit_record_pb2.AuditRecord.FromString(value[32:])
            assert value[:32] == hashlib.sha256(head + value[32:]).digest()
            assert int.from_bytes(key, "big") == record.sequence == len(records) + 1
            head = value[:32]
            records.append(record)
        return records
