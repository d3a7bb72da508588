"""`fairlead.internal.v1.MetricsService`: what the control services count, for the front's metrics page.

Private: on the control socket only, without a tenant's identity, for the front itself, which asks no more than
once a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import grpc
from google.protobuf import empty_pb2, wrappers_pb2

from fairlead.control.errors import Refusal, answer
from fairlead.control.identity import NOBODY, current

SERVICE = "fairlead.internal.v1.MetricsService"
# In Prometheus' text format; every line ends, and no name is one of the front's own.
Page = Callable[[], str]


class MetricsService:
    """Puts the pages of all that counts behind each other."""

    def __init__(self, pages: Sequence[Page]) -> None:
        self._pages = pages

    @answer
    async def read(
        self, request: empty_pb2.Empty, context: grpc.aio.ServicerContext[Any, Any]
    ) -> wrappers_pb2.StringValue:
        """The page as it is now."""
        if current() != NOBODY:
            raise Refusal("NOT_FOUND", "there is no such service")
        return wrappers_pb2.StringValue(value="".join(page() for page in self._pages))

    def handler(self) -> grpc.GenericRpcHandler[Any, Any]:
        """The service, without a generated stub: it is one method, and not part of the API."""
        read = grpc.unary_unary_rpc_method_handler(
            self.read,
            request_deserializer=empty_pb2.Empty.FromString,
            response_serializer=wrappers_pb2.StringValue.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"Read": read})
