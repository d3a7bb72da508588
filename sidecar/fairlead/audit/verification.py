"""Verifies the log of a store in small slices and with constant memory."""

from __future__ import annotations

from dataclasses import replace

from google.protobuf.message import DecodeError

from fairlead.audit.consumers.store import ConsumerRecords
from fairlead.audit.model import ChainVerifier, Undecodable, Verification
from fairlead.audit.store import AuditLog, Invocations, Reader
from fairlead.audit.transparency.store import Seals
from fairlead.audit.trimming.beginning import Beginning, LogTrimmed
from fairlead.audit.trimming.checking import problem_of
from fairlead.store import StoreUnavailable

# One slice is a few milliseconds of work: others get their turn in between.
SLICE_RECORDS = 64
SLICE_BYTES = 256 * 1024


class LogVerification:
    """Verifies records `first` to `last` of a log, from where it begins: a log that was trimmed goes on from the signed
    checkpoint of what was removed."""

    def __init__(self, log: AuditLog, first: int = 0, last: int = 0, at_least: int = 0) -> None:
        """`first` and `last` as in `VerifyChainRequest`; `at_least` is a record that is known to have been written, so
        that a log whose end was cut off does not pass."""
        self._log = log
        self._asked = first
        self._first = max(first, 1)
        self._beginning: Beginning | None = None
        self._last = last
        self._at_least = at_least if last == 0 else last
        self._verifier: ChainVerifier | None = None
        self._slice = SLICE_RECORDS

    def step(self) -> bool:
        """Checks one slice; False when there is nothing more to check. Raises `LogTrimmed` when the range that was
        asked for begins before the log."""
        if self._verifier is None:
            self._verifier = ChainVerifier(self._first)
            try:
                if not self._begin():
                    return False
                before = self._log.hash_before(self._first)
            except Undecodable as error:
                before, reason = b"", f"cannot be decoded: {error}"
            else:
                reason = "is missing"
            if not before:
                # The range has nothing to follow: its first link cannot be checked.
                self._verifier.fail(f"record {self._first - 1}, which record {self._first} follows, {reason}")
                return False
            self._verifier = ChainVerifier(self._first, before)
        verifier = self._verifier
        if verifier.failed:
            return False
        try:
            records = self._log.after(verifier.next_sequence - 1, self._slice, SLICE_BYTES, self._last)
        except Undecodable as error:
            verifier.fail(f"record {verifier.next_sequence} cannot be read: {error}")
            return False
        if not records or records[0].sequence != verifier.next_sequence:
            beginning = self._log.beginning()
            if beginning != self._beginning and verifier.next_sequence < beginning.first_sequence:
                # Trimmed since the slice before: it goes on where the log begins now.
                self._verifier = None
                return True
        return bool(records) and all([verifier.feed(record) for record in records])

    def _begin(self) -> bool:
        """Moves to where the log begins; False when that is not what was signed. Raises `LogTrimmed`."""
        beginning = self._log.beginning()
        if beginning != self._beginning:
            if self._beginning is None and 0 < self._asked < beginning.first_sequence:
                raise LogTrimmed(self._asked, beginning)
            self._beginning = beginning
            self._first = max(self._first, beginning.first_sequence)
            self._verifier = ChainVerifier(self._first)
            if problem := problem_of(beginning, Seals(self._log.reader)):
                self._verifier.fail(problem)
                return False
        return True

    @property
    def first_sequence(self) -> int:
        """Where the log begins."""
        return 1 if self._beginning is None else self._beginning.first_sequence

    def unreadable(self, error: StoreUnavailable) -> bool:
        """Takes a failed read of a slice as damage of the log; True when it is worth to step on, record by record, to
        find out where the damage is."""
        if self._slice > 1:
            self._slice = 1
            return True
        if self._verifier is not None:
            self._verifier.fail(f"record {self._verifier.next_sequence} cannot be read: {error}")
        return False

    def result(self) -> Verification:
        """The result, after `step` returned False."""
        verifier = self._verifier or ChainVerifier(self._first)
        return replace(verifier.finish(self._at_least), first_sequence=self.first_sequence)


def verify_store(reader: Reader, first: int = 0, last: int = 0) -> Verification:
    """Verifies the log of a store that nobody writes. The rest of the store is a witness against a log whose end is
    missing: it names records that were written."""
    verification = LogVerification(AuditLog(reader), first, last, _witness(reader))
    while True:
        try:
            if not verification.step():
                return verification.result()
        except StoreUnavailable as error:
            if not verification.unreadable(error):
                return verification.result()


def _witness(reader: Reader) -> int:
    """The highest sequence that something else in the store names; damage elsewhere is not the log's."""
    try:
        return max(ConsumerRecords(reader).furthest(), Invocations(reader).last_sequence())
    except (StoreUnavailable, DecodeError):
        return 0
