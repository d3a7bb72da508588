"""Hostile YAML: whatever stands in a configuration file, the answer is a configuration or violations that say where.

A run that looks longer: `HYPOTHESIS_EXAMPLES=100000 python -m pytest tests/property/test_hostile_configuration.py`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.config.loader import Loader
from fairlead.config.violation import ConfigError

EXAMPLE = (Path(__file__).parents[2] / "examples/quickstart/fairlead.yaml").read_text()
ENVIRONMENT = {name: "token" for name in re.findall(r"fromEnv: (\w+)", EXAMPLE)}
# Tokens of the example, and what YAML parsers and validators have stumbled over elsewhere.
WORDS = [
    *sorted(set(re.findall(r"[A-Za-z_][\w.-]*|\d+(?:\.\d+)?|[\[\]{}:,|>&*!#-]", EXAMPLE))),
    *(
        "&a [*a]",
        "<<: *x",
        "!!python/object:os.system",
        "? x",
        "...",
        "---",
        "%YAML 1.1",
        "\t",
        "\x00",
        "\ud7ff",
        "null",
    ),
    *("1e999", "-0", "0x1F", "0o17", "1_000", ".inf", ".nan", "~", "yes", "2026-11-21", "12:30:45", '"\\u0000"', "''"),
    *("9" * 400, "[" * 60, "{a: " * 60, "- " * 60, "x" * 5000, "${X}", "{{ x }}", "http://[::1", "1h30", "-1s", "10XB"),
]
LIMIT = settings(max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "150")))
SPANS = [(found.start(), found.end()) for found in re.finditer(r"[^\s\[\]{},:]+|[\[\]{},:]", EXAMPLE)]


def accept(text: str | bytes) -> None:
    """Loads it; anything but a configuration or violations is a failure of the test."""
    try:
        Loader(None, ENVIRONMENT).load_text(text, "hostile.yaml")
    except ConfigError as error:
        assert error.violations
        assert all(violation.message for violation in error.violations)


@LIMIT
@given(st.lists(st.tuples(st.sampled_from(SPANS), st.sampled_from(WORDS)), min_size=1, max_size=6))
def test_an_example_with_other_words(changes: list[tuple[tuple[int, int], str]]) -> None:
    text = EXAMPLE
    for (start, end), word in sorted(changes, reverse=True):
        text = text[:start] + word + text[end:]
    accept(text)


@LIMIT
@given(st.lists(st.sampled_from([*WORDS, "\n", "\n  ", " "]), max_size=60))
def test_words_without_order(words: list[str]) -> None:
    accept("".join(words))


@LIMIT
@given(st.binary(max_size=400))
def test_arbitrary_bytes(content: bytes) -> None:
    accept(content)
