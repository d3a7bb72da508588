"""Who signs: a key that the configuration refers to, else one of the sidecar's own, made at its first start."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from fairlead.native import SigningKey

# In the data directory.
KEY_FILE = "audit.key"
_MAX_BYTES = 4096
_SECRET_BYTES = 32
# What PKCS #8 has in front of the secret bytes of an Ed25519 key (RFC 8410, section 7).
_PKCS8 = bytes.fromhex("302e020100300506032b657004220420")


class KeyUnusable(ValueError):
    """There is no key to sign with; the message says where it should be, never what it is."""


def private_key(pem: str) -> SigningKey:
    """The key of a PEM text (PKCS #8, not encrypted), as `openssl genpkey -algorithm ed25519` makes it."""
    try:
        return SigningKey(pem)
    except ValueError as error:
        raise KeyUnusable(str(error)) from None


def pem_of(secret: bytes) -> str:
    """The PEM text of a key with these 32 secret bytes."""
    return f"-----BEGIN PRIVATE KEY-----\n{base64.b64encode(_PKCS8 + secret).decode()}\n-----END PRIVATE KEY-----\n"


def own_key(data: Path) -> SigningKey:
    """The key in a data directory, made with mode 0600 when it is not there; raises `KeyUnusable`."""
    path = data / KEY_FILE
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_size > _MAX_BYTES:
            raise KeyUnusable(f"{path} is larger than {_MAX_BYTES} bytes")
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise KeyUnusable(f"{path} cannot be used: {reason}") from None
    try:
        return private_key(text)
    except KeyUnusable as error:
        raise KeyUnusable(f"{path} {error}") from None


def _make(path: Path) -> None:
    """All or nothing: half a key would be no key for ever."""
    pem = pem_of(os.urandom(_SECRET_BYTES)).encode()
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
