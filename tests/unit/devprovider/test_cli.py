"""`fairlead dev-provider` as somebody types it."""

from __future__ import annotations

import socket

import pytest

from fairlead.cli.main import main


def test_a_port_that_is_in_use_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        assert main(["dev-provider", "--port", str(port)]) == 1
    assert capsys.readouterr().err == f"fairlead dev-provider: 127.0.0.1:{port} is in use\n"


def test_an_unknown_fault_names_those_there_are_as_the_help_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["dev-provider", "--fault", "flood=0.1"])
    assert ended.value.code == 2
    assert "unknown fault `flood`: use a status such as 429, or one of hang, hang-mid-stream" in capsys.readouterr().err
