"""`limits`: the bound of everything that could grow. An error that hits one names it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fairlead.config.quantities import Duration, Size
from fairlead.config.sections.base import Section

_MILLION = 1_000_000


class Limits(Section):
    """Bounds."""

    request_bytes: Annotated[int, Size("1KiB", "256MiB")] = Field(default=8 << 20, description="largest request body")
    queue_depth: int = Field(default=4096, ge=1, le=_MILLION, description="commit units that wait for the writer")
    budget_instances: int = Field(
        default=100_000,
        ge=1,
        le=10 * _MILLION,
        description="instances of one budget or rate limit; idle empty ones make room",
    )
    streams: int = Field(default=2048, ge=1, le=_MILLION, description="concurrent calls on the agent endpoint")
    open_reservations: int = Field(default=200_000, ge=1, le=10 * _MILLION, description="open reservations")
    request_ids: int = Field(
        default=10 * _MILLION, ge=1000, le=100 * _MILLION, description="request ids remembered without asking the store"
    )
    waiting_calls: int = Field(default=1024, ge=0, le=_MILLION, description="calls that wait for rate limits")
    kept_answer_bytes: Annotated[int, Size("0B", "16MiB")] = Field(
        default=256 << 10, description="largest answer that is kept for a repeated request id"
    )
    clock_skew: Annotated[int, Duration("0s", "1h")] = Field(
        default=5_000, description="largest step of the clock backwards that is bridged"
    )
    cache_bytes: Annotated[int, Size("0B", "64GiB")] = Field(
        default=64 << 20, description="all answers in the response cache, which only routes with `cache` use"
    )
    sessions: int = Field(
        default=_MILLION,
        ge=0,
        le=10 * _MILLION,
        description="sessions remembered with labels or a pinned model",
    )
    tool_result_bytes: Annotated[int, Size("0B", "16MiB")] = Field(
        default=256 << 10, description="largest result of a tool call that is kept and given again"
    )
    checkpoint_bytes: Annotated[int, Size("1KiB", "256MiB")] = Field(
        default=16 << 20, description="largest payload of a checkpoint: the value of a channel, a write"
    )
    checkpoint_put_bytes: Annotated[int, Size("1KiB", "1GiB")] = Field(
        default=32 << 20, description="all payloads that are put together with a checkpoint"
    )
    checkpoint_threads: int = Field(
        default=100_000, ge=0, le=10 * _MILLION, description="threads with checkpoints of a tenant"
    )
    checkpoint_tenant_bytes: Annotated[int, Size("0B", "1024GiB")] = Field(
        default=8 << 30, description="all checkpoints of a tenant"
    )
    open_tool_calls: int = Field(
        default=100_000, ge=0, le=_MILLION, description="tool calls that are open or wait for people"
    )
    open_approvals: int = Field(
        default=100_000,
        ge=0,
        le=_MILLION,
        description="approvals that are pending, or approved and not used yet; what people are shown of them may take "
        "1 KiB each together, at least 256 KiB",
    )
    notifications: int = Field(
        default=10_000, ge=1, le=_MILLION, description="notifications that wait; the receivers share them equally"
    )
    open_runs: int = Field(default=100_000, ge=1, le=_MILLION, description="runs that are open")
    run_bytes: Annotated[int, Size("1MiB", "64GiB")] = Field(
        default=256 << 20, description="all inputs and results in open runs"
    )
    payload_bytes: Annotated[int, Size("1KiB", "16MiB")] = Field(
        default=16 << 20, description="largest input or result of a step or run"
    )
    for_each_items: int = Field(default=10_000, ge=1, le=_MILLION, description="items of a forEach")
    run_depth: int = Field(default=8, ge=1, le=64, description="child runs below each other")
    consumers: int = Field(default=64, ge=1, le=1000, description="named consumers of the audit log")
    consumer_lag: int = Field(
        default=_MILLION,
        ge=1,
        le=1000 * _MILLION,
        description="audit records that a consumer may be behind; retention waits for it up to there",
    )
    consumer_stall: Annotated[int, Duration("1s", "1h")] = Field(
        default=60_000, description="how long a stream of the audit log is kept whose reader takes nothing"
    )
