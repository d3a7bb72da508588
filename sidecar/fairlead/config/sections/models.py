"""`models`: priced physical targets, each a provider and the name it has there."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from fairlead.config.quantities import PerMille, PicoUsdPerToken
from fairlead.config.sections.base import Labels, Listed, ModelName, Name, Section
from fairlead.config.violation import Path


class Price(Section):
    """Prices in USD per million tokens, kept as pico-USD per token."""

    input: PicoUsdPerToken = Field(description="input tokens")
    cached_input: PicoUsdPerToken | None = Field(
        default=None, description="input read from a prompt cache; default: as input"
    )
    cache_write: PicoUsdPerToken | None = Field(
        default=None, description="input written to a prompt cache; default: as input"
    )
    # An alias of its own: the generated one would end in a capital H.
    cache_write_1h: PicoUsdPerToken | None = Field(
        default=None,
        alias="cacheWrite1h",
        description="input written to a prompt cache that lasts for an hour; default: as cacheWrite",
    )
    audio_input: PicoUsdPerToken | None = Field(default=None, description="input of sound; default: as input")
    image_input: PicoUsdPerToken | None = Field(default=None, description="input of pictures; default: as input")
    output: PicoUsdPerToken = Field(description="output tokens")
    audio_output: PicoUsdPerToken | None = Field(default=None, description="output of sound; default: as output")
    reasoning: PicoUsdPerToken | None = Field(default=None, description="reasoning tokens; default: as output")


class Model(Section):
    """A model. A model that costs nothing says so: `price: {input: 0, output: 0}`. When no price is given, the books in
    `prices.files` have it; it is filled in before this is read."""

    name: ModelName = Field(description="unique name")
    provider: Name = Field(description="name of its provider")
    upstream: str | None = Field(
        default=None, min_length=1, max_length=256, description="name at the provider; default: its name"
    )
    price: Price = Field(description="prices in USD per million tokens")
    context_tokens: int | None = Field(
        default=None, ge=1, le=1_000_000_000, description="context window; not checked if absent"
    )
    max_output_tokens: int = Field(default=4096, ge=1, le=100_000_000, description="most output tokens of one answer")
    capabilities: Listed[Name] = Field(
        default=(), description="what it can do, such as tools, json, vision; empty is not checked"
    )
    quality: PerMille = Field(default=0, description="quality between 0 and 1, compared with a call's minQuality")
    labels: Labels = Field(
        default={}, description="labels such as `residency: eu`, compared with a route's requireLabels"
    )
    learned_input_bound: bool = Field(
        default=False,
        description="true: the input bound in bytes is scaled by the learned ratio, tighter but not certain",
    )

    def rules(self) -> Iterator[tuple[Path, str]]:
        """An answer fits into the context."""
        if self.context_tokens is not None and self.max_output_tokens > self.context_tokens:
            yield ("maxOutputTokens",), "must not be more than contextTokens"
