"""`make demo` as a newcomer sees it: the script, run as a process."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "examples/quickstart/demo.py"
# It takes 20 seconds where nothing else runs.
TIMEOUT_SECONDS = 240


@pytest.mark.timeout(TIMEOUT_SECONDS + 60)
def test_every_scene_of_the_demo_holds(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, str(DEMO)], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as demo:
        try:
            output, _ = demo.communicate(timeout=TIMEOUT_SECONDS)
        except BaseException:
            # As from the keyboard: it ends the daemon and the providers that it started.
            demo.send_signal(signal.SIGINT)
            demo.communicate(timeout=60)
            raise
    assert demo.returncode == 0, output
    assert output.rstrip().endswith("All claims hold."), output
    lines = output.splitlines()
    scenes = [line for line in lines if line[:1].isdigit()]
    assert [scene.partition(".")[0] for scene in scenes] == [str(number) for number in range(1, len(scenes) + 1)]
    assert len(scenes) == 14, output
    assert not [line for line in lines if line.strip().startswith("FAIL")], output
