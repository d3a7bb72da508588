"""`defaults`: what happens to an event that no policy rule decides."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from fairlead.config.sections.base import Section


def _tools_are_not_served(value: Any) -> Any:
    if value == "allow":
        raise PydanticCustomError("unavailable", "allow is not available in this version: write deny, or leave it out")
    return value


class Defaults(Section):
    """Default effects."""

    model_call: Literal["allow", "deny"] = Field(
        default="allow", alias="model.call", description="model calls: allow or deny"
    )
    tool_call: Annotated[Literal["deny"], BeforeValidator(_tools_are_not_served)] = Field(
        default="deny", alias="tool.call", description="tool calls: deny"
    )
