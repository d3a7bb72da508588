"""Providers over https: a trusted authority is believed, any other is not, and nothing is sent to it."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from fairlead.v1 import audit_record_pb2, decision_pb2

from .calls import events, post
from .harness import Daemon
from .provider import Provider, routed

BODY = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.parametrize("trusted", [True, False])
def test_the_certificate_of_a_provider_is_verified(tmp_path: Path, trusted: bool) -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    roots = tmp_path / "roots.pem"
    (authority if trusted else trustme.CA()).cert_pem.write_to_path(roots)
    with Provider(tls=server) as secure, Provider() as plain:
        config = routed(secure.url.replace("http://127.0.0.1", "https://localhost"), plain.url)
        with Daemon(tmp_path, config, environment={"SSL_CERT_FILE": str(roots)}) as daemon:
            status, headers, _ = post(daemon, BODY)
            assert (status, headers["x-fairlead-model"]) == (200, "large" if trusted else "small")
            (settled,) = events(daemon, audit_record_pb2.EventKind.EVENT_KIND_INVOCATION_SETTLED)
            first = settled.settlement.attempts[0].outcome
            failed, succeeded = decision_pb2.ATTEMPT_OUTCOME_CONNECT_FAILED, decision_pb2.ATTEMPT_OUTCOME_SUCCEEDED
            assert first == (succeeded if trusted else failed)
        assert secure.stats.requests == (1 if trusted else 0)
