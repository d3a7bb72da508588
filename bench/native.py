"""What the native crates cost in process: their benchmarks print one JSON object per line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

from bench.processes import ROOT
from bench.results import Result, at_most

_DIALECTS = ("openai-chat", "openai-responses", "anthropic-messages")
_EVENTS = 100


def engine_decision() -> list[Result]:
    """Decisions of the engine."""
    measured = {row["name"]: row for row in _measured("fairlead-engine", "decision")}
    results = [at_most("engine decision p50 (100 rules, 3 budgets)", measured["rules/100"]["p50_ns"] / 1000, "us", 3.0)]
    for kind, base in (("rules", "rules/10"), ("instances", "instances/10")):
        for name, row in measured.items():
            if name.startswith(kind + "/"):
                ratio = row["p50_ns"] / measured[base]["p50_ns"]
                results.append(Result(f"engine decision p50, {name}", row["p50_ns"] / 1000, "us", base, ratio))
    return results


def output_rules() -> list[Result]:
    """Looking through 16 KiB of answer, whole and in events of five bytes."""
    return [
        Result(f"output rules per KiB, {row['case']}", row["nanos_per_kib"] / 1000, "us")
        for row in _measured("fairlead-screen", "screen")
    ]


def translation() -> list[Result]:
    """A request of 20 KiB, an answer of 1,200 bytes, and an event, between all dialects; within one nothing is
    translated."""
    measured = {row["name"]: row["p50_ns"] / 1000 for row in _measured("fairlead-dialect", "translate")}
    results = []
    for client in _DIALECTS:
        for provider in _DIALECTS:
            told = f"{client} to {provider}" if client != provider else f"{client}, passed on"
            # Read once, asked what it cannot say, written.
            request = sum(
                measured.get(part, 0.0)
                for part in (
                    f"parse/{client}",
                    f"untranslatable/{client}-{provider}",
                    f"turn/{client}-{provider}",
                )
            )
            answer, events = measured[f"answer/{provider}-{client}"], measured[f"100-events/{provider}-{client}"]
            results += [
                Result(f"request of 20 KiB p50, {told}", request, "us"),
                Result(f"answer p50, {told}", answer, "us"),
                Result(f"event p50, {told}", events / _EVENTS, "us"),
            ]
    return results


def _measured(package: str, bench: str) -> Iterator[dict[str, Any]]:
    """The rows of a benchmark."""
    command = ["cargo", "bench", "--locked", "--quiet", "--package", package, "--bench", bench]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
