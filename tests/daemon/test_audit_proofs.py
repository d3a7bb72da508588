"""What the real daemon's log proves to somebody who has a public key and an anchor, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.audit.model import link
from fairlead.client import PolicyDenied
from fairlead.store import Family, keys, open_store
from fairlead.v1 import audit_record_pb2, audit_service_pb2, audit_service_pb2_grpc

from . import runs
from .calls import Agent
from .harness import Daemon
from .people import client, command, pending, refund, vote


def verify(directory: Path, bundle: str, *anchors: str) -> tuple[int, str]:
    """`fairlead audit verify` in a directory that has no sidecar."""
    named = [part for anchor in anchors for part in ("--anchor", anchor)]
    made = subprocess.run(
        [sys.executable, "-m", "fairlead.cli.main", "audit", "verify", bundle, "--public-key", "key.pub", *named],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return made.returncode, made.stdout + made.stderr


def test_a_log_is_verified_elsewhere_and_a_rollback_of_the_volume_is_found(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "pod").mkdir()

    def kept(name: str, *arguments: str) -> None:
        told = command(daemon, "audit", *arguments)
        assert told.returncode == 0, told.stderr
        if told.stdout:
            (elsewhere / name).write_text(told.stdout)

    with Daemon(tmp_path / "pod") as daemon:
        invocation = Agent(daemon).admit("first").invocation
        kept("key.pub", "key")
        assert daemon.terminate() == 0
        shutil.copytree(daemon.data, tmp_path / "older")
        daemon.start()
        for number in range(70):
            Agent(daemon).admit(f"call-{number}")
        stub = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
        watched = stub.WatchEvents(audit_service_pb2.WatchEventsRequest(from_start=True, checkpoints=True), timeout=60)
        streamed = next(response.checkpoint for response in watched if response.HasField("checkpoint"))
        watched.cancel()
        (elsewhere / "streamed").write_text(streamed.note)
        kept("anchor", "checkpoint")
        kept("bundle", "export", "--bundle", str(elsewhere / "bundle"))
        kept("evidence", "evidence", invocation, "--to", str(elsewhere / "evidence"))
        kept("proof", "prove", "3", "--to", str(elsewhere / "proof"))
        kept("consistency", "prove", "--from-checkpoint", str(streamed.size), "--to", str(elsewhere / "consistency"))
        # Nothing of it needs the sidecar, and a kill loses nothing of what was signed.
        daemon.kill()
        code, told = verify(elsewhere, "bundle", "anchor", "streamed")
        assert code == 0 and told.startswith("valid: ") and "2 anchors found in it" in told, told
        for proof in ("evidence", "proof", "consistency"):
            assert verify(elsewhere, proof, "anchor")[0] == 0, proof
        assert "and 1 configuration" in verify(elsewhere, "evidence")[1]
        daemon.start()
        kept("bundle", "export", "--bundle", str(elsewhere / "bundle"))
        assert verify(elsewhere, "bundle", "anchor")[0] == 0
        assert daemon.terminate() == 0
        # Offline it is the same log, sealed to its end by the stop.
        kept("stopped", "export", "--offline", "--bundle", str(elsewhere / "stopped"))
        code, told = verify(elsewhere, "stopped", "anchor")
        assert code == 0 and "nobody has signed" not in told, told

        # Somebody with the volume changes a record and makes all hashes behind it anew.
        at = tamper(daemon.data)
        kept("tampered", "export", "--offline", "--bundle", str(elsewhere / "tampered"))
        code, told = verify(elsewhere, "tampered", "anchor")
        assert code == 1 and f"problem at record {at}: record {at} is not the one that was signed" in told, told

        daemon.start()
        refused = daemon.wait_log(
            "the audit log is not what was signed: nothing more is signed; keep the directory and run fairlead audit "
            "verify",
        )
        assert refused["error"]
        assert daemon.terminate() == 0

        # An older copy of the volume comes back and goes on, with the same key.
        shutil.rmtree(daemon.data)
        shutil.copytree(tmp_path / "older", daemon.data)
        daemon.start()
        for number in range(90):
            Agent(daemon).admit(f"other-{number}")
        kept("forked", "export", "--bundle", str(elsewhere / "forked"))
        assert verify(elsewhere, "forked")[0] == 0
        code, told = verify(elsewhere, "forked", "streamed", "anchor")
        assert code == 1 and "fork" in told, told


def tamper(data: Path) -> int:
    """Changes a record that is not the last one, and the chain from there on; its sequence."""
    with open_store(data) as store:
        records = list(store.scan(Family.AUDIT))
        at = 20
        head = records[at - 2][1][:32]
        writes = []
        for key, value in records[at - 1 :]:
            record = audit_record_pb2.AuditRecord.FromString(value[32:])
            if keys.audit_sequence(key) == at:
                record.agent = "somebody-else"
            raw = record.SerializeToString(deterministic=True) if keys.audit_sequence(key) == at else value[32:]
            head = link(head, raw)
            writes.append((Family.AUDIT, key, head + raw))
        store.write(writes)
        store.flush_wal()
    return at


def test_a_key_of_the_configuration_signs_and_a_new_one_is_announced(tmp_path: Path) -> None:
    def key(name: str) -> Path:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        path = tmp_path / name
        made = Ed25519PrivateKey.generate()
        path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return path

    first, second = key("first.pem"), key("second.pem")
    with Daemon(tmp_path) as plain:
        config = plain.config.read_text()
        assert (plain.data / "audit.key").stat().st_mode & 0o777 == 0o600
        assert command(plain, "audit", "checkpoint").returncode == 0
        plain.config.write_text(f"{config}audit: {{signingKey: {{fromFile: {first}}}}}\n")
        plain.wait_log("configuration applied")
        Agent(plain).admit("one")
        (tmp_path / "key.pub").write_text(command(plain, "audit", "key", "--all").stdout)
        assert len((tmp_path / "key.pub").read_text().splitlines()) == 2
        mark = plain.mark()
        # A mounted secret is swapped by a rename.
        second.rename(first)
        plain.wait_log("another key signs the audit log", after=mark)
        told = command(plain, "audit", "export", "--bundle", str(tmp_path / "bundle"))
        assert told.returncode == 0, told.stderr
        code, said = verify(tmp_path, "bundle")
        assert code == 0, said
        assert len(command(plain, "audit", "key", "--all").stdout.splitlines()) == 3
        changes = [
            json.loads(line)["record"]["control_changed"]
            for line in command(plain, "audit", "tail", "--json", "--kind", "control-changed").stdout.splitlines()
        ]
        assert [change["subject"] for change in changes].count("audit.key_changed") == 2
        assert "PRIVATE" not in plain.log_text()


def test_an_operators_words_are_erased_and_the_log_still_verifies(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        Agent(daemon).admit("one")
        (name,) = [
            line.split()[0] for line in command(daemon, "budget", "list").stdout.splitlines() if "instances/" in line
        ][:1]
        told = command(daemon, "budget", "adjust", name, "--usd", "1", "--reason", "for Jane Doe")
        assert told.returncode == 0, told.stderr
        shown = command(daemon, "audit", "tail", "--json", "--kind", "budget-adjusted").stdout
        record = json.loads(shown)
        assert record["values"][0]["value"] == "for Jane Doe" and "Jane" not in record["record"]["budget"]["reason"]
        (tmp_path / "key.pub").write_text(command(daemon, "audit", "key").stdout)
        (tmp_path / "anchor").write_text(command(daemon, "audit", "checkpoint").stdout)
        erase = ("audit", "erase", str(record["sequence"]), "--reason", "request 4711")
        done = command(daemon, *erase)
        assert done.stdout == f"1 value of record {record['sequence']} erased\n", done.stderr
        assert command(daemon, *erase).returncode == 1
        assert "Jane" not in command(daemon, "audit", "tail", "--json", "-n", "1000").stdout
        assert command(daemon, "audit", "export", "--bundle", str(tmp_path / "bundle")).returncode == 0
        assert verify(tmp_path, "bundle", "anchor")[0] == 0


def test_what_people_and_workers_wrote_is_forgotten_everywhere(tmp_path: Path) -> None:
    with runs.running(tmp_path) as daemon:
        worker, desk = runs.Agent(daemon), runs.Desk(daemon)
        name = worker.start()
        (lease,) = worker.lease("parser")
        worker.fail(lease, "NO_ROW", message="nothing of Jane Doe")
        worker.do("parser", {"parts": [1]})
        worker.do("scorer", 1)
        approval = runs.approval_of(desk, name)
        vote(daemon, "asha", "approve", approval, "Jane Doe called")
        said = vote(daemon, "ben", "reject", approval, "Jane Doe cannot pay")
        assert [one["reason"] for one in said["votes"]] == ["Jane Doe called", "Jane Doe cannot pay"]
        other = worker.start("short", "s-2")
        worker.call("CancelRun", request_id="c-1", name=other, reason="Jane Doe asked")
        assert desk.run(other).failure.message == "Jane Doe asked"
        with client(daemon) as agent:
            ticket = pending(refund(agent, "k"))
            vote(daemon, "asha", "reject", ticket.approval, "ask Jane Doe first")
            with pytest.raises(PolicyDenied) as denied:
                refund(agent, "k", ticket=ticket.ticket)
            assert denied.value.metadata["reason"] == "ask Jane Doe first"

        def told() -> dict[str, str]:
            shown = command(daemon, "run", "show", name).stdout
            return {
                "run": str(desk.run(name)) + shown,
                "explain run": command(daemon, "explain", name).stdout,
                "other run": command(daemon, "explain", other).stdout,
                "approval": command(daemon, "approvals", "show", ticket.approval).stdout,
                "explain call": command(daemon, "explain", ticket.approval).stdout,
                "tail": command(daemon, "audit", "tail", "-n", "1000").stdout,
                "watch": str([message.event for message in worker.watch(name, 1)]),
            }

        before = told()
        assert not [place for place, text in before.items() if "Jane Doe" not in text or "erasable:" in text]
        lines = command(daemon, "audit", "tail", "--json", "-n", "1000").stdout.splitlines()
        records = [json.loads(line) for line in lines]
        assert not any("Jane" in json.dumps(one["record"]) for one in records)
        # Every commitment of a record is one that can be erased, and comes with its value.
        for one in records:
            values = {value["digest"] for value in one.get("values", ())}
            assert set(re.findall("erasable:sha256:([0-9a-f]{64})", json.dumps(one["record"]))) == values
        (tmp_path / "key.pub").write_text(command(daemon, "audit", "key").stdout)
        (tmp_path / "anchor").write_text(command(daemon, "audit", "checkpoint").stdout)
        for what in (("--run", name), ("--run", other), ("--approval", ticket.approval)):
            done = command(daemon, "audit", "erase", *what, "--reason", "request 4711")
            assert done.returncode == 0 and not done.stderr, done.stderr
            assert "were erased before" in command(daemon, "audit", "erase", *what, "--reason", "again").stderr
        after = told()
        assert not [place for place, text in after.items() if "Jane" in text or "erasable:" in text]
        assert not [place for place, text in after.items() if "(erased)" not in text]
        with client(daemon) as agent, pytest.raises(PolicyDenied) as denied:
            refund(agent, "k", ticket=ticket.ticket)
        assert denied.value.metadata["reason"] == "(erased)"
        assert command(daemon, "audit", "export", "--bundle", str(tmp_path / "bundle")).returncode == 0
        assert verify(tmp_path, "bundle", "anchor")[0] == 0
        assert daemon.terminate() == 0 and "Jane" not in daemon.log_text()
        with open_store(daemon.data) as store:
            for family in Family:
                assert not [key for key, value in store.scan(family) if b"Jane" in key + value], family
