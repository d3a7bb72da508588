"""A draft as YAML: what the reader has to know as comments at the top, then the configuration."""

from __future__ import annotations

import re
import textwrap
from decimal import Decimal
from typing import Any

import yaml

from fairlead.importing.draft import Draft

_WIDTH = 112
# Strings that are strings in every version of YAML.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)
_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"])


class _Dumper(yaml.SafeDumper):
    """Quotes what one version of YAML or another would not read as text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Decimal, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:float", f"{value:f}"))


def write(draft: Draft, origin: str) -> str:
    """The text."""
    lines = [f"# Made by `fairlead import` from {_visible(origin)}. Read it before you use it."]
    for title, notes in (("No equivalent", draft.lost), ("Decided on the way", draft.decided)):
        if notes:
            lines += ["#", f"# {title}:"]
        for note in notes:
            lines += textwrap.wrap(
                _visible(note), _WIDTH, initial_indent="#   - ", subsequent_indent="#     ", break_long_words=False,
                break_on_hyphens=False,
            )  # fmt: skip
    for section, value in draft.config.items():
        lines.append("")
        if isinstance(value, list):
            lines.append(f"{section}:")
            for entry in value:
                lines += _entry(entry)
        else:
            lines += _dumped({section: value})
    return "\n".join((*lines, ""))


def _visible(text: str) -> str:
    """Text that stays on the line of its comment, whatever YAML takes for the end of one."""
    return "".join(character if character.isprintable() else " " for character in text)


def _entry(entry: dict[str, Any]) -> list[str]:
    """An item of a list: in one line where it fits."""
    flow = yaml.dump(entry, Dumper=_Dumper, default_flow_style=True, sort_keys=False, allow_unicode=True, width=100_000)
    line = f"  - {flow.strip()}"
    if len(line) <= _WIDTH + 8:
        return [line]
    return [f"  {line}" for line in _dumped([entry])]


def _dumped(value: Any) -> list[str]:
    dumped: str = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=None, sort_keys=False, allow_unicode=True, width=_WIDTH
    )
    return dumped.rstrip("\n").split("\n")
