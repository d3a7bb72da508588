"""What a recovery feeds to the core."""

from pathlib import Path

from fairlead.store import Family, keys, open_store
from fairlead.store.recovery import CHUNK_RECORDS, recover

from .fake_core import FakeCore

HOUR = 3600 * 1_000_000_000


def test_state_and_recent_requests_and_the_head_of_the_chain_are_fed(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        state = [(Family.STATE, keys.budget_instance("acme", "run", f"run={n}"), b"%d" % n) for n in range(5000)]
        store.write(state)
        requests = {
            hour: (Family.REQUESTS, keys.request(hour, "acme", "a", "Admit", "r"), b"q") for hour in (974, 975, 999)
        }
        store.write(requests.values())
        store.write((Family.AUDIT, keys.audit(n), b"a%d" % n) for n in range(1, 301))
        store.write([(Family.INVOCATIONS, b"ended", b""), (Family.CONFIG, b"current", b"")])
        core = FakeCore()
        found = recover(core, store, 1000 * HOUR)
        assert {record for record in core.recovered if record[0] == Family.REQUESTS} == {requests[975], requests[999]}
        assert [record for record in core.recovered if record[0] == Family.AUDIT] == [
            (Family.AUDIT, keys.audit(300), b"a300")
        ]
        assert {record for record in core.recovered if record[0] == Family.STATE} >= set(state)
        assert {record[0] for record in core.recovered} == {Family.STATE, Family.REQUESTS, Family.AUDIT}
        assert found.sequence == 300
        assert found.records == len(core.recovered) > 2 * CHUNK_RECORDS
        assert core.recoveries == 1


def test_an_empty_store_is_a_recovery_too(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        core = FakeCore()
        found = recover(core, store, 0)
        assert core.recoveries == 1
        assert found.sequence == 0
        assert [record[1] for record in core.recovered] == [keys.FORMAT]


def test_of_workflows_the_definitions_and_the_open_runs_are_fed_in_that_order(tmp_path: Path) -> None:
    first, ended, last = bytes(15) + b"\x01", bytes(15) + b"\x02", b"\xff" * 16
    digest = b"d" * 32

    def of(tenant: str, run: bytes) -> list[tuple[int, bytes, bytes]]:
        return [
            (Family.RUNS, keys.run(tenant, run), b"r"),
            *((Family.RUNS, keys.step(tenant, run, place, item), b"s") for place in range(3) for item in range(2)),
            (Family.RUNS, keys.run_payload(tenant, run, digest), b"p"),
        ]

    with open_store(tmp_path) as store:
        wanted = [*of("acme", first), *of("globex", last)]
        definitions = [(Family.RUNS, keys.definition(f"{n:02x}" * 32), b"d") for n in (1, 2)]
        store.write([*wanted, *definitions, *of("acme", ended), *of("globex", first)])
        for tenant, run in (("acme", first), ("globex", last)):
            store.write([(Family.RUNS, keys.open_run(tenant, run), b"")])
            store.write([(Family.RUNS, keys.run_event(tenant, run, 7), b"")])
        core = FakeCore()
        recover(core, store, 1000 * HOUR)
        assert [record for record in core.recovered if record[0] == Family.RUNS] == [*definitions, *wanted]
