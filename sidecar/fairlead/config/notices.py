"""What is valid in a configuration but has no effect, now or at all: said in the log, so that nobody relies on it."""

from __future__ import annotations

from collections.abc import Iterator

from fairlead.config.schema import Config


def notices(config: Config, running: Config | None = None) -> Iterator[str]:
    """About a configuration, at the start or in place of a running one."""
    if running is None:
        return
    if config.listen != running.listen:
        yield "changes of `listen` take effect at the next start"
    if config.limits.streams != running.limits.streams:
        yield "limits.streams bounds calls from now on, connections and calls of one connection at the next start"
