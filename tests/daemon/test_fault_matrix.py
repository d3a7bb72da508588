"""Every fault a provider can show, whole and streamed, in both dialects: what the agent gets, what is recorded of each
attempt, what the breaker makes of it, and what is charged.

Each cell has a provider entry of its own (the development provider shows the fault that a configured header names), a
model of its own whose breaker opens at the first failure, and a route that falls back on a healthy model.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
import trustme

from fairlead.v1 import audit_record_pb2, decision_pb2

from .calls import Agent, budgets, explained, post
from .harness import Daemon
from .provider import Provider

KIND = audit_record_pb2.EventKind
DIALECTS = {"openai": "openai-compatible", "anthropic": "anthropic"}
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
MESSAGE, MAX_TOKENS = {"role": "user", "content": "hello"}, 20
# A token is at least a byte of what was sent.
INPUT_BOUND = len(json.dumps(MESSAGE))
CONNECT, TIMED_OUT, FAILED, CUT, GARBLED = "CONNECT_FAILED", "TIMED_OUT", "FAILED", "CUT", "GARBLED"


@dataclass(frozen=True)
class Expected:
    """How the attempts at the faulty model end, and what the agent sees."""

    outcomes: tuple[str, ...]
    """Outcomes at the faulty model, in order; empty when it answers in spite of the fault."""
    status: int = 0
    """Status that the provider answered with."""
    answered: str = "other"
    """`other`: the next model; `refused`: the provider's refusal; `broken`: a stream that says it is incomplete;
    `itself`: the faulty model."""
    ill: bool = True
    """The breaker counts it."""
    billed: bool = True
    """It reached the provider, which may bill it."""


@dataclass(frozen=True)
class Fault:
    """A row of the matrix."""

    name: str
    asked: str
    """What the development provider is told; empty when the connection itself is at fault."""
    whole: Expected
    stream: Expected


def both(name: str, asked: str, *outcomes: str, **more: Any) -> Fault:
    expected = Expected(outcomes, **more)
    return Fault(name, asked, expected, expected)


def status(code: int) -> Fault:
    return both(str(code), str(code), FAILED, status=code)


def refusal(code: int) -> Fault:
    return both(str(code), str(code), FAILED, status=code, answered="refused", ill=False)


def broken_inside(name: str, asked: str, whole: str, stream: str = "") -> Fault:
    """Before the end of a whole answer the next model can still answer; content that was passed on cannot be undone."""
    broken = Expected((stream or whole,), status=200, answered="broken")
    # In both dialects content has gone out after five events.
    return Fault(name, f"{asked}:after=5", Expected((whole,), status=200), broken)


MATRIX = [
    both("connect-refused", "", CONNECT, billed=False),
    both("tls-failure", "", CONNECT, billed=False),
    refusal(401),
    refusal(403),
    refusal(404),
    status(408),
    refusal(413),
    both("429-short", "429:retry-after=1", FAILED, FAILED, status=429),
    both("429-long", "429:retry-after=600", FAILED, status=429),
    status(500),
    status(503),
    status(529),
    both("hang-before-headers", "hang", TIMED_OUT),
    broken_inside("hang-mid-stream", "hang-mid-stream", TIMED_OUT),
    both("hang-before-content", "hang-mid-stream:after=1", TIMED_OUT, status=200),
    broken_inside("cut-mid-stream", "cut", CUT),
    both("cut-before-content", "cut:after=1", CUT, status=200),
    broken_inside("malformed-json", "malformed-json", GARBLED),
    # Lines that are no field say nothing in a stream of events; that it ends without its end is what is wrong with it.
    broken_inside("malformed-sse", "malformed-sse", GARBLED, CUT),
    both("wrong-content-type", "wrong-content-type", GARBLED, status=200),
    Fault("empty-body", "empty-body", Expected((GARBLED,), status=200), Expected((CUT,), status=200)),
    both("slow-drip", "slow-drip:gap=0.002,bytes=64", answered="itself", ill=False),
]
CELLS = [
    pytest.param(fault, dialect, stream, id=f"{fault.name}-{dialect}-{'stream' if stream else 'whole'}")
    for fault, dialect, stream in product(MATRIX, DIALECTS, (False, True))
]


def cell(fault: Fault, dialect: str, stream: bool) -> str:
    return f"{fault.name}-{dialect}-{'stream' if stream else 'whole'}"


def configuration(healthy: str, refusing: str, untrusted: str) -> str:
    """A provider, a model and a route for every cell. JSON is YAML."""
    price = {"input": 10, "output": 20}
    timeouts = {"connect": "2s", "firstByte": "500ms", "idle": "500ms", "attempt": "20s"}
    config: dict[str, Any] = {
        "apiVersion": "fairlead/v1",
        "tenants": [{"name": "acme", "agents": [{"name": "bot", "token": {"fromEnv": "TEST_BOT_TOKEN"}}]}],
        "providers": [],
        "models": [],
        "routes": [],
        "budgets": [{"name": "run", "scope": ["run"], "limit": {"tokens": 1_000_000}, "window": "lifetime"}],
    }
    for dialect, kind in DIALECTS.items():
        config["providers"].append({"name": f"healthy-{dialect}", "kind": kind, "baseUrl": healthy})
        config["models"].append(
            {"name": f"healthy-{dialect}", "provider": f"healthy-{dialect}", "price": price, "maxOutputTokens": 1000}
        )
    for fault, dialect, stream in product(MATRIX, DIALECTS, (False, True)):
        name = cell(fault, dialect, stream)
        url = {"connect-refused": refusing, "tls-failure": untrusted}.get(fault.name, healthy)
        config["providers"].append(
            {
                "name": name,
                "kind": DIALECTS[dialect],
                "baseUrl": url,
                "headers": {"x-dev-fault": fault.asked} if fault.asked else {},
                "timeouts": timeouts,
                "breaker": {"consecutiveFailures": 1, "open": "1h", "maxOpen": "1h"},
            }
        )
        config["models"].append({"name": name, "provider": name, "price": price, "maxOutputTokens": 1000})
        config["routes"].append(
            {
                "name": name,
                "match": {"model": f"to-{name}"},
                "targets": [{"model": name}],
                "fallback": {"chain": [f"healthy-{dialect}"]},
                # Only a 429 that asks for a short wait gets its second attempt: any other failure opens the breaker.
                "retry": {"attempts": 2, "backoff": {"initial": "0s", "max": "0s"}},
            }
        )
    return json.dumps(config)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with socket.socket() as nobody, Provider() as healthy, Provider(tls=context) as untrusted:
        nobody.bind(("127.0.0.1", 0))
        refusing = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        config = configuration(healthy.url, refusing, untrusted.url.replace("http:", "https:"))
        with Daemon(tmp_path_factory.mktemp("matrix"), config) as daemon:
            yield daemon


@pytest.mark.parametrize(("fault", "dialect", "stream"), CELLS)
def test_cell(served: Daemon, fault: Fault, dialect: str, stream: bool) -> None:
    name = cell(fault, dialect, stream)
    expected = fault.stream if stream else fault.whole
    body = {"model": f"to-{name}", "messages": [MESSAGE], "max_tokens": MAX_TOKENS}
    code, headers, answer = post(served, {**body, "stream": stream}, path=PATHS[dialect], x_fairlead_run=name)

    # What the agent gets.
    answering = f"healthy-{dialect}" if expected.answered == "other" else name
    assert headers["x-fairlead-model"] == answering
    assert code == (expected.status if expected.answered == "refused" else 200)
    if stream and expected.answered != "refused":
        assert is_complete(answer, dialect) == (expected.answered != "broken")
        assert says_it_broke(answer, dialect) == (expected.answered == "broken")

    # What is recorded of each attempt.
    story = explained(served, headers["x-fairlead-invocation"])
    (settled,) = [event.record for event in story.events if event.record.kind == KIND.EVENT_KIND_INVOCATION_SETTLED]
    attempts = settled.settlement.attempts
    faulty = [attempt for attempt in attempts if attempt.model == name]
    outcome = decision_pb2.AttemptOutcome.Name
    if expected.answered == "itself":
        assert [outcome(one.outcome) for one in attempts] == ["ATTEMPT_OUTCOME_SUCCEEDED"]
    else:
        assert tuple(outcome(one.outcome).removeprefix("ATTEMPT_OUTCOME_") for one in faulty) == expected.outcomes
        assert {one.status_code for one in faulty} == {expected.status}
        assert (len(attempts) > len(faulty)) == (expected.answered == "other")

    # What the breaker makes of it.
    plan = Agent(served).admit(f"after-{name}", model=f"to-{name}")
    Agent(served).release(f"release-{name}", plan.invocation)
    unhealthy = [one.model for one in plan.dropped if one.reason == decision_pb2.DROP_REASON_UNHEALTHY]
    assert unhealthy == ([name] if expected.ill else [])

    # What is charged: nothing is left held; a failed attempt that reached the provider costs its input, a stream that
    # broke what it had cost so far, and the answer what the provider reported.
    budget = budgets(served)[f"run/run={name}"]
    assert budget.reserved.tokens == 0
    assert budget.spent.tokens == settled.settlement.charged.tokens
    failed = INPUT_BOUND * len(faulty) if expected.billed else 0
    last = attempts[-1].usage
    told = last.input + last.cached_input + last.cache_write + last.output + last.reasoning
    match expected.answered:
        case "other":
            assert told > 0 and not last.estimated
            assert budget.spent.tokens == told + failed
        case "itself":
            assert told > 0 and not last.estimated
            assert budget.spent.tokens == told
        case "refused":
            assert told == 0 and budget.spent.tokens == failed
        case "broken":
            assert last.estimated and last.output > 0
            assert budget.spent.tokens == told <= INPUT_BOUND + MAX_TOKENS
            # Messages tells its input at the start.
            assert (last.input < INPUT_BOUND) == (dialect == "anthropic")


def is_complete(answer: bytes, dialect: str) -> bool:
    return (b"[DONE]" if dialect == "openai" else b"event: message_stop") in answer


def says_it_broke(answer: bytes, dialect: str) -> bool:
    last = answer.strip().split(b"\n\n")[-1]
    return last.startswith(b"event: error\n" if dialect == "anthropic" else b'data: {"error":')
