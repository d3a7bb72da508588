"""`operators`: people and tools that administer the sidecar. Names and roles come from here, never from a request."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from fairlead.config.sections.base import Listed, Name, Section
from fairlead.config.sections.secret import SecretRef
from fairlead.config.violation import Path
from fairlead.control.identity import LOCAL_OPERATOR


class Operator(Section):
    """An operator."""

    name: Name = Field(description="unique name, recorded with everything the operator does")
    token: SecretRef = Field(description="credential")
    roles: Listed[Name] = Field(default=(), description="roles, such as finance: what the operator may approve")

    def rules(self) -> Iterator[tuple[Path, str]]:
        """Nobody can be taken for whoever has no token."""
        if self.name == LOCAL_OPERATOR:
            yield ("name",), "is what the log calls whoever uses the operator socket without a token: choose another"
