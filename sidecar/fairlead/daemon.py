"""The composition root: build → serve → drain. The one place where things are wired.

Start: configuration → store → core recovered → start recorded → control socket and front, which says NOT_READY →
configuration recorded → operators' server → serving. Stop, the other way round: nothing more is watched → not serving →
front drained → control servers → outbox, exporters → commit queue written and synced → store closed. A second signal
skips the drain: what was acknowledged is still written and synced.

| thread | does |
|---|---|
| main | the event loop: control services, signals, watching the configuration |
| fairlead-commit, fairlead-flush | the commit writer |
| fairlead-control-N | blocking parts of control calls |
| fairlead-front, fairlead-io | the native front; they never touch Python |
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import random
import secrets
import signal
import sys
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from fairlead import endpoints, log
from fairlead.approval.service import ApprovalDeskService
from fairlead.approval.tickets import TicketService
from fairlead.approval.votes import Votes
from fairlead.approval.watch import ApprovalWatchService
from fairlead.audit.consumers import metrics as consumer_metrics
from fairlead.audit.consumers.model import ConsumerLimits
from fairlead.audit.consumers.service import Consumers
from fairlead.audit.erasure.service import ErasureService
from fairlead.audit.service import AuditLogService
from fairlead.audit.store import AuditLog
from fairlead.audit.transparency import metrics as seal_metrics
from fairlead.audit.transparency.keys import KeyUnusable, own_key, private_key
from fairlead.audit.transparency.sealing import Sealing
from fairlead.audit.transparency.service import TransparencyService
from fairlead.audit.transparency.store import Seals
from fairlead.audit.trimming import metrics as trimming_metrics
from fairlead.audit.trimming.service import Trimming
from fairlead.backup.restored import RestoredStore
from fairlead.backup.service import BackupService
from fairlead.budget.service import BudgetLedgerService
from fairlead.checkpoint.model import CheckpointSettings
from fairlead.checkpoint.service import CheckpointService
from fairlead.config import Config, Loader, ResolvedSecrets, to_engine_bytes
from fairlead.config.document import Document
from fairlead.config.loader import config_files, read_files
from fairlead.config.notices import notices
from fairlead.config.reload import Reloader, files_beside
from fairlead.config.secrets import files
from fairlead.config.sections.durability import Durability
from fairlead.config.sections.limits import Limits
from fairlead.config.service import ConfigurationService
from fairlead.config.watch import Watcher
from fairlead.control.access import OperatorCredential, Operators
from fairlead.control.approval_service import ApprovalServicer, ApprovalTicketServicer
from fairlead.control.audit_service import AuditServicer
from fairlead.control.backup_service import BackupServicer
from fairlead.control.budget_service import BudgetServicer
from fairlead.control.checkpoint_service import CheckpointServicer
from fairlead.control.commands import apply
from fairlead.control.config_service import ConfigServicer
from fairlead.control.metrics_service import MetricsService
from fairlead.control.notification_service import NotificationServicer
from fairlead.control.server import (
    OperatorServer,
    Servicers,
    SocketInUse,
    SocketUnusable,
    start_control_server,
)
from fairlead.control.store_service import StoreService
from fairlead.control.workflow_service import WorkflowServicer
from fairlead.exporting import metrics as exporting_metrics
from fairlead.exporting.lane import Readable
from fairlead.exporting.places import Places
from fairlead.exporting.service import Exporting
from fairlead.internal.v1 import command_pb2
from fairlead.native import Core
from fairlead.notification import metrics
from fairlead.notification.desk import NotificationDeskService
from fairlead.notification.sending import SenderOnDemand
from fairlead.notification.service import Outbox
from fairlead.retention.service import RetentionService
from fairlead.startup import (
    CannotStart,
    ExitCode,
    load_configuration,
    open_data_directory,
    operator_tcp,
    private_directory,
    program_version,
    recover,
    until_taken,
    write_endpoints,
)
from fairlead.store import CommitFeed, Store
from fairlead.store.writer import CommitWriter
from fairlead.workflow.desk import WorkflowDesk

# How long a Python thread that computes keeps the interpreter from the commit writer. With the default of 5 ms a commit
# beside a busy control service took 5.5 ms (p50), with 0.1 ms it takes 0.3 ms; pure Python work pays for it with more
# switches, some percent when two threads compute (docs/decisions/0009).
SWITCH_INTERVAL_SECONDS = 0.0001
# Blocking parts of control calls: store reads and commands that wait for their commit.
CONTROL_THREADS = 16
# What control calls get to end once the front has none in flight.
CONTROL_GRACE_SECONDS = 2.0
FORCED_FLUSH_SECONDS = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. Listen addresses that are None come from the configuration."""

    config: Path | None
    data: Path
    dev: bool = False
    agent_listen: str | None = None
    health_listen: str | None = None
    grace_seconds: float = 20.0
    worker_threads: int = 2


def serve(options: Options) -> int:
    """Runs the daemon until it is told to stop; returns the exit code."""
    # Before anything is made: RocksDB, too, makes files for everybody.
    os.umask(0o077)
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    return asyncio.run(Daemon(options).run())


class Daemon:
    """One life of the sidecar. Parts are None until they are built; a stop takes down what is there."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._code: int = ExitCode.STOPPED
        self._stopping = asyncio.Event()
        self._signals = 0
        self._background: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._operators = Operators()
        self._checkpoints = CheckpointSettings.of(Limits(), Durability())
        self._consumers = ConsumerLimits.of(Limits())
        self._core: Core | None = None
        self._store: Store | None = None
        self._writer: CommitWriter | None = None
        self._audit: AuditLogService | None = None
        self._sealing: Sealing | None = None
        self._tickets: TicketService | None = None
        self._workflows: WorkflowDesk | None = None
        self._outbox: Outbox | None = None
        self._exporting: Exporting | None = None
        self._approvals: ApprovalWatchService | None = None
        self._configuration: ConfigurationService | None = None
        self._control_server: grpc.aio.Server | None = None
        self._operator_server: OperatorServer | None = None
        self._serving = False

    async def run(self) -> int:
        """Starts, serves, stops."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(CONTROL_THREADS, "fairlead-control"))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            await self._start()
            await self._stopping.wait()
        except CannotStart as refusal:
            self._code = refusal.code
            _log.error("%s", refusal)
        except Exception:
            self._code = ExitCode.FAULT
            _log.exception("the sidecar cannot go on")
        await self._stop()
        return self._code

    # Start -----------------------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        options, loop = self._options, asyncio.get_running_loop()
        # Before the files are read, so that an edit right behind that is seen.
        document = read_files(options.config) if options.config is not None else Document()
        named, beside = files(document.value), files_beside(document)
        reloader: Reloader | None = None
        watcher = Watcher(
            options.config,
            lambda: named if reloader is None else reloader.secret_files(),
            listing=lambda path: [*config_files(path), *sorted(beside if reloader is None else reloader.beside())],
        )
        loader = Loader(Core.compile, dev=options.dev)
        loaded, resolved = load_configuration(loader, options.config)
        self._on_applied(loaded.config, resolved)

        store = self._store = open_data_directory(options.data)
        engine_config = to_engine_bytes(loaded.config, loaded.version, resolved.trusted)
        core = self._core = Core(engine_config, resolved.to_proto().SerializeToString())
        feed = CommitFeed(loop)

        def available(now: bool, reason: str) -> None:
            loop.call_soon_threadsafe(self._on_available, now)

        def fault(what: BaseException) -> None:
            loop.call_soon_threadsafe(self._on_fault, what)

        feed.publish(recover(core, store).sequence)
        self._writer = CommitWriter(core, store, committed=feed.publish, available=available, fault=fault)
        self._writer.start()

        sender = SenderOnDemand(time.time_ns, program_version())
        outbox = self._outbox = Outbox(core, store, feed, sender, time.time_ns, random.random)
        outbox.apply(loaded.config, resolved)
        await outbox.load()
        along = outbox.first_cursors
        configuration = ConfigurationService(
            core, store, loader, loaded, time.time_ns, self._on_applied, resolved.trusted, along
        )
        consumers = Consumers(core, store, feed, time.time_ns, lambda: self._consumers)
        await consumers.load()
        sealing = Sealing(core, store, feed, time.time_ns)
        await sealing.load()
        self._sealing = sealing
        self._use_signing_key(resolved)
        trimming = Trimming(
            core,
            store,
            self._writer,
            lambda: configuration.running.config.retention.audit,
            time.time_ns,
            sealing,
            consumers,
            outbox,
        )
        self._audit = AuditLogService(store, feed, consumers, sealing)
        readable = Readable(consumers, AuditLog(store), feed, Seals(store), sealing)
        places = Places(time.time_ns, program_version(), store, feed)
        exporting = self._exporting = Exporting(readable, places.destination, random.random)
        exporting.apply(loaded.config, resolved)
        votes = Votes()
        self._tickets = TicketService(store, votes, time.time_ns)
        workflows = self._workflows = WorkflowDesk(core, store, feed, lambda: configuration.running, time.time_ns)
        checkpoints = CheckpointService(core, store, lambda: self._checkpoints)
        self._approvals = ApprovalWatchService(store, feed, time.time_ns)
        servicers = Servicers(
            approval=ApprovalServicer(ApprovalDeskService(core, store, votes, time.time_ns), self._approvals),
            ticket=ApprovalTicketServicer(self._tickets),
            audit=AuditServicer(
                self._audit, TransparencyService(store, sealing), ErasureService(core, store, time.time_ns)
            ),
            backup=BackupServicer(
                BackupService(core, store, self._writer, options.data, time.time_ns, program_version())
            ),
            budget=BudgetServicer(BudgetLedgerService(core, store, time.time_ns)),
            checkpoint=CheckpointServicer(checkpoints),
            config=ConfigServicer(configuration),
            workflow=WorkflowServicer(workflows),
            notification=NotificationServicer(NotificationDeskService(outbox, sender, store, time.time_ns)),
            store=StoreService(store),
            metrics=MetricsService(
                [
                    lambda: metrics.page(outbox, time.time_ns()),
                    lambda: consumer_metrics.page(consumers, time.time_ns()),
                    lambda: seal_metrics.page(sealing),
                    lambda: trimming_metrics.page(trimming),
                    lambda: exporting_metrics.page(exporting),
                ]
            ),
        )

        async def record_start() -> None:
            await apply(core, command_pb2.Command(start=command_pb2.Start(program_version=program_version())))

        restored = RestoredStore(core, store)

        async def record_configuration() -> None:
            await configuration.begin(str(options.config or "--dev"))

        if not await until_taken(record_start, self._stopping):
            return
        if not await until_taken(restored.record, self._stopping):
            return
        # From here on probes are answered: whoever waits below is alive, but not ready.
        agent, health = await self._listen_for_agents(core, loaded.config, servicers)
        # The first line of the log is the one with the ports; it names the version, too.
        with log.silenced("fairlead.config.service"):
            if not await until_taken(record_configuration, self._stopping):
                return
        operator, operator_tcp_address = await self._listen_for_operators(loaded.config, servicers)
        reached = endpoints.Endpoints(agent, health, operator, os.getpid(), operator_tcp_address)
        # What lives now lives as long as the daemon: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        write_endpoints(reached, options.data)
        core.set_serving(True)
        self._serving = True
        workflows.start()
        self._configuration = configuration
        outbox.start()
        exporting.start()
        self._spawn(checkpoints.sweep())
        self._spawn(consumers.run())
        self._spawn(sealing.run())
        kept = RetentionService(
            core,
            store,
            self._writer,
            lambda: configuration.running.config.retention,
            time.time_ns,
            consumers.unread_since,
        )
        self._spawn(kept.run())
        self._spawn(trimming.run())
        await self._set_operator_health(True)
        _log.info(
            "serving",
            extra={**reached.reached(), "config_version": loaded.version, "pid": reached.pid},
        )
        if options.dev:
            _log.warning("DEVELOPMENT MODE: anyone who can reach the agent endpoint is tenant dev with token dev")
        for notice in notices(loaded.config, idle_books=loaded.idle_books):
            _log.warning("%s", notice)
        reloader = Reloader(options.config, loader, configuration, named, beside)
        self._watching = asyncio.create_task(watcher.run(reloader.on_change))

    async def _listen_for_agents(self, core: Core, config: Config, servicers: Servicers) -> tuple[str, str]:
        """The front, and the control services behind it; returns the bound addresses of agents and health."""
        options = self._options
        control_socket = private_directory(options.data / "run") / "control.sock"
        control_key = secrets.token_urlsafe(32)
        with _refusing_sockets():
            self._control_server = await start_control_server(control_socket, control_key, servicers)
        agent = options.agent_listen or config.listen.agent
        health = options.health_listen or config.listen.health
        front = {
            "agent": agent,
            "health": health,
            "control_socket": str(control_socket),
            "control_key": control_key,
            "worker_threads": options.worker_threads,
        }
        try:
            agent_port, health_port = core.start(json.dumps(front))
        except OSError as error:
            raise CannotStart(ExitCode.ADDRESS, error.strerror or str(error)) from error
        return endpoints.with_port(agent, agent_port), endpoints.with_port(health, health_port)

    async def _listen_for_operators(self, config: Config, servicers: Servicers) -> tuple[str, str | None]:
        """The operators' server; returns its address, and that on TCP if there is to be one."""
        # An absolute path stays what it is.
        socket = self._options.data / config.listen.operator.unix
        self._operator_server = OperatorServer(self._operators, servicers)
        tcp = operator_tcp(config)
        with _refusing_sockets():
            port = await self._operator_server.start(socket, tcp)
        return f"unix:{socket}", endpoints.with_port(tcp.address, port) if tcp is not None and port else None

    # While it serves --------------------------------------------------------------------------------------------------

    def _on_applied(self, config: Config, resolved: ResolvedSecrets) -> None:
        """A configuration or its secrets began to run."""
        log.redactor.replace(resolved.to_hide())
        self._checkpoints = CheckpointSettings.of(config.limits, config.durability)
        self._consumers = ConsumerLimits.of(config.limits)
        self._operators.replace(
            OperatorCredential.of(operator.name, operator.roles, resolved.operators[operator.name])
            for operator in config.operators
        )
        if self._outbox is not None:
            self._outbox.apply(config, resolved)
        if self._exporting is not None:
            self._exporting.apply(config, resolved)
        self._use_signing_key(resolved)

    def _use_signing_key(self, resolved: ResolvedSecrets) -> None:
        """Checkpoints are signed with the configuration's key, else with one of the data directory."""
        if self._sealing is None:
            return
        try:
            key = private_key(resolved.signing_key) if resolved.signing_key else own_key(self._options.data)
        except KeyUnusable as error:
            if not self._serving:
                raise CannotStart(ExitCode.DATA_DIRECTORY, str(error)) from error
            _log.error("the key that signed before goes on signing the audit log", extra={"error": str(error)})
        else:
            self._sealing.use(key)

    def _on_available(self, available: bool) -> None:
        """The store went away or came back. The front knows by itself and says STORE_UNAVAILABLE, which says more than
        DRAINING would: here it is about the operators' health only."""
        if not self._serving:
            return
        self._spawn(self._set_operator_health(available))
        if available and self._configuration is not None:
            self._spawn(self._configuration.settle())

    def _on_fault(self, fault: BaseException) -> None:
        """What must never happen did: the process is not worth going on with."""
        _log.critical("internal fault: the sidecar stops", exc_info=fault)
        self._code = ExitCode.FAULT
        self._stopping.set()

    def _on_signal(self, number: signal.Signals) -> None:
        self._signals += 1
        if self._signals == 1:
            _log.info("stopping", extra={"signal": number.name, "grace_seconds": self._options.grace_seconds})
            self._stopping.set()
        elif self._signals == 2:
            _log.warning("stopping without grace: calls in flight are cut", extra={"signal": number.name})
            self._spawn(self._end_at_once(128 + number))
        else:
            os._exit(128 + number)

    async def _set_operator_health(self, serving: bool) -> None:
        if self._operator_server is not None:
            await self._operator_server.set_serving(serving)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    # Stop -------------------------------------------------------------------------------------------------------------

    async def _stop(self) -> None:
        """Takes down what is there; every acknowledged command is on the disk afterwards."""
        self._serving = False
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        core = self._core
        if core is not None:
            core.set_serving(False)
        await self._set_operator_health(False)
        if self._audit is not None:
            self._audit.drain()
        if self._tickets is not None:
            self._tickets.drain()
        if self._workflows is not None:
            await self._workflows.drain()
        if self._approvals is not None:
            self._approvals.drain()
        if core is not None and not await asyncio.to_thread(core.shutdown, int(self._options.grace_seconds * 1000)):
            _log.warning("calls were cut at the end of the grace")
        if self._control_server is not None:
            await self._control_server.stop(CONTROL_GRACE_SECONDS)
        if self._operator_server is not None:
            await self._operator_server.stop(CONTROL_GRACE_SECONDS)
        if self._outbox is not None:
            await self._outbox.stop(CONTROL_GRACE_SECONDS)
        if self._exporting is not None:
            if self._sealing is not None and self._exporting.lanes():
                # The last checkpoint goes out behind the last records.
                await self._sealing.stop()
            await self._exporting.stop(CONTROL_GRACE_SECONDS)
        await self._end_of_changes()
        if self._sealing is not None:
            await self._sealing.stop()
        if self._writer is not None:
            await asyncio.to_thread(self._writer.stop)
        if core is not None:
            # A command that comes after the last batch would wait for ever.
            core.fail_store("the sidecar has stopped")
        if self._store is not None:
            endpoints.remove(self._options.data)
            self._store.close()
        for task in tuple(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._code == ExitCode.STOPPED:
            _log.info("stopped")

    async def _end_of_changes(self) -> None:
        """Waits for changes that go on although their callers were cut."""
        changes = asyncio.all_tasks() - self._background - {asyncio.current_task()}
        if changes:
            await asyncio.wait(changes, timeout=CONTROL_GRACE_SECONDS)

    async def _end_at_once(self, code: int) -> None:
        """Skips the drain, but not the writing of what was decided."""
        if self._writer is not None:
            await asyncio.wait(
                {asyncio.ensure_future(asyncio.to_thread(self._writer.stop))}, timeout=FORCED_FLUSH_SECONDS
            )
        if self._store is not None:
            endpoints.remove(self._options.data)
        os._exit(code)


@contextlib.contextmanager
def _refusing_sockets() -> Iterator[None]:
    """A socket that cannot be had is a reason not to start."""
    try:
        yield
    except SocketUnusable as error:
        raise CannotStart(ExitCode.DATA_DIRECTORY, str(error)) from error
    except SocketInUse as error:
        raise CannotStart(ExitCode.ADDRESS, str(error)) from error
