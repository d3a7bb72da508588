"""Use cases of the configuration: apply, look at, compare, roll back; also for changes of files and secrets.

A version becomes the running one in one commit unit: the engine's switch, the version's text and history, the audit
record and the answer to the request id. When any part is refused, the running configuration stays.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pydantic import ValidationError

from fairlead.config.canonical import from_canonical
from fairlead.config.diff import diff
from fairlead.config.engine import to_engine
from fairlead.config.loader import Loaded, Loader
from fairlead.config.notices import notices
from fairlead.config.schema import Config
from fairlead.config.secrets import ResolvedSecrets, SecretUnavailable, secret_files
from fairlead.config.versions import ConfigVersions, Reader
from fairlead.config.violation import ConfigError, Violation
from fairlead.control.commands import Core, apply, to_the_end
from fairlead.control.errors import FieldViolation, Refusal, invalid_argument, temporary
from fairlead.control.requests import ControlRequest
from fairlead.internal.v1 import command_pb2
from fairlead.v1 import audit_record_pb2
from fairlead.v1 import config_service_pb2 as pb

SOURCE_API = "api"
SOURCE_ROLLBACK = "rollback"
SOURCE_RECOVERY = "recovery"
SOURCE_CERTIFICATES = "certificates"
DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500
_FIRST_VIOLATION_MAX_CHARACTERS = 512

_Answer = TypeVar("_Answer", pb.ApplyConfigResponse, pb.RollbackConfigResponse)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """The configuration in force."""

    config: Config
    canonical: str
    version: str


class ConfigurationService:
    """The running configuration and its versions. One change at a time."""

    def __init__(
        self,
        core: Core,
        reader: Reader,
        loader: Loader,
        running: Loaded,
        clock: Callable[[], int],
        on_applied: Callable[[Config, ResolvedSecrets], None] = lambda config, secrets: None,
        trusted: Mapping[str, str] = MappingProxyType({}),
        along: Callable[[Config], Iterable[command_pb2.Write]] = lambda config: (),
    ) -> None:
        """`running` and `trusted` (certificates by provider) are what the core was built with; `clock` gives Unix
        nanoseconds; `on_applied` is called after every change of configuration or secrets; `along` gives further writes
        for the unit that applies a configuration."""
        self._core = core
        self._reader = reader
        self._versions = ConfigVersions(reader)
        self._loader = loader
        self._running = Running(running.config, running.canonical, running.version)
        self._clock = clock
        self._on_applied = on_applied
        self._trusted = trusted
        self._along = along
        self._changing = asyncio.Lock()

    @property
    def running(self) -> Running:
        """The configuration in force."""
        return self._running

    def secret_files(self) -> frozenset[Path]:
        """The files that the running configuration's secrets come from."""
        return secret_files(self._running.config)

    async def begin(self, source: str) -> None:
        """Records the configuration that the sidecar started with, unless it is the one that ran last."""
        async with self._changing:
            if await asyncio.to_thread(self._versions.current) != self._running.version:
                await self._load(self._running, source, "", None)

    async def settle(self) -> None:
        """To be called when the store takes writes again; see `_settle`. What cannot be done now, the next change does
        first."""

        async def change() -> None:
            async with self._changing:
                await self._settle()

        try:
            await to_the_end(change())
        except Exception as error:
            if (refusal := temporary(error)) is None:
                raise
            _log.warning("stored configuration is not looked at yet", extra={"error": refusal.message})

    async def apply_loaded(self, loaded: Loaded, source: str, operator: str = "") -> bool:
        """Makes a configuration that was read from a file the running one; False when it is already. Secrets are read
        anew in both cases. Raises `Refusal`."""
        wanted = Running(loaded.config, loaded.canonical, loaded.version)

        async def change() -> bool:
            async with self._changing:
                await self._settle()
                if wanted.version == self._running.version:
                    await self._load_secrets()
                    return False
                await self._load(wanted, source, operator, None)
                return True

        return await to_the_end(change())

    async def reload_secrets(self) -> None:
        """Reads the running configuration's secrets anew; raises `Refusal`, and the old ones stay."""

        async def change() -> None:
            async with self._changing:
                await self._load_secrets()

        await to_the_end(change())

    async def record_rejected(self, source: str, violations: Sequence[Violation]) -> None:
        """Records in the audit log that a changed file is not valid."""
        first = str(violations[0]) if violations else ""
        rejected = audit_record_pb2.ConfigRejected(
            source=source, violations=len(violations), first_violation=first[:_FIRST_VIOLATION_MAX_CHARACTERS]
        )
        await apply(self._core, command_pb2.Command(config_rejected=rejected))

    async def apply(self, request: pb.ApplyConfigRequest, operator: str) -> pb.ApplyConfigResponse:
        """ApplyConfig."""
        if request.validate_only:
            return await self._validate(request)
        identity = ControlRequest.of(request, method="ApplyConfig", caller=operator)

        async def change() -> pb.ApplyConfigResponse:
            async with self._changing:
                await self._settle()
                answer = await self._first_answer(identity, pb.ApplyConfigResponse)
                if answer is not None:
                    return answer
                self._check_etag(request.etag)
                try:
                    loaded = await asyncio.to_thread(self._load_text, request)
                except ConfigError as error:
                    raise _refused(error) from None
                wanted = Running(loaded.config, loaded.canonical, loaded.version)
                entry = await self._switch(wanted, SOURCE_API, operator, identity, pb.ApplyConfigResponse)
                return pb.ApplyConfigResponse(version=entry)

        return await to_the_end(change())

    async def rollback(self, request: pb.RollbackConfigRequest, operator: str) -> pb.RollbackConfigResponse:
        """RollbackConfig."""
        identity = ControlRequest.of(request, method="RollbackConfig", caller=operator)

        async def change() -> pb.RollbackConfigResponse:
            async with self._changing:
                await self._settle()
                answer = await self._first_answer(identity, pb.RollbackConfigResponse)
                if answer is not None:
                    return answer
                wanted = await asyncio.to_thread(self._earlier, request.version)
                entry = await self._switch(wanted, SOURCE_ROLLBACK, operator, identity, pb.RollbackConfigResponse)
                return pb.RollbackConfigResponse(version=entry)

        return await to_the_end(change())

    async def get(self, request: pb.GetConfigRequest) -> pb.GetConfigResponse:
        """GetConfig."""
        return await asyncio.to_thread(self._get, request.version)

    async def list(self, request: pb.ListConfigVersionsRequest) -> pb.ListConfigVersionsResponse:
        """ListConfigVersions. No version comes twice while others are applied; one that runs again moves to the front,
        and a listing that has begun may miss it."""
        if request.page_size < 0:
            raise invalid_argument(("page_size", "must not be negative"))
        before = _read_token(request.page_token) if request.page_token else None
        size = min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        return await asyncio.to_thread(self._list, before, size)

    async def diff(self, request: pb.DiffConfigRequest) -> pb.DiffConfigResponse:
        """DiffConfig."""
        return await asyncio.to_thread(self._diff, request.from_version, request.to_version)

    def _get(self, version: str, field: str = "version") -> pb.GetConfigResponse:
        entry = self._versions.find(version, field)
        text = self._versions.text(entry.version)
        if text is None:
            raise Refusal("NOT_FOUND", f"the text of version {entry.version} is not stored", {"version": entry.version})
        return pb.GetConfigResponse(version=entry, canonical_json=text)

    def _list(self, before: int | None, size: int) -> pb.ListConfigVersionsResponse:
        page = pb.ListConfigVersionsResponse()
        last = 0
        for counter, entry in self._versions.history():
            if before is not None and counter >= before:
                continue
            if len(page.versions) == size:
                page.next_page_token = str(last)
                break
            page.versions.append(entry)
            last = counter
        return page

    def _diff(self, from_version: str, to_version: str) -> pb.DiffConfigResponse:
        before = self._get(from_version, "from_version")
        after = self._get(to_version, "to_version")
        changes = diff(json.loads(before.canonical_json), json.loads(after.canonical_json))
        return pb.DiffConfigResponse(
            changes=[pb.ConfigChange(path=change.path, before=change.before, after=change.after) for change in changes]
        )

    def _earlier(self, prefix: str) -> Running:
        """The stored version to go back to; raises `Refusal`."""
        if prefix:
            version = self._versions.find(prefix).version
        else:
            previous = self._versions.previous()
            if previous is None:
                raise Refusal("INVALID_STATE", "no other configuration has run before this one", {"state": "first"})
            version = previous.version
        text = self._get(version).canonical_json
        try:
            return Running(from_canonical(text), text, version)
        except (ValidationError, ValueError):
            raise Refusal(
                "INVALID_STATE",
                f"version {version} was written by another version of the program and is not valid for this one",
                {"version": version, "state": "incompatible"},
            ) from None

    async def _validate(self, request: pb.ApplyConfigRequest) -> pb.ApplyConfigResponse:
        self._check_etag(request.etag)
        try:
            loaded = await asyncio.to_thread(self._load_text, request)
        except ConfigError as error:
            violations = [
                pb.ConfigViolation(file=found.file, line=found.line, path=found.path, message=found.message)
                for found in error.violations
            ]
            return pb.ApplyConfigResponse(violations=violations)
        return pb.ApplyConfigResponse(
            version=pb.ConfigVersion(
                version=loaded.version, source=SOURCE_API, active=loaded.version == self._running.version
            )
        )

    def _load_text(self, request: pb.ApplyConfigRequest) -> Loaded:
        return self._loader.load_text(request.yaml, sent=request.files)

    def _check_etag(self, etag: str) -> None:
        if etag and etag != self._running.version:
            raise Refusal(
                "ETAG_MISMATCH",
                f"the running version is {self._running.version}: look at what changed and try again with it",
                {"etag": etag, "running": self._running.version},
            )

    async def _settle(self) -> None:
        """Makes what is stored as the current version and what runs one again; raises `Refusal` when that has to wait.

        A change whose commit failed may be stored all the same (nobody knows before the store is opened again): then
        its answer is there to be found by a retry, and the version has to run. When it cannot, the running one is
        recorded again.
        """
        current = await asyncio.to_thread(self._versions.current)
        if current == self._running.version:
            return
        _log.warning("a change that was cut off by the store has landed", extra={"config_version": current})
        try:
            wanted = await asyncio.to_thread(self._earlier, current)
            entry = await asyncio.to_thread(self._versions.find, current)
            await self._load(wanted, entry.source, entry.operator, None)
        except Refusal as refusal:
            if temporary(refusal):
                raise
            _log.error("it cannot run, the running configuration stays", extra={"error": refusal.message})
            await self._load(self._running, SOURCE_RECOVERY, "", None)

    async def _first_answer(self, identity: ControlRequest, answer: type[_Answer]) -> _Answer | None:
        return await asyncio.to_thread(identity.first_answer, self._reader, answer, self._clock())

    async def _switch(
        self,
        wanted: Running,
        source: str,
        operator: str,
        identity: ControlRequest,
        answer: type[pb.ApplyConfigResponse] | type[pb.RollbackConfigResponse],
    ) -> pb.ConfigVersion:
        """Makes a version the running one for a request, whose answer is remembered in the same unit."""
        if wanted.version != self._running.version:
            return await self._load(wanted, source, operator, (identity, answer))
        await self._load_secrets()
        entry = await asyncio.to_thread(self._versions.find, wanted.version)
        write = command_pb2.ControlWrite(writes=[identity.write(answer(version=entry), self._clock())])
        await apply(self._core, _command(operator, control_write=write))
        return entry

    async def _load(
        self,
        wanted: Running,
        source: str,
        operator: str,
        remembered: tuple[ControlRequest, type[pb.ApplyConfigResponse] | type[pb.RollbackConfigResponse]] | None,
    ) -> pb.ConfigVersion:
        now = self._clock()
        secrets = await self._secrets(wanted.config)
        entry = pb.ConfigVersion(version=wanted.version, source=source, operator=operator, active=True)
        entry.applied_at.FromNanoseconds(now)
        load = command_pb2.LoadConfig(
            config=to_engine(wanted.config, wanted.version, secrets.trusted),
            secrets=secrets.to_proto(),
            source=source,
        )
        load.writes.extend(await asyncio.to_thread(self._versions.writes, entry, wanted.canonical))
        load.writes.extend(self._along(wanted.config))
        if remembered is not None:
            identity, answer = remembered
            load.writes.append(identity.write(answer(version=entry), now))
        await apply(self._core, _command(operator, load_config=load))
        for notice in notices(wanted.config, self._running.config):
            _log.warning("%s", notice, extra={"config_version": wanted.version})
        self._running, self._trusted = wanted, secrets.trusted
        self._on_applied(wanted.config, secrets)
        _log.info("configuration applied", extra={"config_version": wanted.version, "source": source})
        return entry

    async def _load_secrets(self) -> None:
        secrets = await self._secrets(self._running.config)
        if secrets.trusted != self._trusted:
            # Whom a provider may be is more than a rotated key: it is applied, and so recorded, like a change.
            await self._load(self._running, SOURCE_CERTIFICATES, "", None)
            return
        load = command_pb2.LoadConfig(
            config=to_engine(self._running.config, self._running.version, secrets.trusted),
            secrets=secrets.to_proto(),
            secrets_only=True,
        )
        await apply(self._core, command_pb2.Command(load_config=load))
        self._on_applied(self._running.config, secrets)

    async def _secrets(self, config: Config) -> ResolvedSecrets:
        try:
            return await asyncio.to_thread(self._loader.resolve_secrets, config)
        except SecretUnavailable as error:
            raise Refusal("INVALID_ARGUMENT", f"a secret cannot be used: {error}") from None


def _command(
    operator: str,
    *,
    load_config: command_pb2.LoadConfig | None = None,
    control_write: command_pb2.ControlWrite | None = None,
) -> command_pb2.Command:
    return command_pb2.Command(
        caller=command_pb2.Caller(operator=operator), load_config=load_config, control_write=control_write
    )


def _refused(error: ConfigError) -> Refusal:
    count = len(error.violations)
    return Refusal(
        "INVALID_ARGUMENT",
        f"the configuration has {count} violation{'' if count == 1 else 's'}: the running one stays",
        violations=[
            FieldViolation(found.path or "yaml", f"{found.file and f'{found.file} '}line {found.line}: {found.message}")
            for found in error.violations
        ],
    )


def _read_token(token: str) -> int:
    if not token.isascii() or not token.isdigit() or len(token) > 20:
        raise invalid_argument(("page_token", "is not one that this method returned"))
    return int(token)
