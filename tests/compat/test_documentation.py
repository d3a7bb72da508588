"""The examples of docs/sdks.md, run as they stand there but for the URL and the token."""

from __future__ import annotations

import re
import subprocess

import pytest

from .conftest import HERE, ROOT, TOKEN

EXAMPLES = re.findall(r"^```(python|js)\n(.*?)^```$", (ROOT / "docs/sdks.md").read_text(), re.DOTALL | re.MULTILINE)
HELLO = "Hello! How can I help you today?"
ANSWERS = {HELLO, "It is sunny in Paris."}
OF_THE_ENVIRONMENT = (
    "import openai; print(openai.OpenAI().responses.create(model='chat', input='hello').output_text)",
    "import anthropic; said = [{'role': 'user', 'content': 'hello'}]; "
    "print(anthropic.Anthropic().messages.create(model='chat', max_tokens=9, messages=said).content[0].text)",
    "from langchain_openai import ChatOpenAI; print(ChatOpenAI(model='chat').invoke('hello').text)",
    "from langchain_anthropic import ChatAnthropic; print(ChatAnthropic(model='chat').invoke('hello').text)",
    "from pydantic_ai import Agent; print(Agent('openai-chat:chat').run_sync('hello').output)",
    "from pydantic_ai import Agent; print(Agent('anthropic:chat').run_sync('hello').output)",
)


def test_every_example_is_found() -> None:
    assert [language for language, _ in EXAMPLES] == ["python", "js", "python", "js", "python", "python", "python"]


@pytest.mark.parametrize(("language", "code"), EXAMPLES)
def test_an_example_prints_the_answer(
    sidecar: str, capsys: pytest.CaptureFixture[str], language: str, code: str
) -> None:
    code = code.replace("http://127.0.0.1:7400", sidecar).replace("change-me", TOKEN)
    if language == "python":
        exec(compile(code, "docs/sdks.md", "exec"), {"__name__": "example"})
        printed = capsys.readouterr().out
    else:
        # Node looks for packages from its working directory.
        command = ["node", "--input-type=module", "--eval", code]
        ran = subprocess.run(command, cwd=HERE / "node", capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0, ran.stderr
        printed = ran.stdout
    assert set(printed.splitlines()) <= ANSWERS and printed


@pytest.mark.parametrize("code", OF_THE_ENVIRONMENT)
def test_the_environment_alone_is_enough(
    sidecar: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"{sidecar}/v1")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", sidecar)
    monkeypatch.setenv("OPENAI_API_KEY", TOKEN)
    monkeypatch.setenv("ANTHROPIC_API_KEY", TOKEN)
    exec(code, {})
    assert capsys.readouterr().out.strip() == HELLO
