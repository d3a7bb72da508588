"""`rateLimits`: requests and tokens per minute and calls in flight, for every instance of a scope."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from fairlead.config.quantities import Duration
from fairlead.config.sections.base import Name, Section
from fairlead.config.sections.matching import Match
from fairlead.config.sections.scope import Scope
from fairlead.config.violation import Path

_RATE_MAX = 1_000_000_000_000


class RateLimit(Section):
    """A rate limit."""

    name: Name = Field(description="unique name")
    match: Match = Field(default=Match(), description="literal conditions; calls they do not fit are not limited")
    scope: Scope = Field(
        default=("tenant",), min_length=1, description="dimensions of an instance; the tenant is always one"
    )
    requests_per_minute: int | None = Field(default=None, ge=1, le=_RATE_MAX, description="calls per minute")
    tokens_per_minute: int | None = Field(default=None, ge=1, le=_RATE_MAX, description="tokens per minute")
    concurrent: int | None = Field(default=None, ge=1, le=1_000_000, description="calls in flight")
    burst_requests: int | None = Field(
        default=None,
        ge=1,
        le=_RATE_MAX,
        description="calls that may come at once; default: those of one second, at least 1",
    )
    max_wait: Annotated[int, Duration("0s", "10m")] = Field(
        default=0, description="longest a call may wait in line; 0s refuses at once"
    )

    def rules(self) -> Iterator[tuple[Path, str]]:
        """A limit limits something."""
        if self.requests_per_minute is None and self.tokens_per_minute is None and self.concurrent is None:
            yield (), "limits nothing: write requestsPerMinute, tokensPerMinute or concurrent"
        if self.burst_requests is not None and self.requests_per_minute is None:
            yield ("burstRequests",), "needs requestsPerMinute"
