"""A frame as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.audit.wording import visible
from fairlead.cli.table import table
from fairlead.top.frame import Budget, Frame, Model

_VERSION_DIGITS = 12


def lines(frame: Frame) -> list[str]:
    """All lines, as wide as they need to be."""
    state = "healthy" if frame.healthy else "NOT HEALTHY"
    if not frame.store_available:
        state += ", STORE TAKES NO WRITES"
    drawn = [
        f"fairlead: {state}   configuration {frame.config[:_VERSION_DIGITS] or '-'}   "
        f"memory {frame.memory_bytes / (1 << 20):.0f} MiB",
        f"calls {_rate(frame.calls_per_second)}   in flight {frame.in_flight}   "
        f"waiting for rate limits {frame.waiting}   "
        f"admitted {frame.admitted}   open approvals {frame.open_approvals}",
    ]
    if frame.runs is not None:
        drawn.append(
            f"open runs {frame.runs.open}   steps ready {frame.runs.ready_steps}   leased {frame.runs.leased_steps}"
        )
    refused = ", ".join(f"{one.reason or 'other'} {one.total} ({_rate(one.per_second)})" for one in frame.refusals)
    drawn.append(f"refused: {refused or 'none'}")
    if frame.cache:
        drawn.append("cache: " + ", ".join(f"{name} {value:g}" for name, value in frame.cache.items()))
    header = ("MODEL", "CALLS", "CALLS/S", "ERRORS", "P50", "P99", "BREAKER")
    drawn += ["", *table(header, map(_model, frame.models), "<>>>>><")]
    if frame.budgets:
        header = ("BUDGET", "TENANT", "FULLEST", "SPENT", "HELD", "LIMIT", "INSTANCES")
        drawn += ["", *table(header, map(_budget, frame.budgets), "<<>>>>>")]
    return drawn


def fitted(drawn: Sequence[str], columns: int, rows: int) -> list[str]:
    """The lines that a screen has room for; the last one says when there are more."""
    cut = [line if len(line) <= columns else line[: max(columns - 1, 0)] + "…" for line in drawn]
    if len(cut) <= rows:
        return list(cut)
    return [*cut[: max(rows - 1, 0)], f"… {len(cut) - rows + 1} more lines: enlarge the window"[:columns]][:rows]


def _model(model: Model) -> tuple[str, ...]:
    return (
        visible(model.name),
        str(model.calls),
        "-" if model.per_second is None else f"{model.per_second:.1f}",
        str(model.errors),
        _seconds(model.p50),
        _seconds(model.p99),
        model.breaker.replace("_", " "),
    )


def _budget(budget: Budget) -> tuple[str, ...]:
    return (
        visible(budget.name),
        visible(budget.tenant),
        f"{100 * budget.fullest:.1f} %",
        *(_amount(value, budget.unit) for value in (budget.spent, budget.held, budget.limit)),
        str(budget.instances),
    )


def _amount(value: float, unit: str) -> str:
    return f"{value:,.6f}".rstrip("0").rstrip(".") + " USD" if unit == "usd" else f"{value:,.0f} {unit}".rstrip()


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 10 else f"{value:.1f} s"


def _rate(value: float | None) -> str:
    return "-/s" if value is None else f"{value:.1f}/s"
