"""Keys and signatures of the native core beside those of another library."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.audit.transparency.keys import KeyUnusable, pem_of, private_key
from fairlead.native import is_signed


def pem(key: object, form: PrivateFormat, encryption: KeySerializationEncryption) -> str:
    return key.private_bytes(Encoding.PEM, form, encryption).decode()  # type: ignore[attr-defined, no-any-return]


@settings(deadline=None, max_examples=60)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 64 * 8 - 1))
def test_a_key_signs_as_another_library_does(secret: bytes, text: bytes, bit: int) -> None:
    other = ed25519.Ed25519PrivateKey.from_private_bytes(secret)
    key = private_key(pem(other, PrivateFormat.PKCS8, NoEncryption()))
    assert key.public == other.public_key().public_bytes_raw()
    signature = key.sign(text)
    assert signature == other.sign(text) and is_signed(key.public, text, signature)
    changed = bytearray(signature)
    changed[bit // 8] ^= 1 << bit % 8
    assert not is_signed(key.public, text, bytes(changed))
    assert not is_signed(key.public, text + b"x", signature)


def test_a_key_that_the_sidecar_makes_is_one_for_other_programs() -> None:
    loaded = load_pem_private_key(pem_of(bytes(range(32))).encode(), password=None)
    assert isinstance(loaded, ed25519.Ed25519PrivateKey) and loaded.private_bytes_raw() == bytes(range(32))


def test_other_keys_are_refused_with_the_reason() -> None:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    locked = pem(key, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    curve = ec.derive_private_key(7, ec.SECP256R1())
    older = pem(curve, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    for text in (locked, older, "", "nonsense"):
        with pytest.raises(KeyUnusable, match="is not a private key in PEM"):
            private_key(text)
    exchange = x25519.X25519PrivateKey.from_private_bytes(bytes(32))
    for other in (curve, exchange):
        with pytest.raises(KeyUnusable, match="is not an Ed25519 key"):
            private_key(pem(other, PrivateFormat.PKCS8, NoEncryption()))


def test_what_signs_is_not_a_second_library_in_the_daemons_memory() -> None:
    """It takes as much as everything else that signs, exports and follows the log."""
    code = "import sys, fairlead.daemon; sys.exit('cryptography' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
