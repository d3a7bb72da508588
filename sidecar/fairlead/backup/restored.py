"""What the first start on a restored directory does: the log gets to know, and the operator is told again."""

from __future__ import annotations

import asyncio
import logging

from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from fairlead.audit.store import Reader
from fairlead.control.commands import Core, apply
from fairlead.internal.v1 import command_pb2, state_pb2
from fairlead.store import Family, keys
from fairlead.v1 import audit_record_pb2

RESTORED = "store.restored"
WARNING = (
    "THE STORE WAS RESTORED FROM A BACKUP: what was spent, granted, approved and done since then is not known here; "
    "side effects since then can run again"
)

_log = logging.getLogger(__name__)


class RestoredStore:
    """The note that a restore left in the store, if there is one."""

    def __init__(self, core: Core, reader: Reader) -> None:
        self._core = core
        self._reader = reader

    async def record(self) -> None:
        """Records the restore and removes the note, in one unit: exactly once, however often the start breaks off.

        Raises StoreUnavailable, Refusal.
        """
        value = await asyncio.to_thread(self._reader.get, Family.STATE, keys.RESTORED)
        if value is None:
            return
        note = state_pb2.RestoreRecord.FromString(value)
        fields: dict[str, str | int] = {
            "restore_time": _time(note.restore_time_unix_nanos),
            "backup_time": _time(note.backup_time_unix_nanos),
            "program_version": note.program_version,
            "audit_sequence": note.audit_sequence,
            "audit_head": note.audit_head.hex(),
        }
        detail = Struct()
        detail.update(dict(fields))
        change = command_pb2.ControlWrite(
            writes=[command_pb2.Write(family=Family.STATE, key=keys.RESTORED)],
            record=audit_record_pb2.ControlChanged(subject=RESTORED, detail=detail),
            power=True,
        )
        await apply(self._core, command_pb2.Command(control_write=change))
        _log.warning(WARNING, extra=fields)


def _time(unix_nanos: int) -> str:
    stamp = Timestamp()
    stamp.FromNanoseconds(unix_nanos)
    return stamp.ToJsonString()
