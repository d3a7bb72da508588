"""What a scrape sees of the consumers. Their number is bounded, and so is that of the series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fairlead.audit.consumers.model import Consumer
from fairlead.audit.consumers.service import Consumers

_NANOS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Metric:
    name: str
    help: str
    # Of a consumer, all of them, and the time in Unix nanoseconds.
    value: Callable[[Consumer, Consumers, int], float]


_METRICS = (
    _Metric(
        "lag_records",
        "Audit records that the consumer has not acknowledged.",
        lambda one, all, now: one.lag(all.head),
    ),
    _Metric(
        "idle_seconds",
        "Seconds since the consumer acknowledged last, or was first known; 0 when it has everything.",
        lambda one, all, now: (
            max(0, now - (one.acknowledged_at or one.registered_at or now)) / _NANOS if one.lag(all.head) else 0
        ),
    ),
    _Metric("streams", "Streams that the consumer has open.", lambda one, all, now: all.streams(one.name)),
    _Metric(
        "left_behind",
        "1 when the consumer is further behind than limits.consumerLag, so that retention does not wait for it.",
        lambda one, all, now: one.lag(all.head) > all.limits.lag,
    ),
    _Metric(
        "missed_records",
        "Audit records that were trimmed before the consumer acknowledged them.",
        lambda one, all, now: all.missed(one),
    ),
)


def page(consumers: Consumers, now: int) -> str:
    """The page in Prometheus' text format, at a time in Unix nanoseconds; empty without consumers."""
    known = consumers.loaded()
    return "".join(_family(metric, known, consumers, now) for metric in _METRICS) if known else ""


def _family(metric: _Metric, known: list[Consumer], consumers: Consumers, now: int) -> str:
    name = f"fairlead_audit_consumer_{metric.name}"
    # Names need no escapes: they are letters, digits and a few signs.
    samples = (f'{name}{{consumer="{one.name}"}} {metric.value(one, consumers, now):.15g}\n' for one in known)
    return f"# HELP {name} {metric.help}\n# TYPE {name} gauge\n{''.join(samples)}"
