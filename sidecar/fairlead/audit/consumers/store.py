"""Where consumers are in the store: family `state`, `"" ‖ 'a' ‖ name`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fairlead.audit.consumers.model import Consumer
from fairlead.audit.store import Reader
from fairlead.audit.tokens import InvalidToken
from fairlead.internal.v1 import command_pb2
from fairlead.store import Family, keys

_CONSUMERS = keys.text("") + b"a"


@dataclass(frozen=True, slots=True)
class ConsumerRecords:
    """Reads consumers, and makes the writes that change them."""

    reader: Reader

    def all(self) -> Iterator[Consumer]:
        """All of them, by name; raises `InvalidToken`."""
        for key, packed in self.reader.scan(Family.STATE, prefix=_CONSUMERS):
            # Behind the prefix the length of the name, then the name.
            yield Consumer.unpack(key[len(_CONSUMERS) + 2 :].decode(), packed)

    def furthest(self) -> int:
        """The highest sequence that any has acknowledged: that record was there once."""
        furthest = 0
        for key, packed in self.reader.scan(Family.STATE, prefix=_CONSUMERS):
            try:
                furthest = max(furthest, Consumer.unpack(key.hex(), packed).position.sequence)
            except InvalidToken:
                # Damage elsewhere is not the log's.
                continue
        return furthest


def put(consumer: Consumer) -> command_pb2.Write:
    """The write that remembers a consumer."""
    return command_pb2.Write(family=Family.STATE, key=keys.subscriber(consumer.name), value=consumer.packed())


def remove(name: str) -> command_pb2.Write:
    """The write that forgets one."""
    return command_pb2.Write(family=Family.STATE, key=keys.subscriber(name))
