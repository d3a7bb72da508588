"""Signed notes (C2SP signed-note): a text, an empty line, and lines of signatures. Pure.

    <text>                                             lines, the last one ended, too
    <empty line>
    — <key name> <base64(key id, 4 bytes ‖ signature, 64 bytes)>

A verifier's key is one line, `<name>+<key id, 8 hex digits>+<base64(0x01 ‖ public key)>`, where the id is the first
four bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key). 0x01 means Ed25519.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from fairlead.native import SigningKey, is_signed

_ED25519 = b"\x01"
_MARK = "— "
_ID_BYTES, _SIGNATURE_BYTES, _KEY_BYTES = 4, 64, 32
# Whoever hands a note in may not make us look at endless signatures.
_MAX_SIGNATURES = 100


class InvalidNote(ValueError):
    """The text is no note, or nobody who is trusted has signed it."""


class InvalidKey(ValueError):
    """The text is no key of a verifier."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Which key made a signature; a hint, not a proof."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, line: str) -> VerifierKey:
        """Reads `str(key)`; raises `InvalidKey`."""
        # The base64 may hold a plus sign, the name may not.
        name, _, rest = line.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except (ValueError, binascii.Error) as error:
            raise InvalidKey("a public key is NAME+ID+BASE64, one line, as fairlead audit key prints it") from error
        key = cls(name, raw[1:])
        if not _is_name(name) or raw[:1] != _ED25519 or len(key.public) != _KEY_BYTES or key.key_id.hex() != key_id:
            raise InvalidKey("a public key is NAME+ID+BASE64, one line, as fairlead audit key prints it")
        return key

    def made(self, text: str, signature: bytes) -> bool:
        """True when the signature is this key's over the text."""
        return is_signed(self.public, text.encode(), signature)


@dataclass(frozen=True, slots=True)
class SignerKey:
    """A private key with its name."""

    name: str
    private: SigningKey

    @property
    def verifier(self) -> VerifierKey:
        """Its public half."""
        return VerifierKey(self.name, self.private.public)


def sign(text: str, signers: Iterable[SignerKey]) -> str:
    """The note of a text, which ends with a line end."""
    lines = []
    for signer in signers:
        signature = signer.private.sign(text.encode())
        encoded = base64.b64encode(signer.verifier.key_id + signature).decode()
        lines.append(f"{_MARK}{signer.name} {encoded}\n")
    return f"{text}\n{''.join(lines)}"


def open_note(note: str, trusted: Iterable[VerifierKey]) -> tuple[str, list[VerifierKey]]:
    """The text, and which of the trusted keys have signed it; raises `InvalidNote` when none has.

    A signature of a trusted key that is wrong is a forgery, whoever else has signed.
    """
    text, separator, below = note.rpartition("\n\n")
    lines = below.splitlines()
    if not separator or not lines or not note.endswith("\n") or len(lines) > _MAX_SIGNATURES:
        raise InvalidNote("it is not a signed note: a text, an empty line, and signatures")
    text += "\n"
    signed: list[VerifierKey] = []
    keys = {(key.name, key.key_id): key for key in trusted}
    for line in lines:
        name, _, encoded = line.removeprefix(_MARK).partition(" ")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except (ValueError, binascii.Error):
            raw = b""
        if not line.startswith(_MARK) or not _is_name(name) or len(raw) <= _ID_BYTES:
            raise InvalidNote("a line of it is no signature")
        key = keys.get((name, raw[:_ID_BYTES]))
        if key is None:
            continue
        if len(raw) != _ID_BYTES + _SIGNATURE_BYTES or not key.made(text, raw[_ID_BYTES:]):
            raise InvalidNote(f"its signature is not the one of key {key.name}+{key.key_id.hex()}")
        signed.append(key)
    if not signed:
        raise InvalidNote("none of the given public keys has signed it")
    return text, signed


def _is_name(name: str) -> bool:
    return bool(name) and not any(character.isspace() or character == "+" for character in name)
