"""Reading checkpoints, and lists of them. For threads that may block; nobody is kept off the thread.

A read is not of one moment. What it may meet is a value that is gone because its checkpoint was deleted in the middle:
then the checkpoint is read again, and is not there.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Iterator, Mapping

from fairlead.checkpoint.model import PIECE_BYTES
from fairlead.checkpoint.paging import InvalidToken, PageToken, list_digest
from fairlead.checkpoint.store import INCARNATION_BYTES, Reader, ThreadData, Threads
from fairlead.control.errors import Refusal, invalid_argument
from fairlead.internal.v1 import checkpoint_pb2 as records
from fairlead.store import Family, keys
from fairlead.v1 import checkpoint_service_pb2 as pb

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100
# Payloads of a checkpoint that come with it, and what a page has at most, unless one checkpoint alone is larger. With
# the rest of a checkpoint (`HEAD_MAX_BYTES`) it stays below the 4 MiB that gRPC clients receive by default.
INLINE_BYTES = 2 << 20
# With a filter that matches little, a page ends here, short or empty, and says where to go on.
MAX_LOOKED_AT = 2048
# A checkpoint that is replaced again and again while it is read.
_TRIES = 5


class _Vanished(Exception):
    """A value is gone that the checkpoint refers to."""


def get_checkpoint(reader: Reader, tenant: str, request: pb.GetCheckpointRequest) -> pb.Checkpoint:
    """One checkpoint; raises `Refusal` when it is not there."""
    found = None
    if (thread := Threads(reader).get(tenant, request.thread)) is not None:
        data = ThreadData(reader, tenant, thread.incarnation)
        wanted = request.checkpoint or data.latest(request.namespace)
        found = _read(data, request.thread, request.namespace, wanted) if wanted else None
    if found is None:
        facts = {"thread": request.thread, "checkpoint": request.checkpoint or "latest"}
        raise Refusal("NOT_FOUND", f"thread {request.thread} has no such checkpoint", facts)
    return found


def list_checkpoints(reader: Reader, tenant: str, request: pb.ListCheckpointsRequest) -> pb.ListCheckpointsResponse:
    """One page; raises `Refusal` for a token that is none."""
    if request.page_size < 0:
        raise invalid_argument(("page_size", "must not be negative"))
    size = min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
    digest = list_digest(request)
    response = pb.ListCheckpointsResponse()
    room = INLINE_BYTES
    last: PageToken | None = None
    for looked_at, (data, place) in enumerate(_places(reader, tenant, request, _token(request, digest), digest)):
        full = len(response.checkpoints) == size or looked_at == MAX_LOOKED_AT
        found = None if full else _read(data, place.thread, place.namespace, place.checkpoint, request.attributes)
        room -= 0 if found is None else found.ByteSize()
        if last is not None and (full or (response.checkpoints and room < 0)):
            response.next_page_token = last.encode()
            break
        last = place
        if found is not None:
            response.checkpoints.append(found)
    return response


def list_ancestors(reader: Reader, tenant: str, request: pb.ListAncestorsRequest) -> pb.ListAncestorsResponse:
    """One page of what channels are added up from."""
    response = pb.ListAncestorsResponse()
    thread = Threads(reader).get(tenant, request.thread)
    if thread is None:
        return response
    data = ThreadData(reader, tenant, thread.incarnation)
    first = data.checkpoint(request.namespace, request.checkpoint or data.latest(request.namespace))
    cursor, left = "" if first is None else first.parent, set(request.channels)
    room = INLINE_BYTES
    while cursor and left:
        found = _read(data, request.thread, request.namespace, cursor, only=left)
        if found is None:
            break
        room -= found.ByteSize()
        if response.checkpoints and (room < 0 or len(response.checkpoints) == MAX_PAGE_SIZE):
            response.more = True
            break
        response.checkpoints.append(found)
        left -= {channel.name for channel in found.channels if channel.state == pb.CHECKPOINT_CHANNEL_STATE_SET}
        cursor = found.parent
    return response


def read_piece(reader: Reader, tenant: str, request: pb.ReadPayloadRequest) -> bytes:
    """A piece of a payload; raises `Refusal` when there is none."""
    key = _key(tenant, request.handle) + keys.checkpoint_piece(request.piece)
    value = reader.get(Family.CHECKPOINTS, key)
    if value is None:
        raise Refusal(
            "NOT_FOUND", "there is no such piece: the payload ended or was deleted", {"handle": request.handle}
        )
    if request.piece > 0:
        return value
    if _kind(tenant, key) == b"w":
        return records.CheckpointWriteRecord.FromString(value).value.data
    return records.StoredPayload.FromString(value).data


def _places(
    reader: Reader, tenant: str, request: pb.ListCheckpointsRequest, behind: PageToken | None, digest: bytes
) -> Iterator[tuple[ThreadData, PageToken]]:
    """Where the checkpoints are that may be listed, in the order of the list."""
    threads = Threads(reader)
    if request.thread:
        only = threads.get(tenant, request.thread)
        found = iter([(request.thread, only)] if only is not None else [])
    else:
        found = threads.all(tenant, None if behind is None else behind.thread)
    for name, thread in found:
        data = ThreadData(reader, tenant, thread.incarnation)
        namespaces = [request.namespace] if request.HasField("namespace") else list(data.namespaces())
        after = None
        if behind is not None and behind.thread == name:
            after = (behind.checkpoint, behind.namespace)
        for checkpoint, namespace in _ids(data, namespaces, request, after):
            yield data, PageToken(name, checkpoint, namespace, digest)


def _ids(
    data: ThreadData, namespaces: list[str], request: pb.ListCheckpointsRequest, behind: tuple[str, str] | None
) -> Iterator[tuple[str, str]]:
    if not request.checkpoint:
        return data.newest(namespaces, request.before, behind)
    wanted = request.checkpoint
    places = [
        (wanted, one) for one in sorted(namespaces, reverse=True) if not request.before or wanted < request.before
    ]
    return iter([place for place in places if behind is None or place < behind])


def _read(
    data: ThreadData,
    thread: str,
    namespace: str,
    checkpoint: str,
    attributes: Mapping[str, str] | None = None,
    only: Collection[str] | None = None,
) -> pb.Checkpoint | None:
    """A checkpoint as it is given out, as a whole or `only` some channels; None when it is not there, or has other
    attributes."""
    for _ in range(_TRIES):
        record = data.checkpoint(namespace, checkpoint)
        if record is None or any(record.attributes.get(name) != value for name, value in (attributes or {}).items()):
            return None
        try:
            return _Answer(data, namespace, only).of(thread, checkpoint, record)
        except _Vanished:
            continue
    raise Refusal("STORE_UNAVAILABLE", f"checkpoint {checkpoint} changes while it is read: try again")


class _Answer:
    """Makes a checkpoint of a record, with as many payloads as have room."""

    def __init__(self, data: ThreadData, namespace: str, only: Collection[str] | None) -> None:
        self._data = data
        self._namespace = namespace
        self._only = only
        self._room = INLINE_BYTES

    def of(self, thread: str, checkpoint: str, record: records.CheckpointRecord) -> pb.Checkpoint:
        """Raises `_Vanished`."""
        answer = pb.Checkpoint(
            thread=thread,
            namespace=self._namespace,
            checkpoint=checkpoint,
            parent=record.parent,
            run=record.run,
            attributes=record.attributes,
            accumulating_channels=record.accumulating_channels,
        )
        if self._only is None:
            answer.body.CopyFrom(pb.CheckpointPayload(type=record.body.type, data=record.body.data))
            answer.metadata.CopyFrom(pb.CheckpointPayload(type=record.metadata.type, data=record.metadata.data))
        for channel in record.channels:
            if self._wanted(channel.name):
                self._channel(answer.channels.add(), channel)
        for write in self._data.writes(self._namespace, checkpoint):
            said = write.record
            if not self._wanted(said.channel):
                continue
            added = answer.writes.add(
                task=write.task, index=write.index, channel=said.channel, task_path=said.task_path
            )
            self._payload(added.value, said.value, write.key)
        return answer

    def _wanted(self, channel: str) -> bool:
        return self._only is None or channel in self._only

    def _channel(self, answer: pb.CheckpointChannel, channel: records.StoredChannel) -> None:
        answer.name, answer.version = channel.name, channel.version
        answer.state = pb.CHECKPOINT_CHANNEL_STATE_EMPTY
        if channel.digest:
            value = (channel.name, channel.digest)
            stored = self._data.value(self._namespace, value)
            if stored is None:
                raise _Vanished
            answer.state = pb.CHECKPOINT_CHANNEL_STATE_SET
            self._payload(answer.value, stored, self._data.value_key(self._namespace, value))

    def _payload(self, answer: pb.CheckpointPayload, stored: records.StoredPayload, key: bytes) -> None:
        answer.type = stored.type
        if stored.size_bytes > min(PIECE_BYTES, self._room):
            answer.size_bytes = stored.size_bytes
            answer.handle = _handle(self._data.tenant, key)
        else:
            answer.data = stored.data
            self._room -= stored.size_bytes


def _handle(tenant: str, key: bytes) -> str:
    """Names a payload to its tenant."""
    return base64.urlsafe_b64encode(key[len(keys.checkpoint_data(tenant, b"")) :]).rstrip(b"=").decode("ascii")


def _key(tenant: str, handle: str) -> bytes:
    """The key of a payload without the number of a piece. It cannot leave the tenant; raises `Refusal`."""
    try:
        key = keys.checkpoint_data(tenant, base64.urlsafe_b64decode(handle + "=" * (-len(handle) % 4)))
    except (ValueError, binascii.Error) as error:
        raise invalid_argument(("handle", "is not one of a payload")) from error
    if _kind(tenant, key) not in (b"v", b"w"):
        raise invalid_argument(("handle", "is not one of a payload"))
    return key


def _kind(tenant: str, key: bytes) -> bytes:
    start = len(keys.checkpoint_data(tenant, bytes(INCARNATION_BYTES)))
    return key[start : start + 1]


def _token(request: pb.ListCheckpointsRequest, digest: bytes) -> PageToken | None:
    if not request.page_token:
        return None
    try:
        read = PageToken.decode(request.page_token)
    except InvalidToken as error:
        raise invalid_argument(("page_token", str(error))) from error
    if read.digest != digest:
        raise invalid_argument(("page_token", "belongs to a list with another filter"))
    return read
