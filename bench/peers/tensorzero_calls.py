"""Runs in TensorZero's environment: calls its embedded gateway one after the other and prints p50 and p99 in µs."""

from __future__ import annotations

import asyncio
import sys
import time

from tensorzero import AsyncTensorZeroGateway

CONTENT = "How does a fairlead keep a line from chafing? " * 12


async def main(config: str, calls: int) -> None:
    """Measures."""
    latencies = []
    async with await AsyncTensorZeroGateway.build_embedded(config_file=config) as gateway:
        for number in range(calls + calls // 10):
            began = time.perf_counter()
            await gateway.inference(model_name="chat", input={"messages": [{"role": "user", "content": CONTENT}]})
            if number >= calls // 10:
                latencies.append(time.perf_counter() - began)
    latencies.sort()
    print(f"p50={latencies[calls // 2] * 1e6:.0f} p99={latencies[calls * 99 // 100] * 1e6:.0f}")


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
