"""`tenants`: isolation boundaries and the agents inside them. The tenant of a call comes from its credential."""

from __future__ import annotations

from pydantic import Field

from fairlead.config.sections.base import Labels, Listed, Name, Section
from fairlead.config.sections.matching import Pattern
from fairlead.config.sections.secret import SecretRef


class Agent(Section):
    """A program with a credential."""

    name: Name = Field(description="unique inside the tenant")
    token: SecretRef = Field(description="credential, sent as `Authorization: Bearer TOKEN`")
    labels: Labels = Field(default={}, description="labels of all the agent's calls; they win over labels in a call")
    queues: Listed[Pattern] | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="queues whose steps it may lease; a name may end in *; default: all",
    )


class Tenant(Section):
    """A tenant."""

    name: Name = Field(description="unique name")
    agents: Listed[Agent] = Field(min_length=1, description="its agents")
