"""Which path speaks which dialect."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from fairlead.devprovider import chat, messages, responses
from fairlead.devprovider.answers import Answer, Asked

# An event's name, if the dialect names its events, and its data.
Event = tuple[str | None, dict[str, Any] | str]


class _Events(Protocol):
    def __call__(self, answer: Answer, *, usage: bool) -> Iterator[Event]: ...


@dataclass(frozen=True)
class Dialect:
    """How a dialect asks and is answered."""

    name: str
    read: Callable[[dict[str, Any]], Asked]
    whole: Callable[[Answer], dict[str, Any]]
    events: _Events
    error: Callable[[int, str], dict[str, Any]]
    error_event: Callable[[], Event]


def _dialect(name: str, module: Any) -> Dialect:
    return Dialect(name, module.read, module.whole, module.events, module.error, module.error_event)


CHAT = _dialect("openai-chat", chat)
RESPONSES = _dialect("openai-responses", responses)
MESSAGES = _dialect("anthropic-messages", messages)
# Azure's own paths name the deployment, or its API without dates.
_PREFIX = r"(?:/openai)?(?:/v1|/deployments/(?P<deployment>[^/]+))"
_PATHS = (("/chat/completions", CHAT), ("/responses", RESPONSES), ("/messages", MESSAGES))


def of_path(path: str) -> tuple[Dialect, str] | None:
    """The dialect of a path and the deployment it names, if it does; None for any other path."""
    for ending, dialect in _PATHS:
        match = re.fullmatch(_PREFIX + ending, path)
        if match:
            return dialect, match["deployment"] or ""
    return None
