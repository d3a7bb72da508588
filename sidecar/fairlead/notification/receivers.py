"""Who is notified: the receivers of the configuration with their secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fairlead.notification.events import Selection, kinds_of
from fairlead.notification.model import Retry
from fairlead.notification.signature import key_of

if TYPE_CHECKING:
    from fairlead.config import Config, ResolvedSecrets


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver, ready to be sent to. Printing it shows no secret; the URL may be one."""

    name: str
    url: str = field(repr=False)
    selection: Selection
    # The first one is no better than the others: a receiver takes whichever it knows.
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    chat: bool = False
    timeout_seconds: float = 10.0
    retry: Retry = Retry(20, 1_000, 300_000)  # noqa: RUF009 - immutable
    link: str | None = None
    include_arguments: bool = False


def receivers_of(config: Config, secrets: ResolvedSecrets) -> tuple[Receiver, ...]:
    """The receivers of a configuration, whose secrets have been read."""
    receivers = []
    for entry in config.notifications:
        reached, match = secrets.receivers[entry.name], entry.match
        receivers.append(
            Receiver(
                name=entry.name,
                url=reached.url,
                selection=Selection(
                    frozenset[int]().union(*map(kinds_of, entry.events)),
                    {name: getattr(match, name) for name in type(match).model_fields},
                ),
                keys=tuple(map(key_of, reached.signing)),
                headers=reached.headers,
                chat=entry.format == "chat",
                timeout_seconds=entry.timeout / 1000,
                retry=Retry(entry.retry.attempts, entry.retry.initial, entry.retry.max),
                link=entry.link,
                include_arguments=entry.include_arguments,
            )
        )
    return tuple(receivers)
