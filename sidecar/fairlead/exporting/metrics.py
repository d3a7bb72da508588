"""What a scrape sees of the exporters. Labels are exporters of the configuration, so the number of series is bounded.

How far each is behind is told by the metrics of the consumer that it is, `export:NAME`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fairlead.exporting.lane import Counted
from fairlead.exporting.service import Exporting


@dataclass(frozen=True, slots=True)
class _Metric:
    name: str
    kind: str
    help: str
    value: Callable[[Counted], int]


_METRICS = (
    _Metric("records_total", "counter", "Audit records that the destination has taken.", lambda it: it.exported),
    _Metric(
        "refused_records_total",
        "counter",
        "Audit records that the destination refused for good.",
        lambda it: it.refused,
    ),
    _Metric("failed_total", "counter", "Attempts to deliver that failed.", lambda it: it.failed),
    _Metric(
        "failing",
        "gauge",
        "1 when the last attempt to deliver failed, with records or with a checkpoint.",
        lambda it: min(max(it.failing, it.checkpoint_failing), 1),
    ),
    _Metric(
        "refused_sequence",
        "gauge",
        "Sequence of the record that the destination refuses and that holds up the exporter; 0 when there is none.",
        lambda it: it.refused_sequence,
    ),
    _Metric(
        "checkpoint_size",
        "gauge",
        "Records of the last signed checkpoint that the destination has taken.",
        lambda it: it.checkpoint_size,
    ),
)


def page(exporting: Exporting) -> str:
    """The page in Prometheus' text format; empty without exporters."""
    lanes = exporting.lanes()
    if not lanes:
        return ""
    text = []
    for metric in _METRICS:
        name = f"fairlead_audit_export_{metric.name}"
        text.append(f"# HELP {name} {metric.help}\n# TYPE {name} {metric.kind}\n")
        # Names need no escapes: they are letters, digits and a few signs.
        text += [f'{name}{{exporter="{lane.exporter.name}"}} {metric.value(lane.counted)}\n' for lane in lanes]
    return "".join(text)
