"""The tree that checkpoints sign, which grows in the native core, against the pure Python one that verifies them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.audit.model import GENESIS, link
from fairlead.audit.transparency.merkle import HASH_BYTES, TILE_LEAVES, Frontier, leaf_hash, root_of
from fairlead.internal.v1 import command_pb2
from fairlead.native import DoesNotFit, Tree
from fairlead.store import keys
from fairlead.v1 import audit_record_pb2
from tests.property.core import AUDIT, InProcess, configuration

Entry = tuple[bytes, bytes]


def log(count: int) -> list[Entry]:
    """A log as it is stored."""
    entries: list[Entry] = []
    head = GENESIS
    for sequence in range(1, count + 1):
        record = b"record %d" % (sequence * 7919)
        head = link(head, record)
        entries.append((keys.audit(sequence), head + record))
    return entries


LOG = log(1100)


def check(tree: Tree, entries: list[Entry], size: int) -> None:
    """The tree is the one over the first `size` entries."""
    leaves = [leaf_hash(value[HASH_BYTES:]) for _, value in entries[:size]]
    reference = Frontier()
    for leaf in leaves:
        reference.append(leaf)
    assert (tree.size, tree.frontier, tree.root) == (size, reference.hashes, reference.root())
    assert tree.head == (entries[size - 1][1][:HASH_BYTES] if size else GENESIS)
    assert tree.record_bytes == sum(len(value) - HASH_BYTES for _, value in entries[:size])
    added = len(tree.leaves) // HASH_BYTES
    assert tree.leaves == b"".join(leaves[size - added :])
    first, last = (size - added) // TILE_LEAVES, size // TILE_LEAVES
    whole = [(one, root_of(leaves[one * TILE_LEAVES : (one + 1) * TILE_LEAVES])) for one in range(first, last)]
    assert tree.tiles == whole


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, len(LOG)), min_size=1, max_size=6), st.data())
def test_it_grows_by_slices_to_what_python_says(ends: list[int], data: st.DataObject) -> None:
    tree = Tree()
    for first, last in pairwise(sorted({0, *ends})):
        tree = tree.grown(LOG[first:last])
        check(tree, LOG, last)
        if data.draw(st.booleans()):
            tree = tree.settled()
        if data.draw(st.booleans()):
            tree = Tree(tree.size, tree.frontier, tree.head, tree.record_bytes)
            assert tree.leaves == b"" and tree.tiles == []


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 20), st.integers(1, 20), st.data())
def test_a_log_that_was_changed_anywhere_does_not_fit(size: int, more: int, data: st.DataObject) -> None:
    tree = Tree().grown(LOG[:size])
    slice_ = LOG[size : size + more]
    at = data.draw(st.integers(0, more - 1))
    key, value = slice_[at]
    match data.draw(st.sampled_from(["bit", "cut", "key", "removed", "moved"])):
        case "bit":
            position = data.draw(st.integers(0, len(value) - 1))
            flipped = value[position] ^ (1 << data.draw(st.integers(0, 7)))
            slice_[at] = (key, value[:position] + bytes([flipped]) + value[position + 1 :])
        case "cut":
            slice_[at] = (key, value[: data.draw(st.integers(0, len(value) - 1))])
        case "key":
            slice_[at] = (data.draw(st.binary(max_size=9).filter(lambda other: other != key)), value)
        case "removed":
            slice_[at : at + 1] = []
            slice_.append(LOG[size + more + 1])
        case "moved":
            slice_[at] = (key, LOG[size + more + 1][1])
    with pytest.raises(DoesNotFit):
        tree.grown(slice_)
    check(tree.settled(), LOG, size)


def test_hashes_that_are_none_of_a_tree_are_refused() -> None:
    for size, frontier in ((1, []), (3, [bytes(32)]), (0, [bytes(32)]), (1, [bytes(31)])):
        with pytest.raises(DoesNotFit):
            Tree(size, frontier, GENESIS)


class Logged(InProcess):
    """A core whose store can fail."""

    def record(self) -> None:
        write = command_pb2.ControlWrite(record=audit_record_pb2.ControlChanged(subject="test.tree"))
        result = self.apply(command_pb2.Command(control_write=write), 1)
        assert result.WhichOneof("result") == "done", result

    def entries(self) -> list[Entry]:
        return [(key, value) for (family, key), value in sorted(self.store.items()) if family == AUDIT]

    def fail(self, *, written: bool) -> None:
        """A write that fails, perhaps after the bytes, and the way back."""
        batch = self.core.next_batch(512, 0)
        if written and batch is not None:
            self.store.update({(family, key): value for family, key, value in batch[2] if value is not None})
        self.core.fail_store("test")
        if batch is not None:
            # The acknowledgement of a flush that was under way.
            self.core.acknowledge(batch[0], batch[0], 1, 1)
        self.core.recover([(family, key, value) for (family, key), value in sorted(self.store.items())], True, 1)

    def lose(self) -> None:
        """A disk that forgets what was acknowledged last."""
        self.core.fail_store("test")
        last = self.entries()[-1:]
        for key, _ in last:
            del self.store[AUDIT, key]
        self.core.recover([(family, key, value) for (family, key), value in sorted(self.store.items())], True, 1)


STEPS = ("record", "record", "record", "commit", "commit", "grow", "grow", "read", "seal", "fail", "written", "lose")


@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from(STEPS), max_size=40), st.data())
def test_the_core_gives_what_is_committed_and_nothing_else(steps: list[str], data: st.DataObject) -> None:
    core = Logged(configuration(1000, 1000))
    tree = Tree()
    for step in [*steps, "commit", "catch up"]:
        stored = core.entries()
        match step:
            case "record":
                core.record()
            case "commit":
                core.commit()
            case "grow":
                last = data.draw(st.integers(0, len(stored) + 2))
                grown = core.core.grow(tree, last)
                assert tree.size <= grown.size <= max(tree.size, min(last, len(stored)))
                tree = grown
            case "read":
                tree = tree.grown(stored[tree.size : tree.size + data.draw(st.integers(1, 3))])
            case "seal":
                tree = tree.settled()
            case "fail" | "written":
                core.fail(written=step == "written")
            case "lose" if tree.size < len(stored):
                core.lose()
            case "catch up":
                while tree.size < len(stored):
                    grown = core.core.grow(tree, len(stored))
                    tree = grown if grown.size > tree.size else tree.grown(stored[tree.size : tree.size + 1])
        check(tree, core.entries(), tree.size)


def test_what_was_committed_is_not_read_from_the_store_and_comes_once() -> None:
    core = Logged(configuration(1000, 1000))
    tree = core.core.grow(Tree(), 9)
    for _ in range(3):
        core.record()
    assert core.core.grow(tree, 9).size == 0, "it is decided, not committed"
    core.commit()
    tree = core.core.grow(tree, 2)
    assert tree.size == 2
    core.record()
    core.commit()
    assert core.core.grow(Tree(), 9).size == 0, "who could not write its checkpoint reads the log again"
    tree = core.core.grow(tree, 9)
    assert tree.size == 4
    check(tree, core.entries(), 4)
