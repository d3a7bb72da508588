"""Backups of a running and of a stopped sidecar, and the way back from them."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from fairlead.client import Replayed, ToolOutcome
from fairlead.store import Family, StoreError, open_store
from fairlead.v1 import audit_record_pb2, audit_service_pb2, audit_service_pb2_grpc, backup_service_pb2_grpc
from fairlead.v1 import backup_service_pb2 as pb

from . import people
from .calls import Agent, budgets, events, explained, refused
from .harness import ASHA_TOKEN, MODELS, OTHER_TOKEN, PROVIDER_KEY, TOKEN, Daemon, bearer
from .people import granted, refund

KIND = audit_record_pb2.EventKind
BUDGET = "budgets:\n  - {name: tenant-life, scope: [tenant], limit: {usd: 9}, window: lifetime}\n"
LOUD = "A SIDE EFFECT THAT HAS RUN SINCE WILL RUN AGAIN"


def backup(daemon: Daemon, *arguments: str | Path, code: int = 0, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Runs `fairlead backup …` and compares its exit code."""
    command = [sys.executable, "-m", "fairlead.cli.main", "backup", *map(str, arguments)]
    done = subprocess.run(command, env=daemon.environment, capture_output=True, timeout=60, check=False, **options)
    assert done.returncode == code, done.stdout[-2000:] + done.stderr
    return done


def create(daemon: Daemon, to: str | Path) -> str:
    """Makes a backup; the head that is printed."""
    out = backup(daemon, "create", "--to", to, "--data", daemon.data).stdout.decode()
    return out.splitlines()[1].removeprefix("head: ")


def restored(daemon: Daemon, place: Path, of: Path) -> Daemon:
    """A daemon, not started, with what a backup is restored to."""
    place.mkdir()
    other = Daemon(place, daemon.config.read_text(), environment=people.ENVIRONMENT)
    said = backup(daemon, "restore", "--from", of, "--data", other.data)
    assert LOUD in said.stderr.decode()
    return other


def verified(daemon: Daemon) -> audit_service_pb2.VerifyChainResponse:
    stub: Any = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
    request = audit_service_pb2.VerifyChainRequest()
    response: audit_service_pb2.VerifyChainResponse = stub.VerifyChain(request, timeout=60)
    assert response.valid, response.problem
    return response


def spent(daemon: Daemon) -> int:
    return budgets(daemon)["tenant-life/-"].spent.nano_usd


def changes(daemon: Daemon) -> list[audit_record_pb2.AuditRecord]:
    return events(daemon, KIND.EVENT_KIND_CONTROL_CHANGED)


def left_in(directory: Path) -> list[str]:
    """What is in a directory, hidden files as well."""
    return sorted(path.name for path in directory.iterdir())


# There and back ------------------------------------------------------------------------------------------------------


def test_a_restored_directory_is_that_moment_and_says_so(tmp_path: Path) -> None:
    with Daemon(tmp_path, people.CONFIG + MODELS + BUDGET, environment=people.ENVIRONMENT) as daemon:
        agent = Agent(daemon)
        settled = agent.admit("r-1").invocation
        agent.settle("s-1", settled)
        held = agent.admit("r-2").invocation
        with people.client(daemon) as tools:
            done = granted(refund(tools, "done", 10))
            tools.complete_tool(done.grant, ToolOutcome.SUCCEEDED, {"refund": "r-1"})
            asked = people.pending(refund(tools, "asked"))
        then = spent(daemon)
        head = create(daemon, tmp_path / "backup")
        sequence, _, head_hash = head.partition(":")

        # What the restored directory must not know.
        later = agent.admit("r-3").invocation
        agent.settle("s-3", later)
        with people.client(daemon) as tools:
            granted(refund(tools, "later", 10))
        assert spent(daemon) > then > 0
        (created,) = changes(daemon)
        assert (created.control_changed.subject, created.operator) == ("backup.created", "local")
        assert dict(created.control_changed.detail) == {"audit_sequence": int(sequence), "audit_head": head_hash}
        assert created.sequence == int(sequence) + 1, "the record of a backup comes behind its head"
        assert daemon.terminate() == 0

        with restored(daemon, tmp_path / "again", tmp_path / "backup") as again:
            again.wait_log(
                "THE STORE WAS RESTORED FROM A BACKUP: what was spent, granted, approved and done since then is not "
                "known here; side effects since then can run again"
            )
            assert spent(again) == then
            assert explained(again, settled).state == audit_record_pb2.INVOCATION_STATE_SETTLED
            assert explained(again, held).state == audit_record_pb2.INVOCATION_STATE_OPEN
            assert refused(lambda: explained(again, later)).reason == "NOT_FOUND"
            # A repeated request finds its answer, and what was open can go on.
            agent = Agent(again)
            assert agent.admit("r-1").invocation == settled
            agent.settle("s-2", held)
            with people.client(again) as tools:
                assert isinstance(refund(tools, "done", 10), Replayed)
                # As it is said loudly: what was done since is not known.
                granted(refund(tools, "later", 10))
                for who in ("asha", "ben"):
                    people.vote(again, who, "approve", asked.approval)
                granted(refund(tools, "asked", ticket=asked.ticket))
            (change,) = changes(again)
            assert change.control_changed.subject == "store.restored"
            assert (change.operator, change.tenant) == ("", "")
            detail = dict(change.control_changed.detail)
            assert (detail["audit_sequence"], detail["audit_head"]) == (int(sequence), head_hash)
            assert detail["backup_time"] < detail["restore_time"]
            behind = [record.kind for record in events(again)][int(sequence) :]
            assert behind[:2] == [KIND.EVENT_KIND_SIDECAR_STARTED, KIND.EVENT_KIND_CONTROL_CHANGED]
            verified(again)
            again.restart()
            assert len(changes(again)) == 1, "it is recorded once"
            assert "RESTORED" not in again.log_text()


def test_backups_under_load_are_each_a_moment(tmp_path: Path) -> None:
    """Callers go on while backups are made; each restores to a store whose log ends where its manifest says, and whose
    budget is the sum of what that log charged."""
    stop = threading.Event()
    acknowledged: list[str] = []

    def call(number: int) -> None:
        agent, turn = Agent(daemon), 0
        while not stop.is_set():
            turn += 1
            invocation = agent.admit(f"a-{number}-{turn}").invocation
            agent.settle(f"s-{number}-{turn}", invocation)
            acknowledged.append(invocation)

    with Daemon(tmp_path) as daemon:
        callers = [threading.Thread(target=call, args=(number,)) for number in range(3)]
        for caller in callers:
            caller.start()
        known: list[set[str]] = []
        try:
            for turn in range(3):
                known.append(set(acknowledged))
                to = tmp_path / (f"backup-{turn}.tar" if turn % 2 else f"backup-{turn}")
                create(daemon, to)
        finally:
            stop.set()
            for caller in callers:
                caller.join(30)
        verified(daemon)
        assert daemon.terminate() == 0
        assert not (daemon.data / "checkpoint").exists()
        for turn, before in enumerate(known):
            name = f"backup-{turn}.tar" if turn % 2 else f"backup-{turn}"
            backup(daemon, "verify", "--from", tmp_path / name)
            with restored(daemon, tmp_path / f"again-{turn}", tmp_path / name) as again:
                log = events(again)
                charged = {r.invocation: r.settlement.charged.nano_usd for r in log if r.HasField("settlement")}
                assert before <= charged.keys() and charged.keys() <= set(acknowledged) | charged.keys()
                assert spent(again) == sum(charged.values())


def test_a_backup_of_a_stopped_or_killed_sidecar_needs_none(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        held = Agent(daemon).admit("r-1").invocation
        daemon.kill()
        said = backup(daemon, "create", "--to", tmp_path / "killed.tar", "--data", daemon.data)
        assert b"reading it offline" in said.stderr
        backup(daemon, "create", "--to", tmp_path / "asked", "--data", daemon.data, "--offline")
        daemon.start()
        locked = backup(daemon, "create", "--to", tmp_path / "no", "--data", daemon.data, "--offline", code=3)
        assert b"another fairlead daemon is using" in locked.stderr
        assert daemon.terminate() == 0
        for name in ("killed.tar", "asked"):
            with restored(daemon, tmp_path / f"again-{name}", tmp_path / name) as again:
                assert explained(again, held).state == audit_record_pb2.INVOCATION_STATE_OPEN


def test_an_archive_goes_through_pipes(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        held = Agent(daemon).admit("r-1").invocation
        made = backup(daemon, "create", "--to", "-", "--data", daemon.data)
        assert b"backed up" in made.stderr
        backup(daemon, "verify", "--from", "-", input=made.stdout)
        (tmp_path / "again").mkdir()
        again = Daemon(tmp_path / "again")
        backup(daemon, "restore", "--from", "-", "--data", again.data, input=made.stdout)
        with again:
            assert explained(again, held).state == audit_record_pb2.INVOCATION_STATE_OPEN
        # Cut short, it is no backup.
        cut = backup(daemon, "verify", "--from", "-", input=made.stdout[: len(made.stdout) // 2], code=1)
        assert b"not a whole one" in cut.stderr


def test_a_backup_is_private_and_has_no_secret(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        Agent(daemon).admit("r-1")
        create(daemon, tmp_path / "backup")
        create(daemon, tmp_path / "backup.tar")
    for path in (tmp_path / "backup", *(tmp_path / "backup").rglob("*"), tmp_path / "backup.tar"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    secrets = [secret.encode() for secret in (TOKEN, OTHER_TOKEN, ASHA_TOKEN, PROVIDER_KEY)]
    backup(daemon, "restore", "--from", tmp_path / "backup", "--data", tmp_path / "again")
    with open_store(tmp_path / "again", read_only=True) as store:
        # Through the store: what is compressed in the files is not so here.
        stored = b"\0".join(key + value for family in Family for key, value in store.scan(family))
    assert b"TEST_PROVIDER_KEY" in stored, "the configuration is in it, with its references"
    for path in (tmp_path / "backup").rglob("*"):
        stored += path.read_bytes() if path.is_file() else b""
    assert [secret for secret in secrets if secret in stored] == []


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.fixture
def made(tmp_path: Path) -> tuple[Daemon, Path]:
    """A stopped daemon and a backup of it."""
    with Daemon(tmp_path) as daemon:
        Agent(daemon).admit("r-1")
        create(daemon, tmp_path / "backup")
        assert daemon.terminate() == 0
    return daemon, tmp_path / "backup"


def test_nothing_is_restored_over_anything(made: tuple[Daemon, Path], tmp_path: Path) -> None:
    daemon, of = made
    before = left_in(daemon.data)
    refusal = backup(daemon, "restore", "--from", of, "--data", daemon.data, code=3)
    assert f"data directory {daemon.data} is not empty".encode() in refusal.stderr
    assert left_in(daemon.data) == before
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").touch()
    assert b"notes.txt is there" in backup(daemon, "restore", "--from", of, "--data", other, code=3).stderr
    # A new volume has this.
    (other / "notes.txt").rename(tmp_path / "notes.txt")
    (other / "lost+found").mkdir()
    backup(daemon, "restore", "--from", of, "--data", other)
    assert left_in(other) == ["daemon.lock", "db", "lost+found"]


def test_nothing_is_backed_up_over_anything(made: tuple[Daemon, Path], tmp_path: Path) -> None:
    daemon, of = made
    before = (of / "manifest.json").read_bytes()
    there = backup(daemon, "create", "--to", of, "--data", daemon.data, code=1)
    assert b"is there and not an empty directory" in there.stderr
    assert (of / "manifest.json").read_bytes() == before
    (tmp_path / "there.tar").touch()
    assert b"is there" in backup(daemon, "create", "--to", tmp_path / "there.tar", "--data", daemon.data, code=1).stderr


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def largest(of: Path) -> Path:
    return max((of / "db").iterdir(), key=lambda path: path.stat().st_size)


DAMAGE: dict[str, tuple[Callable[[Path], object], bytes]] = {
    "a flipped bit": (lambda of: flipped(largest(of)), b"is not what was backed up"),
    "a file cut short": (lambda of: largest(of).write_bytes(b""), b"bytes instead of"),
    "a missing file": (lambda of: largest(of).unlink(), b"is missing"),
    "a file too many": (lambda of: (of / "db/000999.sst").touch(), b"is not in manifest.json"),
    "a strange name": (lambda of: (of / "db/.hidden").touch(), b"is not the name of a file of a backup"),
    "no manifest": (lambda of: (of / "manifest.json").unlink(), b"has no manifest.json"),
    "half a manifest": (lambda of: (of / "manifest.json").write_text("{"), b"manifest.json is not JSON"),
    "a later format": (
        lambda of: (of / "manifest.json").write_text('{"format": 2}'),
        b"has format version 2; this program knows 1",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_backup_is_refused_and_named_and_nothing_is_made(
    made: tuple[Daemon, Path], tmp_path: Path, damage: str
) -> None:
    daemon, of = made
    harm, said = DAMAGE[damage]
    harm(of)
    data = tmp_path / "again"
    for command in (("verify", "--from", of), ("restore", "--from", of, "--data", data)):
        assert said in backup(daemon, *command, code=1).stderr
    assert left_in(data) == ["daemon.lock"]


def test_a_manifest_that_names_another_head_is_refused(made: tuple[Daemon, Path], tmp_path: Path) -> None:
    """All digests fit: only the log itself says that it is not the one."""
    daemon, of = made
    manifest = of / "manifest.json"
    sequence = int(manifest.read_text().partition('"audit_sequence": ')[2].partition(",")[0])
    manifest.write_text(
        manifest.read_text().replace(f'"audit_sequence": {sequence}', f'"audit_sequence": {sequence + 1}')
    )
    for command in (("verify", "--from", of), ("restore", "--from", of, "--data", tmp_path / "again")):
        assert f"the audit log ends with {sequence}:".encode() in backup(daemon, *command, code=1).stderr


def test_an_archive_that_reaches_out_of_its_directory_is_refused(made: tuple[Daemon, Path], tmp_path: Path) -> None:
    daemon, _ = made
    for name in ("../escaped", "/tmp/escaped", "db/../../escaped", "db/x/y"):
        with tarfile.open(tmp_path / "hostile.tar", "w") as archive:
            entry = tarfile.TarInfo(name)
            archive.addfile(entry)
        refusal = backup(daemon, "restore", "--from", tmp_path / "hostile.tar", "--data", tmp_path / "again", code=1)
        assert b"is not the name of a file of a backup" in refusal.stderr
    with tarfile.open(tmp_path / "hostile.tar", "w") as archive:
        link = tarfile.TarInfo("db/CURRENT")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    refusal = backup(daemon, "verify", "--from", tmp_path / "hostile.tar", code=1)
    assert b"is not a regular file" in refusal.stderr


def test_a_restore_that_broke_off_does_not_become_an_empty_start(made: tuple[Daemon, Path], tmp_path: Path) -> None:
    daemon, of = made
    (tmp_path / "again").mkdir()
    again = Daemon(tmp_path / "again")
    # As a kill in the middle leaves it.
    (again.data / "restoring" / "db").mkdir(parents=True)
    shutil.copy(of / "db" / "CURRENT", again.data / "restoring" / "db")
    assert again.run_to_the_end() == 3
    assert "a restore into" in again.log_text() and "was not finished" in again.log_text()
    backup(daemon, "restore", "--from", of, "--data", again.data)
    with again:
        assert len(changes(again)) == 1
    assert not (again.data / "restoring").exists()


# Full disks ----------------------------------------------------------------------------------------------------------


def small_files(limit: int) -> Callable[[], None]:
    """Makes files of a child fail beyond `limit` bytes, as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def test_a_full_disk_leaves_no_half_backup_and_no_half_directory(made: tuple[Daemon, Path], tmp_path: Path) -> None:
    daemon, of = made
    full = tmp_path / "full"
    full.mkdir()
    limit = small_files(512)
    with daemon:
        for name in ("backup", "backup.tar"):
            refusal = backup(daemon, "create", "--to", full / name, "--data", daemon.data, code=1, preexec_fn=limit)
            assert b"File too large; no backup was made" in refusal.stderr
        assert daemon.terminate() == 0
    backup(daemon, "create", "--to", full / "offline", "--data", daemon.data, code=1, preexec_fn=limit)
    assert left_in(full) == []
    refusal = backup(daemon, "restore", "--from", of, "--data", full, code=1, preexec_fn=limit)
    assert b"nothing was restored" in refusal.stderr
    assert left_in(full) == ["daemon.lock"]
    # The same directory, as soon as there is room.
    backup(daemon, "restore", "--from", of, "--data", full)


def test_a_sidecar_on_a_full_disk_refuses_backups_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        agent = Agent(daemon)
        held = agent.admit("r-1").invocation
        daemon.limit_file_size(1)
        refusal = backup(daemon, "create", "--to", tmp_path / "no", "--data", daemon.data, code=1)
        assert b"STORE_UNAVAILABLE" in refusal.stderr
        assert not (tmp_path / "no").exists() and not (daemon.data / "checkpoint").exists()
        daemon.limit_file_size(None)
        # RocksDB may refuse what comes after a flush that failed: then the store is opened anew.
        try:
            agent.admit("r-2")
        except grpc.RpcError:
            daemon.wait_log("store recovered")
        agent.settle("s-1", held)
        create(daemon, tmp_path / "yes")
        assert daemon.terminate() == 0
        with open_store(daemon.data, read_only=True):
            pass


# The endpoint --------------------------------------------------------------------------------------------------------


def test_agents_cannot_make_backups(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        stub: Any = backup_service_pb2_grpc.BackupServiceStub(daemon.agent())
        with pytest.raises(grpc.RpcError) as refusal:
            list(stub.CreateBackup(pb.CreateBackupRequest(), metadata=bearer(), timeout=30))
        assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED  # type: ignore[attr-defined]


def test_a_kill_in_the_middle_of_a_backup_leaves_nothing_behind(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        Agent(daemon).admit("r-1")
        stub: Any = backup_service_pb2_grpc.BackupServiceStub(daemon.operator())
        stream = iter(stub.CreateBackup(pb.CreateBackupRequest(), timeout=30))
        assert next(stream).HasField("started")
        daemon.kill()
        # What the service made may be there still; the next start takes it away.
        (daemon.data / "checkpoint").mkdir(exist_ok=True)
        daemon.start()
        assert not (daemon.data / "checkpoint").exists()
        create(daemon, tmp_path / "backup")


def test_a_store_of_another_format_is_not_restored(made: tuple[Daemon, Path], tmp_path: Path) -> None:
    daemon, _ = made
    with open_store(daemon.data) as store:
        store.write([(Family.STATE, b"\0\0mformat", b"9")])
        store.flush_wal()
    with pytest.raises(StoreError):
        open_store(daemon.data, read_only=True)
    refusal = backup(daemon, "create", "--to", tmp_path / "no", "--data", daemon.data, code=3)
    assert b"has format version '9'" in refusal.stderr
