"""Installs the wheel where there is no Rust, and runs it: `make test-wheel`.

Prints a line for each step; a step that fails is an exception.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIMEOUT_SECONDS = 60.0


def main(wheels: Path) -> None:
    """Installs the newest wheel of a directory and starts what it has."""
    wheel = max(wheels.glob("fairlead-*.whl"), key=lambda path: path.stat().st_mtime)
    assert "-abi3-" in wheel.name, f"{wheel.name} is for one version of Python only"
    with tempfile.TemporaryDirectory(prefix="fairlead-wheel-") as scratch:
        environment = Path(scratch) / "venv"
        venv.create(environment, with_pip=True)
        # Neither Rust nor a compiler, nor the sources beside this file.
        clean = {"PATH": str(environment / "bin"), "HOME": scratch, "LANG": "C.UTF-8"}
        assert shutil.which("cargo", path=clean["PATH"]) is None
        pip = [str(environment / "bin/python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        install = [*pip, "--only-binary", ":all:", "--constraint", str(ROOT / "requirements.lock"), f"{wheel}[daemon]"]
        # The index that this machine uses is in pip's own variables and files.
        subprocess.run(install, env={**os.environ, **clean, "HOME": os.environ.get("HOME", scratch)}, check=True)
        print(f"installed {wheel.name}")
        program = str(environment / "bin/fairlead")
        said = subprocess.run(
            [program, "--version"], env=clean, cwd=scratch, capture_output=True, text=True, check=True
        )
        assert re.fullmatch(r"fairlead \d+\.\d+\.\d+\n", said.stdout), said.stdout
        assert said.stdout.split()[1] in wheel.name
        print(said.stdout.strip())
        serve(program, clean, Path(scratch))


def serve(program: str, environment: dict[str, str], scratch: Path) -> None:
    """Starts the daemon, asks whether it is ready, stops it."""
    data = str(scratch / "data")
    listen = ["--agent-listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0"]
    command = [program, "serve", "--dev", "--data", data, *listen]
    with subprocess.Popen(command, env=environment, cwd=scratch, stderr=subprocess.PIPE, text=True) as daemon:
        try:
            assert daemon.stderr is not None
            log = []
            for line in daemon.stderr:
                log.append(line)
                if '"message": "serving"' in line:
                    break
            else:
                raise AssertionError("".join(log))
            health = [program, "health", "--data", data]
            asked = subprocess.run(
                health, env=environment, cwd=scratch, timeout=TIMEOUT_SECONDS, capture_output=True, text=True
            )
            assert (asked.returncode, asked.stdout) == (0, "ready\n"), asked.stderr
            print("serving and ready")
            daemon.send_signal(signal.SIGTERM)
            daemon.stderr.read()
            assert daemon.wait(TIMEOUT_SECONDS) == 0
        finally:
            daemon.kill()
    print("stopped")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
