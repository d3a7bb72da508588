"""A sign for each kind of step: white strokes on a coloured tile, drawn on a field of 24 by 24."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

# Kind → colour of the tile, and the strokes.
KIND_LOOKS: Mapping[str, tuple[str, str]] = {
    # A prompt: somebody's program.
    "agent": ("#0969da", "M6.5 8 L10.5 12 L6.5 16 M12.5 16 H17.5"),
    # A spark.
    "model": (
        "#8250df",
        "M12 5 C12.6 9.6 14.4 11.4 19 12 C14.4 12.6 12.6 14.4 12 19 C11.4 14.4 9.6 12.6 5 12 C9.6 11.4 11.4 9.6 12 5 Z",
    ),
    # A mark of consent.
    "approval": ("#bf8700", "M6 12.5 L10.2 16.5 L18 8"),
    # A clock.
    "wait": ("#57606a", "M12 5.5 A6.5 6.5 0 1 1 11.99 5.5 M12 8.5 V12 L14.6 13.8"),
    # One that holds another.
    "workflow": ("#1a7f37", "M6 6 H14 V12 H6 Z M10 12 V18 H18 V12 H14"),
    # A pile.
    "forEach": (
        "#1b7c83",
        "M12 5.5 L18.5 9 L12 12.5 L5.5 9 Z M5.5 12.2 L12 15.7 L18.5 12.2 M5.5 15.4 L12 18.9 L18.5 15.4",
    ),
}


def icon(kind: str, x: float, y: float, size: float) -> Iterator[str]:
    """The sign of a kind with its upper left corner at a point."""
    colour, strokes = KIND_LOOKS[kind]
    yield f'<g transform="translate({x:.1f} {y:.1f}) scale({size / 24:.3f})">'
    yield f'<rect width="24" height="24" rx="6" fill="{colour}"/>'
    yield (
        f'<path d="{strokes}" fill="none" stroke="#ffffff" stroke-width="1.8" stroke-linecap="round" '
        'stroke-linejoin="round"/></g>'
    )
