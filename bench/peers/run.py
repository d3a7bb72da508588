"""`make bench-peers`: what Fairlead and other gateways add to a call, in turns, in one run on one machine.

Fairlead runs with governance on (100 rules, routing, three budgets, a rate limit, the durable audit log), the others as
plain proxies: they add less than they would with budgets and policy. All are in front of the same provider without
delay and are called by the same client on one kept connection.
"""

from __future__ import annotations

import math
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench import configuration
from bench.peers import gateways
from bench.peers.gateways import Gateway
from bench.processes import LOAD, ROOT, Sidecar, build, in_turns, load, printing_its_address
from bench.results import Result, table, write

CALLS = 500
STREAMS = 100
PARTS = 32


def call(gateway: Gateway, mode: str) -> dict[str, float]:
    """One run of calls through a gateway; no numbers for one that does not get through it."""
    calls = CALLS if mode == "unary" else STREAMS
    try:
        return load("chat", gateway.url, gateway.token, calls, gateway.model, mode, PARTS, *gateway.headers)
    except subprocess.CalledProcessError:
        return dict.fromkeys(("p50", "p99", "ttfb_p50"), math.nan)


def throughput(gateway: Gateway) -> dict[str, float]:
    """One run of 16 clients."""
    return load("chats", gateway.url, gateway.token, 16, 20, gateway.model, "unary", 16, *gateway.headers)


def compare(everyone: list[Gateway]) -> list[Result]:
    """The first is the provider itself, the second Fairlead."""
    whole = in_turns(*(lambda one=one: call(one, "unary") for one in everyone))
    streams = in_turns(*(lambda one=one: call(one, "stream") for one in everyone))
    rates = in_turns(*(lambda one=one: throughput(one) for one in everyone))
    direct, direct_stream = whole[0], streams[0]
    results = [
        Result("direct p50", direct["p50"], "us"),
        Result("direct throughput, 16 clients", rates[0]["rate"], "1/s"),
    ]
    added = {one.name: row["p50"] - direct["p50"] for one, row in zip(everyone[1:], whole[1:], strict=True)}
    ours = added["Fairlead"]
    fastest = min(value for name, value in added.items() if name != "Fairlead")
    for one, row, stream, rate in zip(everyone[1:], whole[1:], streams[1:], rates[1:], strict=True):
        against = None if one.name == "Fairlead" else ours / added[one.name]
        results += [
            Result(f"{one.name}: added p50", added[one.name], "us", "Fairlead / it" if against else None, against),
            Result(f"{one.name}: added p99", row["p99"] - direct["p99"], "us"),
            Result(f"{one.name}: stream, added first byte p50", stream["ttfb_p50"] - direct_stream["ttfb_p50"], "us"),
            Result(f"{one.name}: stream, added whole p50", stream["p50"] - direct_stream["p50"], "us"),
            Result(f"{one.name}: throughput, 16 clients", rate["rate"], "1/s"),
        ]
    half, twentieth = ours / fastest, ours / added["LiteLLM"]
    return [
        *results,
        Result("Fairlead's added p50", ours, "us", "the fastest", half, "<= 0.5 x", half <= 0.5),
        Result("Fairlead's added p50", ours, "us", "LiteLLM", twentieth, "<= 0.05 x", twentieth <= 0.05),
    ]


def main() -> None:
    """Measures everything."""
    build()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fairlead-peers-")))
        provider = stack.enter_context(printing_its_address([str(LOAD), "provider", "0"]))
        sidecar = Sidecar(directory, configuration.text(provider, provider))
        sidecar.start()
        stack.callback(sidecar.kill)
        everyone = [
            Gateway("direct", provider, "x", "dev-large"),
            Gateway("Fairlead", sidecar.address, configuration.TOKEN, "chat"),
            stack.enter_context(gateways.switchyard(directory, provider)),
            stack.enter_context(gateways.portkey(directory, provider)),
            stack.enter_context(gateways.litellm(directory, provider)),
        ]
        results = compare(everyone)
        embedded = gateways.tensorzero(directory, provider, CALLS)
        results.append(Result("TensorZero embedded, no HTTP of its own: whole call p50", embedded["p50"], "us"))
    print(table(results))
    write(results, ROOT / "bench/results-peers.json")


if __name__ == "__main__":
    main()
