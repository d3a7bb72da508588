"""What was measured, as a table and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """One measurement. `ratio` is against `compared_to` in the same run; `target` is text, `met` its verdict."""

    name: str
    value: float
    unit: str
    compared_to: str | None = None
    ratio: float | None = None
    target: str | None = None
    met: bool | None = None


def at_most(name: str, value: float, unit: str, limit: float) -> Result:
    """A measurement with an upper limit on its value."""
    return Result(name, value, unit, target=f"<= {limit:g} {unit}", met=value <= limit)


def table(results: list[Result]) -> str:
    """The results, aligned."""
    rows = [("name", "value", "compared to", "ratio", "target", "met")]
    for result in results:
        rows.append(
            (
                result.name,
                f"{result.value:,.2f} {result.unit}",
                result.compared_to or "",
                "" if result.ratio is None else f"{result.ratio:.2f}",
                result.target or "",
                {True: "yes", False: "MISSED", None: ""}[result.met],
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def write(results: list[Result], path: Path) -> None:
    """Writes the results as a JSON list."""
    path.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
