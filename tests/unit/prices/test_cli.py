"""`fairlead prices` as a person uses it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from fairlead.cli.main import main
from fairlead.prices import books
from tests.unit.prices.test_books import written
from tests.unit.prices.test_community import FILE


def test_import_writes_a_book_that_can_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, book = tmp_path / "prices.json", tmp_path / "book.yaml"
    source.write_text(FILE)
    assert main(["prices", "import", str(source), "--date", "2026-07-24", "--output", str(book)]) == 0
    said = capsys.readouterr().err
    assert "anthropic/claude-sonnet-4-5: costs more above 200k tokens" in said
    assert said.endswith(
        "5 models priced; left out: 1 (mode embedding), 1 (no input_cost_per_token), 1 (not a model)\n"
    )
    found = books.open_book(str(book)).book
    assert (found.date, len(found.prices)) == ("2026-07-24", 5)
    assert found.source.startswith("prices.json, SHA-256 ")


def test_import_writes_no_book_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    costs = {"litellm_provider": "x", "input_cost_per_token": 0, "output_cost_per_token": 0}
    source, book = tmp_path / "prices.json", tmp_path / "book.yaml"
    for models in ({str(number): costs for number in range(20_001)}, {f"{n:0200}": costs for n in range(6000)}):
        source.write_text(json.dumps(models))
        assert main(["prices", "import", str(source), "--output", str(book)]) == 2
        assert "import a part with --provider or --only" in capsys.readouterr().err
        assert not book.exists()


def test_a_file_may_have_any_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / f"{'p' * 240}\n\u2028"
    source.write_text(FILE)
    assert main(["prices", "import", str(source)]) == 0
    assert books.parse(capsys.readouterr().out).source.startswith("pppp")


def test_import_takes_a_part_from_stdin_and_prints_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(FILE.encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    assert main(["prices", "import", "-", "--provider", "openai", "--provider", "gemini", "--only", "*/gpt*"]) == 0
    book = books.parse(capsys.readouterr().out)
    assert [entry.key for entry in book.prices] == ["openai/gpt-4o"]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (None, 2, "cannot be read: No such file"),
        ("{", 2, "prices.json: line 1: is not JSON"),
        ('{"m": {"input_cost_per_token": -1, "output_cost_per_token": 1}}', 2, "m: input_cost_per_token: must not be"),
        ("{}", 1, "has no model that was asked for"),
    ],
)
def test_import_says_what_is_wrong_with_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, code: int, said: str
) -> None:
    source = tmp_path / "prices.json"
    if text is not None:
        source.write_text(text)
    assert main(["prices", "import", str(source)]) == code
    printed = capsys.readouterr()
    assert said in printed.err and printed.out == ""


def test_show_says_where_each_price_of_a_configuration_comes_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path)
    assert main(["prices", "show", "--config", str(file)]) == 0
    header, small, large = capsys.readouterr().out.splitlines()
    assert header.split() == ["MODEL", "INPUT", "CACHED", "CACHE", "WRITE", "OUTPUT", "FROM"]
    assert small.split() == ["small", "0.15", "-", "-", "0.6", f"{file}:10"]
    assert large.split("  ")[0] == "large"
    assert large.endswith(f"{tmp_path}/book.yaml of 2026-11-21: ollama/large")


def test_show_prints_a_book_and_by_default_the_starter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path)
    assert main(["prices", "show", "--book", str(tmp_path / "book.yaml"), "--json", "ollama/l*"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["model"] for row in rows] == ["ollama/llama*", "ollama/large"]
    assert rows[1]["price"] == {"input": "2.5", "cachedInput": "0.25", "output": "10"}
    assert rows[1]["contextTokens"] == 8192
    assert main(["prices", "show", "gpt-4o"]) == 0
    assert "starter of 2026-07-24" in capsys.readouterr().out
    assert main(["prices", "show", "nobody"]) == 1
    assert main(["prices", "show", "--book", str(tmp_path / "none.yaml")]) == 2
