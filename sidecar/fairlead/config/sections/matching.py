"""Literal conditions of routes, budgets, rate limits and policies. They are indexed: ten thousand rules stay fast."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from fairlead.config.sections.base import Labels, OneOrMany, Section


def _pattern(value: str) -> str:
    if "*" in value[:-1]:
        raise PydanticCustomError("pattern", "may have a * at its end only")
    return value


Pattern = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_pattern)]
Patterns = OneOrMany[Pattern]


class Match(Section):
    """All given keys must fit; a list fits when one of its values does. A value may end in `*`."""

    tenant: Patterns = Field(default=(), description="tenants")
    agent: Patterns = Field(default=(), description="agents")
    model: Patterns = Field(default=(), description="models as requested")
    workload: Patterns = Field(default=(), description="workloads")
    labels: Labels = Field(default={}, description="labels that must be equal")


class PolicyMatch(Match):
    """Conditions of a policy rule, which may be about tools."""

    tool: Patterns = Field(default=(), description="tools, for on: tool.call")
