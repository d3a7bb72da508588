"""`listen`: where the sidecar listens. Read at the start only; a change takes effect at the next one."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from fairlead.config.sections.base import Section
from fairlead.config.sections.secret import AbsolutePath

_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]{1,253}):(?P<port>\d{1,5})", re.ASCII)


def address(value: str) -> str:
    """The value, if it is an address; raises PydanticCustomError, which is a ValueError."""
    match = _ADDRESS.fullmatch(value)
    if match is None or int(match["port"]) > 65535:
        raise PydanticCustomError("address", "is not an address: write HOST:PORT, such as 127.0.0.1:7400")
    return value


Address = Annotated[str, AfterValidator(address)]


class OperatorTls(Section):
    """Certificate of the operator endpoint on TCP."""

    cert_file: AbsolutePath = Field(description="absolute path of the certificate chain, PEM")
    key_file: AbsolutePath = Field(description="absolute path of the private key, PEM")


class OperatorTcp(Section):
    """The operator endpoint on TCP: never without TLS, and every call needs an operator's token."""

    address: Address = Field(description="HOST:PORT")
    tls: OperatorTls = Field(description="certificate and key")


class OperatorListen(Section):
    """The operator endpoint."""

    unix: Annotated[str, StringConstraints(min_length=1, max_length=107)] = Field(
        default="admin.sock", description="path of the unix socket (mode 0600), relative to the data directory"
    )
    tcp: OperatorTcp | None = Field(default=None, description="a TCP endpoint as well")


class Listen(Section):
    """Endpoints. Port 0 picks a free one; the chosen ones are in the first log line and in DATA/endpoints.json."""

    agent: Address = Field(default="127.0.0.1:7400", description="gRPC and HTTP for agents on one port")
    health: Address = Field(default="0.0.0.0:7402", description="health and metrics; read-only, no secrets")
    operator: OperatorListen = Field(default=OperatorListen(), description="administration")
