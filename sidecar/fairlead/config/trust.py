"""Certificates that are trusted for a provider or an exporter: read from their file when a configuration is loaded and
when the file changes, and checked; those of providers are handed to the native core as they are. They are public, and
no part of the configuration's text.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

from fairlead.config.paths import select
from fairlead.config.schema import Config
from fairlead.config.violation import Path

CA_FILE_MAX_BYTES = 1 << 20
_PATTERNS = ("providers[*].tls.caFile", "audit.exporters[*].tls.caFile")


class CertificatesUnavailable(ValueError):
    """A file of certificates cannot be read or used; the message names it."""


def ca_files(config: Config) -> dict[str, str]:
    """The file of every provider that has one, by the provider's name."""
    return {provider.name: provider.tls.ca_file for provider in config.providers if provider.tls is not None}


def exporter_ca_files(config: Config) -> dict[str, str]:
    """The same of exporters."""
    return {exporter.name: exporter.tls.ca_file for exporter in config.audit.exporters if exporter.tls is not None}


def files(document: dict[str, Any]) -> frozenset[FilePath]:
    """The files that a document names, readable or not."""
    return frozenset(FilePath(name) for _, name in _named(document))


def check(document: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Every file of a document that cannot be used, as (path, message)."""
    for path, name in _named(document):
        try:
            read(name)
        except CertificatesUnavailable as error:
            yield path, str(error)


def read(file: str) -> str:
    """The certificates of a file, PEM; raises `CertificatesUnavailable`."""
    try:
        with open(file, "rb") as stream:
            content = stream.read(CA_FILE_MAX_BYTES + 1)
    except OSError as error:
        raise CertificatesUnavailable(f"file {file} cannot be read: {error.strerror or 'unreadable'}") from None
    if len(content) > CA_FILE_MAX_BYTES:
        raise CertificatesUnavailable(f"file {file} is larger than {CA_FILE_MAX_BYTES} bytes")
    if b"PRIVATE KEY-----" in content:
        raise CertificatesUnavailable(f"file {file} holds a private key: it must hold certificates only")
    try:
        text = content.decode("ascii")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (UnicodeDecodeError, ValueError, ssl.SSLError):
        raise CertificatesUnavailable(f"file {file} holds no PEM certificates that can be read") from None
    return text


def _named(document: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """The absolute paths of a document; the schema reports the others."""
    for pattern in _PATTERNS:
        for path, name in select(document, pattern):
            if isinstance(name, str) and name.startswith("/") and "\0" not in name:
                yield path, name
