"""What the core is told about what it asked for."""

from pathlib import Path

from fairlead.control.store_service import known
from fairlead.internal.v1 import command_pb2, workflow_pb2
from fairlead.store import Family, keys, open_store


def test_the_result_under_a_step_key_is_found_and_its_absence_is_said(tmp_path: Path) -> None:
    key = keys.step_key("acme", "offer/A-17")
    record = workflow_pb2.StepKeyRecord(tenant="acme", idempotency_key="offer/A-17", output=b'{"id":7}')
    with open_store(tmp_path) as store:
        store.write([(Family.KEYS, key, record.SerializeToString())])
        found = known(store, command_pb2.NeedsRecord(step_key=key))
        assert found.step_key_found and found.step_key == record
        other = keys.step_key("globex", "offer/A-17")
        assert not known(store, command_pb2.NeedsRecord(step_key=other)).step_key_found
