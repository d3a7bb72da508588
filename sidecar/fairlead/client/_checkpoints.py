"""Checkpoints as both clients send and read them. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fairlead.client._errors import FairleadError
from fairlead.v1 import checkpoint_service_pb2 as pb

# The sidecar takes messages of 4 MiB; what is larger goes in pieces.
MESSAGE_MAX_BYTES = 3 << 20
PIECE_BYTES = 1 << 20
# How often a checkpoint is read that is replaced while it is read.
TRIES = 5
# As the sidecar has it.
MAX_NAMED = 1000
Put = pb.PutCheckpointRequest | pb.PutWritesRequest


def in_pieces(request: Put) -> Iterator[pb.PutLargeRequest]:
    """The messages of a request that is too large for one."""
    first = pb.PutLargeRequest()
    if isinstance(request, pb.PutCheckpointRequest):
        first.checkpoint.CopyFrom(request)
        payloads = list(checkpoint_payloads(first.checkpoint.checkpoint))
    else:
        first.writes.CopyFrom(request)
        payloads = [write.value for write in first.writes.writes]
    contents = []
    for payload in payloads:
        contents.append(payload.data)
        payload.size_bytes = len(payload.data)
        payload.ClearField("data")
    yield first
    for content in contents:
        for start in range(0, len(content), PIECE_BYTES):
            yield pb.PutLargeRequest(data=content[start : start + PIECE_BYTES])


def checkpoint_payloads(checkpoint: pb.Checkpoint) -> Iterator[pb.CheckpointPayload]:
    """All payloads of a checkpoint, in the order of their pieces."""
    yield checkpoint.body
    yield checkpoint.metadata
    for channel in checkpoint.channels:
        if channel.state == pb.CHECKPOINT_CHANNEL_STATE_SET:
            yield channel.value
    for write in checkpoint.writes:
        yield write.value


def separate(checkpoint: pb.Checkpoint) -> list[pb.CheckpointPayload]:
    """The payloads whose bytes did not come with the checkpoint."""
    return [payload for payload in checkpoint_payloads(checkpoint) if payload.handle]


def pieces_of(payload: pb.CheckpointPayload) -> Iterator[pb.ReadPayloadRequest]:
    """The requests that bring the bytes of a payload."""
    for piece in range(-(-payload.size_bytes // PIECE_BYTES)):
        yield pb.ReadPayloadRequest(handle=payload.handle, piece=piece)


def fill(payload: pb.CheckpointPayload, pieces: Sequence[bytes]) -> None:
    """Gives a payload its bytes. Raises FairleadError when it was replaced while they came."""
    data = b"".join(pieces)
    if len(data) != payload.size_bytes:
        raise changing()
    payload.data = data
    payload.ClearField("size_bytes")
    payload.ClearField("handle")


def changing() -> FairleadError:
    """For a checkpoint that is never the same until it is read."""
    return FairleadError("the checkpoint changes while it is read: read again", reason="CHECKPOINT_CHANGING")


def get_request(thread: str, namespace: str, checkpoint: str) -> pb.GetCheckpointRequest:
    """One checkpoint; the latest when none is named."""
    return pb.GetCheckpointRequest(thread=thread, namespace=namespace, checkpoint=checkpoint)


class AncestorWalk:
    """What to ask for next, page by page, until every channel has a value or there are no more ancestors."""

    def __init__(self, thread: str, namespace: str, checkpoint: str, channels: Iterable[str]) -> None:
        self.request = pb.ListAncestorsRequest(
            thread=thread, namespace=namespace, checkpoint=checkpoint, channels=sorted(set(channels))
        )
        self._seen: set[str] = set()

    def passed(self, page: pb.ListAncestorsResponse) -> bool:
        """Goes on behind a page; false when it was the last."""
        names = {one.checkpoint for one in page.checkpoints}
        found = {
            channel.name
            for one in page.checkpoints
            for channel in one.channels
            if channel.state == pb.CHECKPOINT_CHANNEL_STATE_SET
        }
        left = [channel for channel in self.request.channels if channel not in found]
        # One that comes twice is its own ancestor: agents choose the parents.
        if not (page.more and page.checkpoints and left) or names & self._seen:
            return False
        self._seen |= names
        self.request.checkpoint = page.checkpoints[-1].checkpoint
        self.request.ClearField("channels")
        self.request.channels.extend(left)
        return True


def batches(names: Iterable[str]) -> Iterator[list[str]]:
    """As many names at a time as a request takes."""
    left = list(names)
    for start in range(0, len(left), MAX_NAMED):
        yield left[start : start + MAX_NAMED]
