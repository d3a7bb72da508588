"""What a rule on `model.output` looks for in the text of an answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from fairlead.config.quantities import Size
from fairlead.config.sections.base import Listed, Section, no_repeats
from fairlead.config.sections.json_values import JsonSchema
from fairlead.config.violation import Path

OutputEffect = Literal["redact", "reject", "flag"]
# The native core compiles it, because it is the one that searches with it.
OutputPattern = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
DetectorName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class OutputCheck(Section):
    """What is looked for; an answer that has any of it is redacted, rejected or flagged."""

    schema_: JsonSchema | None = Field(
        default=None, alias="schema", description="JSON Schema (2020-12) that the whole text of an answer has to meet"
    )
    patterns: Annotated[Listed[OutputPattern], AfterValidator(no_repeats)] = Field(
        default=(), max_length=64, description="regular expressions of RE2 syntax"
    )
    detect: Annotated[Listed[DetectorName], AfterValidator(no_repeats)] = Field(
        default=(), max_length=256, description="detectors: secrets, pii, or single ones such as email"
    )
    max_bytes: Annotated[int, Size("1B", "64MiB")] | None = Field(default=None, description="largest text of an answer")
    window: Annotated[int, Size("64B", "64KiB")] = Field(
        default=256, description="streams: text that is held back, so that what spans several events is found"
    )

    def rules(self) -> Iterator[tuple[Path, str]]:
        """A check looks for something."""
        if self.schema_ is None and not self.patterns and not self.detect and self.max_bytes is None:
            yield (), "looks for nothing: write schema, patterns, detect or maxBytes"

    def of_the_whole_text(self) -> Iterator[str]:
        """Keys that are about the whole text, of which no part can be redacted."""
        if self.schema_ is not None:
            yield "schema"
        if self.max_bytes is not None:
            yield "maxBytes"
