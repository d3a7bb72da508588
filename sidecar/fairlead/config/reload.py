"""What happens when a watched file changes: the new configuration runs, or the old one stays and the log says why."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from fairlead.config.loader import Loader, read_files
from fairlead.config.secrets import files
from fairlead.config.service import ConfigurationService
from fairlead.config.violation import ConfigError
from fairlead.config.watch import Changed
from fairlead.control.errors import Refusal

_LOGGED_VIOLATIONS = 20

_log = logging.getLogger(__name__)


class Reloader:
    """Follows one configuration file or directory."""

    def __init__(
        self, path: Path, loader: Loader, service: ConfigurationService, secret_files: frozenset[Path]
    ) -> None:
        self._path = path
        self._loader = loader
        self._service = service
        self._secret_files = secret_files
        self._refused = False

    def secret_files(self) -> frozenset[Path]:
        """The files to watch: those of the running configuration and those a refused one waits for."""
        return self._secret_files

    async def on_change(self, changed: frozenset[Changed]) -> None:
        """Handles a change that the watcher saw."""
        if Changed.CONFIG in changed or self._refused:
            await self._reload()
        else:
            await self._rotate()

    async def _reload(self) -> None:
        source = str(self._path)
        document = await asyncio.to_thread(read_files, self._path)
        # A refused configuration may be waiting for a secret; the running one's have to be followed as well.
        named = files(document.value)
        self._secret_files |= named
        self._refused = True
        try:
            loaded = await asyncio.to_thread(self._loader.check, document)
            changed = await self._service.apply_loaded(loaded, source)
        except ConfigError as error:
            for violation in error.violations[:_LOGGED_VIOLATIONS]:
                _log.error("configuration refused, the running one stays", extra={"violation": str(violation)})
            await self._service.record_rejected(source, error.violations)
            return
        except Refusal as refusal:
            _log.error(
                "configuration refused, the running one stays",
                extra={"reason": refusal.reason, "error": refusal.message},
            )
            return
        self._refused = False
        self._secret_files = named
        if not changed:
            _log.info("configuration file changed, its meaning did not", extra={"source": source})

    async def _rotate(self) -> None:
        try:
            await self._service.reload_secrets()
        except Refusal as refusal:
            _log.error("secrets cannot be read anew, the old ones stay", extra={"error": refusal.message})
        else:
            _log.info("secrets read anew")
