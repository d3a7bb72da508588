"""What is signed of the log: C2SP tlog-checkpoint, with two extension lines. Pure.

fairlead.audit/<log id, 32 hex digits>             origin: which log
<size>                                             number of records, and the sequence of the last one
<base64>                                           root of the Merkle tree over the bytes of all records
chain <base64>                                     hash of the last record in the chain
time <Unix nanoseconds>                            when it was signed
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

from fairlead.audit.transparency.note import InvalidNote, SignerKey, VerifierKey, open_note, sign
from fairlead.v1 import audit_service_pb2

ORIGIN_PREFIX = "fairlead.audit/"
# Subject of the record that says that another key signs from there on.
KEY_CHANGED = "audit.key_changed"
_FORM = re.compile(
    r"(?P<origin>fairlead\.audit/[0-9a-f]{32})\n"
    r"(?P<size>0|[1-9][0-9]{0,18})\n"
    r"(?P<root>[A-Za-z0-9+/]{43}=)\n"
    r"chain (?P<chain>[A-Za-z0-9+/]{43}=)\n"
    r"time (?P<time>0|[1-9][0-9]{0,18})\n"
    # Extension lines of later versions.
    r"(?:[^\n]+\n)*\Z"
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log at one moment; `time` in Unix nanoseconds."""

    origin: str
    size: int
    root: bytes
    chain_head: bytes
    time: int

    def text(self) -> str:
        """As it is signed."""
        root, chain = (base64.b64encode(one).decode() for one in (self.root, self.chain_head))
        return f"{self.origin}\n{self.size}\n{root}\nchain {chain}\ntime {self.time}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Reads `text()`; raises `InvalidNote`."""
        match = _FORM.match(text)
        if match is None:
            raise InvalidNote("it is not a checkpoint of an audit log")
        try:
            root, chain = (base64.b64decode(match[part], validate=True) for part in ("root", "chain"))
        except (ValueError, binascii.Error) as error:
            raise InvalidNote("it is not a checkpoint of an audit log") from error
        return cls(match["origin"], int(match["size"]), root, chain, int(match["time"]))


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint as a note."""

    checkpoint: Checkpoint
    note: str

    @classmethod
    def of(cls, checkpoint: Checkpoint, signers: Iterable[SignerKey]) -> SignedCheckpoint:
        """Signs it."""
        return cls(checkpoint, sign(checkpoint.text(), signers))

    @classmethod
    def unverified(cls, note: str) -> SignedCheckpoint:
        """Reads a note without looking at its signatures; raises `InvalidNote`."""
        text, separator, _ = note.rpartition("\n\n")
        if not separator:
            raise InvalidNote("it is not a signed note: a text, an empty line, and signatures")
        return cls(Checkpoint.parse(text + "\n"), note)

    @classmethod
    def verified(cls, note: str, trusted: Iterable[VerifierKey]) -> SignedCheckpoint:
        """Reads a note that one of the keys has signed; raises `InvalidNote`."""
        text, signed = open_note(note, trusted)
        checkpoint = Checkpoint.parse(text)
        if not any(key.name == checkpoint.origin for key in signed):
            raise InvalidNote("its key is not one of the log that it is about")
        return cls(checkpoint, note)

    @property
    def signatures(self) -> int:
        """How many keys have signed it, or are said to have."""
        return self.note.rpartition("\n\n")[2].count("\n")

    def message(self) -> audit_service_pb2.SignedCheckpoint:
        """As the API gives it."""
        one = self.checkpoint
        message = audit_service_pb2.SignedCheckpoint(
            note=self.note, origin=one.origin, size=one.size, root_hash=one.root, chain_head=one.chain_head
        )
        message.sign_time.FromNanoseconds(one.time)
        return message
