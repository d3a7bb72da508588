"""Request ids of control calls: the same id returns the first answer for 24 hours.

The answer is kept in the family `requests`, in the same commit unit as the change it answers, under the key layout that
the engine uses: u32 big-endian Unix hour ‖ first 16 bytes of
SHA-256(tenant ‖ 0 ‖ caller ‖ 0 ‖ method ‖ 0 ‖ request_id).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from fairlead.control.errors import invalid_argument
from fairlead.internal.v1 import command_pb2, state_pb2
from fairlead.store import Family

REQUEST_ID_MAX_CHARACTERS = 128
REASON_MAX_CHARACTERS = 1024
KEPT_HOURS = 24
_NANOS_PER_HOUR = 3_600_000_000_000

_Answer = TypeVar("_Answer", bound=Message)


class Reader(Protocol):
    """What is needed of the store."""

    def get(self, family: Family, key: bytes, /) -> bytes | None:
        """The value of a key, or None."""
        ...


def reason_violations(
    reason: str, most_characters: int = REASON_MAX_CHARACTERS, *, for_ever: bool = False
) -> list[tuple[str, str]]:
    """What is wrong with the reason of an operator's act, as (path, what); `for_ever`: it cannot be erased later."""
    if not reason.strip():
        return [("reason", "is required: it goes into the audit log" + (", for ever" if for_ever else ""))]
    if len(reason) > most_characters:
        return [("reason", f"has more than {most_characters} characters")]
    return []


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """Identity of one changing call: who asked for what under which id, and the digest of the rest of the request."""

    caller: str
    method: str
    request_id: str
    digest: bytes
    tenant: str = ""

    @classmethod
    def of(cls, message: Message, *, method: str, caller: str, tenant: str = "") -> ControlRequest:
        """Of a request message with a field `request_id`; raises `Refusal` when the id is missing or absurd."""
        request_id: str = message.request_id  # type: ignore[attr-defined]
        if not request_id:
            raise invalid_argument(("request_id", "is required, so that a retry is safe: send a fresh UUID"))
        if len(request_id) > REQUEST_ID_MAX_CHARACTERS:
            raise invalid_argument(("request_id", f"has more than {REQUEST_ID_MAX_CHARACTERS} characters"))
        rest = type(message)()
        rest.CopyFrom(message)
        rest.ClearField("request_id")
        digest = hashlib.sha256(rest.SerializeToString(deterministic=True)).digest()
        return cls(caller, method, request_id, digest, tenant)

    def first_answer(self, reader: Reader, answer: type[_Answer], now_unix_nanos: int) -> _Answer | None:
        """What the id was answered with before, or None; raises `Refusal` when it came with another request."""
        newest_hour = now_unix_nanos // _NANOS_PER_HOUR
        for hour in range(newest_hour, max(newest_hour - KEPT_HOURS, 0) - 1, -1):
            value = reader.get(Family.REQUESTS, self._key(hour))
            if value is None:
                continue
            record = state_pb2.RequestRecord.FromString(value)
            if record.digest != self.digest:
                raise invalid_argument(("request_id", "was used for a different request within the last 24 hours"))
            return answer.FromString(record.answer)
        return None

    def write(self, answer: Message, now_unix_nanos: int) -> command_pb2.Write:
        """The write that remembers the answer; belongs into the unit of the change."""
        record = state_pb2.RequestRecord(
            tenant=self.tenant,
            digest=self.digest,
            answer=answer.SerializeToString(deterministic=True),
            time_unix_nanos=now_unix_nanos,
        )
        return command_pb2.Write(
            family=Family.REQUESTS,
            key=self.key(now_unix_nanos),
            value=record.SerializeToString(deterministic=True),
        )

    def key(self, now_unix_nanos: int) -> bytes:
        """Where the answer is remembered that is given now."""
        return self._key(now_unix_nanos // _NANOS_PER_HOUR)

    def _key(self, hour: int) -> bytes:
        identity = "\0".join((self.tenant, self.caller, self.method, self.request_id)).encode()
        return hour.to_bytes(4, "big") + hashlib.sha256(identity).digest()[:16]
