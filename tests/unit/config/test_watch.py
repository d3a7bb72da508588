"""Changed files are noticed whichever way they change, and not before they have settled."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from fairlead.config.watch import INTERVAL_SECONDS, Changed, Signature, Watcher
from tests.unit.config.samples import write

CONFIG, SECRETS = frozenset({Changed.CONFIG}), frozenset({Changed.SECRETS})
NOTHING: frozenset[Changed] = frozenset()


def polls(watcher: Watcher, times: int = 3) -> list[frozenset[Changed]]:
    return [watcher.poll() for _ in range(times)]


def replace(path: Path, text: str) -> None:
    """An atomic rename, as editors and `kubectl cp` do it."""
    write(path.with_suffix(".new"), text).rename(path)


def test_a_change_is_reported_once_when_two_polls_see_the_same(tmp_path: Path) -> None:
    file = write(tmp_path / "f.yaml", "a")
    watcher = Watcher(file, lambda: ())
    assert polls(watcher) == [NOTHING] * 3
    write(file, "in place")
    assert polls(watcher) == [NOTHING, CONFIG, NOTHING]
    replace(file, "renamed!")
    assert polls(watcher) == [NOTHING, CONFIG, NOTHING]


def test_a_file_that_is_still_being_written_is_not_reported() -> None:
    sizes = iter([1, 2, 3, 4, 4, 4])

    def stat(path: Path) -> Signature:
        return str(path), 1, 1, next(sizes)

    watcher = Watcher(Path("f"), lambda: (), stat=stat, listing=lambda path: [path])
    assert polls(watcher, 5) == [NOTHING, NOTHING, NOTHING, CONFIG, NOTHING]


def test_a_config_map_is_swapped_by_its_symlinks(tmp_path: Path) -> None:
    # file → ..data/file, ..data → ..1/, as the kubelet lays it out.
    for version in ("..1", "..2"):
        (tmp_path / version).mkdir()
        # Same size, same time: only the resolved path and the inode differ.
        os.utime(write(tmp_path / version / "f.yaml", version), (1, 1))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "f.yaml").symlink_to("..data/f.yaml")
    for watched in (tmp_path / "f.yaml", tmp_path):
        watcher = Watcher(watched, lambda: ())
        (tmp_path / "..data_tmp").symlink_to("..2" if os.readlink(tmp_path / "..data") == "..1" else "..1")
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")
        assert polls(watcher) == [NOTHING, CONFIG, NOTHING]


def test_files_of_a_directory_come_and_go(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "a")
    watcher = Watcher(tmp_path, lambda: ())
    write(tmp_path / "b.yaml", "b")
    write(tmp_path / "notes.txt", "not watched")
    assert polls(watcher) == [NOTHING, CONFIG, NOTHING]
    (tmp_path / "b.yaml").unlink()
    assert polls(watcher) == [NOTHING, CONFIG, NOTHING]


def test_a_file_that_disappears_is_a_change_and_so_is_its_return(tmp_path: Path) -> None:
    file = write(tmp_path / "f.yaml", "a")
    watcher = Watcher(file, lambda: ())
    file.unlink()
    assert polls(watcher) == [NOTHING, CONFIG, NOTHING]
    write(file, "b")
    assert polls(watcher) == [NOTHING, CONFIG, NOTHING]


def test_secrets_are_told_from_the_configuration(tmp_path: Path) -> None:
    file, secret = write(tmp_path / "f.yaml", "a"), write(tmp_path / "secret", "s")
    watcher = Watcher(file, lambda: (secret,))
    write(secret, "rotated")
    assert polls(watcher) == [NOTHING, SECRETS, NOTHING]
    write(secret, "rotated again")
    write(file, "too")
    assert polls(watcher) == [NOTHING, CONFIG | SECRETS, NOTHING]


def test_a_secret_that_is_watched_from_now_on_may_have_changed_since_it_was_read(tmp_path: Path) -> None:
    file, secret = write(tmp_path / "f.yaml", "a"), write(tmp_path / "secret", "s")
    watched: list[Path] = []
    watcher = Watcher(file, lambda: watched)
    watched.append(secret)
    assert polls(watcher) == [NOTHING, SECRETS, NOTHING]
    write(secret, "rotated")
    assert polls(watcher) == [NOTHING, SECRETS, NOTHING]
    watched.clear()
    assert polls(watcher) == [NOTHING] * 3


def test_what_could_not_be_decided_is_reported_until_it_is(tmp_path: Path) -> None:
    file, secret = write(tmp_path / "f.yaml", "a"), write(tmp_path / "secret", "s")
    watcher = Watcher(file, lambda: (secret,))
    write(file, "changed")
    write(secret, "rotated")
    assert polls(watcher, 2) == [NOTHING, CONFIG | SECRETS]
    watcher.report_again(SECRETS)
    assert watcher.poll() == SECRETS
    watcher.report_again(SECRETS)
    write(file, "and again")
    assert polls(watcher, 2) == [NOTHING, CONFIG | SECRETS]
    watcher.report_again(NOTHING)
    assert polls(watcher) == [NOTHING] * 3


def test_without_a_configuration_there_are_still_secrets(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret", "s")
    watcher = Watcher(None, lambda: (secret,))
    write(secret, "rotated")
    assert polls(watcher) == [NOTHING, SECRETS, NOTHING]


def test_the_watcher_goes_on_after_a_fault_and_polls_twice_a_second(tmp_path: Path) -> None:
    file = write(tmp_path / "f.yaml", "0")
    watcher = Watcher(file, lambda: ())
    slept: list[float] = []
    seen: list[frozenset[Changed]] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) in (1, 4):
            write(file, "x" * len(slept))
        if len(slept) == 7:
            raise asyncio.CancelledError

    async def on_change(changed: frozenset[Changed]) -> frozenset[Changed]:
        seen.append(changed)
        raise RuntimeError("a fault of the handler")

    async def run() -> None:
        try:
            await watcher.run(on_change, sleep)
        except asyncio.CancelledError:
            return

    asyncio.run(run())
    assert seen == [CONFIG, CONFIG]
    assert set(slept) == {INTERVAL_SECONDS}
    # Noticed and settled within two polls: well under the promised two seconds.
    assert 2 * INTERVAL_SECONDS < 2
