"""`operators`: people and tools that administer the sidecar. Names and roles come from here, never from a request."""

from __future__ import annotations

from pydantic import Field

from fairlead.config.sections.base import Listed, Name, Section
from fairlead.config.sections.secret import SecretRef


class Operator(Section):
    """An operator."""

    name: Name = Field(description="unique name, recorded with everything the operator does")
    token: SecretRef = Field(description="credential")
    roles: Listed[Name] = Field(default=(), description="roles, such as finance: what the operator may approve")
