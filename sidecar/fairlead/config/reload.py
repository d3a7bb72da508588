"""What happens when a watched file changes: the new configuration runs, or the old one stays and the log says why."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from fairlead.config.document import Document
from fairlead.config.loader import Loader, read_files
from fairlead.config.secrets import files
from fairlead.config.service import ConfigurationService
from fairlead.config.violation import ConfigError, Violation
from fairlead.config.watch import Changed
from fairlead.config.workflow_files import named_files
from fairlead.control.errors import Refusal, temporary
from fairlead.prices.lookup import book_files

_LOGGED_VIOLATIONS = 20
_NOTHING: frozenset[Changed] = frozenset()

_log = logging.getLogger(__name__)


def files_beside(document: Document) -> frozenset[Path]:
    """The price books and workflows that a document names, readable or not: a change of one is a change of the
    configuration."""
    return book_files(document) | named_files(document)


class Reloader:
    """Follows one configuration file or directory, if there is one, its price books and workflows, and the secrets of
    what runs."""

    def __init__(
        self,
        path: Path | None,
        loader: Loader,
        service: ConfigurationService,
        named: frozenset[Path] = frozenset(),
        beside: frozenset[Path] = frozenset(),
    ) -> None:
        """`named` are the secret files that the configuration's file names, `beside` its `files_beside`."""
        self._path = path
        self._loader = loader
        self._service = service
        self._named = named
        self._beside = beside
        # Whether the file is one that does not run, and what was said about that.
        self._refused = False
        self._violations: Sequence[Violation] = ()
        self._told = ""

    def secret_files(self) -> frozenset[Path]:
        """The files to watch: those of the running configuration, wherever that came from, and those that the file
        names, which may be refused for want of one."""
        return self._service.secret_files() | self._named

    def beside(self) -> frozenset[Path]:
        """The price books and workflows that the file names."""
        return self._beside

    async def on_change(self, changed: frozenset[Changed]) -> frozenset[Changed]:
        """Handles a change that the watcher saw; returns what of it has to be reported again, because it could not be
        decided now."""
        undecided = changed
        try:
            if self._path is not None and (Changed.CONFIG in changed or self._refused):
                if await self._reload(self._path, again=Changed.CONFIG not in changed):
                    return _NOTHING
                undecided -= {Changed.CONFIG}
            # Whatever the file is worth: what runs has to follow its own secrets.
            if Changed.SECRETS in changed:
                await self._rotate()
        except Exception as error:
            refusal = temporary(error)
            if refusal is None:
                raise
            if refusal.reason != self._told:
                self._told = refusal.reason
                fields = {"reason": refusal.reason, "error": refusal.message}
                _log.error("a change waits: it is tried again until it can be decided", extra=fields)
            return undecided
        self._told = ""
        return _NOTHING

    async def _reload(self, path: Path, *, again: bool) -> bool:
        """True when the file runs, with its secrets as they are now. `again`: the file itself has not changed."""
        source = str(path)
        document = await asyncio.to_thread(read_files, path)
        self._named, self._beside = files(document.value), files_beside(document)
        self._refused = True
        try:
            loaded = await asyncio.to_thread(self._loader.check, document)
            changed = await self._service.apply_loaded(loaded, source)
        except ConfigError as error:
            if not (again and error.violations == self._violations):
                await self._service.record_rejected(source, error.violations)
                for violation in error.violations[:_LOGGED_VIOLATIONS]:
                    _log.error("configuration refused, the running one stays", extra={"violation": str(violation)})
            self._violations = error.violations
            return False
        except Refusal as refusal:
            if temporary(refusal):
                raise
            _log.error(
                "configuration refused, the running one stays",
                extra={"reason": refusal.reason, "error": refusal.message},
            )
            return False
        self._refused, self._violations = False, ()
        if not changed:
            _log.info("configuration file changed, its meaning did not", extra={"source": source})
        return True

    async def _rotate(self) -> None:
        try:
            await self._service.reload_secrets()
        except Refusal as refusal:
            if temporary(refusal):
                raise
            _log.error("secrets cannot be read anew, the old ones stay", extra={"error": refusal.message})
        else:
            _log.info("secrets read anew")
