"""What a scrape sees of the checkpoints."""

from __future__ import annotations

from fairlead.audit.transparency.sealing import Sealing

_METRICS = (
    ("checkpoint_size", "gauge", "Records in the last signed checkpoint.", lambda one: one.size),
    ("checkpoint_lag_records", "gauge", "Records that no checkpoint has yet.", lambda one: one.lag),
    ("checkpoints_total", "counter", "Checkpoints that were signed since the start.", lambda one: one.made),
    (
        "sealing",
        "gauge",
        "1 while checkpoints are signed; 0 when the log is not what was signed before.",
        lambda one: int(not one.problem),
    ),
)


def page(one: Sealing) -> str:
    """The page in Prometheus' text format."""
    return "".join(_family(f"fairlead_audit_{name}", kind, help, value(one)) for name, kind, help, value in _METRICS)


def _family(name: str, kind: str, help: str, value: int) -> str:
    return f"# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
