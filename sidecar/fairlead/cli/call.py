"""`fairlead call`: one governed call from the command line, and what became of it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fairlead.calling.dialects import DIALECTS
from fairlead.cli import agent, bounded, operator

if TYPE_CHECKING:
    from fairlead.calling.exchange import Answer

_INVALID = 2
_BODY_MAX_BYTES = 256 << 20
_TIMEOUT_MAX = 86_400
_CONTEXT = ("session", "run", "step", "workload", "min_quality", "request_id")


class _Usage(Exception):
    """The command line does not make a call."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "call",
        help="send one governed call and say what became of it",
        description="Sends one call through the agent endpoint like any agent: it is routed, checked, paid for and "
        "recorded. The answer goes to stdout; what was decided and why goes to stderr, from the operator socket when "
        "it can be reached, else from the answer's headers. The agent's token is in $FAIRLEAD_TOKEN.",
        epilog="Exit codes: 0 answered, 1 refused, failed or not reachable, 2 usage or a request that is not valid.",
    )
    parser.add_argument("prompt", nargs="?", metavar="PROMPT", help="the question; - reads it from stdin")
    parser.add_argument("--body", metavar="FILE", help="send this request instead, as it is; - reads it from stdin")
    parser.add_argument("--model", help="model or route to ask for; of a --body it replaces the model")
    parser.add_argument("--dialect", choices=DIALECTS, default=DIALECTS[0], help=f"default: {DIALECTS[0]}")
    parser.add_argument("--stream", action="store_true", help="print the answer while it comes")
    parser.add_argument("--max-output-tokens", type=bounded.number(1, 100_000_000), metavar="N", help="longest answer")
    for name in _CONTEXT:
        option = f"--{name.replace('_', '-')}"
        # `run` is what the command line runs.
        parser.add_argument(
            option, dest=f"about_{name}", metavar="VALUE", help=f"sent as x-fairlead-{name.replace('_', '-')}"
        )
    parser.add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="label; can be repeated")
    agent.add_credential(parser)
    parser.add_argument(
        "--agent",
        metavar="HOST:PORT",
        help=f"agent endpoint (default: as DIR/endpoints.json says, else {agent.DEFAULT})",
    )
    parser.add_argument(
        "--timeout", type=bounded.seconds(_TIMEOUT_MAX), default=600.0, metavar="SECONDS", help="default: 600"
    )
    parser.add_argument("--quiet", action="store_true", help="print the answer only")
    parser.add_argument("--json", action="store_true", help="print the answer as it came, without reading it")
    operator.add_place(parser)
    # The explanation is read as the operator that $FAIRLEAD_OPERATOR_TOKEN names, else as the local one.
    parser.set_defaults(run=run, token_file=None)


def run(arguments: argparse.Namespace) -> int:
    """Makes the call and prints answer and explanation."""
    from fairlead.calling import dialects, exchange

    try:
        body = _body(arguments)
        headers = {"authorization": f"Bearer {agent.token_of(arguments)}", **_context(arguments)}
    except (_Usage, agent.TokenUnusable) as error:
        print(f"fairlead call: {error}", file=sys.stderr)
        return _INVALID
    address = arguments.agent or agent.address_of(arguments.data)
    try:
        with exchange.call(address, dialects.path(arguments.dialect), body, headers, arguments.timeout) as answer:
            code = _print(answer, arguments)
            if not arguments.quiet:
                _explain(answer.headers, arguments)
            return code
    except exchange.Unreachable as error:
        print(f"fairlead: {error}", file=sys.stderr)
        return 1


def _print(answer: Answer, arguments: argparse.Namespace) -> int:
    """Prints the answer, or says why there is none."""
    from fairlead.calling import dialects, exchange

    if answer.status != 200:
        content = answer.whole()
        reason = answer.headers.get("x-fairlead-reason", f"HTTP {answer.status}")
        message = dialects.error(exchange.parsed(content)) or "it did not say why"
        print(f"fairlead: {reason}: {message}", file=sys.stderr)
        return _INVALID if reason in ("INVALID_ARGUMENT", "PAYLOAD_TOO_LARGE") else 1
    if answer.streams:
        return _print_events(answer, arguments)
    content = answer.whole()
    if arguments.json:
        print(content.decode("utf-8", "replace"))
    else:
        print("\n".join(dialects.texts(arguments.dialect, exchange.parsed(content))))
    sys.stdout.flush()
    return 0


def _print_events(answer: Answer, arguments: argparse.Namespace) -> int:
    from fairlead.calling import dialects, exchange

    failed = None
    try:
        for event in answer.events():
            failed = failed or dialects.error(event)
            if arguments.json:
                print(json.dumps(event, ensure_ascii=False))
            else:
                print("".join(dialects.delta(arguments.dialect, event)), end="")
            sys.stdout.flush()
    except exchange.Unreachable as error:
        failed = str(error)
    if not arguments.json:
        print(flush=True)
    if failed is not None:
        print(f"fairlead: the stream broke: {failed}", file=sys.stderr)
    return 0 if failed is None else 1


def _explain(headers: Mapping[str, str], arguments: argparse.Namespace) -> None:
    """What was decided and why, on stderr. What the socket does not say, the headers do in short."""
    invocation = headers.get("x-fairlead-invocation")
    if invocation is None:
        return
    told = _narrative(invocation, arguments)
    if told is None:
        known = (("model", "x-fairlead-model"), ("configuration", "x-fairlead-config-version"))
        told = [f"{label} {headers[name]}" for label, name in known if name in headers]
    print(f"\n{invocation}", *(f"  - {sentence}" for sentence in told), sep="\n", file=sys.stderr)


def _narrative(invocation: str, arguments: argparse.Namespace) -> list[str] | None:
    """The story of the call from the audit log; None when the operator socket does not tell."""
    import grpc

    from fairlead.v1 import audit_service_pb2, audit_service_pb2_grpc

    request = audit_service_pb2.ExplainInvocationRequest(invocation=invocation)
    try:
        with operator.connected(arguments) as channel:
            stub = audit_service_pb2_grpc.AuditServiceStub(channel)
            return list(stub.ExplainInvocation(request, timeout=operator.DEFAULT_TIMEOUT_SECONDS).narrative)
    except (operator.Unreachable, grpc.RpcError):
        return None


def _body(arguments: argparse.Namespace) -> bytes:
    """The request; raises `_Usage`."""
    from fairlead.calling import dialects

    if (arguments.prompt is None) == (arguments.body is None):
        raise _Usage("give a PROMPT, or a whole request with --body")
    if arguments.body is None:
        if not arguments.model:
            raise _Usage("give the --model or route to ask for")
        prompt = _text("-", "stdin").decode("utf-8", "replace") if arguments.prompt == "-" else arguments.prompt
        asked = dialects.question(
            arguments.dialect,
            arguments.model,
            prompt,
            stream=arguments.stream,
            max_output_tokens=arguments.max_output_tokens,
        )
        return json.dumps(asked).encode()
    given = _text(arguments.body, arguments.body)
    if not arguments.model and not arguments.stream:
        return given
    try:
        request = json.loads(given)
    except ValueError:
        request = None
    if not isinstance(request, dict):
        raise _Usage(f"{arguments.body} is not a JSON object, so its model and stream cannot be set")
    changed: dict[str, Any] = {"model": arguments.model} if arguments.model else {}
    return json.dumps({**request, **changed, **({"stream": True} if arguments.stream else {})}).encode()


def _text(file: str, name: str) -> bytes:
    try:
        if file == "-":
            return sys.stdin.buffer.read(_BODY_MAX_BYTES)
        with open(file, "rb") as stream:
            return stream.read(_BODY_MAX_BYTES)
    except OSError as error:
        raise _Usage(f"{name} cannot be read: {error.strerror or 'unreadable'}") from None


def _context(arguments: argparse.Namespace) -> dict[str, str]:
    """The headers that say what the call is about; raises `_Usage`."""
    given = {name.replace("_", "-"): getattr(arguments, f"about_{name}") for name in _CONTEXT}
    if arguments.label:
        given["labels"] = ",".join(arguments.label)
    headers = {f"x-fairlead-{name}": str(value) for name, value in given.items() if value is not None}
    for name, value in headers.items():
        if not value.isascii() or not value.isprintable():
            raise _Usage(f"{name} must be visible ASCII")
    return headers
