"""`defaults`: what happens to an event that no policy rule decides."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fairlead.config.sections.base import Section


class Defaults(Section):
    """Default effects."""

    model_call: Literal["allow", "deny"] = Field(
        default="allow", alias="model.call", description="model calls: allow or deny"
    )
    tool_call: Literal["allow", "deny"] = Field(
        default="deny", alias="tool.call", description="tool calls: allow or deny"
    )
