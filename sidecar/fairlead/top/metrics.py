"""The metrics page (Prometheus text format), read into numbers. What cannot be read is left out: a newer sidecar may
say more than this program knows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

PAGE_MAX_BYTES = 64 << 20
_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>[^ ]+)(?: \d+)?", re.ASCII)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"', re.ASCII)
_ESCAPED = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """The samples by name."""

    samples: Mapping[str, list[tuple[Labels, float]]]

    def of(self, name: str, **labels: str) -> Iterator[tuple[Labels, float]]:
        """The samples of a metric that have these labels."""
        for found, value in self.samples.get(name, ()):
            if all(found.get(label) == wanted for label, wanted in labels.items()):
                yield found, value

    def total(self, name: str, **labels: str) -> float:
        """Their sum."""
        return sum(value for _, value in self.of(name, **labels))

    def by(self, label: str, name: str, **labels: str) -> dict[str, float]:
        """Their sums by another label."""
        sums: dict[str, float] = {}
        for found, value in self.of(name, **labels):
            sums[found.get(label, "")] = sums.get(found.get(label, ""), 0.0) + value
        return sums


def read(text: str) -> Page:
    """A page."""
    samples: dict[str, list[tuple[Labels, float]]] = {}
    for line in text.splitlines():
        match = _SAMPLE.fullmatch(line)
        if match is None:
            continue
        try:
            value = float(match["value"])
        except ValueError:
            continue
        labels = {name: _unescaped(text) for name, text in _LABEL.findall(match["labels"] or "")}
        samples.setdefault(match["name"], []).append((labels, value))
    return Page(samples)


def _unescaped(text: str) -> str:
    return re.sub(r"\\.", lambda found: _ESCAPED.get(found[0], found[0]), text)
