"""`workflows`: steps that depend on each other. Each may be a file of its own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from fairlead.config.sections.base import Listed, Name, Section, no_repeats
from fairlead.config.sections.budgets import Limit
from fairlead.config.sections.json_values import JsonSchema, JsonValue
from fairlead.config.sections.step_tasks import Wait
from fairlead.config.sections.steps import Step


def _only_once(_: Any) -> Any:
    raise PydanticCustomError("file", "names another file: write the workflow itself here")


class RunInput(Section):
    """What a run begins with."""

    schema_: JsonSchema = Field(alias="schema", description="JSON Schema (2020-12) that the input has to meet")


class RunOutput(Section):
    """What a run ends with."""

    value: JsonValue = Field(
        default=None, description="JSON with ${…} in its texts; default: the results of the steps that nobody needs"
    )
    schema_: JsonSchema | None = Field(
        default=None, alias="schema", description="JSON Schema (2020-12) that it has to meet"
    )


class Workflow(Section):
    """A workflow. A run keeps the definition that it was started with."""

    # What the file says takes the place of its entry before this is looked at.
    file: Annotated[Any, BeforeValidator(_only_once)] = Field(
        default=None, description="file of the workflow, instead of all other keys", exclude=True
    )
    name: Name = Field(description="unique name")
    tenants: Annotated[Listed[Name], AfterValidator(no_repeats)] = Field(
        default=(), max_length=10_000, description="tenants that may start it; default: all"
    )
    input: RunInput | None = Field(default=None, description="what a run begins with")
    output: RunOutput | None = Field(default=None, description="what a run ends with")
    budget: Limit | None = Field(default=None, description="most that a run may cost, child runs included")
    timeout: Wait | None = Field(default=None, description="longest time of a run; default: not limited")
    keep_for: Wait | None = Field(default=None, description="how long a run is kept after its end; default: for ever")
    on_failure: Literal["keep", "compensate"] = Field(
        default="keep",
        description="a failed run: keep (it can go on from the step that failed) or compensate (what was done is taken "
        "back)",
    )
    unknown_tier: Name | None = Field(
        default=None, description="approval tier that says what became of an interrupted step"
    )
    steps: Listed[Step] = Field(min_length=1, max_length=1_000, description="its steps")
