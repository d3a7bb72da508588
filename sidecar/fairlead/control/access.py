"""Who may call the control services: the two doors.

| endpoint | credential | identity |
|---|---|---|
| control socket | the key that the front and the daemon share since the start | the agent that the front names |
| operator socket | the file's mode; a token, if one is given, must be right | the token's operator, else `local` |
| operator TCP | a token | the token's operator |

gRPC health on the operator endpoints needs no credential: probes have none.
"""

from __future__ import annotations

import hashlib
import hmac
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc

from fairlead.control.errors import Refusal, abort
from fairlead.control.identity import LOCAL_OPERATOR, Identity, assume

FRONT_KEY = "x-fairlead-front-key"
TENANT = "x-fairlead-tenant"
AGENT = "x-fairlead-agent"
_HEALTH = "/grpc.health.v1.Health/"

if TYPE_CHECKING:
    Interceptor = grpc.aio.ServerInterceptor[Any, Any]
    _Handler = grpc.RpcMethodHandler[Any, Any]
else:
    # Generic in their stubs only.
    Interceptor = grpc.aio.ServerInterceptor
    _Handler = grpc.RpcMethodHandler

_Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]]


@dataclass(frozen=True, slots=True)
class OperatorCredential:
    """An operator of the configuration. The token is kept as its SHA-256 only."""

    name: str
    roles: frozenset[str]
    token_digest: bytes

    @classmethod
    def of(cls, name: str, roles: Iterable[str], token: str) -> OperatorCredential:
        """Of the token's value."""
        return cls(name, frozenset(roles), _digest(token))


class Operators:
    """The operators of the running configuration; replaced when it changes."""

    def __init__(self) -> None:
        self._by_digest: Mapping[bytes, OperatorCredential] = {}

    def replace(self, credentials: Iterable[OperatorCredential]) -> None:
        """Makes these the operators."""
        self._by_digest = {credential.token_digest: credential for credential in credentials}

    def find(self, token: str) -> OperatorCredential | None:
        """The operator of a token. The look-up compares digests, so its time says nothing about the token."""
        return self._by_digest.get(_digest(token)) if token else None


class _Door(Interceptor):
    """Identifies the caller or refuses, for every method alike."""

    @abstractmethod
    def identify(self, method: str, metadata: Mapping[str, str]) -> Identity:
        """Who calls; raises `Refusal`."""

    async def intercept_service(
        self, continuation: _Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> _Handler:
        metadata = {
            key: value for key, value in handler_call_details.invocation_metadata or () if isinstance(value, str)
        }
        try:
            identity = self.identify(handler_call_details.method, metadata)
        except Refusal as refusal:
            return _refusing(refusal)
        # The servicer runs in the task that runs this interceptor, so it sees the identity.
        assume(identity)
        return await continuation(handler_call_details)


class FrontDoor(_Door):
    """The control socket: only the front, which has authenticated the agent."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def identify(self, method: str, metadata: Mapping[str, str]) -> Identity:
        """The agent that the front names; nobody for the front's own questions."""
        if not hmac.compare_digest(metadata.get(FRONT_KEY, "").encode(), self._key):
            raise Refusal("CREDENTIAL_INVALID", "this socket is for the sidecar's own front: use the agent endpoint")
        return Identity(tenant=metadata.get(TENANT, ""), agent=metadata.get(AGENT, ""))


class OperatorDoor(_Door):
    """The operator endpoints."""

    def __init__(self, operators: Operators, *, token_required: bool) -> None:
        self._operators = operators
        self._token_required = token_required

    def identify(self, method: str, metadata: Mapping[str, str]) -> Identity:
        """The operator of the token, or the local one."""
        authorization = metadata.get("authorization")
        if authorization is None:
            if self._token_required and not method.startswith(_HEALTH):
                raise Refusal("CREDENTIAL_MISSING", "the call has no credential: send `authorization: Bearer TOKEN`")
            return Identity(operator=LOCAL_OPERATOR)
        scheme, _, token = authorization.partition(" ")
        operator = self._operators.find(token.strip()) if scheme.lower() == "bearer" else None
        if operator is None:
            raise Refusal("CREDENTIAL_INVALID", "the credential is not one of an operator")
        return Identity(operator=operator.name, roles=operator.roles)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _refusing(refusal: Refusal) -> _Handler:
    """A handler of any kind of method that only says no."""

    async def refuse(request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        await abort(context, refusal)
        raise refusal

    return grpc.unary_unary_rpc_method_handler(refuse)
