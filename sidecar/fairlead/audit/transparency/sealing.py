"""Signs checkpoints: every 64 records, but at most ten times a second, 5 seconds after the first that is in none, and
when the sidecar stops.

What is signed is committed: it comes from the core, which keeps what was written since the last checkpoint, or from the
store, after a start or a fault and when too much waited. The checkpoint, the leaves and the frontier are one commit
unit behind it. INVARIANT (A2): a checkpoint is signed only when its tree goes on from the one before and every record
in between follows in the chain. A log that does not fit is never signed: then sealing stops and says so, and the
sidecar goes on. Beside the calls: nobody waits for a signature, and what is done for every record is done without the
interpreter (`native/seal`).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Protocol

from fairlead.audit.model import Undecodable
from fairlead.audit.store import AuditLog, Reader
from fairlead.audit.transparency.checkpoint import KEY_CHANGED, ORIGIN_PREFIX, Checkpoint, SignedCheckpoint
from fairlead.audit.transparency.note import SignerKey, VerifierKey
from fairlead.audit.transparency.store import Seals
from fairlead.control.commands import Core, apply, apply_here, to_the_end
from fairlead.control.errors import Refusal
from fairlead.internal.v1 import command_pb2, state_pb2
from fairlead.native import DoesNotFit, SigningKey, Tree
from fairlead.store import CommitFeed, Family, StoreUnavailable, keys
from fairlead.v1 import audit_record_pb2

EVERY_RECORDS = 64
EVERY_SECONDS = 5.0
RETRY_SECONDS = 1.0
# Between two checkpoints: a busy log gets ten a second, with more records each, and the calls get the processor.
PAUSE_SECONDS = 0.1
# What the last checkpoint may take of a stop.
STOP_SECONDS = 2.0
# Of one checkpoint, so that its leaves stay a small value: a log that has none yet gets several.
MOST_RECORDS = 4096
# What is read at once.
SLICE_RECORDS = 512
SLICE_BYTES = 1 << 20

_log = logging.getLogger(__name__)


class SealingCore(Core, Protocol):
    """What is needed of the native core."""

    def grow(self, tree: Tree, last: int, /) -> Tree:
        """The tree with the committed records that follow it, up to the sequence `last`, as far as the core still has
        them."""
        ...


class Sealing:
    """The signer of one log. Belongs to one event loop."""

    def __init__(
        self,
        core: SealingCore,
        reader: Reader,
        feed: CommitFeed,
        clock: Callable[[], int],
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """`clock` gives Unix nanoseconds, `random_bytes` so many for the log's id. Signs nothing before `load`."""
        self._core = core
        self._log = AuditLog(reader)
        self._seals = Seals(reader)
        self._feed = feed
        self._clock = clock
        self._random_bytes = random_bytes
        self._tree = Tree()
        self._state = state_pb2.AuditSealRecord()
        self._keys: list[SigningKey] = []
        self._last: SignedCheckpoint | None = None
        self._newer = asyncio.Event()
        self._key_changed = asyncio.Event()
        self._sealing = asyncio.Lock()
        self._loaded = False
        self.problem = ""
        self.made = 0

    @property
    def last(self) -> SignedCheckpoint | None:
        """The last checkpoint."""
        return self._last

    @property
    def size(self) -> int:
        """Records that are sealed."""
        return self._tree.size

    @property
    def record_bytes(self) -> int:
        """Bytes of all records that are sealed, those included that were trimmed."""
        return self._tree.record_bytes

    @property
    def lag(self) -> int:
        """Records that are not sealed yet."""
        return max(0, self._feed.sequence - self.size)

    @property
    def origin(self) -> str:
        """Which log it is."""
        return ORIGIN_PREFIX + self._state.log_id.hex()

    @property
    def public_key(self) -> str:
        """Who signs, as one line; empty before a key is there."""
        return str(self._signer(self._keys[0]).verifier) if self._keys else ""

    @property
    def former_public_keys(self) -> list[str]:
        """Who signed before, the last one first."""
        return list(self._state.former_public_keys)

    def use(self, key: SigningKey) -> None:
        """Signs with this key from now on; the one that signed last vouches for it."""
        known = (one for one in self._keys if one.public != key.public)
        recorded = self._state.public_key
        self._keys = [key, *(one for one in known if str(self._signer(one).verifier) == recorded)]
        if recorded not in ("", self.public_key):
            self._key_changed.set()

    async def load(self) -> None:
        """Goes on where the last checkpoint is. What does not fit is logged, and nothing is signed then."""
        try:
            await asyncio.to_thread(self._load)
        except (DoesNotFit, Undecodable) as error:
            self._stop_signing(error)
        self._loaded = True

    async def run(self) -> None:
        """Signs for ever, or until something does not fit."""
        told = False
        while not self.problem:
            await self._due()
            try:
                await self.seal()
                told = False
                await asyncio.sleep(PAUSE_SECONDS)
            except (Refusal, StoreUnavailable) as error:
                if not told:
                    _log.warning("checkpoints of the audit log wait", extra={"error": str(error)})
                told = True
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                _log.exception("checkpoints of the audit log wait")
                await asyncio.sleep(RETRY_SECONDS)

    async def _due(self) -> None:
        """Waits until there is something to sign, and enough of it or for long enough, or for another key."""
        waits = [
            asyncio.ensure_future(self._feed.wait_after(self.size)),
            asyncio.ensure_future(self._key_changed.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not self._key_changed.is_set():
            await self._feed.wait_after(self.size + EVERY_RECORDS - 1, EVERY_SECONDS)
        self._key_changed.clear()

    async def seal(self) -> SignedCheckpoint | None:
        """Signs what is committed and not sealed yet; the last checkpoint, whoever made it. Raises `Refusal`,
        `StoreUnavailable`."""
        return await to_the_end(self._seal())

    async def stop(self) -> None:
        """Signs a last time, so that a log that was stopped in order is sealed to its end."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.seal()
        except (Refusal, StoreUnavailable, TimeoutError) as error:
            _log.warning("the end of the audit log has no checkpoint", extra={"error": str(error) or "out of time"})
        except Exception:
            # What was acknowledged still has to be written and synced: a stop goes on whatever happens here.
            _log.exception("the end of the audit log has no checkpoint")

    async def wait_newer(self, size: int) -> None:
        """Waits for a checkpoint of more than `size` records."""
        while self._last is None or self._last.checkpoint.size <= size:
            await self._newer.wait()

    # One at a time ---------------------------------------------------------------------------------------------------

    async def _seal(self) -> SignedCheckpoint | None:
        async with self._sealing:
            if not self._loaded or not self._keys:
                return self._last
            if not self._state.log_id:
                self._state.log_id = self._random_bytes(16)
            try:
                if not self.problem:
                    await self._seal_all()
            except (DoesNotFit, Undecodable) as error:
                self._stop_signing(error)
            return self._last

    async def _seal_all(self) -> None:
        """Signs everything. When the key has changed, the former one signs up to there, then that is recorded, and the
        checkpoint behind that record is signed by both: who trusts the former one can trust the new one."""
        new = self._signer(self._keys[0])
        recorded = self._state.public_key or str(new.verifier)
        if recorded == str(new.verifier):
            await self._seal_up([new])
            return
        former = [one for one in map(self._signer, self._keys[1:]) if str(one.verifier) == recorded]
        # When it is not there any more, only the new one can sign, and only who is given that one can check.
        if former:
            await self._seal_up(former)
        await self._change_key()
        await self._seal_up([new, *former])
        self._keys = self._keys[:1]

    async def _seal_up(self, signers: list[SignerKey]) -> None:
        while self.size < self._feed.sequence:
            await self._seal_some(signers)

    async def _seal_some(self, signers: list[SignerKey]) -> None:
        """One checkpoint."""
        end = min(self._feed.sequence, self.size + MOST_RECORDS)
        self._tree, self._state, self._last = await asyncio.to_thread(self._seal_here, signers, end)
        self.made += 1
        self._newer.set()
        self._newer = asyncio.Event()

    async def _change_key(self) -> None:
        """Records that another key signs from now on."""
        state = state_pb2.AuditSealRecord()
        state.CopyFrom(self._state)
        former, state.public_key = state.public_key, self.public_key
        kept = [former, *(one for one in state.former_public_keys if one != former)]
        del state.former_public_keys[:]
        state.former_public_keys.extend(kept)
        change = audit_record_pb2.ControlChanged(subject=KEY_CHANGED)
        change.detail.update({"public_key": state.public_key, "former_public_key": former, "sealed": self.size})
        await apply(self._core, _written(state, record=change))
        self._state = state
        # It is committed, but that is told on another thread.
        await self._feed.wait_after(self.size, RETRY_SECONDS)
        _log.warning("another key signs the audit log", extra={"public_key": state.public_key})

    # Blocking --------------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        state = self._seals.state()
        if state is None:
            return
        self._state = state
        last = self._seals.last()
        if last is None or last.checkpoint.size != state.size:
            raise DoesNotFit("the Merkle tree of the audit log is not that of the last checkpoint")
        try:
            trusted = [VerifierKey.parse(line) for line in (state.public_key, *state.former_public_keys)]
            SignedCheckpoint.verified(last.note, trusted)
        except ValueError as error:
            raise DoesNotFit(f"the last checkpoint of the audit log is not genuine: {error}") from error
        record_bytes = state.record_bytes or self._estimate(state.size)
        tree = Tree(state.size, list(state.frontier), last.checkpoint.chain_head, record_bytes)
        if last.checkpoint.root != tree.root or last.checkpoint.origin != self.origin:
            raise DoesNotFit("the Merkle tree of the audit log is not that of the last checkpoint")
        sealed = self._log.record(state.size)
        if sealed is None or sealed.record_hash != last.checkpoint.chain_head:
            raise DoesNotFit(f"record {state.size} of the audit log is not the one that was signed")
        self._tree, self._last = tree, last

    def _estimate(self, size: int) -> int:
        """Bytes of so many records that an older program has signed without counting them, after the last of them."""
        sample = self._log.after(max(0, size - SLICE_RECORDS), SLICE_RECORDS, SLICE_BYTES, size)
        return size * sum(len(one.record_bytes) for one in sample) // max(1, len(sample))

    def _seal_here(
        self, signers: list[SignerKey], end: int
    ) -> tuple[Tree, state_pb2.AuditSealRecord, SignedCheckpoint]:
        """One checkpoint, up to the record `end`; what is sealed is then what this returns."""
        tree = self._tree
        while tree.size < end:
            tree = self._grown(tree, end)
        checkpoint = Checkpoint(self.origin, tree.size, tree.root, tree.head, self._clock())
        signed = SignedCheckpoint.of(checkpoint, signers)
        state = state_pb2.AuditSealRecord()
        state.CopyFrom(self._state)
        state.public_key = state.public_key or str(signers[0].verifier)
        state.size, state.record_bytes = checkpoint.size, tree.record_bytes
        state.frontier[:] = tree.frontier
        record = state_pb2.AuditCheckpointRecord(
            note=signed.note, leaf_hashes=tree.leaves, record_bytes=tree.record_bytes
        )
        command = _written(
            state,
            *(_put(keys.seal_tile(number), root) for number, root in tree.tiles),
            _put(keys.seal_checkpoint(checkpoint.size), record.SerializeToString(deterministic=True)),
        )
        apply_here(self._core, command)
        return tree.settled(), state, signed

    def _grown(self, tree: Tree, end: int) -> Tree:
        """Takes the next records, at most up to `end`: those that the core has at once, else some of the store."""
        grown = self._core.grow(tree, end)
        if grown.size > tree.size:
            return grown
        entries, _ = self._log.entries_after(tree.size, SLICE_RECORDS, SLICE_BYTES, end)
        if not entries:
            raise DoesNotFit(f"record {tree.size + 1} of the audit log is missing")
        return tree.grown(entries)

    def _signer(self, key: SigningKey) -> SignerKey:
        return SignerKey(self.origin, key)

    def _stop_signing(self, error: Exception) -> None:
        self.problem = str(error)
        _log.critical(
            "the audit log is not what was signed: nothing more is signed; keep the directory and run fairlead audit "
            "verify",
            extra={"error": self.problem},
        )


def _written(
    state: state_pb2.AuditSealRecord,
    *writes: command_pb2.Write,
    record: audit_record_pb2.ControlChanged | None = None,
) -> command_pb2.Command:
    """The command that makes this the state, as one commit unit with the other writes."""
    all_writes = [_put(keys.SEAL_STATE, state.SerializeToString(deterministic=True)), *writes]
    return command_pb2.Command(control_write=command_pb2.ControlWrite(writes=all_writes, record=record))


def _put(key: bytes, value: bytes) -> command_pb2.Write:
    return command_pb2.Write(family=Family.SEALS, key=key, value=value)
