"""YAML → a valid configuration, or every violation at once.

The stages, each of which works on as much as the ones before it left whole:
YAML → prices from books → schema (types, bounds, unknown keys) → rules across fields → names → secrets → native core
(expressions).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath

from pydantic import ValidationError

from fairlead.config import messages, quorums, references, secrets
from fairlead.config.canonical import canonical_json, version_of
from fairlead.config.dev import DEV_ENVIRONMENT, DEV_FILE, DEV_TENANT, DEV_UPSTREAM
from fairlead.config.document import Document, read
from fairlead.config.engine import to_engine_bytes
from fairlead.config.merge import merge
from fairlead.config.paths import fits
from fairlead.config.salvage import Salvaged, salvage
from fairlead.config.schema import Config
from fairlead.config.sections.base import broken_rules
from fairlead.config.violation import ConfigError, Path, Violation, render
from fairlead.prices import lookup

# The native core's check: engine configuration in, (path, message) out.
Compile = Callable[[bytes], Iterable[tuple[str, str]]]
_FILES_MAX = 256


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid configuration with its canonical text and version."""

    config: Config
    canonical: str
    version: str
    # It names price books, and no model takes its price from one.
    idle_books: bool = False


class Loader:
    """Loads and checks.

    `compile` is the native core's check and `environ` is where `fromEnv` looks; None leaves that check out. With `dev`,
    every configuration has the tenant `dev` as well.
    """

    def __init__(
        self, compile: Compile | None, environ: Mapping[str, str] | None = os.environ, *, dev: bool = False
    ) -> None:
        self._compile = compile
        self._dev = dev
        self._environ = {**DEV_ENVIRONMENT, **environ} if dev and environ is not None else environ

    def load(self, path: FilePath | None) -> Loaded:
        """A file or a directory of `*.yaml` files; None is the configuration of `--dev`. Raises `ConfigError`."""
        return self.check(merge(read(DEV_UPSTREAM, DEV_FILE)) if path is None else read_files(path))

    def load_text(self, text: bytes | str, file: str = "") -> Loaded:
        """A text; raises `ConfigError`."""
        return self.check(merge(read(text, file)))

    def resolve_secrets(self, config: Config) -> secrets.ResolvedSecrets:
        """Reads every secret anew; raises `SecretUnavailable`."""
        return secrets.resolve_secrets(config, self._environ)

    def check(self, document: Document) -> Loaded:
        """A document that was read; raises `ConfigError` with everything that is wrong."""
        if self._dev:
            document = merge((document, *read(DEV_TENANT, DEV_FILE)))
        prices = lookup.priced(document)
        document = prices.document
        found = _Findings(document)
        for path, message in prices.faults:
            found.add(path, message)
        config = self._schema(found)
        if found.unreadable:
            # Names may be missing only because the text that defines them could not be read.
            raise ConfigError(found.violations)
        whole: Salvaged | None = Salvaged(config, {}) if config else salvage(document.value, found.paths)
        if whole is not None:
            for path, message in broken_rules(whole.config):
                found.add(whole.original(path), message)
        for check in (references.check, quorums.check):
            for path, message in check(document.value):
                found.add(path, message)
        if self._environ is not None:
            for path, message in secrets.check(document.value, self._environ):
                found.add(path, message)
        if whole is not None and self._compile is not None:
            self._native(found, whole, self._compile)
        if found.violations or config is None:
            raise ConfigError(found.violations)
        canonical = canonical_json(config)
        idle_books = bool(config.prices.files) and not prices.origins
        return Loaded(config, canonical, version_of(canonical), idle_books)

    def _schema(self, found: _Findings) -> Config | None:
        document = found.document.value
        try:
            return Config.model_validate(document)
        except ValidationError as error:
            for path, message in messages.translate(error, document):
                if not (found.unreadable and path == ("apiVersion",)):
                    found.add(path, message)
            return None

    def _native(self, found: _Findings, whole: Salvaged, compile: Compile) -> None:
        """What the native core finds, without what is known already."""
        known = frozenset(found.paths)
        for text, message in compile(to_engine_bytes(whole.config)):
            path = whole.original(_parse(text))
            if known and any(fits(path, pattern) for pattern in references.REFERENCES):
                # Names were checked against the whole document; the core may have seen a part of it.
                continue
            related = any(path[: len(other)] == other or other[: len(path)] == path for other in known)
            if path not in known and (not related or path[-1:] == ("when",)):
                found.add(path, message)


class _Findings:
    """Violations with their places, at most one per path and message."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.paths: list[Path] = [path for path, _, _ in document.faults]
        self.violations = [Violation(*place, render(path), message) for path, place, message in document.faults]
        self._reported = frozenset(self.paths)
        # A text, or a whole file of several, could not be read.
        self.unreadable = () in self._reported

    def add(self, path: Path, message: str) -> None:
        if path and path in self._reported:
            # A value that YAML itself makes no sense of has been reported.
            return
        self.paths.append(path)
        self.violations.append(self.document.violation(path, message))


def read_files(path: FilePath) -> Document:
    """The document of a file, or of all `*.yaml` files of a directory, in the order of their names."""
    found = config_files(path)
    if not found:
        return Document(faults=[((), (str(path), 0), "has no *.yaml files")])
    if len(found) > _FILES_MAX:
        return Document(faults=[((), (str(path), 0), f"has more than {_FILES_MAX} files")])
    parts: list[Document] = []
    for file in found:
        try:
            # One byte more than is read: a huge file is refused without reading it.
            with file.open("rb") as stream:
                text = stream.read((1 << 20) + 1)
        except OSError as error:
            reason = f"cannot be read: {error.strerror or 'unreadable'}"
            parts.append(Document(faults=[((), (str(file), 0), reason)]))
            continue
        parts.extend(read(text, str(file)))
    return merge(parts)


def config_files(path: FilePath) -> list[FilePath]:
    """The files of a configuration, in the order in which they are merged. Hidden files, such as the `..data` of a
    Kubernetes ConfigMap, are not among them."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.glob("*.yaml") if not file.name.startswith(".") and not file.is_dir())


_PARTS = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def _parse(text: str) -> Path:
    """A path as the native core writes it."""
    return tuple(int(index) if index else key for index, key in _PARTS.findall(text))
