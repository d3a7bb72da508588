"""What is remembered of a consumer. Pure: no I/O, no clock."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from google.protobuf.message import DecodeError

from fairlead.audit.tokens import InvalidToken, Position
from fairlead.config.sections.limits import Limits
from fairlead.internal.v1 import state_pb2

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
NAME_RULE = "must be 1 to 63 letters, digits, dots, dashes or underscores, and begin with a letter or digit"
# Exporters inside the sidecar begin with this, which no subscriber can be called: from outside nobody moves their
# positions but an operator who passes over records, which is recorded.
EXPORT_PREFIX = "export:"
# What older programs stored: the packed position alone. No message begins with this byte.
_PACKED_POSITION = 1


def is_name(name: str) -> bool:
    """True when a consumer outside the sidecar may be called that."""
    return _NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class ConsumerLimits:
    """The configuration, as far as it is about consumers."""

    consumers: int
    """Most that are remembered."""
    lag: int
    """Records that one may be behind before nothing waits for it any more."""
    stall_seconds: float
    """How long one that takes nothing keeps its stream."""

    @classmethod
    def of(cls, limits: Limits) -> ConsumerLimits:
        """Of the section."""
        return cls(limits.consumers, limits.consumer_lag, limits.consumer_stall / 1000)


@dataclass(frozen=True, slots=True)
class Consumer:
    """A named reader of the log. Times are Unix nanoseconds; 0 means never, or not known."""

    name: str
    position: Position
    acknowledged_at: int = 0
    registered_at: int = 0
    left_behind: bool = False
    missed: int = 0
    """Records that were trimmed from the log before it acknowledged them."""

    def lag(self, head: int) -> int:
        """Records that it has not acknowledged, of a log that ends with the record `head`."""
        return max(0, head - self.position.sequence)

    def acknowledging(self, position: Position, now: int) -> Consumer:
        """After an acknowledgement; the position never goes back."""
        further = position if position.sequence > self.position.sequence else self.position
        return replace(self, position=further, acknowledged_at=now)

    def skipping_to(self, position: Position) -> Consumer:
        """Behind records that it never gets."""
        return replace(self, position=position, missed=self.missed + position.sequence - self.position.sequence)

    def packed(self) -> bytes:
        """As stored."""
        return state_pb2.ConsumerRecord(
            sequence=self.position.sequence,
            fingerprint=self.position.fingerprint,
            acknowledged_at_unix_nanos=self.acknowledged_at,
            registered_at_unix_nanos=self.registered_at,
            left_behind=self.left_behind,
            missed_records=self.missed,
        ).SerializeToString(deterministic=True)

    @classmethod
    def unpack(cls, name: str, packed: bytes) -> Consumer:
        """Reads `packed()`, and what older programs wrote; raises `InvalidToken`."""
        if packed[:1] == bytes([_PACKED_POSITION]):
            return cls(name, Position.unpack(packed))
        try:
            record = state_pb2.ConsumerRecord.FromString(packed)
        except DecodeError as error:
            raise InvalidToken(f"what is stored of consumer {name} is none") from error
        return cls(
            name,
            Position(record.sequence, record.fingerprint),
            record.acknowledged_at_unix_nanos,
            record.registered_at_unix_nanos,
            record.left_behind,
            record.missed_records,
        )
