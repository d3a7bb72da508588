"""`durability`: how safe a change is before its answer leaves."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fairlead.config.sections.base import Section

Class = Literal["process", "power"]


class Durability(Section):
    """Durability classes: `process` survives `kill -9`, `power` survives a power cut as well (fsync)."""

    model_call: Class = Field(
        default="process", alias="model.call", description="admission and settlement of model calls"
    )
    checkpoint: Class = Field(
        default="power", description="puts of checkpoints and writes; deletions are always `power`"
    )
    tool_call: Class = Field(default="power", alias="tool.call", description="tool calls with side effects")
    workflow_step: Class = Field(default="power", alias="workflow.step", description="results of steps of workflows")
