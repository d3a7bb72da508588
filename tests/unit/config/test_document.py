"""YAML is read strictly, exactly and within bounds."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fairlead.config.document import DEPTH_MAX, TEXT_MAX_BYTES, Document, read


def faults(text: bytes | str) -> list[tuple[int, str]]:
    return [(place[1], message) for document in read(text) for _, place, message in document.faults]


def one(text: str) -> Document:
    (document,) = read(text)
    assert not document.faults
    return document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("5:30", "5:30"),
        ("2026-11-20", "2026-11-20"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("'7'", "7"),
        ("|\n  7\n", "7\n"),
        ("true", True),
        ("7", 7),
        ("-7", -7),
        ("2.50", Decimal("2.50")),
        ("1e3", Decimal("1e3")),
        (".inf", ".inf"),
        ("123456789012345678.123456789", Decimal("123456789012345678.123456789")),
    ],
)
def test_scalars_follow_the_core_schema_and_keep_their_digits(text: str, value: object) -> None:
    read_back = one(f"a: {text}").value["a"]
    assert read_back == value and type(read_back) is type(value)


def test_every_value_knows_its_line() -> None:
    document = one("a:\n  - b: 1\n    c:\n      d: 2\n")
    assert document.place(("a", 0, "c", "d"))[1] == 4
    assert document.place(("a", 0))[1] == 2
    # What is not there is where its nearest container is.
    assert document.place(("a", 0, "missing", "deeper"))[1] == 2


def test_aliases_are_written_out_with_places() -> None:
    document = one("a: &x {b: 1}\nc: [*x, *x]\n")
    assert document.value["c"] == [{"b": 1}, {"b": 1}]
    assert document.place(("c", 1, "b"))[1] == 1


def test_a_billion_laughs_are_refused_quickly() -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    ((_, message),) = faults("\n".join(lines))
    assert "once its aliases are written out" in message


def test_text_and_depth_are_bounded() -> None:
    assert faults(b"a: " + b"x" * TEXT_MAX_BYTES) == [(0, f"is larger than {TEXT_MAX_BYTES} bytes")]
    assert faults("a: " + "[" * 100_000) == [(1, f"is nested deeper than {DEPTH_MAX} levels")]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "tags are not supported"),
        ("a: !secret x\n", 1, "tags are not supported"),
        ("a: 1\n  b: 2\n", 2, "is not YAML"),
        ("a: 1\nb: *nowhere\n", 2, "not defined"),
        ("a: &x [*x]\n", 1, "not defined"),
        ("- 1\n", 1, "must be a mapping"),
        ("a: \x07\n", 0, "is not YAML"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    ((found, said),) = faults(text)
    assert message in said and found == line


def test_bytes_have_to_be_utf_8() -> None:
    assert faults(b"a: 1\nb: \xff\n") == [(2, "is not UTF-8 text")]
    assert not faults("a: ü\n".encode("utf-8-sig"))


def test_messages_do_not_quote_the_text() -> None:
    for text in ("a: [sk-very-secret", "sk-very-secret", "a: !sk-very-secret b", "a: {b: sk-very-secret: c}"):
        assert faults(text) and "sk-very-secret" not in str(faults(text))
