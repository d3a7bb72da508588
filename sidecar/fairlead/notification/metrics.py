"""What a scrape sees of the outbox. Labels are receivers of the configuration, so the number of series is bounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fairlead.notification.lane import Lane
from fairlead.notification.service import Outbox

_NANOS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Metric:
    name: str
    kind: str
    help: str
    # Of a lane, the head of the log and the time in Unix nanoseconds.
    value: Callable[[Lane, int, int], float]


_METRICS = (
    _Metric("pending", "gauge", "Notifications that wait.", lambda lane, head, now: len(lane.queue)),
    _Metric(
        "oldest_pending_seconds",
        "gauge",
        "Age of the oldest notification that waits; 0 when none does.",
        lambda lane, head, now: max(0, now - lane.queue.oldest_created()) / _NANOS if len(lane.queue) else 0,
    ),
    _Metric(
        "backlog_records",
        "gauge",
        "Audit records that were not looked at yet.",
        lambda lane, head, now: max(0, head - lane.cursor),
    ),
    _Metric("dead", "gauge", "Notifications that were given up.", lambda lane, head, now: len(lane.dead)),
    _Metric(
        "delivered_total", "counter", "Notifications that were taken.", lambda lane, head, now: lane.counted.delivered
    ),
    _Metric("failed_total", "counter", "Attempts that failed.", lambda lane, head, now: lane.counted.failed),
    _Metric(
        "dead_total", "counter", "Notifications given up since the start.", lambda lane, head, now: lane.counted.dead
    ),
)


def page(outbox: Outbox, now: int) -> str:
    """The page in Prometheus' text format, at a time in Unix nanoseconds; empty without receivers."""
    lanes = outbox.lanes()
    return "".join(_family(metric, lanes, outbox.head, now) for metric in _METRICS) if lanes else ""


def _family(metric: _Metric, lanes: Sequence[Lane], head: int, now: int) -> str:
    name = f"fairlead_notifications_{metric.name}"
    # Names of receivers need no escapes: they are letters, digits and a few signs.
    samples = (f'{name}{{receiver="{lane.receiver.name}"}} {metric.value(lane, head, now):.15g}\n' for lane in lanes)
    return f"# HELP {name} {metric.help}\n# TYPE {name} {metric.kind}\n{''.join(samples)}"
