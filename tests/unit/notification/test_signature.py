"""Signatures are those of Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from fairlead.notification.signature import InvalidSecret, headers, key_of, message_id, signature

# From the test suites of the Standard Webhooks libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, TIMESTAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_published_vector() -> None:
    assert signature(key_of(SECRET), ID, TIMESTAMP, BODY) == SIGNATURE
    assert headers([key_of(SECRET)], ID, TIMESTAMP, BODY) == {
        "webhook-id": ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


def test_each_secret_signs_and_without_one_nothing_does() -> None:
    other = b"x" * 32
    made = headers([key_of(SECRET), other], ID, TIMESTAMP, BODY)["webhook-signature"]
    expected = hmac.new(other, b"%s.%d.%s" % (ID.encode(), TIMESTAMP, BODY), hashlib.sha256).digest()
    assert made == f"{SIGNATURE} v1,{base64.b64encode(expected).decode()}"
    assert "webhook-signature" not in headers([], ID, TIMESTAMP, BODY)


@pytest.mark.parametrize(
    "secret",
    [
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_",
        "whsec_not base64!",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
    ],
)
def test_what_is_no_secret_is_refused_without_being_quoted(secret: str) -> None:
    with pytest.raises(InvalidSecret, match="must be whsec_ and base64 of 24 to 64") as refused:
        key_of(secret)
    assert secret.removeprefix("whsec_") not in str(refused.value) or secret == "whsec_"


def test_an_id_is_of_one_record_and_one_receiver_and_has_no_dot() -> None:
    ids = {message_id(record, name) for record in (b"1" * 32, b"2" * 32) for name in ("a", "b.c")}
    assert len(ids) == 4 and not any("." in one for one in ids)
    assert message_id(b"1" * 32, "a") == message_id(b"1" * 32, "a")
