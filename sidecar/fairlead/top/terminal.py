"""The screen of a terminal: drawn with ANSI sequences, keys as they are typed, everything put back at the end."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from fairlead.top.drawing import fitted

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


class Terminal:
    """A terminal that is ours for a while."""

    def __init__(self, input: int, woken: int) -> None:
        self._input = input
        self._woken = woken

    def draw(self, lines: Sequence[str]) -> None:
        """Shows as much of the lines as there is room for."""
        size = os.get_terminal_size(sys.stdout.fileno())
        shown = fitted(lines, size.columns, size.lines)
        sys.stdout.write(_HOME + "\r\n".join(f"{line}{_CLEAR_LINE}" for line in shown) + _CLEAR_BELOW)
        sys.stdout.flush()

    def wait(self, seconds: float) -> str:
        """What was typed, as soon as something was; empty after the time, or when the size changed."""
        ready, _, _ = select.select([self._input, self._woken], [], [], seconds)
        if self._woken in ready:
            os.read(self._woken, 4096)
        return os.read(self._input, 64).decode("ascii", "replace") if self._input in ready else ""


@contextmanager
def taken() -> Iterator[Terminal]:
    """Takes the terminal that stdin and stdout are, and gives it back as it was."""
    input = sys.stdin.fileno()
    before = termios.tcgetattr(input)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def resized(number: int, frame: FrameType | None) -> None:
        """Nothing to do but to wake who waits: the wakeup descriptor has been written to."""

    def ended(number: int, frame: FrameType | None) -> None:
        """Ends like any program that was told to, but not before the terminal is given back."""
        raise SystemExit(128 + number)

    handlers = {signal.SIGWINCH: resized, signal.SIGTERM: ended, signal.SIGHUP: ended}
    handled = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    descriptor = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        tty.setcbreak(input)
        sys.stdout.write(_ENTER)
        yield Terminal(input, reading)
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
        termios.tcsetattr(input, termios.TCSADRAIN, before)
        signal.set_wakeup_fd(descriptor)
        for number, handler in handled.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)
