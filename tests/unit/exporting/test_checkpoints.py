"""Signed checkpoints go out beside the records, and what an exporter wrote proves itself with the public key alone."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fairlead.audit.consumers.service import Consumers
from fairlead.audit.store import AuditLog
from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.audit.transparency.exported import ExportVerifier, feed_lines
from fairlead.audit.transparency.note import InvalidNote, VerifierKey
from fairlead.audit.transparency.store import Seals
from fairlead.audit.transparency.verify import BundleVerification
from fairlead.cli.main import main
from fairlead.exporting import metrics
from fairlead.exporting.destination import TAKEN, Destination, not_taken
from fairlead.exporting.file import FileDestination
from fairlead.exporting.lane import Readable
from fairlead.exporting.otlp.grpc_collector import GrpcCollector
from fairlead.exporting.otlp.http_collector import HttpCollector
from fairlead.exporting.otlp.signals import Traces
from fairlead.exporting.rotation import full_files
from fairlead.exporting.service import Exporting
from fairlead.exporting.settings import Exporter, Rotation
from fairlead.exporting.thread import OneAtATime
from fairlead.exporting.webhook import WebhookDestination
from fairlead.notification.signature import signature
from fairlead.store import Family, keys
from fairlead.tracing.stories import Stories
from fairlead.tracing.tracing import Tracing
from tests.unit.audit.fakes import FakeStore
from tests.unit.audit.records import T0
from tests.unit.audit.transparency.logs import Recording, SealedLog, private, rewritten
from tests.unit.exporting.collecting import Request, attribute, collecting, log_records
from tests.unit.exporting.logs import QUICK, SOURCE, Desk, run
from tests.unit.notification.web import web


class Life:
    """An exporter over a log that is signed."""

    def __init__(self, log: SealedLog, destination: Destination, pause_seconds: float = 0, **facts: Any) -> None:
        self.log = log
        self.consumers = Consumers(Recording(log), log.store, log.feed, lambda: T0)
        readable = Readable(self.consumers, AuditLog(log.store), log.feed, Seals(log.store), log.sealing)
        self.exporting = Exporting(readable, lambda exporter: destination, lambda: 0.0, 0, pause_seconds)
        exporter = replace(Exporter("desk", "stdout", retry=QUICK, batch_records=4), **facts)
        self.exporting.configure([exporter])
        self.exporting.start()

    async def until(self, size: int) -> None:
        """Returns when the checkpoint of that size has gone out."""
        while not self.exporting.lanes() or self.exporting.lanes()[0].counted.checkpoint_size < size:
            await asyncio.sleep(0)

    async def acknowledged(self, sequence: int) -> None:
        while next((one.position.sequence for one in self.consumers.loaded()), 0) < sequence:
            await asyncio.sleep(0)


async def sealed_log() -> SealedLog:
    log = SealedLog()
    await log.sealing.load()
    return log


def verified(
    lines: Sequence[str], trusted: Sequence[VerifierKey] | None, anchors: Sequence[str] = ()
) -> BundleVerification:
    verifier = ExportVerifier(trusted, anchors)
    feed_lines(verifier, lines)
    return verifier.finish()


# When -----------------------------------------------------------------------------------------------------------------


def test_a_checkpoint_comes_behind_its_records_and_the_newest_one_says_it_all() -> None:
    async def test() -> None:
        log, desk = await sealed_log(), Desk()
        for count in (3, 2, 4):
            log.commit(count)
            await log.seal()
        life = Life(log, desk)
        await life.until(9)
        # Behind the first batch there was one of so many records, too.
        assert desk.signed == [3, 5, 9][-len(desk.signed) :] and desk.signed[-1] == 9
        log.commit(2)
        await life.acknowledged(11)
        # Nobody has to write a record for it to come.
        await log.seal()
        await life.until(11)
        assert desk.taken == list(range(1, 12)) and desk.signed[-1] == 11
        assert 'fairlead_audit_export_checkpoint_size{exporter="desk"} 11\n' in metrics.page(life.exporting)
        await life.exporting.stop(5)
        assert desk.signed[-2:] == [9, 11], "none comes twice in one life"
        assert desk.early == []
        again = Life(log, desk)
        await again.until(11)
        assert desk.signed[-2:] == [11, 11], "the next one does not know what the last one has sent"
        await again.exporting.stop(5)

    run(test)


def test_a_busy_log_gives_few_and_a_stop_the_last_one() -> None:
    async def test() -> None:
        log, desk = await sealed_log(), Desk()
        log.commit(2)
        await log.seal()
        life = Life(log, desk, pause_seconds=3600)
        await life.until(2)
        for _ in range(5):
            log.commit(3)
            await log.seal()
        await life.acknowledged(17)
        assert desk.signed == [2]
        await life.exporting.stop(5)
        assert desk.signed == [2, 17]

    run(test)


def test_who_wants_none_gets_none() -> None:
    async def test() -> None:
        log, desk = await sealed_log(), Desk()
        log.commit(2)
        await log.seal()
        life = Life(log, desk, checkpoints=False)
        await life.acknowledged(2)
        await life.exporting.stop(5)
        assert desk.signed == []

    run(test)


def test_a_checkpoint_that_is_refused_holds_up_no_record(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        log, desk = await sealed_log(), Desk()
        desk.answer_signed = lambda size: not_taken("status 400")
        log.commit(2)
        await log.seal()
        life = Life(log, desk, retry=replace(QUICK, initial_millis=1, max_millis=1))
        while life.exporting.lanes() == [] or life.exporting.lanes()[0].counted.checkpoint_failing < 2:
            await asyncio.sleep(0)
        assert 'fairlead_audit_export_failing{exporter="desk"} 1\n' in metrics.page(life.exporting)
        log.commit(3)
        await life.acknowledged(5)
        await log.seal()
        desk.answer_signed = lambda size: TAKEN
        await life.until(5)
        assert desk.signed[-1] == 5
        assert 'fairlead_audit_export_failing{exporter="desk"} 0\n' in metrics.page(life.exporting)
        await life.exporting.stop(5)

    with caplog.at_level(logging.INFO):
        run(test)
    said = [record.message for record in caplog.records if record.name.startswith("fairlead.exporting")]
    assert said == ["a checkpoint was not taken by an exporter's destination, a newer one is sent later"]


def test_one_that_cannot_be_read_holds_up_no_record() -> None:
    async def test() -> None:
        log, desk = await sealed_log(), Desk()
        log.commit(2)
        await log.seal()
        log.store.put(Family.SEALS, keys.seal_checkpoint(2), b"\xff")
        life = Life(log, desk)
        log.commit(3)
        await life.acknowledged(5)
        await log.seal()
        await life.until(5)
        await life.exporting.stop(5)
        assert desk.signed == [5]

    run(test)


def test_the_checkpoint_that_hands_on_trust_is_never_left_out() -> None:
    async def test() -> None:
        log = await sealed_log()
        log.commit(4)
        await log.seal()
        former = log.key
        log.sealing.use(private(2))
        log.commit(2)
        await log.seal()
        for _ in range(3):
            log.commit(3)
            await log.seal()
        desk = Desk()
        # Everything at once: but for that one, the last would be enough.
        life = Life(log, desk, pause_seconds=3600, batch_records=100)
        await life.until(16)
        await life.exporting.stop(5)
        assert desk.signed == [7, 16]
        notes = {one.checkpoint.size: one.note for one in Seals(log.store).upto(16, 100)}
        lines = [line for line in log.lines()[1:] if "sequence" in line]
        told = [*lines, {"checkpoint": notes[7]}, {"checkpoint": notes[16]}]
        result = verified([json.dumps(line) for line in told], [former])
        assert result.valid and result.signed is not None and result.signed.size == 16
        without = verified([json.dumps(line) for line in [*lines, {"checkpoint": notes[16]}]], [former])
        assert not without.valid and "cannot be trusted" in without.chain.problem

    run(test)


# How ------------------------------------------------------------------------------------------------------------------


async def some_checkpoint() -> SignedCheckpoint:
    log = await sealed_log()
    log.commit(3)
    return SignedCheckpoint.unverified(await log.seal())


def test_a_receiver_of_cloudevents_gets_an_event_of_its_own_type_whose_data_is_a_line() -> None:
    async def test() -> None:
        signed = await some_checkpoint()
        async with web() as server:
            exporter = Exporter("siem", "cloudevents", url=f"http://127.0.0.1:{server.port}/", keys=(b"k" * 32,))
            destination = WebhookDestination(exporter, lambda: T0, "1.2.3", OneAtATime())
            for _ in range(2):
                assert await destination.publish(signed, SOURCE) is TAKEN
            await destination.close()
        (_, headers, body), (_, again, _) = server.requests
        (event,) = json.loads(body)
        assert event == {
            "specversion": "1.0",
            "id": hashlib.sha256(signed.note.encode()).hexdigest(),
            "source": f"/fairlead/logs/{SOURCE.identity}",
            "type": "dev.fairlead.audit.checkpoint",
            "time": "2026-11-18T11:06:40.000000000Z",
            "datacontenttype": "application/json",
            "data": {"checkpoint": signed.note},
        }
        assert headers["webhook-id"] == again["webhook-id"]
        seconds = int(headers["webhook-timestamp"])
        assert headers["webhook-signature"] == signature(b"k" * 32, headers["webhook-id"], seconds, body)

    run(test)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_collector_gets_a_log_record_with_the_note_and_one_of_traces_nothing(protocol: str) -> None:
    async def test() -> None:
        signed = await some_checkpoint()
        requests: list[Request] = []
        traces = Traces("1.2.3", Tracing(Stories(FakeStore())))
        if protocol == "grpc":
            async with collecting() as collector:
                exporter = Exporter("otlp", "otlp", url=f"http://127.0.0.1:{collector.port}")
                logs: Destination = GrpcCollector(exporter, "1.2.3", OneAtATime())
                assert await logs.publish(signed, SOURCE) == TAKEN
                assert await GrpcCollector(exporter, "1.2.3", OneAtATime(), traces).publish(signed, SOURCE) is TAKEN
                await logs.close()
            requests = collector.requests
        else:
            async with web() as server:
                exporter = Exporter("otlp", "otlp", url=f"http://127.0.0.1:{server.port}", gzip=False)
                logs = HttpCollector(exporter, lambda: T0, "1.2.3", OneAtATime())
                assert await logs.publish(signed, SOURCE) == TAKEN
                spans = HttpCollector(exporter, lambda: T0, "1.2.3", OneAtATime(), traces)
                assert await spans.publish(signed, SOURCE) is TAKEN
                await logs.close()
            requests = [Request.FromString(body) for _, _, body in server.requests]
        (request,) = requests
        (record,) = log_records(request)
        assert record.event_name == "fairlead.audit.checkpoint" and record.body.string_value == signed.note
        assert record.time_unix_nano == T0
        assert attribute(record, "fairlead.audit.checkpoint.size") == 3
        assert attribute(record, "fairlead.audit.checkpoint.origin") == signed.checkpoint.origin

    run(test)


# Files ----------------------------------------------------------------------------------------------------------------


def written(path: Path) -> list[str]:
    return [line for file in (*full_files(path), path) for line in file.read_text().splitlines(keepends=True)]


async def exported(path: Path, rotation: Rotation, lives: int = 3) -> SealedLog:
    """What some lives of an exporter wrote of a log that was signed in between."""
    log = await sealed_log()
    for number in range(lives):
        log.commit(3)
        await log.seal()
        life = Life(log, FileDestination(Exporter("disk", "file", path=str(path), rotation=rotation), OneAtATime()))
        await life.until(log.sealing.size)
        log.commit(4)
        await life.acknowledged(7 * (number + 1))
        await life.exporting.stop(5)
    return log


def test_a_file_proves_itself_and_its_last_checkpoint_is_an_anchor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, key = tmp_path / "audit.jsonl", tmp_path / "key.pub"
    found: list[SealedLog] = []

    async def test() -> None:
        found.append(await exported(path, Rotation()))

    run(test)
    (log,) = found
    key.write_text(f"{log.key}\n")
    sizes = [
        SignedCheckpoint.unverified(json.loads(line)["checkpoint"]).checkpoint.size
        for line in written(path)
        if "checkpoint" in line[:14]
    ]
    assert sizes == [3, 10, 17], "each once, in order"
    assert [json.loads(line)["sequence"] for line in written(path) if "sequence" in line[:12]] == list(range(1, 22))
    verify = ["audit", "verify", "--file", str(path), "--public-key", str(key)]
    assert main([*verify, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["valid"], said["checked"], said["signed_size"], said["checkpoints"]) == (True, 21, 17, 3)
    # The chain alone takes no key.
    assert main(["audit", "verify", "--file", str(path)]) == 0
    # A line that is being written is not judged; what was cut off is found with what was kept elsewhere.
    kept = tmp_path / "kept.jsonl"
    kept.write_bytes(path.read_bytes())
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert main(verify) == 0
    assert "no end yet" in capsys.readouterr().err
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:9]))
    assert main(verify) == 0
    capsys.readouterr()
    assert main([*verify, "--anchor", str(kept)]) == 1
    assert "a checkpoint of 17 records was signed" in capsys.readouterr().out
    nothing = tmp_path / "nothing.jsonl"
    nothing.write_bytes(whole.splitlines(keepends=True)[0])
    assert main([*verify, "--anchor", str(nothing)]) == 2
    assert "has no checkpoint in it" in capsys.readouterr().err
    assert main(["audit", "verify", "--file", str(path), "--anchor", str(kept)]) == 2


def test_files_that_were_rotated_are_verified_together_and_from_any_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, key = tmp_path / "audit.jsonl", tmp_path / "key.pub"

    async def test() -> None:
        log = await exported(path, Rotation(size_bytes=1500, files=100))
        files = [*full_files(path), path]
        assert len(files) > 4
        for first in range(len(files) - 1):
            lines = [line for file in files[first:] for line in file.read_text().splitlines()]
            result = verified(lines, [log.key])
            assert result.valid and result.signed is not None and result.signed.size == 17, result.chain.problem
        # As docs/exporters.md says: one by one, or through a pipe.
        key.write_text(f"{log.key}\n")
        verify = ["audit", "verify", "--public-key", str(key), "--file"]
        assert main([*verify, str(files[-2]), "--file", str(files[-1])]) == 0
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(written(path))))
        assert main([*verify, "-"]) == 0
        assert capsys.readouterr().out.count("signed up to record 17 at") == 2
        # In another order they are no log.
        lines = [line for file in reversed(files) for line in file.read_text().splitlines()]
        assert not verified(lines, [log.key]).valid

    run(test)


def test_a_restart_reads_where_a_file_ends_also_behind_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    async def test() -> None:
        log = await exported(path, Rotation(), lives=1)
        await log.seal()
        path.rename(tmp_path / "audit.jsonl.00000000000000000001")
        # Only the checkpoint is new: it is all that the new file has.
        life = Life(log, FileDestination(Exporter("disk", "file", path=str(path)), OneAtATime()))
        await life.until(7)
        await life.exporting.stop(5)
        assert path.read_text().startswith('{"checkpoint"') and path.read_text().count("\n") == 1
        log.commit(2)
        again = Life(log, FileDestination(Exporter("disk", "file", path=str(path)), OneAtATime()))
        await again.acknowledged(9)
        await again.exporting.stop(5)
        lines = path.read_text().splitlines()
        assert [json.loads(line).get("sequence") for line in lines] == [None, 8, 9]
        # Its first record has to follow the last one that was signed.
        assert verified(lines, [log.key]).valid
        log.commit(1)
        third = Life(log, FileDestination(Exporter("disk", "file", path=str(path)), OneAtATime()))
        await third.acknowledged(10)
        await third.exporting.stop(5)
        lines = path.read_text().splitlines()
        # A checkpoint may come again, in front of it or behind it; a record does not.
        assert [json.loads(line)["sequence"] for line in lines if "sequence" in line[:12]] == [8, 9, 10]
        assert verified(lines, [log.key]).valid

    run(test)


# Verification ---------------------------------------------------------------------------------------------------------


async def lines_of_a_log() -> tuple[SealedLog, list[dict[str, Any]]]:
    """Nine records, with the checkpoints of 3, 6 and 9 records, each some records behind."""
    log = await sealed_log()
    notes = []
    for _ in range(3):
        log.commit(3)
        notes.append(await log.seal())
    lines: list[dict[str, Any]] = [line for line in log.lines()[1:] if "sequence" in line]
    for note, place in zip(notes, (4, 9, 11), strict=True):
        lines.insert(place, {"checkpoint": note})
    return log, lines


def judged(lines: Sequence[dict[str, Any]], log: SealedLog, anchors: Sequence[str] = ()) -> BundleVerification:
    return verified([json.dumps(line) for line in lines], [log.key], anchors)


def test_what_comes_twice_or_late_is_fine_and_what_was_changed_is_named() -> None:
    async def test() -> None:
        log, lines = await lines_of_a_log()
        good = judged(lines, log)
        assert good.valid and (good.checkpoints, good.chain.checked) == (3, 9)
        assert judged([*lines[:6], *lines[2:]], log).valid, "a batch that came again"
        # Somebody makes all hashes anew: the signature still tells, and between which records.
        for changed in (2, 5, 8):
            forged, before = [], bytes(32)
            for line in lines:
                if "sequence" in line:
                    word = "globex" if line["sequence"] == changed else None
                    line = rewritten(line, before, word) if line["sequence"] >= changed else line
                    before = bytes.fromhex(line["record_hash"])
                forged.append(line)
            result = judged(forged, log)
            first = 3 * ((changed - 1) // 3) + 1
            assert not result.valid and result.chain.first_invalid_sequence == first
            assert f"one of the records {first} to {first + 2} is not the one that was signed" in result.chain.problem
        gone = [line for line in lines if line.get("sequence") != 5]
        assert judged(gone, log).chain.first_invalid_sequence == 5
        # One that is repeated with other content is no repetition.
        again = rewritten(lines[1], bytes(32), "globex")
        assert not judged([*lines[:6], again, *lines[6:]], log).valid

    run(test)


def test_a_part_has_to_follow_what_was_signed_before_it() -> None:
    async def test() -> None:
        log, lines = await lines_of_a_log()
        note = lines[4]["checkpoint"]
        rest = [line for line in lines if line.get("sequence", 0) > 3]
        assert judged([lines[4], *rest], log).valid
        assert judged([*rest[:2], {"checkpoint": note}, *rest[2:]], log).valid, "it came late"
        forged = [{**rest[0], "prev_hash": "11" * 32}, *rest[1:]]
        assert not judged([lines[4], *forged], log).valid
        whole, before = [], bytes.fromhex("11" * 32)
        for line in rest:
            whole.append(rewritten(line, before))
            before = bytes.fromhex(whole[-1]["record_hash"])
        result = judged([lines[4], *whole], log)
        assert "record 4 does not follow the one that was signed before it" in result.chain.problem

    run(test)


def test_who_else_signs_or_signs_nothing_is_not_believed() -> None:
    async def test() -> None:
        log, lines = await lines_of_a_log()
        records = [line for line in lines if "sequence" in line]
        assert "nothing of it is signed" in judged(records, log).chain.problem
        assert verified([json.dumps(line) for line in records], None).valid
        other = SealedLog(seed=9)
        await other.sealing.load()
        other.commit(3)
        note = await other.seal()
        assert "cannot be trusted" in judged([*records, {"checkpoint": note}], log).chain.problem
        ahead = judged([*records[:2], lines[4]], log)
        assert "record 3 is missing: a checkpoint of 3 records was signed before it" in ahead.chain.problem
        for broken in ({"checkpoint": 7}, {"checkpoint": "text"}):
            assert not judged([*records, broken], log).valid
        with pytest.raises(InvalidNote):
            judged(lines, log, [note])
        assert judged(lines, log, [lines[4]["checkpoint"], lines[11]["checkpoint"]]).anchors == 2
        assert judged(lines[5:], log, [lines[4]["checkpoint"]]).valid, "older than what is there: nothing to compare"
        assert verified(["{"], [log.key]).chain.first_invalid_sequence == 1

    run(test)
