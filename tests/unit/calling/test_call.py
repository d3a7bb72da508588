"""`fairlead call` asks and reads every dialect; the development provider answers it as a sidecar would."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.calling.dialects import DIALECTS
from fairlead.cli.main import main
from tests.daemon.provider import Provider

ANSWER = "steady line keeps the ship at her berth while tide pulls on"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as running:
        yield running


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data directory of a sidecar, and no token, unless a test says so."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FAIRLEAD_DATA", raising=False)
    monkeypatch.setenv("FAIRLEAD_TOKEN", "agent-token")


def call(provider: Provider, *arguments: str) -> int:
    return main(["call", "--agent", f"127.0.0.1:{provider.port}", *arguments])


@pytest.mark.parametrize("stream", [(), ("--stream",)])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_question_is_asked_and_its_answer_printed(
    provider: Provider, capsys: pytest.CaptureFixture[str], dialect: str, stream: tuple[str, ...]
) -> None:
    assert call(provider, "--model", "m", "--dialect", dialect, "--session", "s-1", *stream, "hello") == 0
    assert capsys.readouterr().out == f"{ANSWER}\n"
    headers, sent = provider.received.headers, json.loads(provider.body)
    assert (headers["authorization"], headers["x-fairlead-session"]) == ("Bearer agent-token", "s-1")
    assert (sent["model"], sent.get("stream", False)) == ("m", bool(stream))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_whole_request_is_sent_as_it_is_and_tool_calls_are_shown(
    provider: Provider, capsys: pytest.CaptureFixture[str], tmp_path: Path, dialect: str, stream: bool
) -> None:
    function = {"name": "lookup", "parameters": {"type": "object"}, "input_schema": {"type": "object"}}
    tool = {"type": "function", "function": function, **function}
    asked = {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "x"}],
        "input": "x",
        "tools": [tool],
    }
    file = tmp_path / "body.json"
    file.write_text(json.dumps({**asked, "stream": stream}, indent=3))
    assert call(provider, "--dialect", dialect, "--body", str(file)) == 0
    assert capsys.readouterr().out == "[lookup] {}\n" if stream else "[lookup {}]\n"
    assert provider.body == file.read_bytes()


def test_model_and_stream_of_a_whole_request_can_be_set(
    provider: Provider, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"messages": [], "x_kept": 1}')))
    assert call(provider, "--body", "-", "--model", "other", "--stream", "--json") == 0
    assert json.loads(provider.body) == {"messages": [], "x_kept": 1, "model": "other", "stream": True}
    chunks = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("fault", "stream", "said"),
    [
        ("429", False, "fairlead: HTTP 429: the development provider was told to answer 429"),
        ("cut", False, "fairlead: the connection ended in the middle of the answer"),
        ("cut", True, "fairlead: the stream broke: the connection ended in the middle of the answer"),
        ("error_event", True, "fairlead: the stream broke: overloaded"),
        ("refuse", False, ": no sidecar listens there"),
    ],
)
def test_what_goes_wrong_is_said_and_the_exit_code_is_one(
    provider: Provider, capsys: pytest.CaptureFixture[str], dialect: str, fault: str, stream: bool, said: str
) -> None:
    provider.fail(fault)
    options = ("--stream",) if stream else ()
    assert call(provider, "--model", "m", "--dialect", dialect, *options, "hello") == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give a PROMPT, or a whole request with --body"),
        (("hello", "--body", "x"), "give a PROMPT, or a whole request"),
        (("hello",), "give the --model or route to ask for"),
        (("--body", "none.json"), "none.json cannot be read: No such file"),
        (("--body", "list.json", "--model", "m"), "list.json is not a JSON object"),
        (("hello", "--model", "m", "--agent-token-file", "none"), "none cannot be read"),
        (("hello", "--model", "m", "--session", "ä"), "x-fairlead-session must be visible ASCII"),
    ],
)
def test_a_command_line_that_makes_no_call_is_refused(
    provider: Provider, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    Path("list.json").write_text("[]")
    requests = provider.stats.requests
    assert call(provider, *arguments) == 2
    assert said in capsys.readouterr().err
    assert provider.stats.requests == requests


def test_the_token_comes_from_a_file_the_environment_or_development_mode_and_is_never_shown(
    provider: Provider, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("sk-from-file\n")
    for arguments, token in (
        (("--agent-token-file", str(file)), "sk-from-file"),
        (("--dev",), "dev"),
        ((), "agent-token"),
    ):
        assert call(provider, "--model", "m", *arguments, "hello") == 0
        assert provider.received.headers["authorization"] == f"Bearer {token}"
    monkeypatch.delenv("FAIRLEAD_TOKEN")
    assert call(provider, "--model", "m", "hello") == 2
    file.write_text("sk secret")
    assert call(provider, "--model", "m", "--agent-token-file", str(file), "hello") == 2
    printed = capsys.readouterr()
    assert "there is no token: set FAIRLEAD_TOKEN, or give --agent-token-file or --dev" in printed.err
    assert "secret" not in printed.err and "sk-from-file" not in printed.out + printed.err


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1", "nonsense:port"])
def test_a_sidecar_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str], address: str) -> None:
    assert main(["call", "--agent", address, "--model", "m", "hello"]) == 1
    assert capsys.readouterr().err.startswith(f"fairlead: {address}")


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--max-output-tokens", "0", "`0` is not a whole number from 1 to 100000000"),
        ("--max-output-tokens", "1e3", "`1e3` is not a whole number from 1 to 100000000"),
        ("--max-output-tokens", "9" * 5000, "is not a whole number from 1 to 100000000"),
        ("--timeout", "0", "`0` is not a number of seconds above 0, up to 86400"),
        ("--timeout", "nan", "`nan` is not a number of seconds above 0, up to 86400"),
        ("--timeout", "inf", "`inf` is not a number of seconds above 0, up to 86400"),
        ("--timeout", "1m", "`1m` is not a number of seconds above 0, up to 86400"),
    ],
    ids=range(7),
)
def test_a_number_that_cannot_be_meant_is_said(
    capsys: pytest.CaptureFixture[str], option: str, value: str, said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["call", "--model", "m", "hello", f"{option}={value}"])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
