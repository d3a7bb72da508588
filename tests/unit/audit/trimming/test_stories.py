"""Stories whose beginning was trimmed: what is left is told, and nobody is accused of what cannot be seen any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from fairlead.audit.approval_narrative import narrate_approval
from fairlead.audit.narrative import ORDER_NOT_TOLD, narrate
from fairlead.audit.run_narrative import narrate_run
from fairlead.audit.tool_narrative import narrate_tool_call
from fairlead.v1 import audit_record_pb2, run_pb2
from tests.unit.audit import records, run_records, tool_records

_Story = Sequence[audit_record_pb2.AuditRecord]
SETTLED, SUCCEEDED = audit_record_pb2.INVOCATION_STATE_SETTLED, audit_record_pb2.TOOL_CALL_STATE_SUCCEEDED
CALL = [records.admitted(2), records.settled(3)]
TOOL = tool_records.approved_call()


@pytest.mark.parametrize(
    ("whole", "told"),
    [
        (CALL, lambda left: narrate(left, SETTLED, whole=False)),
        (TOOL, lambda left: narrate_tool_call(left, SUCCEEDED, whole=False)),
        ([one for one in TOOL if one.HasField("approval")], narrate_approval),
        (run_records.story(), lambda left: narrate_run(left, run_pb2.RUN_STATE_COMPENSATED)),
    ],
    ids=["call", "tool", "approval", "run"],
)
def test_what_is_left_of_a_story_is_told(whole: _Story, told: Callable[[_Story], list[str]]) -> None:
    everything = told(whole)
    for cut in range(1, len(whole) + 1):
        said = told(whole[cut:])
        assert len(said) <= len(everything)
        assert not any("VIOLATED" in one for one in said), said
        # The end is told as ever.
        assert said[-1:] == everything[-1:] or cut == len(whole), (cut, said)
    if ORDER_NOT_TOLD in everything:
        assert told([]) == [ORDER_NOT_TOLD]
