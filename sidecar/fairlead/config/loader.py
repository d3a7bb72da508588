"""YAML → a valid configuration, or every violation at once.

The stages, each of which works on as much as the ones before it left whole:
YAML → workflows from files, prices from books → schema (types, bounds, unknown keys) → rules across fields → names →
secrets → native core (expressions, graphs).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from types import MappingProxyType

from pydantic import ValidationError

from fairlead.config import messages, quorums, references, secrets, workflow_files
from fairlead.config.canonical import canonical_json, version_of
from fairlead.config.dev import DEV_ENVIRONMENT, DEV_FILE, DEV_TENANT, DEV_UPSTREAM
from fairlead.config.document import Document, read
from fairlead.config.engine import to_engine_bytes
from fairlead.config.merge import merge
from fairlead.config.paths import fits
from fairlead.config.salvage import Salvaged, salvage
from fairlead.config.schema import Config
from fairlead.config.sections.base import broken_rules
from fairlead.config.violation import ConfigError, Path
from fairlead.prices import lookup

_NO_TEXTS: Mapping[str, str] = MappingProxyType({})
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

    def load_text(self, text: bytes | str, file: str = "", sent: Mapping[str, str] = _NO_TEXTS) -> Loaded:
        """A text, with the texts of the files that it names in `workflows`; raises `ConfigError`."""
        return self.check(merge(read(text, file)), sent)

    def resolve_secrets(self, config: Config) -> secrets.ResolvedSecrets:
        """Reads every secret anew; raises `SecretUnavailable`."""
        return secrets.resolve_secrets(config, self._environ)

    def check(self, document: Document, sent: Mapping[str, str] = _NO_TEXTS) -> Loaded:
        """A document that was read; raises `ConfigError` with everything that is wrong."""
        if self._dev:
            document = merge((document, *read(DEV_TENANT, DEV_FILE)))
        workflows = workflow_files.included(document, sent)
        prices = lookup.priced(workflows.document)
        document = prices.document
        found = _Findings(document)
        for path, message in (*workflows.faults, *prices.faults):
            found.add(path, message)
        found.silence(workflows.unread)
        config = self._schema(found)
        if found.unreadable:
            # Names may be missing only because the text that defines them could not be read.
            raise ConfigError(found.violations)
        whole: Salvaged | None = Salvaged(config, {}) if config else salvage(document.value, found.paths)
        if whole is not None:
            for path, message in broken_rules(whole.config):
                found.add(whole.original(path), message)
        broken = frozenset(found.paths)
        for check in (references.check, quorums.check):
            for path, message in check(document.value):
                if path not in broken:
                    # A name that is none is unknown as well, which says nothing new.
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
        config = _with_different_names(whole.config)
        for text, message in compile(to_engine_bytes(config)):
            path = whole.original(_path(text, whole.config))
            if known and any(fits(path, pattern) for pattern in references.REFERENCES):
                # Names were checked against the whole document; the core may have seen a part of it.
                continue
            if (*path[:2], "unknownTier") in known and fits(path, "workflows[*].steps[*].onUnknown"):
                # Every step that would ask the tier is told that there is none.
                continue
            related = any(path[: len(other)] == other or other[: len(path)] == path for other in known)
            if path not in known and (not related or path[-1:] == ("when",)):
                found.add(path, message)


class _Findings:
    """Violations with their places, at most one per path and message."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.paths: list[Path] = [path for path, _, _ in document.faults]
        self.violations = [document.violation(path, message, place) for path, place, message in document.faults]
        self._reported = frozenset(self.paths)
        self._silenced: frozenset[Path] = frozenset()
        # A text, or a whole file of several, could not be read.
        self.unreadable = () in self._reported

    def add(self, path: Path, message: str) -> None:
        if path and path in self._reported:
            # A value that YAML itself makes no sense of has been reported.
            return
        if any(path[:end] in self._silenced for end in range(1, len(path) + 1)):
            return
        self.paths.append(path)
        self.violations.append(self.document.violation(path, message))

    def silence(self, paths: Iterable[Path]) -> None:
        """Says nothing more about values that could not be read."""
        self._silenced = frozenset(paths)


def read_files(path: FilePath) -> Document:
    """The document of a file, or of all `*.yaml` files of a directory, in the order of their names."""
    found = config_files(path)
    if not found:
        return Document(faults=[((), (str(path), 0), "has no *.yaml files")])
    if len(found) > _FILES_MAX:
        return Document(faults=[((), (str(path), 0), f"has more than {_FILES_MAX} files")])
    parts: list[tuple[FilePath, list[Document]]] = []
    for file in found:
        try:
            # One byte more than is read: a huge file is refused without reading it.
            with file.open("rb") as stream:
                text = stream.read((1 << 20) + 1)
        except OSError as error:
            reason = f"cannot be read: {error.strerror or 'unreadable'}"
            parts.append((file, [Document(faults=[((), (str(file), 0), reason)])]))
            continue
        parts.append((file, read(text, str(file))))
    return merge(document for _, documents in workflow_files.without_workflows(parts) for document in documents)


def config_files(path: FilePath) -> list[FilePath]:
    """The files of a configuration, in the order in which they are merged. Hidden files, such as the `..data` of a
    Kubernetes ConfigMap, are not among them."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.glob("*.yaml") if not file.name.startswith(".") and not file.is_dir())


# An index, a key that is no plain word, or a plain key.
_PARTS = re.compile(r'\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]|([^.\[\]]+)')


def _with_different_names(config: Config) -> Config:
    """Without workflows whose name another has, because the core calls them by their names; that there are two has been
    said."""
    first = {workflow.name: workflow for workflow in reversed(config.workflows)}
    if len(first) == len(config.workflows):
        return config
    kept = tuple(workflow for workflow in config.workflows if first[workflow.name] is workflow)
    return config.model_copy(update={"workflows": kept})


def _path(text: str, config: Config) -> Path:
    """A path as the native core writes it. Workflows are called by their names there, which may have dots in them."""
    for index, workflow in enumerate(config.workflows):
        head = f"workflows.{workflow.name}"
        if text == head or text.startswith(f"{head}."):
            return ("workflows", index, *_parse(text[len(head) :]))
    return _parse(text)


def _parse(text: str) -> Path:
    return tuple(
        int(index) if index else re.sub(r"\\(.)", r"\1", quoted) if quoted else key
        for index, quoted, key in _PARTS.findall(text)
    )
