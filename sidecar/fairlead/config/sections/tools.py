"""`tools`: what is known about tools. What is not in the catalogue counts as destructive, whatever a caller claims."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from fairlead.config.sections.base import LabelName, Listed, Section, no_repeats
from fairlead.config.sections.json_values import JsonSchema

ToolPattern = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9._:/-]{0,127}\*?|\*)$")]


class ToolArguments(Section):
    """Arguments of a tool."""

    schema_: JsonSchema = Field(alias="schema", description="JSON Schema (2020-12) that the arguments have to meet")


class Tool(Section):
    """An entry of the catalogue; the first one whose name fits a call counts."""

    name: ToolPattern = Field(description="name such as payments.refund, or a prefix that ends in *")
    effect: Literal["read", "write", "side_effect"] = Field(
        description="what a call does at most: read, write (can be undone or repeated) or side_effect"
    )
    risk: Literal["low", "medium", "high", "destructive"] = Field(
        description="how bad a wrong call can be: low, medium, high or destructive"
    )
    arguments: ToolArguments | None = Field(default=None, description="arguments; left out: any object")
    labels: Annotated[Listed[LabelName], AfterValidator(no_repeats)] = Field(
        default=(), max_length=16, description="labels that the session has from a granted call on, as saw_untrusted"
    )
