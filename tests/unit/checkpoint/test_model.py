"""What may be deleted of a namespace, and in which order."""

from __future__ import annotations

from fairlead.checkpoint.model import PIECE_BYTES, Facts, ancestors_needed, digest, first_piece, further_pieces, removal
from tests.unit.checkpoint.samples import payload


def facts(parent: str, values: str = "", open: str = "") -> Facts:
    """`values` and `open` are channels of one letter; a value is named by its channel and a digit."""
    pairs = [values[at : at + 2] for at in range(0, len(values), 2)]
    return Facts(parent, "", frozenset((pair[0], pair[1].encode()) for pair in pairs), frozenset(open))


def test_a_checkpoint_needs_its_ancestors_up_to_the_last_value_of_what_accumulates() -> None:
    chain = {
        "1": facts("", "a1"),
        "2": facts("1", "a2"),
        "3": facts("2", open="a"),
        "4": facts("3", open="a"),
    }
    assert ancestors_needed(chain, ["4"]) == {"2", "3"}
    assert ancestors_needed(chain, ["2"]) == set()
    assert ancestors_needed(chain, ["4", "2"]) == {"2", "3"}


def test_what_is_needed_needs_its_own_ancestors() -> None:
    chain = {
        "1": facts("", "b1"),
        "2": facts("1", "a2", open="b"),
        "3": facts("2", "b3", open="a"),
    }
    # 3 needs 2 for a; 2 needs 1 for b, although 3 does not.
    assert ancestors_needed(chain, ["3"]) == {"1", "2"}


def test_a_chain_without_a_value_is_needed_to_its_root_and_a_cycle_ends() -> None:
    assert ancestors_needed({"1": facts(""), "2": facts("1", open="a")}, ["2"]) == {"1"}
    assert ancestors_needed({"2": facts("gone", open="a")}, ["2"]) == set()
    around = {"1": facts("2", open="a"), "2": facts("1", open="a")}
    assert ancestors_needed(around, ["1"]) == {"1", "2"}


def test_values_go_with_the_last_checkpoint_that_has_them() -> None:
    all_of_it = {"1": facts("", "a1b1"), "10": facts("1", "a1b2"), "2": facts("10", "a1b2")}
    assert list(removal(all_of_it, ["10", "1"])) == [("1", [("b", b"1")]), ("10", [])]
    assert list(removal(all_of_it, ["2", "10", "1"])) == [
        ("1", [("b", b"1")]),
        ("10", []),
        ("2", [("a", b"1"), ("b", b"2")]),
    ]


def test_payloads_are_cut_into_pieces_and_named_by_type_and_bytes() -> None:
    large = payload(bytes(range(256)) * (PIECE_BYTES // 128) + b"end")
    pieces = [first_piece(large).data, *(data for _, data in further_pieces(large))]
    assert [len(piece) for piece in pieces] == [PIECE_BYTES, PIECE_BYTES, 3]
    assert b"".join(pieces) == large.data
    assert not list(further_pieces(payload(bytes(PIECE_BYTES))))
    other = payload(large.data)
    other.type = "json"
    assert len({digest(large), digest(other), digest(payload(b""))}) == 3
