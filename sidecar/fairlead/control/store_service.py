"""`fairlead.internal.v1.StoreService`: what the native core asks the store about repeated requests and calls.

Private: on the control socket only, without a tenant's identity, for the front itself.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import grpc

from fairlead.audit.erasure.model import MARK, digests_in
from fairlead.audit.erasure.reading import Texts
from fairlead.control.errors import Refusal, answer
from fairlead.control.identity import NOBODY, current
from fairlead.internal.v1 import command_pb2, state_pb2, workflow_pb2
from fairlead.store import Family, StoreUnavailable, keys

SERVICE = "fairlead.internal.v1.StoreService"


class Reader(Protocol):
    """What is needed of the store."""

    def get(self, family: Family, key: bytes, /) -> bytes | None:
        """The value of a key, or None."""
        ...


class StoreService:
    """Reads what is committed."""

    def __init__(self, store: Reader) -> None:
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


def known(store: Reader, needs: command_pb2.NeedsRecord) -> command_pb2.Known:
    """What is asked for: a request id with its kept answer and invocation, a call, an approval, an idempotency key of a
    call or of a step."""
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
    _add_tool_call(answer, store, needs)
    if needs.step_key and (value := store.get(Family.KEYS, needs.step_key)) is not None:
        answer.step_key.CopyFrom(workflow_pb2.StepKeyRecord.FromString(value))
        answer.step_key_found = True
    return answer


def _add_tool_call(answer: command_pb2.Known, store: Reader, needs: command_pb2.NeedsRecord) -> None:
    """The call that is asked for, or else the one that the approval or the idempotency key names."""
    call_key = needs.call_key
    if needs.approval_key and (value := store.get(Family.APPROVALS, needs.approval_key)) is not None:
        answer.approval.CopyFrom(state_pb2.ApprovalRecord.FromString(value))
        answer.approval_found = True
        _add_texts(answer, store)
        call_key = call_key or _call_key(answer.approval.approval.tenant, answer.approval.call)
    if needs.tool_key and (value := store.get(Family.TOOLS, needs.tool_key)) is not None:
        answer.tool_key.CopyFrom(state_pb2.ToolKeyRecord.FromString(value))
        answer.tool_key_found = True
        tenant = keys.tenant_of(needs.tool_key)
        call_key = call_key or _call_key(tenant, answer.tool_key.call)
    if call_key and (value := store.get(Family.TOOLS, call_key)) is not None:
        answer.call.CopyFrom(state_pb2.ToolCallRecord.FromString(value))
        answer.call_found = True


def _add_texts(answer: command_pb2.Known, store: Reader) -> None:
    """What the votes of the approval commit to: for the refusal that the core gives, never for its records."""
    texts = Texts(store)
    for vote in answer.approval.approval.votes:
        for digest in digests_in(vote.reason):
            text = texts.value(digest)
            if text is not None:
                answer.texts[MARK + digest.hex()] = text


def _call_key(tenant: str, name: str) -> bytes:
    """Where a tool call is, once it has ended."""
    call = keys.tool_call_id_bytes(name)
    return b"" if call is None else keys.tool_call(tenant, call)


def _invocation_key(record: state_pb2.RequestRecord) -> bytes:
    """Where the invocation that a request made or ended is, once it has ended."""
    invocation = keys.invocation_id_bytes(record.invocation)
    return b"" if invocation is None else keys.invocation(record.tenant, invocation)
