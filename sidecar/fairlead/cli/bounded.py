"""Numbers on a command line, with what is allowed in the message."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def number(least: int, most: int) -> Callable[[str], int]:
    """Reads a whole number from `least` to `most`."""

    def read(text: str) -> int:
        found = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(most)) else None
        if found is None or not least <= found <= most:
            raise argparse.ArgumentTypeError(f"`{text}` is not a whole number from {least} to {most}")
        return found

    return read


def seconds(most: int) -> Callable[[str], float]:
    """Reads seconds above 0, at most `most`."""

    def read(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not 0 < found <= most:
            raise argparse.ArgumentTypeError(f"`{text}` is not a number of seconds above 0, up to {most}")
        return found

    return read
