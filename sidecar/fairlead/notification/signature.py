"""Signatures after Standard Webhooks 1.0.0 (https://www.standardwebhooks.com), symmetric: `v1`. Pure.

A secret is `whsec_` and base64 of 24 to 64 random bytes. What is signed is `{webhook-id}.{webhook-timestamp}.{body}`
with HMAC-SHA256; the header has one signature for each secret, so that a secret can be replaced without a gap. No id
has a dot in it, so that nothing can be moved from one part into another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping

PREFIX = "whsec_"
KEY_MIN_BYTES, KEY_MAX_BYTES = 24, 64


class InvalidSecret(ValueError):
    """The text is not a signing secret; the message does not quote it."""


def key_of(secret: str) -> bytes:
    """The key of a secret; raises `InvalidSecret`."""
    rule = f"must be {PREFIX} and base64 of {KEY_MIN_BYTES} to {KEY_MAX_BYTES} random bytes"
    if not secret.startswith(PREFIX):
        raise InvalidSecret(rule)
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidSecret(rule) from None
    if not KEY_MIN_BYTES <= len(key) <= KEY_MAX_BYTES:
        raise InvalidSecret(rule)
    return key


def signature(key: bytes, message_id: str, unix_seconds: int, body: bytes) -> str:
    """One signature, as in the header."""
    signed = b"%s.%d.%s" % (message_id.encode("ascii"), unix_seconds, body)
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")


def headers(keys: Iterable[bytes], message_id: str, unix_seconds: int, body: bytes) -> Mapping[str, str]:
    """The headers of one attempt; without keys there is no signature."""
    signatures = " ".join(signature(key, message_id, unix_seconds, body) for key in keys)
    named = {"webhook-id": message_id, "webhook-timestamp": str(unix_seconds)}
    return {**named, "webhook-signature": signatures} if signatures else named


def message_id(record_hash: bytes, receiver: str) -> str:
    """The id of a notification: the same for every attempt, another one for every receiver, record and sidecar.

    The hash of a record follows from everything before it in its log, so no two sidecars share one.
    """
    digest = hashlib.sha256(b"fairlead.notification.v1\0" + record_hash + receiver.encode())
    return "ntf_" + digest.hexdigest()[:32]
