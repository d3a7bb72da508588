"""`make demo` as a newcomer sees it: its scripts, run as processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
# Each takes 20 seconds where nothing else runs.
TIMEOUT_SECONDS = 240


@pytest.mark.timeout(TIMEOUT_SECONDS + 60)
@pytest.mark.parametrize(("story", "count"), [("quickstart", 14), ("loan", 5), ("refund", 3)])
def test_every_scene_of_the_demo_holds(story: str, count: int, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, str(EXAMPLES / story / "demo.py")],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as demo:
        try:
            output, _ = demo.communicate(timeout=TIMEOUT_SECONDS)
        except BaseException:
            # As from the keyboard: it ends the processes that it started.
            demo.send_signal(signal.SIGINT)
            demo.communicate(timeout=60)
            raise
    assert demo.returncode == 0, output
    assert output.rstrip().endswith("All claims hold."), output
    lines = output.splitlines()
    scenes = [line for line in lines if line[:1].isdigit() and line.split(" ")[0].endswith(".")]
    assert [scene.partition(".")[0] for scene in scenes] == [str(number) for number in range(1, len(scenes) + 1)]
    assert len(scenes) == count, output
    assert not [line for line in lines if line.strip().startswith("FAIL")], output
