"""How the outbox writes: one commit unit at a time, and what of it is for the audit log.

What people would ask about later is recorded: what was given up, dropped or tried again. What is kept, tried and
delivered is bookkeeping without a record, as the acknowledgements of the log's readers are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fairlead.control.commands import Core, apply
from fairlead.internal.v1 import command_pb2, outbox_pb2
from fairlead.v1 import audit_record_pb2


class Recorder:
    """Commits writes."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def write(
        self,
        writes: Sequence[command_pb2.Write],
        *,
        record: audit_record_pb2.ControlChanged | None = None,
        power: bool = False,
        operator: str = "",
    ) -> None:
        """Returns when the unit is committed, with `power` when it survives a power cut. Raises `Refusal`."""
        unit = command_pb2.ControlWrite(writes=writes, record=record, power=power)
        caller = command_pb2.Caller(operator=operator)
        await apply(self._core, command_pb2.Command(caller=caller, control_write=unit))


def changed(subject: str, detail: Mapping[str, str | int]) -> audit_record_pb2.ControlChanged:
    """A record; its subject begins with `notification.`, so that no receiver is told of it (`events.is_own`)."""
    record = audit_record_pb2.ControlChanged(subject=f"notification.{subject}")
    record.detail.update(dict(detail))
    return record


def dead(delivery: outbox_pb2.OutboxDelivery, dropped: int | None) -> audit_record_pb2.ControlChanged:
    """A notification was given up, and made room by dropping an older one that was."""
    detail: dict[str, str | int] = {
        "receiver": delivery.receiver,
        "sequence": delivery.sequence,
        "id": delivery.id,
        "event": delivery.event,
        "attempts": delivery.attempts,
        "problem": delivery.problem,
    }
    return changed("dead", detail if dropped is None else {**detail, "dropped": dropped})


def removed(receiver: str, pending: int, dead: int) -> audit_record_pb2.ControlChanged:
    """A receiver is not configured any more, and what waited for it was dropped."""
    return changed("receiver.removed", {"receiver": receiver, "pending": pending, "dead": dead})
