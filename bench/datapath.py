"""Model calls through the sidecar against calling the provider directly, with governance on."""

from __future__ import annotations

from bench import configuration
from bench.processes import Sidecar, in_turns, load
from bench.results import Result, at_most

PARTS = 32
"""Parts of a stream."""
HELD = 512
"""Streams at once."""
INTERVAL_MILLISECONDS = 20
"""Between two parts of a held stream."""
STREAMS_FOR_MEMORY = 10_000


def latency(sidecar: Sidecar, provider: str) -> list[Result]:
    """What one call takes more, whole and as a stream, in the provider's dialect and translated."""

    def call(url: str, model: str, mode: str) -> dict[str, float]:
        return load("chat", url, configuration.TOKEN, 1000, model, mode, PARTS)

    direct, through, translated = in_turns(
        lambda: call(provider, "dev-large", "unary"),
        lambda: call(sidecar.address, "chat", "unary"),
        lambda: call(sidecar.address, "translated", "unary"),
    )
    direct_stream, stream, translated_stream = in_turns(
        lambda: call(provider, "dev-large", "stream"),
        lambda: call(sidecar.address, "chat", "stream"),
        lambda: call(sidecar.address, "translated", "stream"),
    )
    results = [Result("chat direct p50", direct["p50"] / 1000, "ms")]
    for name, whole, streamed in (("chat", through, stream), ("chat to messages", translated, translated_stream)):
        added = {key: (whole[key] - direct[key]) / 1000 for key in ("p50", "p99")}
        later = {key: (streamed[key] - direct_stream[key]) / 1000 for key in ("ttfb_p50", "ttfb_p99", "p50")}
        per_part = (later["p50"] - later["ttfb_p50"]) * 1000 / PARTS
        results += [
            at_most(f"{name} added p50", added["p50"], "ms", 0.4),
            at_most(f"{name} added p99", added["p99"], "ms", 1.5),
            at_most(f"{name} stream added time to first byte p50", later["ttfb_p50"], "ms", 0.5),
            Result(f"{name} stream added time to first byte p99", later["ttfb_p99"], "ms"),
            Result(f"{name} stream added per part", per_part, "us"),
        ]
    return results


def throughput(sidecar: Sidecar, provider: str) -> list[Result]:
    """Calls per second of 32 clients; the load client and the provider run on the same cores."""

    def calls(url: str, model: str) -> dict[str, float]:
        return load("chats", url, configuration.TOKEN, 32, 200, model, "unary", 16)

    direct, through = in_turns(lambda: calls(provider, "dev-large"), lambda: calls(sidecar.address, "chat"))
    return [
        Result("chat direct throughput, 32 clients", direct["rate"], "1/s"),
        Result("chat throughput, 32 clients", through["rate"], "1/s", "direct", through["rate"] / direct["rate"]),
    ]


def held_streams(sidecar: Sidecar, slow_provider: str) -> list[Result]:
    """Many slow streams at once: the longest silence that any client saw, and the memory they leave."""
    before = sidecar.resident_megabytes()

    def hold(url: str, model: str) -> dict[str, float]:
        return load("chats", url, configuration.TOKEN, HELD, 2, model, "stream", 50)

    direct, through = hold(slow_provider, "dev-large"), hold(sidecar.address, "slow")
    stall = through["silence_max"] / 1000
    results = [
        Result(f"{HELD} streams held, direct: longest silence", direct["silence_max"] / 1000, "ms"),
        at_most(
            f"{HELD} streams held: longest silence between parts {INTERVAL_MILLISECONDS} ms apart", stall, "ms", 1000
        ),
        Result(f"{HELD} streams held: p99 of the longest silence", through["silence_p99"] / 1000, "ms"),
    ]
    rounds = STREAMS_FOR_MEMORY // 2 // 100

    def many() -> float:
        load("chats", sidecar.address, configuration.TOKEN, 100, rounds, "chat", "stream", 16)
        return sidecar.resident_megabytes()

    first, second = many(), many()
    growth = second / first
    return [
        *results,
        Result("resident memory before streams", before, "MB"),
        Result(f"resident memory after {STREAMS_FOR_MEMORY // 2:,} streams", first, "MB", "before", first / before),
        Result("the same, after as many again", second, "MB", "first", growth, "<= 1.05 x", growth <= 1.05),
    ]
