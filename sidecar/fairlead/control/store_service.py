"""`fairlead.internal.v1.StoreService`: what the native core asks the store about repeated requests.

Private: on the control socket only, without a tenant's identity, for the front itself.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from fairlead.control.errors import Refusal, answer
from fairlead.control.identity import NOBODY, current
from fairlead.internal.v1 import command_pb2, state_pb2
from fairlead.store import Family, Store, StoreUnavailable, keys

SERVICE = "fairlead.internal.v1.StoreService"


class StoreService:
    """Reads what is committed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @answer
    async def read(
        self, needs: command_pb2.NeedsRecord, context: grpc.aio.ServicerContext[Any, Any]
    ) -> command_pb2.Known:
        """The records that the core needs; what is not there is said to be not there."""
        if current() != NOBODY:
            raise Refusal("NOT_FOUND", "there is no such service")
        try:
            return await asyncio.to_thread(known, self._store, needs)
        except StoreUnavailable as error:
            raise Refusal("STORE_UNAVAILABLE", "the store cannot be read now") from error

    def handler(self) -> grpc.GenericRpcHandler[Any, Any]:
        """The service, without a generated stub: it is one method, and not part of the API."""
        read = grpc.unary_unary_rpc_method_handler(
            self.read,
            request_deserializer=command_pb2.NeedsRecord.FromString,
            response_serializer=command_pb2.Known.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"Read": read})


def known(store: Store, needs: command_pb2.NeedsRecord) -> command_pb2.Known:
    """The newest record of the request id, the kept answer, and the invocation that is asked for or was made."""
    answer = command_pb2.Known()
    invocation_key = needs.invocation_key
    for key in needs.request_keys:
        value = store.get(Family.REQUESTS, key)
        if value is None:
            continue
        record = state_pb2.RequestRecord.FromString(value)
        answer.request.CopyFrom(record)
        answer.request_found = True
        answer.answer = store.get(Family.BLOBS, key) or b""
        if not invocation_key:
            invocation_key = _invocation_key(record)
        break
    if invocation_key:
        value = store.get(Family.INVOCATIONS, invocation_key)
        if value is not None:
            answer.invocation.CopyFrom(state_pb2.InvocationRecord.FromString(value))
            answer.invocation_found = True
    return answer


def _invocation_key(record: state_pb2.RequestRecord) -> bytes:
    """Where the invocation that a request made or ended is, once it has ended."""
    invocation = keys.invocation_id_bytes(record.invocation)
    return b"" if invocation is None else keys.invocation(record.tenant, invocation)
