"""The configuration as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from fairlead.config.sections.approvals import Approvals
from fairlead.config.sections.audit import Audit
from fairlead.config.sections.base import Listed, Section
from fairlead.config.sections.budgets import Budget
from fairlead.config.sections.defaults import Defaults
from fairlead.config.sections.durability import Durability
from fairlead.config.sections.limits import Limits
from fairlead.config.sections.listen import Listen
from fairlead.config.sections.models import Model
from fairlead.config.sections.notifications import Notification
from fairlead.config.sections.operators import Operator
from fairlead.config.sections.policies import Policy
from fairlead.config.sections.prices import Prices
from fairlead.config.sections.providers import Provider
from fairlead.config.sections.rate_limits import RateLimit
from fairlead.config.sections.reservations import Reservations
from fairlead.config.sections.retention import Retention
from fairlead.config.sections.routes import Route
from fairlead.config.sections.tenants import Tenant
from fairlead.config.sections.tools import Tool
from fairlead.config.sections.workflows import Workflow
from fairlead.config.violation import Path


class Config(Section):
    """A valid configuration; defaults are filled in, secrets are references."""

    api_version: Literal["fairlead/v1"] = Field(description="version of this format: fairlead/v1")
    listen: Listen = Field(default=Listen(), description="endpoints")
    operators: Listed[Operator] = Field(default=(), max_length=1_000, description="people and tools that administer")
    tenants: Listed[Tenant] = Field(default=(), max_length=10_000, description="tenants and their agents")
    providers: Listed[Provider] = Field(default=(), max_length=1_000, description="upstream endpoints")
    prices: Prices = Field(default=Prices(), description="price books", exclude=True)
    models: Listed[Model] = Field(default=(), max_length=10_000, description="priced physical targets")
    routes: Listed[Route] = Field(default=(), max_length=20_000, description="routes; the first that fits wins")
    budgets: Listed[Budget] = Field(default=(), max_length=1_000, description="budgets")
    rate_limits: Listed[RateLimit] = Field(default=(), max_length=1_000, description="rate limits")
    tools: Listed[Tool] = Field(
        default=(), max_length=10_000, description="tool catalogue; the first entry that fits counts"
    )
    policies: Listed[Policy] = Field(default=(), max_length=20_000, description="policy rules")
    defaults: Defaults = Field(default=Defaults(), description="effects when no rule decides")
    approvals: Approvals = Field(default=Approvals(), description="approvals")
    workflows: Listed[Workflow] = Field(
        default=(), max_length=1_000, description="workflows, each as {file: PATH} or written out"
    )
    notifications: Listed[Notification] = Field(
        default=(), max_length=64, description="receivers outside that are told of what happens"
    )
    audit: Audit = Field(default=Audit(), description="content of the audit log")
    durability: Durability = Field(default=Durability(), description="durability classes")
    limits: Limits = Field(default=Limits(), description="bounds")
    reservations: Reservations = Field(default=Reservations(), description="reservations")
    retention: Retention = Field(default=Retention(), description="when what has ended is forgotten")

    def rules(self) -> Iterator[tuple[Path, str]]:
        """An endpoint that nobody could use is a mistake."""
        if self.listen.operator.tcp is not None and not self.operators:
            yield ("listen", "operator", "tcp"), "needs at least one entry in operators: every call has to have a token"
        yield from self._shadowed_tools()

    def _shadowed_tools(self) -> Iterator[tuple[Path, str]]:
        """An entry of the catalogue that never counts is not what its author means: a call would have less risk."""
        patterns: dict[str, int] = {}
        for index, tool in enumerate(self.tools):
            stem = tool.name.removesuffix("*")
            first = next((patterns[stem[:end]] for end in range(len(stem) + 1) if stem[:end] in patterns), None)
            if first is not None and self.tools[first].name != tool.name:
                yield (
                    ("tools", index, "name"),
                    f"never counts: tools[{first}], {self.tools[first].name}, fits first; write this one before it",
                )
            if tool.name.endswith("*"):
                patterns.setdefault(stem, index)
