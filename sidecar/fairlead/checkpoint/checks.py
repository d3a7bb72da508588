"""What a request has to be like before anything is read for it: `Refusal` with everything that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fairlead.checkpoint.model import HEAD_MAX_BYTES, CheckpointSettings
from fairlead.control.errors import Refusal, invalid_argument
from fairlead.v1 import checkpoint_service_pb2 as pb

NAME_MAX_BYTES = 1024
# Names of nested subgraphs, each with an id.
PATH_MAX_BYTES = 8192
ATTRIBUTE_MAX_BYTES = 1024
MAX_CHANNELS = 4096
MAX_ATTRIBUTES = 256
MAX_WRITES = 4096
MAX_NAMED = 1000
Wrong = list[tuple[str, str]]


def check_checkpoint(checkpoint: pb.Checkpoint, settings: CheckpointSettings) -> None:
    """Of a checkpoint to be stored."""
    wrong: Wrong = []
    _name(wrong, "checkpoint.thread", checkpoint.thread)
    _path(wrong, "checkpoint.namespace", checkpoint.namespace)
    _name(wrong, "checkpoint.checkpoint", checkpoint.checkpoint)
    for field, optional in (("checkpoint.parent", checkpoint.parent), ("checkpoint.run", checkpoint.run)):
        _longest(wrong, field, optional, NAME_MAX_BYTES)
    if len(checkpoint.attributes) > MAX_ATTRIBUTES:
        wrong.append(("checkpoint.attributes", f"has more than {MAX_ATTRIBUTES} entries"))
    for name, value in checkpoint.attributes.items():
        if len(name.encode()) > ATTRIBUTE_MAX_BYTES or len(value.encode()) > ATTRIBUTE_MAX_BYTES:
            field = f"checkpoint.attributes[{name[:64]}]"
            wrong.append((field, f"has a name or value of more than {ATTRIBUTE_MAX_BYTES} bytes"))
    if len(checkpoint.channels) > MAX_CHANNELS:
        wrong.append(("checkpoint.channels", f"has more than {MAX_CHANNELS} channels"))
    _channels(wrong, checkpoint.channels)
    _writes(wrong, "checkpoint.writes", checkpoint.writes)
    _complete(wrong, "checkpoint", checkpoint_payloads(checkpoint))
    if wrong:
        raise invalid_argument(*wrong)
    # What has no value of its own is one record, which every list reads as a whole.
    head = checkpoint.body.ByteSize() + checkpoint.metadata.ByteSize()
    head += sum(len(name) + len(value) for name, value in checkpoint.attributes.items())
    head += sum(len(channel.name) + len(channel.version) for channel in checkpoint.channels)
    if head > HEAD_MAX_BYTES:
        raise _too_large("the checkpoint without its values", head, "1 MiB", HEAD_MAX_BYTES)
    check_payloads(sized(checkpoint_payloads(checkpoint)), settings)


def check_writes(request: pb.PutWritesRequest, settings: CheckpointSettings) -> None:
    """Of writes to be stored."""
    wrong: Wrong = []
    _name(wrong, "thread", request.thread)
    _path(wrong, "namespace", request.namespace)
    _name(wrong, "checkpoint", request.checkpoint)
    _writes(wrong, "writes", request.writes)
    _complete(wrong, "writes", write_payloads(request.writes))
    if wrong:
        raise invalid_argument(*wrong)
    check_payloads(sized(write_payloads(request.writes)), settings)


def check_payloads(sizes: Iterable[int], settings: CheckpointSettings) -> None:
    """Of the sizes of all payloads of a request, in bytes."""
    total = 0
    for size in sizes:
        total += size
        if size > settings.payload_bytes:
            raise _too_large("a payload", size, "limits.checkpointBytes", settings.payload_bytes)
        if total > settings.put_bytes:
            raise _too_large("the request", total, "limits.checkpointPutBytes", settings.put_bytes)


def check_place(thread: str, namespace: str, checkpoint: str, *, any_thread: bool = False) -> None:
    """Of what is looked for."""
    wrong: Wrong = []
    if thread or not any_thread:
        _name(wrong, "thread", thread)
    _path(wrong, "namespace", namespace)
    _longest(wrong, "checkpoint", checkpoint, NAME_MAX_BYTES)
    if wrong:
        raise invalid_argument(*wrong)


def check_thread(field: str, thread: str) -> None:
    """Of the name of a thread."""
    wrong: Wrong = []
    _name(wrong, field, thread)
    if wrong:
        raise invalid_argument(*wrong)


def check_named(field: str, names: Sequence[str]) -> None:
    """Of a list of threads or runs."""
    wrong: Wrong = []
    if len(names) > MAX_NAMED:
        wrong.append((field, f"has more than {MAX_NAMED}: ask in several requests"))
    for position, name in enumerate(names[:MAX_NAMED]):
        _name(wrong, f"{field}[{position}]", name)
    if wrong:
        raise invalid_argument(*wrong)


def checkpoint_payloads(checkpoint: pb.Checkpoint) -> Iterator[pb.CheckpointPayload]:
    """All payloads of a checkpoint, in the order in which their pieces follow."""
    yield checkpoint.body
    yield checkpoint.metadata
    for channel in checkpoint.channels:
        if channel.state == pb.CHECKPOINT_CHANNEL_STATE_SET:
            yield channel.value
    yield from write_payloads(checkpoint.writes)


def write_payloads(writes: Iterable[pb.CheckpointWrite]) -> Iterator[pb.CheckpointPayload]:
    """The payloads of writes, in order."""
    return (write.value for write in writes)


def sized(payloads: Iterable[pb.CheckpointPayload]) -> Iterator[int]:
    """Their sizes in bytes, wherever the bytes are."""
    return (len(payload.data) + payload.size_bytes for payload in payloads)


def _channels(wrong: Wrong, channels: Iterable[pb.CheckpointChannel]) -> None:
    names: set[str] = set()
    for position, channel in enumerate(channels):
        field = f"checkpoint.channels[{position}]"
        _longest(wrong, f"{field}.name", channel.name, NAME_MAX_BYTES)
        _longest(wrong, f"{field}.version", channel.version, NAME_MAX_BYTES)
        if channel.name in names:
            wrong.append((f"{field}.name", "names a channel twice"))
        names.add(channel.name)
        if channel.state == pb.CHECKPOINT_CHANNEL_STATE_UNSPECIFIED:
            wrong.append((f"{field}.state", "must be SET, UNCHANGED or EMPTY"))


def _writes(wrong: Wrong, field: str, writes: Sequence[pb.CheckpointWrite]) -> None:
    if len(writes) > MAX_WRITES:
        wrong.append((field, f"has more than {MAX_WRITES}: put them in several requests"))
    for position, write in enumerate(writes[:MAX_WRITES]):
        _name(wrong, f"{field}[{position}].task", write.task)
        _longest(wrong, f"{field}[{position}].channel", write.channel, NAME_MAX_BYTES)
        _path(wrong, f"{field}[{position}].task_path", write.task_path)


def _complete(wrong: Wrong, field: str, payloads: Iterable[pb.CheckpointPayload]) -> None:
    if any(payload.size_bytes for payload in payloads):
        wrong.append((field, "has payloads with size_bytes: only PutLarge takes bytes that follow"))


def _name(wrong: Wrong, field: str, value: str) -> None:
    if not value:
        wrong.append((field, "is required"))
    _longest(wrong, field, value, NAME_MAX_BYTES)


def _path(wrong: Wrong, field: str, value: str) -> None:
    _longest(wrong, field, value, PATH_MAX_BYTES)


def _longest(wrong: Wrong, field: str, value: str, most: int) -> None:
    if len(value.encode()) > most:
        wrong.append((field, f"has more than {most} bytes"))


def _too_large(what: str, size: int, bound: str, limit: int) -> Refusal:
    facts = {"bound": bound, "limit": str(limit), "size": str(size)}
    message = f"{what} has {size} bytes, more than {bound} ({limit}): keep large values elsewhere and a reference here"
    return Refusal("PAYLOAD_TOO_LARGE", message, facts)
