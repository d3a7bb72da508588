"""INVARIANT (I1): 256 concurrent callers against a budget that fits k calls: exactly k succeed, over HTTP and gRPC."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Iterator

import pytest

from fairlead.client import AsyncClient, BudgetExhausted
from fairlead.v1 import budget_service_pb2

from .harness import TOKEN, Daemon
from .provider import Provider, routed

CALLERS = 256
REPETITIONS = 20
FITS = 17
INPUT, OUTPUT = 100, 50
BUDGET = f"""\
budgets:
  - {{name: run, scope: [run], limit: {{tokens: {FITS * (INPUT + OUTPUT)}}}, window: lifetime}}
limits: {{streams: 4096}}
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Provider() as provider:
        config = routed(provider.url, provider.url, BUDGET).replace("    fallback:", "    # fallback:")
        with Daemon(tmp_path_factory.mktemp("overshoot"), config) as daemon:
            yield daemon


async def budget_of(client: AsyncClient, run: str) -> budget_service_pb2.Budget:
    return next(budget for budget in await client.budgets() if budget.scope["run"] == run)


@pytest.mark.timeout(300)
def test_over_grpc_exactly_as_many_are_admitted_as_fit(daemon: Daemon) -> None:
    async def caller(client: AsyncClient, run: str) -> str:
        try:
            async with client.invocation(
                model="chat", run=run, input_tokens=INPUT, max_output_tokens=OUTPUT, min_output_tokens=OUTPUT
            ) as call:
                with call.attempt() as attempt:
                    attempt.used(input=INPUT, output=OUTPUT)
            return "admitted"
        except BudgetExhausted:
            return "refused"

    async def scenario() -> None:
        address = daemon.endpoints()["agent"]
        async with AsyncClient(address, token=TOKEN) as client:
            for repetition in range(REPETITIONS):
                run = f"grpc-{repetition}"
                outcomes = collections.Counter(await asyncio.gather(*(caller(client, run) for _ in range(CALLERS))))
                assert outcomes == {"admitted": FITS, "refused": CALLERS - FITS}
                budget = await budget_of(client, run)
                assert (budget.spent.tokens, budget.reserved.tokens) == (budget.limit.tokens, 0)

    asyncio.run(scenario())


@pytest.mark.timeout(300)
def test_over_http_the_limit_is_never_passed(daemon: Daemon) -> None:
    """The input bound of a body is in bytes, so a call holds more than it then uses and k follows from the hold; what
    must be exact is that no instant, and no end, shows more than the limit, and that every success was paid."""
    body = b'{"model":"chat","max_tokens":50,"seed":50,"messages":[{"role":"user","content":"%s"}]}' % (b"hello " * 10)

    async def caller(address: str, run: str) -> tuple[int, int]:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {TOKEN}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\nx-fairlead-run: {run}\r\n"
            "x-fairlead-min-output-tokens: 50\r\nconnection: close\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = await reader.read()
        writer.close()
        used = int(answer.partition(b'"total_tokens": ')[2].partition(b",")[0] or 0)
        return int(answer.split(b" ", 2)[1]), used

    async def scenario() -> None:
        address = daemon.endpoints()["agent"]
        async with AsyncClient(address, token=TOKEN) as client:
            for repetition in range(REPETITIONS):
                run = f"http-{repetition}"
                answers = await asyncio.gather(*(caller(address, run) for _ in range(CALLERS)))
                assert {status for status, _ in answers} == {200, 429}
                budget = await budget_of(client, run)
                assert budget.reserved.tokens == 0
                assert budget.spent.tokens == sum(used for status, used in answers if status == 200)
                assert budget.spent.tokens <= budget.limit.tokens

    asyncio.run(scenario())


@pytest.mark.timeout(300)
def test_over_http_exactly_as_many_calls_succeed_as_the_budget_counts(
    daemon: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A budget in requests has the same worst case and charge: k is exact over HTTP too."""
    with Provider() as provider:
        budget = f"{{name: run, scope: [run], limit: {{requests: {FITS}}}, window: lifetime}}"
        config = routed(provider.url, provider.url, f"budgets: [{budget}]\nlimits: {{streams: 4096}}\n")
        with Daemon(tmp_path_factory.mktemp("requests"), config) as requests:

            async def scenario() -> None:
                import openai

                base_url = f"http://{requests.endpoints()['agent']}/v1"
                async with openai.AsyncOpenAI(base_url=base_url, api_key=TOKEN, max_retries=0) as sdk:

                    async def caller(run: str) -> bool:
                        try:
                            await sdk.chat.completions.create(
                                model="chat",
                                messages=[{"role": "user", "content": "x"}],
                                max_tokens=1,
                                extra_headers={"x-fairlead-run": run},
                            )
                        except openai.RateLimitError:
                            return False
                        return True

                    for repetition in range(REPETITIONS):
                        outcomes = await asyncio.gather(*(caller(f"r-{repetition}") for _ in range(CALLERS)))
                        assert sum(outcomes) == FITS

            asyncio.run(scenario())
