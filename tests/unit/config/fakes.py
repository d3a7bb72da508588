"""A store of dictionaries and a core that only commits writes."""

from __future__ import annotations

from collections.abc import Iterator

from fairlead.internal.v1 import command_pb2


class FakeStore:
    """Keeps what is written to it."""

    def __init__(self) -> None:
        self.families: dict[int, dict[bytes, bytes]] = {}

    def get(self, family: int, key: bytes) -> bytes | None:
        return self.families.get(family, {}).get(key)

    def scan(
        self, family: int, *, prefix: bytes = b"", reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        found = [(key, value) for key, value in self.families.get(family, {}).items() if key.startswith(prefix)]
        yield from sorted(found, reverse=reverse)[:limit]

    def write(self, write: command_pb2.Write) -> None:
        family = self.families.setdefault(write.family, {})
        if write.HasField("value"):
            family[write.key] = write.value
        else:
            family.pop(write.key, None)


class FakeCore:
    """Commits every command's writes at once and remembers the commands; `reject` makes it refuse the next one, which
    is written all the same with `landing`, as a write may be whose fsync failed."""

    def __init__(self, store: FakeStore) -> None:
        self.store = store
        self.commands: list[command_pb2.Command] = []
        self.reject: command_pb2.Rejection | None = None
        self.landing = False

    def apply(self, command: bytes) -> bytes:
        parsed = command_pb2.Command.FromString(command)
        if self.reject is not None:
            rejection, self.reject = self.reject, None
            if self.landing:
                self._write(parsed)
            return command_pb2.CommandResult(rejection=rejection).SerializeToString()
        self.commands.append(parsed)
        self._write(parsed)
        return command_pb2.CommandResult(done=command_pb2.Done(), sequence=len(self.commands)).SerializeToString()

    def _write(self, command: command_pb2.Command) -> None:
        for write in (*command.load_config.writes, *command.control_write.writes):
            self.store.write(write)

    def snapshot(self, query: bytes | None = None) -> bytes:
        return command_pb2.Snapshot().SerializeToString()

    @property
    def loads(self) -> list[command_pb2.LoadConfig]:
        return [command.load_config for command in self.commands if command.HasField("load_config")]
