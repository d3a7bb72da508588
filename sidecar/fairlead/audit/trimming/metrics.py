"""What a scrape sees of the log's size and beginning."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.audit.trimming.service import Trimming

_METRICS: tuple[tuple[str, str, str, Callable[[Trimming], int]], ...] = (
    (
        "first_sequence",
        "gauge",
        "Sequence of the first record of the audit log.",
        lambda one: one.beginning.first_sequence,
    ),
    (
        "log_bytes",
        "gauge",
        "What the signed records of the audit log take with their proofs, before compression.",
        lambda one: one.log_bytes,
    ),
    (
        "trimmed_records_total",
        "counter",
        "Audit records that retention has removed since the start.",
        lambda one: one.removed,
    ),
)


def page(one: Trimming) -> str:
    """The page in Prometheus' text format."""
    return "".join(_family(f"fairlead_audit_{name}", kind, help, value(one)) for name, kind, help, value in _METRICS)


def _family(name: str, kind: str, help: str, value: int) -> str:
    return f"# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
