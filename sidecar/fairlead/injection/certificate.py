"""The webhook's certificate, read again when its files change: rotation needs no restart."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

from cryptography import x509

_log = logging.getLogger(__name__)
_POLL_SECONDS = 2.0
_Seen = tuple[tuple[int, int, int], ...]


class CertificateUnusable(Exception):
    """The certificate or its key cannot be used; the message names the file and never what is in it."""


class Certificate:
    """A chain and its key in PEM files. Connections get what was read last; those that are open keep theirs."""

    def __init__(self, chain: Path, key: Path) -> None:
        """Reads both; raises CertificateUnusable."""
        self._chain, self._key = chain, key
        # Why the files cannot be used as they are, while they cannot.
        self._failure: str | None = None
        self._seen = self._look()
        self._current, self._expires = self._read()
        self._listening = _context()
        self._listening.sni_callback = self._choose

    def context(self) -> ssl.SSLContext:
        """What to listen with, for good."""
        return self._listening

    @property
    def expires(self) -> datetime:
        """When the first certificate of the chain in use ends."""
        return self._expires

    @property
    def failing(self) -> bool:
        """Whether the files cannot be used as they are, so that an older certificate is."""
        return self._failure is not None

    def read_again(self) -> bool:
        """Whether the files have changed and are in use now. What cannot be used is logged, and the last one stays."""
        try:
            seen = self._look()
            if seen == self._seen:
                return False
            self._seen = seen
            self._current, self._expires = self._read()
        except CertificateUnusable as error:
            if str(error) != self._failure:
                _log.warning("the certificate is not replaced: %s", error)
            self._failure = str(error)
            return False
        self._failure = None
        _log.info("certificate read again", extra={"file": str(self._chain)})
        return True

    async def watch(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Looks at the files for ever."""
        while True:
            await sleep(_POLL_SECONDS)
            self.read_again()

    def _choose(self, connection: ssl.SSLObject, name: str | None, listening: ssl.SSLContext) -> None:
        """Called for each handshake, with or without a name. A context whose files are replaced in place can be left
        with the certificate of one and the key of the other, so each reading has a context of its own."""
        connection.context = self._current

    def _read(self) -> tuple[ssl.SSLContext, datetime]:
        context = _context()
        try:
            # Without this an encrypted key would ask the terminal.
            context.load_cert_chain(self._chain, self._key, password=lambda: "")
            chain = x509.load_pem_x509_certificates(self._chain.read_bytes())
        except ssl.SSLError as error:
            raise CertificateUnusable(
                f"{self._chain} and {self._key} do not fit: {error.reason or 'not PEM'}"
            ) from None
        except OSError as error:
            raise CertificateUnusable(f"{self._chain} or {self._key} cannot be read: {error.strerror}") from None
        except ValueError:
            raise CertificateUnusable(f"{self._chain} has no certificates that can be read") from None
        return context, min(certificate.not_valid_after_utc for certificate in chain)

    def _look(self) -> _Seen:
        """What tells one state of the files from another, through the symlinks of a mounted Secret."""
        found = []
        for path in (self._chain, self._key):
            try:
                status = os.stat(path)
            except OSError as error:
                # When it comes back it is read again, also as it was.
                self._seen = ()
                raise CertificateUnusable(f"{path} cannot be read: {error.strerror}") from None
            found.append((status.st_ino, status.st_mtime_ns, status.st_size))
        return tuple(found)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
