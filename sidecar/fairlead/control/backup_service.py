"""`BackupService` on the wire. Registered on the operator endpoint only."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import grpc

from fairlead.backup.service import BackupService
from fairlead.control.errors import Refusal, abort
from fairlead.control.identity import current
from fairlead.v1 import backup_service_pb2 as pb
from fairlead.v1 import backup_service_pb2_grpc

# A checkpoint keeps files that the store has replaced: not for a caller who does not take them.
STALLED_SECONDS = 60.0

_log = logging.getLogger(__name__)
_Context = grpc.aio.ServicerContext[Any, Any]


class BackupServicer(backup_service_pb2_grpc.BackupServiceServicer):
    """Translates; `BackupService` decides."""

    def __init__(self, service: BackupService, stalled_seconds: float = STALLED_SECONDS) -> None:
        self._service = service
        self._stalled_seconds = stalled_seconds

    async def CreateBackup(self, request: pb.CreateBackupRequest, context: _Context) -> None:
        try:
            async with self._service.created(current().operator) as parts:
                async for part in parts:
                    async with asyncio.timeout(self._stalled_seconds):
                        await context.write(part)
        except Refusal as refusal:
            await abort(context, refusal)
        except TimeoutError:
            message = f"the caller took nothing of the backup for {self._stalled_seconds:g} s: make it again"
            await abort(context, Refusal("DEADLINE_EXCEEDED", message))
        except grpc.aio.AbortError:
            raise
        except Exception:
            _log.exception("backup failed")
            await abort(context, Refusal("INTERNAL", "the sidecar failed to go on; its log has the details"))
