"""Who signs: a key that the configuration refers to, else one of the sidecar's own, made at its first start."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

# In the data directory.
KEY_FILE = "audit.key"
_MAX_BYTES = 4096


class KeyUnusable(ValueError):
    """There is no key to sign with; the message says where it should be, never what it is."""


def private_key(pem: str) -> Ed25519PrivateKey:
    """The key of a PEM text (PKCS #8, not encrypted), as `openssl genpkey -algorithm ed25519` makes it."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyUnusable("is not a private key in PEM (PKCS #8) without a passphrase") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable("is not an Ed25519 key: make one with openssl genpkey -algorithm ed25519")
    return key


def own_key(data: Path) -> Ed25519PrivateKey:
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
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
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
